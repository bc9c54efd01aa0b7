"""The ``norm=`` argument of every builder: which normalization layer the network uses.

::

    unet()                                                    kerasbn's BatchNormalization
    unet(norm=keras.layers.BatchNormalization)                the one of Keras
    unet(norm=partial(BatchNormalization, virtual_batch_size=8))     ghost batches, with kerasbn's layer
    unet(norm=partial(BatchNormalization, renorm=True))              batch renormalization, the same
    unet(norm=partial(keras.layers.GroupNormalization, groups=8))    any other layer that takes ``name=``
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from kerasbn.errors import InvalidArgumentError
from kerasbn.flavour import Flavour, flavour_of

Norm = Callable[..., Any] | None
"""A layer class, or any function that takes ``name=`` and makes a layer; None for kerasbn's BatchNormalization."""

SOURCES = ("kerasbn", "stock")


def norm_factory(flavour: Flavour, norm: Norm = None, *, momentum: float = 0.9) -> Callable[[str], Any]:
    """A function that takes a layer name and makes a normalization layer.

    The momentum goes to every layer that has one, unless a ``functools.partial`` has set it already.

    Args:
        flavour: The Keras to build for.
        norm: A layer class or a function that takes ``name=``; None for the layer of kerasbn.
        momentum: The share of the old moving statistics that a training step keeps.

    Raises:
        InvalidArgumentError: The norm cannot be called, or makes no layer of this Keras.
    """
    make = flavour.batch_normalization if norm is None else norm
    if not callable(make):
        raise InvalidArgumentError(
            f"norm={norm!r} cannot be called; accepted: a layer class, a function that takes name= and makes a "
            "layer, or None for kerasbn's BatchNormalization."
        )
    options = {"momentum": momentum} if _takes(make, "momentum") else {}
    return lambda name: _of_flavour(make(**options, name=name), flavour)


def batchnorm_class(flavour: Flavour, source: str) -> Any:
    """The BatchNormalization of kerasbn (``"kerasbn"``) or of Keras (``"stock"``).

    Raises:
        InvalidArgumentError: The source is not one of the two.
    """
    if source not in SOURCES:
        raise InvalidArgumentError(f"batchnorm={source!r} is not known; accepted: {', '.join(SOURCES)}.")
    return flavour.batch_normalization if source == "kerasbn" else flavour.keras.layers.BatchNormalization


def _takes(make: Callable[..., Any], argument: str) -> bool:
    """Whether a class or function has that argument and no ``functools.partial`` has filled it in.

    Of a class its constructor is asked: an older Python, as 3.11.2, reads the ``__new__`` of Keras' Layer, which takes
    anything.
    """
    made, filled = (make.func, make.keywords) if isinstance(make, partial) else (make, {})
    constructor: Any = cast("Any", made).__init__ if isinstance(made, type) else made
    return argument in inspect.signature(constructor).parameters and argument not in filled


def _of_flavour(layer: Any, flavour: Flavour) -> Any:
    found = flavour_of(layer)
    if found != flavour:
        raise InvalidArgumentError(
            f"norm makes a {type(layer).__name__} of {found.name}, and the network is of {flavour.name}; "
            f"take the class from {flavour.name}, or build with flavour={found.name!r}."
        )
    return layer
