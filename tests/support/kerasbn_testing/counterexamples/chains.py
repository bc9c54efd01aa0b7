"""Layers that are called one after the other."""

from __future__ import annotations

from patterns.pattern import BN, conv, conv1d, dense, layer, td

from kerasbn_testing.counterexamples.building import (
    AXIS_1,
    IMAGE,
    MASK,
    RELU,
    SEQUENCE,
    SILENT,
    TANH,
    VECTOR,
    chain,
    training,
)

chain("activation inside", VECTOR, dense(4, activation="tanh"), BN, TANH)
chain("shift and relu inside", VECTOR, dense(4, activation="relu"), BN, TANH)
chain("another relu inside", VECTOR, dense(4, activation="relu6"), layer("BatchNormalization", center=False), TANH)
chain("axis of a convolution", (4, 4, 4), conv(4, 1), AXIS_1, TANH)
chain("axis before a convolution", (4, 4, 4), TANH, AXIS_1, conv(4, 1))
chain("shift before padding", IMAGE, TANH, BN, conv(4, 3, padding="same"))
chain("shift before a transposed convolution", IMAGE, TANH, BN, layer("Conv2DTranspose", 3, 3))
chain("axes of an einsum", (4, 5), layer("EinsumDense", "abc,cde->abde", (4, 4, 3)), AXIS_1, TANH)
chain("axis before an einsum", (4, 4), TANH, AXIS_1, layer("EinsumDense", "abc,cd->abd", (4, 3), bias_axes="d"))
chain("maximum", IMAGE, conv(4, 2), layer("MaxPooling2D", 2), BN, TANH)
chain("maximum behind", IMAGE, TANH, BN, layer("MaxPooling2D", 2), conv(3, 2))
chain("maximum of another axis", (4, 4), TANH, AXIS_1, layer("MaxPooling1D", 2), dense(3))
chain("mean of its axis", (4, 4), TANH, AXIS_1, layer("GlobalAveragePooling1D"), dense(3))
chain("mean, then another axis", (4, 4, 4), conv(4, 1), layer("AveragePooling2D", 1), AXIS_1, TANH)
chain("relu behind", VECTOR, dense(4), RELU, BN, TANH)
chain("relu before", VECTOR, TANH, BN, RELU, dense(3))
chain("scale and relu", VECTOR, dense(4), RELU, layer("BatchNormalization", center=False), TANH)
chain("bounded relu", VECTOR, dense(4), layer("ReLU", 1.0), layer("Rescaling", 2.0), TANH, BN, TANH)
chain("threshold", VECTOR, dense(4), layer("ReLU", threshold=0.5), layer("Rescaling", 2.0), TANH, BN, TANH)
chain("tanh of a scale", VECTOR, dense(4), TANH, layer("Rescaling", 2.0), TANH, BN, TANH)
chain("padding with zeros", IMAGE, TANH, BN, layer("ZeroPadding2D", 1), conv(4, 2))
chain("padding with zeros before", IMAGE, conv(4, 2), layer("ZeroPadding2D", 1), BN, TANH)
chain("bicubic", (4, 4, 2), conv(4, 1), layer("UpSampling2D", 2, interpolation="bicubic"), BN, TANH)
chain("permuted", (4, 4), TANH, BN, layer("Permute", (2, 1)), dense(3))
chain("repeated axis", VECTOR, dense(4), layer("RepeatVector", 4), AXIS_1, TANH)
chain("reshaped", (4, 4), TANH, AXIS_1, layer("Reshape", (2, 8)), dense(3))
chain("reshaped of unknown size", (None, 4), TANH, BN, layer("Reshape", (-1, 2)), dense(3))
chain("reshaped to one axis", (4, 4), dense(4), layer("Flatten"), BN, TANH)
chain("flattened channels first", IMAGE, TANH, BN, layer("Flatten", data_format="channels_first"), dense(3))
chain("axes of two affines", (4, 4), TANH, AXIS_1, BN, TANH)
chain("axes of two affines, turned", (4, 4), TANH, BN, AXIS_1, dense(3))
chain("training behind", VECTOR, TANH, BN, training(layer("BatchNormalization", momentum=1.0)), TANH)
chain("training before", VECTOR, TANH, training(layer("BatchNormalization", momentum=1.0)), TANH, BN, TANH)
chain("training", VECTOR, dense(4), training(layer("BatchNormalization", momentum=1.0)), TANH)
chain("dropout in training mode", VECTOR, dense(4), training(SILENT), BN, TANH)
chain("lstm in training mode", SEQUENCE, TANH, BN, training(layer("LSTM", 3)))
chain("axis before an lstm", SEQUENCE, TANH, AXIS_1, layer("LSTM", 3))
chain("lstm without bias", SEQUENCE, TANH, BN, layer("LSTM", 3, use_bias=False))
chain("axis of a layer norm", SEQUENCE, layer("LayerNormalization"), AXIS_1, TANH)
chain("layer norm over the time", SEQUENCE, layer("LayerNormalization", axis=1), BN, TANH)
chain("layer norm over both", SEQUENCE, layer("LayerNormalization", axis=[1, 2]), BN, TANH)
chain("layer norm over the time, dense", SEQUENCE, layer("LayerNormalization", axis=1), dense(3))
chain("layer norm alone", SEQUENCE, layer("LayerNormalization"), TANH)
chain("layer norm without gamma and beta", SEQUENCE, layer("LayerNormalization", scale=False, center=False), dense(3))
chain("bn at the ends", VECTOR, BN)
chain("bn alone", VECTOR, TANH, BN, TANH)
chain("bn alone, axis 1", (4, 5), TANH, AXIS_1, TANH)
chain("bn alone, image", IMAGE, TANH, BN, TANH)
chain("bn alone, image, axis 1", IMAGE, TANH, AXIS_1, TANH)
chain("bn alone behind a mask", SEQUENCE, MASK, BN, layer("LSTM", 3, use_bias=False))
chain("rescaling alone", VECTOR, TANH, layer("Rescaling", 2.0, 0.5), TANH)
chain("rescaling of an image alone", IMAGE, TANH, layer("Rescaling", 2.0, 0.5), TANH)
chain("normalization alone", VECTOR, layer("Normalization", mean=[1.0, 2, 3, 4], variance=[1.0, 2, 3, 4]), TANH)
chain("masked mean", SEQUENCE, MASK, dense(4), layer("GlobalAveragePooling1D"), BN, TANH)
chain("masked time distributed", SEQUENCE, MASK, td(BN), layer("LSTM", 3))
chain("masked padding", SEQUENCE, MASK, TANH, BN, conv1d(3, 3, padding="same"))
chain("time distributed in training mode", SEQUENCE, training(td(SILENT)), TANH)
chain("time distributed of unknown size", (None, None, 3), td(conv1d(4, 2)), td(BN), td(TANH))
chain("time distributed softmax", (3, 4, 5), td(layer("Softmax", axis=1)), td(BN), dense(2))
chain("time distributed layer norm", (3, 4, 5), td(layer("LayerNormalization", axis=1)), td(BN), dense(2))
chain("time distributed lstm", (3, 4, 5), td(layer("LSTM", 3)), td(BN), TANH)
chain("time distributed convolution, then time", (3, 6, 4), td(conv1d(4, 2)), AXIS_1, TANH)
chain("time, then a time distributed convolution", (3, 6, 4), TANH, AXIS_1, td(conv1d(4, 2)), TANH)
chain("time distributed flatten", (3, 4, 5), td(conv1d(4, 2)), td(layer("Flatten")), td(BN), TANH)
chain("one behind a softmax behind a convolution", (3, 6, 4), td(conv1d(4, 2)), layer("Softmax", axis=1), td(BN))
chain("relu of a crop", (6, 6, 4), TANH, layer("Cropping2D", 1), RELU, conv(3, 2))
chain("relu of the input", (6, 6, 4), layer("Cropping2D", 1), RELU, conv(3, 2))
chain("sigmoid behind padding", IMAGE, conv(4, 2), layer("ZeroPadding2D", 1), layer("Activation", "sigmoid"))
chain("bounded below behind padding", IMAGE, conv(4, 2), layer("ZeroPadding2D", 1), layer("ReLU", threshold=0.5))
chain("relu of a blend", (4, 4, 2), conv(4, 1), layer("UpSampling2D", 2, interpolation="bilinear"), RELU)
chain("leaky behind a crop", IMAGE, conv(4, 2), layer("Cropping2D", 1), layer("LeakyReLU"), conv(3, 1))
chain("scale behind a relu by name", VECTOR, dense(4), layer("Activation", "relu"), layer("Rescaling", 2.0), TANH)
chain("map before a transposed convolution", (2, 2, 16), TANH, BN, layer("Conv2DTranspose", 3, 3, padding="same"))
chain("map behind padding of other axes", (2, 2, 16), TANH, BN,
      layer("ZeroPadding2D", ((1, 1), (0, 0)), data_format="channels_first"), conv(3, 2))  # fmt: skip
chain("convolutions in a row, dilated, then strided", (9, 9, 4), conv(8, 3, dilation_rate=2), conv(2, 1, strides=2))
chain("volume behind a split", (3, 6, 6, 2), td(conv(2, 3)), layer("Conv3D", 2, 2), TANH)
chain("bn before a time distributed convolution", (3, 6, 6, 2), TANH, BN, td(conv(2, 3)), TANH)
chain("time distributed mean of unknown size", (3, None, None, 2), td(layer("GlobalAveragePooling2D")), BN, TANH)
chain("time before a time distributed flatten", (3, 4, 5), TANH, AXIS_1, td(layer("Flatten")), TANH)
chain("lstm behind a shift", SEQUENCE, MASK, dense(4), RELU, layer("BatchNormalization", scale=False),
      layer("LSTM", 3, use_bias=False))  # fmt: skip
chain("mean before a bn that stays", IMAGE, conv(4, 2), layer("AveragePooling2D", 2), BN, TANH, target="averages")
