"""Networks with code of one's own, as strangers write them: each a function of a Keras that gives a model.

``NETWORKS`` maps the function's name to it. The code is layers, models, functions and cells that no library has, or
wiring that no guide shows. Each network has a few channels, and inputs so small that an export takes seconds.
"""

from own_code_networks import arithmetic, batchnorms, layers, models, sequences, wiring
from own_code_networks.network import NETWORKS

__all__ = ["NETWORKS", "arithmetic", "batchnorms", "layers", "models", "sequences", "wiring"]
