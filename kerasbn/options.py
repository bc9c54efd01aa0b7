"""The constructor arguments that are no weights: what is accepted, checked in one place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasbn.errors import InvalidArgumentError
from kerasbn.layout import Axis


def checked_axis(axis: Any) -> Axis:
    """An int, or a list of at least two."""
    axes = [axis] if isinstance(axis, int | np.integer) else axis
    if not isinstance(axes, Sequence) or isinstance(axes, str) or not axes:
        raise _refused("axis", axis, "an int or a list of ints")
    if not all(isinstance(each, int | np.integer) and not isinstance(each, bool) for each in axes):
        raise _refused("axis", axis, "an int or a list of ints")
    return int(axes[0]) if len(axes) == 1 else [int(each) for each in axes]


def checked_fraction(name: str, value: Any) -> float:
    """A number from 0 to 1."""
    if not 0 <= (number := _number(name, value)) <= 1:
        raise _refused(name, value, "a number from 0 to 1")
    return number


def checked_momentum(value: Any) -> float | None:
    """A number from 0 to 1, or None."""
    return None if value is None else checked_fraction("momentum", value)


def checked_size(value: Any) -> int | None:
    """A positive int, or None."""
    if value is None:
        return None
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise _refused("virtual_batch_size", value, "a positive int that divides the size of every batch, or None")
    return int(value)


def checked_epsilon(value: Any) -> float:
    """A finite number that is not negative."""
    if not 0 <= (number := _number("epsilon", value)) < float("inf"):
        raise _refused("epsilon", value, "a finite number, at least 0")
    return number


def checked_switch(name: str, value: Any) -> bool:
    """True or False, as such or as the numbers 1 and 0."""
    if not isinstance(value, bool | np.bool_ | int | np.integer) or value not in (0, 1):
        raise _refused(name, value, "True or False")
    return bool(value)


def checked_choice(name: str, value: Any) -> bool | None:
    """True, False or None."""
    return None if value is None else checked_switch(name, value)


def checked_adjustment(value: Any) -> Any:
    """A function, or None."""
    if value is not None and not callable(value):
        raise _refused("adjustment", value, "a function from the input's shape to (scale, bias), or None")
    return value


def checked_object(library: Any, name: str, value: Any) -> Any:
    """An initializer, a regularizer or a constraint, from whatever the Keras makes one of."""
    kind = name.rpartition("_")[2]
    try:
        return getattr(library, f"{kind}s").get(value)
    except Exception as error:  # both Kerases raise several types
        raise _refused(name, value, f"what {library.__name__}.{kind}s.get takes") from error


def _is_plain(bound: Any) -> bool:
    """False for a schedule and for a scalar tensor."""
    return not callable(bound) and getattr(bound, "shape", None) != ()


def _number(name: str, value: Any) -> float:
    try:
        if isinstance(value, bool | str | bytes):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise _refused(name, value, "a number") from error


def _refused(name: str, value: Any, accepted: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"BatchNormalization got {name}={value!r}; accepted: {accepted}.")


def checked_clipping(clipping: Any) -> dict[str, Any]:
    """The bounds of the renorm correction: ``rmin <= r <= rmax``, ``|d| <= dmax``.

    Each is a number, a scalar tensor, or a schedule: a callable from the number of batches seen to a number.
    """
    accepted = "a dict with keys among rmin, rmax, dmax, rmin at most rmax, dmax at least 0"
    clipping = {} if clipping is None else clipping
    if not isinstance(clipping, Mapping) or set(clipping) - {"rmin", "rmax", "dmax"}:
        raise _refused("renorm_clipping", clipping, accepted)
    bounds = {name: bound for name, bound in clipping.items() if bound is not None}
    numbers = {name: _number(f"renorm_clipping[{name!r}]", bound) for name, bound in bounds.items() if _is_plain(bound)}
    if any(math.isnan(bound) for bound in numbers.values()):
        raise _refused("renorm_clipping", clipping, accepted)
    if numbers.get("rmin", 0) > numbers.get("rmax", float("inf")) or numbers.get("dmax", 0) < 0:
        raise _refused("renorm_clipping", clipping, accepted)
    return bounds
