"""Linear layers in a row, several axes, and BatchNorms in training mode."""

from __future__ import annotations

import numpy as np
from patterns.pattern import BN, conv, dense, layer, td

from kerasbn_testing.counterexamples.building import (
    AXIS_1,
    IMAGE,
    MASK,
    RELU,
    SEQUENCE,
    TANH,
    TRAINED,
    VECTOR,
    chain,
    function,
    not_training,
    own_norm,
)

chain("convolutions in a row, padded", IMAGE, conv(2, 1), conv(4, 3, padding="same"), BN)
chain("convolutions in a row, of groups", IMAGE, conv(4, 1), conv(4, 3, groups=2), BN)
chain("convolutions in a row, that would grow", IMAGE, conv(1, 3), conv(8, 3), BN)
chain("convolutions in a row, small", IMAGE, conv(8, 1), conv(2, 3), BN)
chain("convolutions in a row, dilated and strided", (9, 9, 4), conv(8, 1, strides=2), conv(2, 3, dilation_rate=2), BN)
chain("convolutions in a row, active", IMAGE, conv(8, 1, activation="tanh"), conv(2, 3), BN)
chain("dense in a row", VECTOR, dense(8), dense(2), BN)
chain("dense in a row, that would grow", (8,), dense(1), dense(8), BN)
chain("dense in a row, active", VECTOR, dense(8, activation="tanh"), dense(2), BN)
chain("dense behind a convolution", IMAGE, conv(8, 1), dense(2), BN)
chain("training right before", VECTOR, TANH, TRAINED, not_training(BN), TANH)
chain("joined along one of its axes", (4, 4, 4), conv(4, 1), function(lambda x: x), own_norm([1, 3]), TANH)
chain("several axes, then a mean", (4, 4, 4), TANH, own_norm([1, 3]), layer("AveragePooling2D", 2), dense(3))
SEVERAL = own_norm([1, 3])
chain("several axes before and behind a relu", (4, 4, 4), TANH, SEVERAL, RELU, SEVERAL, TANH, target="int8")
chain(
    "a constant that is broadcast", (4, 1), TANH, function(lambda x: x * np.arange(1.0, 6).astype("float32")), BN, TANH
)
chain("a constant of more axes", VECTOR, dense(4), function(lambda x: x + np.ones((3, 1, 4), "float32")), TANH)
chain("rms norm", SEQUENCE, lambda layers: getattr(layers, "RMSNormalization", layers.LayerNormalization)(), BN, TANH)
chain("time distributed function", SEQUENCE, dense(4), td(layer("Activation", "softmax")), AXIS_1, TANH)
chain("time distributed lone pooling", (3, None, 4), td(layer("MaxPooling1D", 2)), td(BN), TANH)

BIAS_BEFORE_ZEROS = (conv(8, 1), conv(2, 3, padding="same"), BN)
chain("convolutions in a row, bias before zeros", IMAGE, *BIAS_BEFORE_ZEROS)
chain("convolutions in a row, of one tap", IMAGE, conv(8, 1), conv(2, 1, padding="same"), BN)
chain("convolutions in a row, groups behind", IMAGE, conv(8, 1), conv(2, 3, groups=2), BN)
chain("convolutions in a row, groups before", IMAGE, conv(8, 1, groups=2), conv(2, 3), BN)
chain("convolutions in a row, several taps padded", IMAGE, conv(9, 2, use_bias=False), conv(1, 2, padding="same"), BN)
chain("convolutions in a row, two strides", (9, 9, 4), conv(8, 3, strides=2, padding="same"), conv(2, 1, strides=2), BN)
chain("dense in a row, two precisions", VECTOR, dense(8, dtype="float16"), dense(2), BN)
chain("rescaling by one", VECTOR, TANH, layer("Rescaling", 1.0), TANH)
chain("shift alone", VECTOR, TANH, layer("Rescaling", 1.0, 0.5), dense(3))
chain(
    "scale alone behind a mask", SEQUENCE, MASK, TANH, layer("BatchNormalization", center=False), TANH, layer("LSTM", 3)
)
chain("layer norm over both, turned", SEQUENCE, layer("LayerNormalization", axis=[2, 1]), BN, TANH)
chain("layer norm over both, turned, dense", SEQUENCE, layer("LayerNormalization", axis=[2, 1]), dense(3))
chain("norm that changes the precision", VECTOR, dense(4), layer("BatchNormalization", dtype="float16"), dense(3))
chain("product with true", VECTOR, dense(4), function(lambda x: x * True), TANH)
chain("identity inside and a shift", VECTOR, layer("Rescaling", 2.0), layer("Rescaling", 0.5), TANH)
for rank, shape in enumerate((VECTOR, SEQUENCE, IMAGE, (None, None, 4), (6, 6, 1)), 2):
    chain(f"lone relu {rank}", shape, TANH, RELU, TANH, target="int8")
chain("magnitudes behind a relu", IMAGE, conv(4, 2), RELU, BN, conv(3, 2), target="int8")
chain("lone tanh", IMAGE, TANH, TANH, target="int8")
chain("lone relu behind a mask", SEQUENCE, MASK, TANH, RELU, layer("LSTM", 3), target="int8")
chain("relu behind a convolution", IMAGE, conv(4, 2), RELU, TANH, target="int8")
chain(
    "relu behind a transposed convolution", IMAGE, layer("Conv2DTranspose", 3, 3, use_bias=False), RELU, target="int8"
)
TWICE = function(lambda x: x * 2.0)
chain("a product ends a mask", SEQUENCE, MASK, dense(4), TWICE, layer("LSTM", 3))
chain("a rescaling and a mask", SEQUENCE, MASK, dense(4), layer("Rescaling", 2.0, 1.0), layer("LSTM", 3))
chain("a product ends a mask before a norm", SEQUENCE, MASK, dense(4), TWICE, BN, layer("LSTM", 3))

HUGE_SHIFT, TIMES_MANY = layer("Rescaling", 1.0, 1e36), layer("Rescaling", 1e4)
chain("dense in a row that overflow", VECTOR, dense(8), HUGE_SHIFT, dense(2), TIMES_MANY)
chain("map that overflows", (2, 2, 16), TANH, HUGE_SHIFT, BN, conv(3, 3, padding="same"), TIMES_MANY, TANH)
chain(
    "ones that overflow", IMAGE, conv(4, 2), RELU, HUGE_SHIFT, BN, conv(3, 3, padding="same"), TIMES_MANY, target="ops"
)
chain("lone relu of an image behind a mask", IMAGE, MASK, TANH, RELU, TANH, target="int8")
chain("reshaped from unknown size", (None, 4), dense(4), layer("Reshape", (24,)), BN, TANH)
chain("to be reshaped from unknown size", (None, 4), TANH, BN, layer("Reshape", (24,)), dense(3))
