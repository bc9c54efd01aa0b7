"""LSTM layers with BatchNorm before, between and behind.

Laurent et al., "Batch Normalized Recurrent Neural Networks", 2015: BatchNorm on what goes into a recurrent layer.
"""

from __future__ import annotations

from typing import Any

from kerasbn.flavour import Flavour
from kerasbn_models.norm import Norm, norm_factory


def bn_lstm(
    flavour: str = "keras",
    *,
    input_shape: tuple[int | None, int] = (40, 13),
    classes: int = 10,
    units: int = 64,
    layers: int = 2,
    momentum: float = 0.9,
    norm: Norm = None,
) -> Any:
    """Sequences (batch, steps, features) to logits (batch, classes): (BatchNorm, LSTM) x layers, BatchNorm, Dense.

    54,206 parameters and 3 BatchNorms.

    Args:
        flavour: ``"keras"`` (Keras 3) or ``"tf_keras"`` (Keras 2).
        input_shape: Steps, None if they vary, and features.
        classes: Length of the logits.
        units: Units of each LSTM.
        layers: How many LSTMs.
        momentum: Momentum of every BatchNorm.
        norm: The normalization layer: see `kerasbn_models.norm`.

    Returns:
        A functional model that is not compiled.
    """
    keras_flavour = Flavour(flavour)
    keras = keras_flavour.keras
    make_norm = norm_factory(keras_flavour, norm, momentum=momentum)

    sequence = x = keras.Input(input_shape, name="sequence")
    for number in range(layers):
        last = number == layers - 1
        x = make_norm(f"norm{number}")(x)
        x = keras.layers.LSTM(units, return_sequences=not last, name=f"lstm{number}")(x)
    x = make_norm("norm_last")(x)
    return keras.Model(sequence, keras.layers.Dense(classes, name="logits")(x), name="bn_lstm")
