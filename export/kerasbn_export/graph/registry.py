"""Lets a user say that a layer class of theirs behaves as a stock one.

kerasbn matches layers by exact class, for a subclass may compute something else. A class that only adds, say, logging
or another initializer can be declared::

    register_layer(MyConv, acts_like="Conv2D")     # linear: BatchNorms fold into it
    register_layer(MyNoise, acts_like="Dropout")   # nothing at inference: affines pass it
"""

from __future__ import annotations

from typing import Any

from kerasbn.errors import InvalidArgumentError

LINEAR = (
    *("Dense", "Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
    *("DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D", "EinsumDense"),
)
ACCEPTED = (*LINEAR, "Dropout")

_KINDS: dict[type, str] = {}


def register_layer(cls: type, *, acts_like: str) -> None:
    """Declare that instances of exactly this class compute at inference what the stock layer computes.

    Args:
        cls: A layer class. Its ``get_config`` and its weights must have the names that the stock layer's have, and
            ``from_config`` must take them: a fold may ask for ``use_bias=True``.
        acts_like: A linear stock layer, as ``"Conv2D"``, or ``"Dropout"`` for a layer that does nothing at inference.

    Raises:
        InvalidArgumentError: ``cls`` is no class, or ``acts_like`` is not one of the accepted names.
    """
    if not isinstance(cls, type):
        raise InvalidArgumentError(f"register_layer takes a layer class, found {cls!r}.")
    if acts_like not in ACCEPTED:
        raise InvalidArgumentError(f"acts_like={acts_like!r} is not accepted; accepted: {', '.join(ACCEPTED)}.")
    _KINDS[cls] = acts_like


def unregister_layer(cls: type) -> None:
    """Take back what `register_layer` declared; a class that was not declared is no error."""
    _KINDS.pop(cls, None)


def registered_kind(layer: Any) -> str | None:
    """The stock layer that this layer's class was declared to behave as."""
    return _KINDS.get(type(layer))
