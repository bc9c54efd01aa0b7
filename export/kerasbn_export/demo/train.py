"""Train the CNN: seeded, so that a demo prints the same accuracy twice on one machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kerasbn.flavour import Flavour
from kerasbn_export.arrays import Array
from kerasbn_export.demo.data import Digits

BATCH_SIZE = 32
LEARNING_RATE = 0.002
MOMENTUM = 0.9


def train(flavour: Flavour, digits: Digits, *, epochs: int, seed: int, on_epoch: Callable[[], None]) -> tuple[Any, Any]:
    """The trained model, and the same weights in the BatchNormalization that Keras ships.

    Neither has an optimizer any more. ``on_epoch`` is called after every epoch.

    Momentum is 0.9: with Keras' 0.99 the moving statistics still hold their initial values after a few
    hundred steps, and the trained network predicts at random.
    """
    from kerasbn_models import digits_cnn

    keras = flavour.keras
    keras.utils.set_random_seed(seed)
    model = digits_cnn(flavour.name, momentum=MOMENTUM)
    model.compile(keras.optimizers.Adam(LEARNING_RATE), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    progress = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: on_epoch())
    model.fit(
        digits.train_images,
        digits.train_labels,
        batch_size=BATCH_SIZE,
        epochs=epochs,
        verbose=0,
        callbacks=[progress],
    )
    return _with_weights_of(model, flavour, "kerasbn"), _with_weights_of(model, flavour, "stock")


def _with_weights_of(model: Any, flavour: Flavour, batchnorm: str) -> Any:
    from kerasbn_models import digits_cnn

    other = digits_cnn(flavour.name, momentum=MOMENTUM, batchnorm=batchnorm)
    other.set_weights(model.get_weights())
    return other


def accuracy(logits: Array, labels: Array) -> float:
    """The share of rows whose largest logit is the label's."""
    return float(np.mean(np.argmax(logits, axis=-1) == labels))
