"""Fast-SCNN: semantic segmentation of streets in real time.

Poudel, Liwicki, Cipolla, "Fast-SCNN: Fast Semantic Segmentation Network", 2019.

::

    image -> learning to downsample (1/8) ----------------------------> feature fusion -> classifier -> x8 -> logits
                      `-> global features (1/32) -> pyramid pooling -> x4 ->'
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kerasbn.errors import InvalidArgumentError
from kerasbn.flavour import Flavour
from kerasbn_models.convolution import conv2d, depthwise_conv2d
from kerasbn_models.norm import Norm, norm_factory

NormFactory = Callable[[str], Any]
BINS = (1, 2, 3, 6)
"""Rows and columns of the pyramid's averages."""


def fast_scnn(
    flavour: str = "keras",
    *,
    input_shape: tuple[int, int, int] = (1024, 2048, 3),
    classes: int = 19,
    dropout: float = 0.1,
    momentum: float = 0.9,
    norm: Norm = None,
) -> Any:
    """Images (batch, height, width, channels) to logits (batch, height, width, classes).

    1,161,475 parameters and 44 BatchNorms.

    Args:
        flavour: ``"keras"`` (Keras 3) or ``"tf_keras"`` (Keras 2).
        input_shape: Height and width, both multiples of 32, and channels.
        classes: Channels of the output.
        dropout: Rate of the dropout before the last convolution.
        momentum: Momentum of every BatchNorm.
        norm: The normalization layer: see `kerasbn_models.norm`.

    Returns:
        A functional model that is not compiled.

    Raises:
        InvalidArgumentError: The flavour is not known, or the height or width is no multiple of 32.
    """
    keras_flavour = Flavour(flavour)
    keras, layers = keras_flavour.keras, keras_flavour.keras.layers
    make_norm = norm_factory(keras_flavour, norm, momentum=momentum)
    if input_shape[0] % 32 or input_shape[1] % 32:
        raise InvalidArgumentError(f"input_shape={input_shape} does not fit; height and width are multiples of 32.")

    image = keras.Input(input_shape, name="image")
    fine = learning_to_downsample(layers, make_norm, image)
    coarse = global_features(layers, make_norm, fine)
    x = feature_fusion(layers, make_norm, fine, coarse, 128, name="fusion")
    for number in (0, 1):
        x = separable_block(layers, make_norm, x, 128, name=f"classifier{number}")
    x = layers.Dropout(dropout, name="dropout")(x)
    x = conv2d(layers, x, classes, 1, bias=True, name="classifier")
    x = layers.UpSampling2D(8, interpolation="bilinear", name="logits")(x)
    return keras.Model(image, x, name="fast_scnn")


def learning_to_downsample(layers: Any, norm: NormFactory, x: Any) -> Any:
    """Three layers of stride 2; their output is what the details are taken from."""
    x = conv2d(layers, x, 32, 3, stride=2, name="down0_conv")
    x = layers.ReLU(name="down0_relu")(norm("down0_norm")(x))
    x = separable_block(layers, norm, x, 48, stride=2, name="down1")
    return separable_block(layers, norm, x, 64, stride=2, name="down2")


def global_features(layers: Any, norm: NormFactory, x: Any) -> Any:
    """Nine bottlenecks at a quarter of the size, then the pyramid of averages."""
    for stage, (filters, stride) in enumerate(((64, 2), (96, 2), (128, 1))):
        for number in range(3):
            step = 1 if number else stride
            x = bottleneck(layers, norm, x, filters, 6, step, name=f"global{stage}_block{number}")
    return pyramid_pooling(layers, norm, x, 128, name="pyramid")


def separable_block(layers: Any, norm: NormFactory, x: Any, filters: int, stride: int = 1, *, name: str) -> Any:
    """Depthwise 3x3, BatchNorm, ReLU, 1x1, BatchNorm, ReLU."""
    x = depthwise_conv2d(layers, x, 3, stride=stride, name=f"{name}_depthwise")
    x = layers.ReLU(name=f"{name}_depthwise_relu")(norm(f"{name}_depthwise_norm")(x))
    x = conv2d(layers, x, filters, 1, name=f"{name}_pointwise")
    return layers.ReLU(name=f"{name}_pointwise_relu")(norm(f"{name}_pointwise_norm")(x))


def bottleneck(layers: Any, norm: NormFactory, x: Any, filters: int, expansion: int, stride: int, *, name: str) -> Any:
    """The inverted residual block of MobileNetV2, with ReLU."""
    shortcut, channels = x, int(x.shape[-1])
    x = conv2d(layers, x, channels * expansion, 1, name=f"{name}_expand")
    x = layers.ReLU(name=f"{name}_expand_relu")(norm(f"{name}_expand_norm")(x))
    x = depthwise_conv2d(layers, x, 3, stride=stride, name=f"{name}_depthwise")
    x = layers.ReLU(name=f"{name}_depthwise_relu")(norm(f"{name}_depthwise_norm")(x))
    x = norm(f"{name}_project_norm")(conv2d(layers, x, filters, 1, name=f"{name}_project"))
    return layers.Add(name=f"{name}_add")([shortcut, x]) if stride == 1 and channels == filters else x


def pyramid_pooling(layers: Any, norm: NormFactory, x: Any, filters: int, *, name: str) -> Any:
    """Averages over 1, 2 x 2, 3 x 3 and 6 x 6 fields beside the features, mixed by a 1x1 convolution.

    A side shorter than 6 has as many fields as it has pixels.
    """
    height, width, channels = (int(size) for size in x.shape[1:])
    levels = [x]
    for bins in BINS:
        level = averages(layers, x, bins, name=f"{name}{bins}")
        level = conv2d(layers, level, channels // len(BINS), 1, name=f"{name}{bins}_conv")
        level = layers.ReLU(name=f"{name}{bins}_relu")(norm(f"{name}{bins}_norm")(level))
        levels.append(layers.Resizing(height, width, interpolation="bilinear", name=f"{name}{bins}_up")(level))
    x = conv2d(layers, layers.Concatenate(name=f"{name}_concat")(levels), filters, 1, name=f"{name}_conv")
    return layers.ReLU(name=f"{name}_relu")(norm(f"{name}_norm")(x))


def averages(layers: Any, x: Any, bins: int, *, name: str) -> Any:
    """``bins`` x ``bins`` averages over fields of one size, which overlap where the picture does not divide."""
    sizes = [int(size) for size in x.shape[1:3]]
    strides = [max(1, size // bins) for size in sizes]
    fields = [size - (min(bins, size) - 1) * stride for size, stride in zip(sizes, strides, strict=True)]
    return layers.AveragePooling2D(tuple(fields), strides=tuple(strides), name=f"{name}_average")(x)


def feature_fusion(layers: Any, norm: NormFactory, fine: Any, coarse: Any, filters: int, *, name: str) -> Any:
    """The global features, made four times as large, plus the details; ReLU behind the sum."""
    x = layers.UpSampling2D(4, interpolation="bilinear", name=f"{name}_up")(coarse)
    x = depthwise_conv2d(layers, x, 3, dilation=4, name=f"{name}_depthwise")
    x = layers.ReLU(name=f"{name}_depthwise_relu")(norm(f"{name}_depthwise_norm")(x))
    x = norm(f"{name}_coarse_norm")(conv2d(layers, x, filters, 1, bias=False, name=f"{name}_coarse"))
    fine = norm(f"{name}_fine_norm")(conv2d(layers, fine, filters, 1, bias=False, name=f"{name}_fine"))
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, fine]))
