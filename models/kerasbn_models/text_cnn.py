"""TextCNN: one convolution over the tokens for each width, and the largest answer of each filter.

Kim, "Convolutional Neural Networks for Sentence Classification", 2014, with BatchNorm behind each convolution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kerasbn.flavour import Flavour
from kerasbn_models.norm import Norm, norm_factory

NormFactory = Callable[[str], Any]


def text_cnn(
    flavour: str = "keras",
    *,
    length: int = 64,
    vocabulary: int = 256,
    classes: int = 14,
    embedding: int = 32,
    filters: int = 64,
    widths: Sequence[int] = (3, 4, 5),
    dropout: float = 0.5,
    momentum: float = 0.9,
    norm: Norm = None,
) -> Any:
    """Token numbers (batch, length) to logits (batch, classes).

    36,238 parameters and 3 BatchNorms.

    Args:
        flavour: ``"keras"`` (Keras 3) or ``"tf_keras"`` (Keras 2).
        length: Tokens of a text.
        vocabulary: How many tokens there are; 256 for bytes.
        classes: Length of the logits.
        embedding: Length of a token's vector.
        filters: Filters of each width.
        widths: Tokens that a filter sees.
        dropout: Rate of the dropout before the logits.
        momentum: Momentum of every BatchNorm.
        norm: The normalization layer: see `kerasbn_models.norm`.

    Returns:
        A functional model that is not compiled.
    """
    keras_flavour = Flavour(flavour)
    keras, layers = keras_flavour.keras, keras_flavour.keras.layers
    make_norm = norm_factory(keras_flavour, norm, momentum=momentum)

    tokens = keras.Input((length,), dtype="int32", name="tokens")
    x = layers.Embedding(vocabulary, embedding, name="embedding")(tokens)
    found = [window(layers, make_norm, x, filters, width, name=f"width{width}") for width in widths]
    x = layers.Concatenate(name="concat")(found) if len(found) > 1 else found[0]
    x = layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(tokens, layers.Dense(classes, name="logits")(x), name="text_cnn")


def window(layers: Any, norm: NormFactory, x: Any, filters: int, width: int, *, name: str) -> Any:
    """Conv1D, BatchNorm, ReLU, and the maximum over the text."""
    x = layers.Conv1D(filters, width, use_bias=False, name=f"{name}_conv")(x)
    x = layers.ReLU(name=f"{name}_relu")(norm(f"{name}_norm")(x))
    return layers.GlobalMaxPooling1D(name=f"{name}_max")(x)
