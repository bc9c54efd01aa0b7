"""DS-CNN: keyword spotting with depthwise separable convolutions.

Zhang et al., "Hello Edge: Keyword Spotting on Microcontrollers", 2017; the sizes are those of MLPerf Tiny.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kerasbn.flavour import Flavour
from kerasbn_models.norm import Norm, norm_factory

NormFactory = Callable[[str], Any]


def ds_cnn(
    flavour: str = "keras",
    *,
    input_shape: tuple[int, int, int] = (49, 10, 1),
    classes: int = 12,
    filters: int = 64,
    blocks: int = 4,
    kernel_size: tuple[int, int] = (10, 4),
    dropout: float = 0.2,
    momentum: float = 0.9,
    norm: Norm = None,
) -> Any:
    """Spectrograms (batch, frames, coefficients, 1) to logits (batch, classes).

    24,332 parameters and 9 BatchNorms.

    Args:
        flavour: ``"keras"`` (Keras 3) or ``"tf_keras"`` (Keras 2).
        input_shape: Frames, coefficients of each, and 1.
        classes: Length of the logits.
        filters: Channels of every convolution.
        blocks: Depthwise separable blocks.
        kernel_size: Kernel of the first convolution, whose stride is 2.
        dropout: Rate of the dropout behind the first convolution; twice that before the logits.
        momentum: Momentum of every BatchNorm.
        norm: The normalization layer: see `kerasbn_models.norm`.

    Returns:
        A functional model that is not compiled.
    """
    keras_flavour = Flavour(flavour)
    keras, layers = keras_flavour.keras, keras_flavour.keras.layers
    make_norm = norm_factory(keras_flavour, norm, momentum=momentum)

    sound = keras.Input(input_shape, name="spectrogram")
    x = layers.Conv2D(filters, kernel_size, strides=2, padding="same", use_bias=False, name="stem_conv")(sound)
    x = layers.ReLU(name="stem_relu")(make_norm("stem_norm")(x))
    x = layers.Dropout(dropout, name="stem_dropout")(x)
    for number in range(blocks):
        x = separable_block(layers, make_norm, x, filters, name=f"block{number}")
    x = layers.Dropout(2 * dropout, name="dropout")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return keras.Model(sound, layers.Dense(classes, name="logits")(x), name="ds_cnn")


def separable_block(layers: Any, norm: NormFactory, x: Any, filters: int, *, name: str) -> Any:
    """Depthwise 3x3, BatchNorm, ReLU, 1x1, BatchNorm, ReLU."""
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
    x = layers.ReLU(name=f"{name}_depthwise_relu")(norm(f"{name}_depthwise_norm")(x))
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_pointwise")(x)
    return layers.ReLU(name=f"{name}_pointwise_relu")(norm(f"{name}_pointwise_norm")(x))
