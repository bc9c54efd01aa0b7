"""The residual network for time series, an ECG for example.

Wang, Yan, Oates, "Time Series Classification from Scratch with Deep Neural Networks", 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kerasbn.flavour import Flavour
from kerasbn_models.norm import Norm, norm_factory

NormFactory = Callable[[str], Any]


def resnet1d(
    flavour: str = "keras",
    *,
    input_shape: tuple[int | None, int] = (512, 1),
    classes: int = 7,
    filters: Sequence[int] = (64, 128, 128),
    kernel_sizes: Sequence[int] = (8, 5, 3),
    momentum: float = 0.9,
    norm: Norm = None,
) -> Any:
    """Signals (batch, samples, channels) to logits (batch, classes).

    506,311 parameters and 12 BatchNorms.

    Args:
        flavour: ``"keras"`` (Keras 3) or ``"tf_keras"`` (Keras 2).
        input_shape: Samples, None if they vary, and channels.
        classes: Length of the logits.
        filters: Channels of each residual block.
        kernel_sizes: Taps of each convolution of a block.
        momentum: Momentum of every BatchNorm.
        norm: The normalization layer: see `kerasbn_models.norm`.

    Returns:
        A functional model that is not compiled.
    """
    keras_flavour = Flavour(flavour)
    keras, layers = keras_flavour.keras, keras_flavour.keras.layers
    make_norm = norm_factory(keras_flavour, norm, momentum=momentum)

    signal = x = keras.Input(input_shape, name="signal")
    for number, channels in enumerate(filters):
        x = residual_block(layers, make_norm, x, channels, kernel_sizes, name=f"block{number}")
    x = layers.GlobalAveragePooling1D(name="average")(x)
    return keras.Model(signal, layers.Dense(classes, name="logits")(x), name="resnet1d")


def residual_block(
    layers: Any, norm: NormFactory, x: Any, filters: int, kernel_sizes: Sequence[int], *, name: str
) -> Any:
    """(Conv1D, BatchNorm, ReLU) for each kernel size, the last ReLU behind the sum.

    The shortcut has a BatchNorm in any case, and a 1x1 convolution before it where the channels change.
    """
    shortcut, last = x, len(kernel_sizes) - 1
    if x.shape[-1] != filters:
        shortcut = layers.Conv1D(filters, 1, use_bias=False, name=f"{name}_shortcut_conv")(x)
    shortcut = norm(f"{name}_shortcut_norm")(shortcut)
    for number, size in enumerate(kernel_sizes):
        x = layers.Conv1D(filters, size, padding="same", use_bias=False, name=f"{name}_conv{number}")(x)
        x = norm(f"{name}_norm{number}")(x)
        x = x if number == last else layers.ReLU(name=f"{name}_relu{number}")(x)
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([shortcut, x]))
