"""CRNN: convolutions over a spectrogram, then a recurrent layer over its frames.

Çakır et al., "Convolutional Recurrent Neural Networks for Polyphonic Sound Event Detection", 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kerasbn.flavour import Flavour
from kerasbn_models.norm import Norm, norm_factory

NormFactory = Callable[[str], Any]


def crnn(
    flavour: str = "keras",
    *,
    input_shape: tuple[int, int, int] = (40, 13, 1),
    classes: int = 10,
    filters: Sequence[int] = (32, 64),
    units: int = 64,
    momentum: float = 0.9,
    norm: Norm = None,
) -> Any:
    """Spectrograms (batch, frames, coefficients, 1) to logits (batch, classes).

    119,978 parameters and 3 BatchNorms.

    Args:
        flavour: ``"keras"`` (Keras 3) or ``"tf_keras"`` (Keras 2).
        input_shape: Frames, coefficients of each, and 1.
        classes: Length of the logits.
        filters: Channels of each convolution; each one halves the coefficients.
        units: Units of the GRU in each direction.
        momentum: Momentum of every BatchNorm.
        norm: The normalization layer: see `kerasbn_models.norm`.

    Returns:
        A functional model that is not compiled.
    """
    keras_flavour = Flavour(flavour)
    keras, layers = keras_flavour.keras, keras_flavour.keras.layers
    make_norm = norm_factory(keras_flavour, norm, momentum=momentum)

    sound = x = keras.Input(input_shape, name="spectrogram")
    for number, channels in enumerate(filters):
        x = conv_block(layers, make_norm, x, channels, name=f"conv{number}")
    x = layers.Reshape((x.shape[1], x.shape[2] * x.shape[3]), name="frames")(x)
    x = layers.Bidirectional(layers.GRU(units, name="gru"), name="bidirectional")(x)
    x = make_norm("norm")(x)
    return keras.Model(sound, layers.Dense(classes, name="logits")(x), name="crnn")


def conv_block(layers: Any, norm: NormFactory, x: Any, filters: int, *, name: str) -> Any:
    """Conv 3x3, BatchNorm, ReLU, and a pool over the coefficients that keeps every frame."""
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
    x = layers.ReLU(name=f"{name}_relu")(norm(f"{name}_norm")(x))
    return layers.MaxPooling2D((1, 2), name=f"{name}_pool")(x)
