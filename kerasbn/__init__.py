"""Training time: a BatchNormalization layer for both Kerases.

Importing this package imports neither TensorFlow nor Keras. The layer is chosen by its import path::

    from kerasbn.keras import BatchNormalization      # Keras 3
    from kerasbn.tf_keras import BatchNormalization   # Keras 2 (tf_keras)
"""

from kerasbn.errors import KerasBNError

__version__ = "0.1.0"

__all__ = ["KerasBNError", "__version__"]
