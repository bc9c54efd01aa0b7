"""MobileNetV2: inverted residual blocks with linear bottlenecks.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kerasbn.flavour import Flavour
from kerasbn_models.convolution import conv2d, depthwise_conv2d
from kerasbn_models.norm import Norm, norm_factory

NormFactory = Callable[[str], Any]
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, channels, repeats and first stride: table 2 of the paper."""


def mobilenet_v2(
    flavour: str = "keras",
    *,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    alpha: float = 1.0,
    dropout: float = 0.2,
    momentum: float = 0.9,
    norm: Norm = None,
) -> Any:
    """Images (batch, height, width, channels) to logits (batch, classes).

    3,538,984 parameters and 52 BatchNorms at ``alpha=1``.

    Args:
        flavour: ``"keras"`` (Keras 3) or ``"tf_keras"`` (Keras 2).
        input_shape: Height, width and channels.
        classes: Length of the logits.
        alpha: Width multiplier; channels are rounded to multiples of 8.
        dropout: Rate of the dropout before the logits.
        momentum: Momentum of every BatchNorm.
        norm: The normalization layer: see `kerasbn_models.norm`.

    Returns:
        A functional model that is not compiled.
    """
    keras_flavour = Flavour(flavour)
    keras, layers = keras_flavour.keras, keras_flavour.keras.layers
    make_norm = norm_factory(keras_flavour, norm, momentum=momentum)

    image = keras.Input(input_shape, name="image")
    x = conv2d(layers, image, rounded(32 * alpha), 3, stride=2, name="stem_conv")
    x = layers.ReLU(6.0, name="stem_relu")(make_norm("stem_norm")(x))
    for stage, (expansion, channels, repeats, first_stride) in enumerate(STAGES):
        for number in range(repeats):
            stride, name = (1 if number else first_stride), f"stage{stage}_block{number}"
            x = inverted_residual(layers, make_norm, x, rounded(channels * alpha), expansion, stride, name=name)
    x = conv2d(layers, x, rounded(1280 * max(alpha, 1.0)), 1, name="last_conv")
    x = layers.ReLU(6.0, name="last_relu")(make_norm("last_norm")(x))
    x = layers.Dropout(dropout, name="dropout")(layers.GlobalAveragePooling2D(name="average")(x))
    return keras.Model(image, layers.Dense(classes, name="logits")(x), name="mobilenet_v2")


def inverted_residual(
    layers: Any, norm: NormFactory, x: Any, filters: int, expansion: int, stride: int, *, name: str
) -> Any:
    """1x1 expansion, 3x3 depthwise, 1x1 projection without an activation; a shortcut where the size stays."""
    shortcut, channels = x, int(x.shape[-1])
    if expansion != 1:
        x = conv2d(layers, x, channels * expansion, 1, name=f"{name}_expand")
        x = layers.ReLU(6.0, name=f"{name}_expand_relu")(norm(f"{name}_expand_norm")(x))
    x = depthwise_conv2d(layers, x, 3, stride=stride, name=f"{name}_depthwise")
    x = layers.ReLU(6.0, name=f"{name}_depthwise_relu")(norm(f"{name}_depthwise_norm")(x))
    x = norm(f"{name}_project_norm")(conv2d(layers, x, filters, 1, name=f"{name}_project"))
    return layers.Add(name=f"{name}_add")([shortcut, x]) if stride == 1 and channels == filters else x


def rounded(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of the divisor, and never less than 90 % of the number."""
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * channels else nearest
