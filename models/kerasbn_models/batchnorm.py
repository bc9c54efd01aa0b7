"""Which BatchNormalization a builder uses: kerasbn's own or the one Keras ships."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kerasbn.errors import InvalidArgumentError
from kerasbn.flavour import Flavour

SOURCES = ("kerasbn", "stock")


def batchnorm_factory(flavour: Flavour, source: str, momentum: float) -> Callable[[str], Any]:
    """A function that takes a layer name and makes a BatchNormalization with the given momentum.

    Args:
        flavour: The Keras to build for.
        source: ``"kerasbn"`` for the layer of kerasbn, ``"stock"`` for the one of Keras.
        momentum: The share of the old moving statistics that a training step keeps.

    Raises:
        InvalidArgumentError: The source is not one of the two.
    """
    if source not in SOURCES:
        raise InvalidArgumentError(f"batchnorm={source!r} is not known; accepted: {', '.join(SOURCES)}.")
    layer = flavour.batch_normalization if source == "kerasbn" else flavour.keras.layers.BatchNormalization
    return lambda name: layer(momentum=momentum, name=name)
