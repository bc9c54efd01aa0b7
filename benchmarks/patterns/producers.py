"""A linear layer before the BatchNorm, directly or with something between: rules 1, 2, 4, 5, 8 and 15.

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
    chain,
    conv,
    conv1d,
    dense,
    layer,
    td,
)

DEPTHWISE_1D = layer("DepthwiseConv1D", 3, depth_multiplier=2)

# directly before it
chain("conv2d, BN, relu", IMAGE, conv(), BN, RELU)
chain("conv2d same stride 2, BN", IMAGE, conv(padding="same", strides=2, use_bias=False), BN)
chain("conv2d groups, BN, relu", IMAGE, conv(6, groups=2), BN, RELU)
chain("conv2d dilated, BN, relu", IMAGE, conv(dilation_rate=2), BN, RELU)
chain("depthwise2d x2, BN, relu", IMAGE, layer("DepthwiseConv2D", 3, depth_multiplier=2), BN, RELU)
chain("depthwise2d dilated same, BN", IMAGE, layer("DepthwiseConv2D", 3, padding="same", dilation_rate=2), BN)
chain("separable2d, BN, relu", IMAGE, layer("SeparableConv2D", 5, 3), BN, RELU)
chain("conv2d transposed, BN, relu", IMAGE, layer("Conv2DTranspose", 5, 3, strides=2), BN, RELU)
chain("conv1d, BN, relu", SEQUENCE, conv1d(), BN, RELU)
chain("conv1d dilated causal, BN, relu", SEQUENCE, conv1d(padding="causal", dilation_rate=2), BN, RELU)
chain("conv1d dilated same, BN", SEQUENCE, conv1d(padding="same", dilation_rate=3), BN)
chain("depthwise1d x2, BN, relu", SEQUENCE, DEPTHWISE_1D, BN, RELU)
chain("separable1d, BN, relu", SEQUENCE, layer("SeparableConv1D", 5, 3), BN, RELU)
chain("conv1d transposed, BN, relu", SEQUENCE, layer("Conv1DTranspose", 5, 3, strides=2), BN, RELU)
chain("conv3d, BN, relu", VOLUME, layer("Conv3D", 4, 2), BN, RELU, least=1)
chain("conv3d transposed, BN, relu", VOLUME, layer("Conv3DTranspose", 4, 2), BN, RELU, least=1)
chain("dense, BN, relu", VECTOR, dense(), BN, RELU)
chain("dense on rank 3, BN, relu", SEQUENCE, dense(), BN, RELU)
chain("dense on rank 4, BN", IMAGE, dense(use_bias=False), BN)
chain("einsum dense, BN, relu", SEQUENCE, layer("EinsumDense", "abc,cd->abd", (None, 5), bias_axes="d"), BN, RELU)
chain("conv2d, BN without gamma and beta", IMAGE, conv(), layer("BatchNormalization", scale=False, center=False))

# TimeDistributed
chain("td conv2d, td BN, relu", FRAMES, td(conv(4)), td(BN), RELU)
chain("td dense, td BN, relu", SEQUENCE, td(dense()), td(BN), RELU)
chain("td conv2d, td BN, td relu, td gap, gru", FRAMES, td(conv(4)), td(BN), td(RELU), td(GAP), layer("GRU", 3))

# something between
chain("conv2d, BN, BN", IMAGE, conv(), BN, BN, RELU)
chain("conv2d, dropout, BN", IMAGE, conv(), layer("SpatialDropout2D", 0.2), layer("GaussianNoise", 0.1), BN, RELU)
chain("conv2d, avgpool same, BN", IMAGE, conv(), layer("AveragePooling2D", 2, padding="same"), BN, RELU)
chain("conv2d, gap, BN, dense", IMAGE, conv(), GAP, BN, RELU, dense(2))
chain("conv2d, maxpool, BN, relu", IMAGE, conv(), layer("MaxPooling2D"), BN, RELU, least=0, mixed=1)
chain("conv2d, global maxpool, BN, dense", IMAGE, conv(), layer("GlobalMaxPooling2D"), BN, dense(2))
chain("conv2d, upsampling, BN, relu", IMAGE, conv(), layer("UpSampling2D"), BN, RELU)
chain("conv2d, bilinear upsampling, BN", IMAGE, conv(), layer("UpSampling2D", interpolation="bilinear"), BN, RELU)
chain("conv2d, cropping, BN, relu", IMAGE, conv(), layer("Cropping2D", 1), BN, RELU)
chain("conv2d, zero padding, BN, relu", IMAGE, conv(), layer("ZeroPadding2D", 1), BN, RELU, least=1)
chain("conv1d, permute, BN axis 1", SEQUENCE, conv1d(), layer("Permute", (2, 1)), layer("BatchNormalization", axis=1))
chain("conv1d, reshape, BN", SEQUENCE, conv1d(), layer("Reshape", (5, 2, 5)), BN, RELU)
chain("dense, reshape, BN", VECTOR, dense(12), layer("Reshape", (3, 4)), BN, RELU)
chain("dense, repeat, BN", VECTOR, dense(), layer("RepeatVector", 3), BN, RELU)
chain("conv2d, flatten, BN, dense", IMAGE, conv(), FLATTEN, BN, dense(2))

# an activation between, and nothing linear behind: a scale passes a ReLU, a shift does not
chain("conv2d relu, BN", IMAGE, conv(activation="relu"), BN, least=1)
chain("conv2d, leaky relu, BN", IMAGE, conv(), layer("LeakyReLU"), BN, least=1)
chain("conv2d, relu6, BN, relu6", IMAGE, conv(), layer("ReLU", 6.0), BN, layer("ReLU", 6.0), least=1)
chain("dense relu, BN", VECTOR, dense(activation="relu"), BN, least=1, mixed=2)
chain("conv1d relu, BN", SEQUENCE, conv1d(activation="relu"), BN, least=1, mixed=2)
chain("conv3d relu, BN, relu", VOLUME, layer("Conv3D", 4, 2, activation="relu"), BN, RELU, least=2, mixed=3)
chain("conv1d elu, BN", SEQUENCE, conv1d(activation="elu"), BN, least=2)
