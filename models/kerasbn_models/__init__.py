"""Reference architectures with BatchNorm, each one builder for both Kerases.

Importing this package imports neither TensorFlow nor Keras; the first builder called does.
"""

from kerasbn_models.digits import digits_cnn
from kerasbn_models.mlp import mlp

__all__ = ["digits_cnn", "mlp"]
