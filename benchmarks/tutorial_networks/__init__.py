"""Networks of the Keras site's examples, rebuilt small: each a function of a Keras that gives a model.

``NETWORKS`` maps the function's name to it; the name says which example it is. The models have the layers and the
wiring of the examples, a few channels, and inputs so small that an export takes seconds.
"""

from tutorial_networks import classifiers, dense_prediction, generative, sequences, several_inputs
from tutorial_networks.network import NETWORKS

__all__ = ["NETWORKS", "classifiers", "dense_prediction", "generative", "sequences", "several_inputs"]
