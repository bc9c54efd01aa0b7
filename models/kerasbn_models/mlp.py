"""The multilayer perceptron of the TensorFlow textbooks: Dense, BatchNorm, ReLU, Dense."""

from __future__ import annotations

from typing import Any

from kerasbn.flavour import Flavour
from kerasbn_models.norm import Norm, batchnorm_class, norm_factory


def mlp(
    flavour: str = "keras",
    *,
    inputs: int = 784,
    hidden: int = 64,
    classes: int = 10,
    momentum: float = 0.9,
    batchnorm: str = "kerasbn",
    norm: Norm = None,
) -> Any:
    """``logits = W2 relu(BN(W1 x)) + b2``: vectors (batch, inputs) to logits (batch, classes).

    The first Dense has no bias: BatchNorm's beta takes its place (Ioffe and Szegedy 2015, section 3.2).
    51,082 parameters and 1 BatchNorm.

    Args:
        flavour: ``"keras"`` (Keras 3) or ``"tf_keras"`` (Keras 2).
        inputs: Length of the input vector.
        hidden: Units of the hidden layer.
        classes: Length of the logits.
        momentum: Momentum of the BatchNorm.
        batchnorm: ``"kerasbn"`` for the layer of kerasbn, ``"stock"`` for the one of Keras.
        norm: Another normalization layer in its place: see `kerasbn_models.norm`.

    Returns:
        A functional model that is not compiled.

    Raises:
        InvalidArgumentError: The flavour or the kind of BatchNorm is not known.
    """
    keras_flavour = Flavour(flavour)
    keras, layers = keras_flavour.keras, keras_flavour.keras.layers
    source = batchnorm_class(keras_flavour, batchnorm)
    batch_norm = norm_factory(keras_flavour, norm or source, momentum=momentum)

    pixels = keras.Input((inputs,), name="pixels")
    x = layers.Dense(hidden, use_bias=False, name="hidden")(pixels)
    x = layers.ReLU(name="relu")(batch_norm("bn")(x))
    return keras.Model(pixels, layers.Dense(classes, name="logits")(x), name="mlp")
