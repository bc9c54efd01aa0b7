"""TCN: dilated convolutions over a signal, for one answer a sample or one for the whole.

Bai, Kolter, Koltun, "An Empirical Evaluation of Generic Convolutional and Recurrent Networks for Sequence Modeling",
2018, with BatchNorm in the place of weight normalization.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kerasbn.flavour import Flavour
from kerasbn_models.norm import Norm, norm_factory

NormFactory = Callable[[str], Any]


def tcn(
    flavour: str = "keras",
    *,
    input_shape: tuple[int | None, int] = (512, 1),
    classes: int = 1,
    filters: int = 32,
    kernel_size: int = 5,
    dilations: Sequence[int] = (1, 2, 4, 8, 16),
    causal: bool = True,
    every_sample: bool = True,
    dropout: float = 0.1,
    momentum: float = 0.9,
    norm: Norm = None,
) -> Any:
    """Signals (batch, samples, channels) to logits (batch, samples, classes), or (batch, classes).

    52,801 parameters and 11 BatchNorms. An answer depends on ``1 + 2 (kernel_size - 1) sum(dilations)`` samples, here
    249, and on the 4 that the first convolution adds.

    Args:
        flavour: ``"keras"`` (Keras 3) or ``"tf_keras"`` (Keras 2).
        input_shape: Samples, None if they vary, and channels.
        classes: Channels of the output; 1 for "is there a beat" with a sigmoid behind it.
        filters: Channels of every convolution.
        kernel_size: Taps of every convolution.
        dilations: Of each residual block.
        causal: Whether an answer sees no later sample.
        every_sample: One answer for every sample, or one for the whole signal.
        dropout: Rate of the dropout behind each ReLU of a block.
        momentum: Momentum of every BatchNorm.
        norm: The normalization layer: see `kerasbn_models.norm`.

    Returns:
        A functional model that is not compiled.
    """
    keras_flavour = Flavour(flavour)
    keras, layers = keras_flavour.keras, keras_flavour.keras.layers
    make_norm = norm_factory(keras_flavour, norm, momentum=momentum)
    padding = "causal" if causal else "same"

    signal = keras.Input(input_shape, name="signal")
    x = layers.Conv1D(filters, kernel_size, padding=padding, use_bias=False, name="stem_conv")(signal)
    x = layers.ReLU(name="stem_relu")(make_norm("stem_norm")(x))
    for dilation in dilations:
        x = temporal_block(layers, make_norm, x, kernel_size, dilation, padding, dropout, name=f"dilation{dilation}")
    x = x if every_sample else layers.GlobalAveragePooling1D(name="average")(x)
    return keras.Model(signal, layers.Dense(classes, name="logits")(x), name="tcn")


def temporal_block(
    layers: Any,
    norm: NormFactory,
    x: Any,
    kernel_size: int,
    dilation: int,
    padding: str,
    dropout: float,
    *,
    name: str,
) -> Any:
    """(Dilated Conv1D, BatchNorm, ReLU, Dropout) twice beside an identity; ReLU behind the sum."""
    shortcut, filters = x, x.shape[-1]
    for step in ("a", "b"):
        conv = layers.Conv1D(
            filters, kernel_size, padding=padding, dilation_rate=dilation, use_bias=False, name=f"{name}_conv_{step}"
        )
        x = layers.ReLU(name=f"{name}_relu_{step}")(norm(f"{name}_norm_{step}")(conv(x)))
        x = layers.Dropout(dropout, name=f"{name}_dropout_{step}")(x)
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([shortcut, x]))
