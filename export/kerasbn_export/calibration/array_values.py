"""The user's numbers in the type that a model takes: each as it was, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasbn.errors import KerasBNError


def as_array(given: Any, what: str, error: type[KerasBNError]) -> NDArray[Any]:
    """What was given, as an array.

    Args:
        given: An array, or lists of numbers.
        what: What it is, in the plural, for the message.
        error: What is raised if it is none.
    """
    try:
        return np.asarray(given)
    except Exception as found:  # lists of unequal lengths, and tensors that hold no numbers
        raise error(f"The {what} are no array: {found}.") from found


def as_dtype(array: NDArray[Any], dtype: str, what: str, error: type[KerasBNError]) -> NDArray[Any]:
    """The same numbers in another type.

    Args:
        array: Finite numbers.
        dtype: The type.
        what: What they are, in the plural, for the message.
        error: What is raised if the type cannot hold them: numbers beyond its range, parts that are lost.
    """
    if array.dtype.kind not in "biuf":
        raise error(f"The {what} are {array.dtype}, where {dtype} is wanted; give real numbers.")
    with np.errstate(all="ignore"):
        typed = array.astype(dtype)
    kept = np.array_equal(typed, array) if typed.dtype.kind in "biu" else np.isfinite(typed).all()
    if not kept:
        low, high = array.min(), array.max()
        raise error(f"The {what} lie between {low:g} and {high:g}, which {dtype} cannot hold.")
    return typed
