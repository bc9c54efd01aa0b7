"""Reference architectures with BatchNorm, each one builder for both Kerases.

Importing this package imports neither TensorFlow nor Keras; the first builder called does. Every builder takes
``flavour="keras"`` (Keras 3) or ``"tf_keras"`` (Keras 2), and ``norm=`` for another normalization layer.
"""

from kerasbn_models.bn_lstm import bn_lstm
from kerasbn_models.crnn import crnn
from kerasbn_models.digits import digits_cnn
from kerasbn_models.ds_cnn import ds_cnn
from kerasbn_models.fast_scnn import fast_scnn
from kerasbn_models.mlp import mlp
from kerasbn_models.mobilenet_v2 import mobilenet_v2
from kerasbn_models.resnet import resnet18, resnet20, resnet50
from kerasbn_models.resnet1d import resnet1d
from kerasbn_models.tcn import tcn
from kerasbn_models.text_cnn import text_cnn
from kerasbn_models.unet import unet
from kerasbn_models.yolo11 import yolo11

__all__ = [
    "bn_lstm",
    "crnn",
    "digits_cnn",
    "ds_cnn",
    "fast_scnn",
    "mlp",
    "mobilenet_v2",
    "resnet1d",
    "resnet18",
    "resnet20",
    "resnet50",
    "tcn",
    "text_cnn",
    "unet",
    "yolo11",
]
