"""A linear layer behind the BatchNorm, directly or with something between: rules 3 to 5, 8, 9, 11 and 15.

The converter makes an ADD of every Conv3D's own bias: that one is counted in the minimum.
"""

from __future__ import annotations

from patterns.pattern import (
    BN,
    FLATTEN,
    FRAMES,
    GAP,
    IMAGE,
    RELU,
    SEQUENCE,
    VECTOR,
    VOLUME,
    Make,
    chain,
    conv,
    conv1d,
    dense,
    layer,
    td,
)

CONV_RELU = conv(4, activation="relu")
CONV1D_TANH = conv1d(4, activation="tanh")


def image(name: str, *makes: Make, least: int = 0, mixed: int | None = None) -> None:
    """A BatchNorm that cannot go backward, and what is behind it."""
    chain(f"conv2d relu, BN, {name}", IMAGE, CONV_RELU, BN, *makes, least=least, mixed=mixed)


def sequence(name: str, *makes: Make, least: int = 0) -> None:
    """The same on sequences."""
    chain(f"conv1d tanh, BN, {name}", SEQUENCE, CONV1D_TANH, BN, *makes, least=least)


# directly behind it
image("conv2d valid", conv())
image("conv2d same", conv(padding="same"), least=1)
image("conv2d 1x1 same", conv(5, 1, padding="same"))
image("conv2d groups", conv(6, groups=2))
image("conv2d dilated", conv(dilation_rate=2))
image("depthwise2d valid", layer("DepthwiseConv2D", 2, depth_multiplier=2))
image("depthwise2d same", layer("DepthwiseConv2D", 3, padding="same"), least=1)
image("separable2d", layer("SeparableConv2D", 3, 2, depth_multiplier=2))
image("conv2d transposed", layer("Conv2DTranspose", 3, 3, strides=2), least=1)
image("dense", dense())
sequence("conv1d valid", conv1d())
sequence("conv1d same", conv1d(padding="same"), least=1)
sequence("conv1d dilated causal", conv1d(padding="causal", dilation_rate=2), least=1)
sequence("dense", dense())
sequence("einsum dense", layer("EinsumDense", "abc,cde->abde", (None, 3, 2), bias_axes="e"))
# the one ADD is the loop's own bias
sequence("lstm", layer("LSTM", 3), least=1)
sequence("gru", layer("GRU", 3))
sequence("gru reset before", layer("GRU", 3, reset_after=False))
sequence("simple rnn without bias", layer("SimpleRNN", 3, use_bias=False), least=1)
chain("conv3d relu, BN, conv3d", VOLUME, layer("Conv3D", 4, 2, activation="relu"), BN, layer("Conv3D", 2, 2), least=2)
chain("dense relu, BN, dense", VECTOR, dense(activation="relu"), BN, dense(2))
chain("td conv2d relu, td BN, td conv2d", FRAMES, td(CONV_RELU), td(BN), td(conv(2, 2)), RELU)

# something between
image("BN, conv2d", BN, conv())
image("dropout, conv2d", layer("Dropout", 0.2), conv())
image("flatten, dense", FLATTEN, dense(2))
image("gap, dense", GAP, dense(2))
image("avgpool, conv2d", layer("AveragePooling2D", 2), conv(5, 2))
image("maxpool, conv2d", layer("MaxPooling2D"), conv(5, 2), least=0, mixed=1)
image("global maxpool, dense", layer("GlobalMaxPooling2D"), dense(2), least=0, mixed=1)
image("upsampling, conv2d", layer("UpSampling2D"), conv())
image("cropping, depthwise2d", layer("Cropping2D", 1), layer("DepthwiseConv2D", 2))
image("zero padding, conv2d", layer("ZeroPadding2D", 1), conv(), least=1)
image("reshape, conv1d", layer("Reshape", (36, 4)), conv1d())
image("permute, conv2d", layer("Permute", (2, 1, 3)), conv())
sequence("permute, flatten, dense", layer("Permute", (2, 1)), FLATTEN, dense(2))
sequence("reshape that mixes, flatten, dense", layer("Reshape", (8, 5)), FLATTEN, dense(2))
chain("dense relu, BN, repeat, gru", VECTOR, dense(activation="relu"), BN, layer("RepeatVector", 3), layer("GRU", 3))

# first in the model, an activation behind it, or nothing at all
chain("input, BN, conv2d", IMAGE, BN, conv())
chain("input, BN, conv2d same", IMAGE, BN, conv(padding="same"), least=1)
chain("input, BN, dense", VECTOR, BN, dense())
chain("input, BN, relu, conv2d", IMAGE, BN, RELU, conv(), least=1)
chain("input, BN, leaky relu, conv2d", IMAGE, BN, layer("LeakyReLU"), conv(), least=1)
chain("input, BN, prelu, conv1d", SEQUENCE, BN, layer("PReLU", shared_axes=[1]), conv1d(), least=1, mixed=2)
chain("input, BN, relu, dense", VECTOR, BN, RELU, dense(), least=1, mixed=2)
chain("input, BN, sigmoid, dense", VECTOR, BN, layer("Activation", "sigmoid"), dense(), least=2)
chain("BN alone, rank 2", VECTOR, BN, least=2)
chain("BN alone, rank 3", SEQUENCE, BN, least=2)
chain("BN alone, rank 4", IMAGE, BN, least=1)
chain("BN axis 1 alone, rank 3", SEQUENCE, layer("BatchNormalization", axis=1), least=2)
