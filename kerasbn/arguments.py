"""What an argument may be, said once in its annotation and checked by one function.

A function or a record says it beside its documentation::

    @checks_arguments
    def verify(..., *, seed: Seed = 0, samples: AtLeastOne = 4, tolerance: Share | None = None) -> Comparison: ...

`bool`, `str` and ``Path`` are checked as they are; a number by the range that its annotation carries. `Any`, and what
is neither, is left to the function itself.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, wraps
from inspect import signature
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from kerasbn.errors import InvalidArgumentError

Given = ParamSpec("Given")
Returned = TypeVar("Returned")


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`; all of them are finite.

    Attributes:
        low: The least.
        high: The largest.
        above: Whether it must be above `low` itself.
        below: Whether it must be below `high` itself.
    """

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    below: bool = False

    def holds(self, value: float) -> bool:
        """Whether it holds a number."""
        low = self.low < value if self.above else self.low <= value
        return low and (value < self.high if self.below else value <= self.high)

    def __str__(self) -> str:
        low = "" if self.low == -math.inf else f"{'above' if self.above else 'at least'} {self.low:g}"
        high = "" if self.high == math.inf else f"{'below' if self.below else 'at most'} {self.high:.0f}"
        return " and ".join(filter(None, (low, high)))


LARGEST_SEED, LARGEST_COUNT = 2**32 - 1, 2**31 - 1
"""Of numpy's and TensorFlow's generators; of the sizes in a .tflite file."""

Seed = Annotated[int, Range(0, LARGEST_SEED)]
Count = Annotated[int, Range(0, LARGEST_COUNT)]
AtLeastOne = Annotated[int, Range(1, LARGEST_COUNT)]
Positive = Annotated[float, Range(0, above=True)]
NotNegative = Annotated[float, Range(0)]
Share = Annotated[float, Range(0, 1, below=True)]
Finite = Annotated[float, Range()]


def checks_arguments(function: Callable[Given, Returned]) -> Callable[Given, Returned]:
    """The function, whose arguments are checked by its annotations before it begins.

    Raises:
        InvalidArgumentError: An argument is not what its annotation says; the message names it.
    """
    parameters = signature(function)

    @wraps(function)
    def checked(*args: Given.args, **kwargs: Given.kwargs) -> Returned:
        given = parameters.bind(*args, **kwargs).arguments
        check_arguments(function, given)
        return function(*args, **kwargs)

    return checked


def check_arguments(owner: Any, given: Mapping[str, Any]) -> None:
    """Raises `InvalidArgumentError` for the first of some arguments that is not what its annotation says.

    Args:
        owner: The function or the class whose annotations say it.
        given: The arguments by their names; one that has no annotation is passed over.
    """
    hints = _hints(owner)
    for name, value in given.items():
        if not _fits(hints.get(name, Any), value):
            raise InvalidArgumentError(f"{name}={_shown(value)}; accepted: {_wanted(hints[name])}.")


@cache
def _hints(owner: Any) -> dict[str, Any]:
    return get_type_hints(owner, include_extras=True)


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _fits(hint: Any, value: Any) -> bool:
    return any(_fits_one(one, value) for one in _alternatives(hint))


def _fits_one(hint: Any, value: Any) -> bool:
    if get_origin(hint) is Annotated:
        kind, limits = get_args(hint)
        return _is_number(value, kind) and limits.holds(value)
    if get_origin(hint) in (Sequence, tuple):
        return _is_sequence(value, hint)
    if hint is bool:
        return isinstance(value, bool) or type(value).__name__ == "bool_"
    if hint in (str, NoneType) or (isinstance(hint, type) and issubclass(hint, os.PathLike)):
        return isinstance(value, hint)
    return True


def _is_number(value: Any, kind: type) -> bool:
    if isinstance(value, bool) or type(value).__name__ == "bool_":
        return False
    if kind is int:
        return isinstance(value, Integral)
    try:
        return isinstance(value, Real) and math.isfinite(float(value))
    except OverflowError:
        return False


def _is_sequence(value: Any, hint: Any) -> bool:
    """A sequence of at least one such number; of a tuple, of as many as it says."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        return False
    items = get_args(hint)
    if get_origin(hint) is tuple:
        return len(value) == len(items) and all(map(_fits, items, value))
    return get_origin(items[0]) is not Annotated or (len(value) > 0 and all(_fits(items[0], item) for item in value))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _wanted(hint: Any) -> str:
    return " or ".join(map(_wanted_one, _alternatives(hint)))


def _wanted_one(hint: Any) -> str:
    if get_origin(hint) is Annotated:
        kind, limits = get_args(hint)
        return f"{'a whole number' if kind is int else 'a finite number'} {limits}".strip()
    if get_origin(hint) is tuple:
        return f"({', '.join(map(_wanted, get_args(hint)))})"
    if get_origin(hint) is Sequence:
        return f"a sequence, each of it {_wanted(get_args(hint)[0])}"
    return {NoneType: "None", bool: "True or False", str: "a text"}.get(hint, f"a {getattr(hint, '__name__', hint)}")
