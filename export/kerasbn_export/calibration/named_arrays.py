"""Arrays that a user gives for several inputs: by name, in order, or nested as the model takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kerasbn_export.graph.structure import distinct, leaves, named_leaves


def in_order(data: Any, inputs: Sequence[tuple[str, ...]]) -> list[Any] | None:
    """What was given for each input, in the order of the inputs; None if it does not say one for each.

    Args:
        data: An array; a list of arrays in the order of the inputs; a dict of arrays by name; or lists and dicts nested
            as the model takes them.
        inputs: The names of each input, its own first. A name that several inputs have counts for none of them.
    """
    if isinstance(data, Mapping):
        named = {str(key): value for key, value in data.items()}
        return _by_name(named, inputs) or _by_name(_flat(data), inputs)
    listed = list(data) if isinstance(data, (list, tuple)) else [data]
    if len(listed) != len(inputs) and all(hasattr(leaf, "shape") for leaf in leaves(listed)):
        listed = list(leaves(listed))
    return listed if len(listed) == len(inputs) else None


def owners(ends: Sequence[tuple[str, ...]]) -> dict[str, int]:
    """Whose name is which: an own name is stronger than another's alias, and a name of several is none's.

    Args:
        ends: The names of each input or output, its own first.
    """
    own = _of_one([(names[0], index) for index, names in enumerate(ends) if names])
    return {**_of_one([(name, index) for index, names in enumerate(ends) for name in names[1:]]), **own}


def _of_one(pairs: Sequence[tuple[str, int]]) -> dict[str, int]:
    known: dict[str, set[int]] = {}
    for name, index in pairs:
        known.setdefault(name, set()).add(index)
    return {name: min(indices) for name, indices in known.items() if len(indices) == 1}


def _by_name(data: Mapping[str, Any], inputs: Sequence[tuple[str, ...]]) -> list[Any] | None:
    known = owners(inputs)
    found = {known[name]: array for name, array in data.items() if name in known}
    complete = len(found) == len(data) == len(inputs)
    return [found[index] for index in range(len(inputs))] if complete else None


def _flat(data: Mapping[Any, Any]) -> dict[str, Any]:
    """The leaves of a nested dict by the keys that lead to them, as the inputs of a nested model are named."""
    found = list(named_leaves(data))
    return dict(zip(distinct([name for name, _ in found]), (leaf for _, leaf in found), strict=True))
