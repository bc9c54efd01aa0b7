"""Nested arguments: dicts, lists and tuples with something at the leaves.

Both Kerases flatten a dict in the order of its sorted keys; so do these.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any


def map_leaves(function: Callable[[Any], Any], structure: Any) -> Any:
    """The same structure with ``function`` applied to every leaf."""
    if isinstance(structure, dict):
        return {key: map_leaves(function, value) for key, value in structure.items()}
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):  # a named tuple
        return type(structure)(*(map_leaves(function, value) for value in structure))
    if isinstance(structure, tuple):
        return tuple(map_leaves(function, value) for value in structure)
    if isinstance(structure, list):
        return [map_leaves(function, value) for value in structure]
    return function(structure)


def leaves(structure: Any) -> Iterator[Any]:
    """The leaves in the order in which Keras flattens the structure."""
    if isinstance(structure, dict):
        for key in sorted(structure):
            yield from leaves(structure[key])
    elif isinstance(structure, (list, tuple)):
        for value in structure:
            yield from leaves(value)
    else:
        yield structure


def named_leaves(structure: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves in Keras' order, each with the keys that lead to it joined by ``_``; "" if there is none."""
    if isinstance(structure, dict):
        for key in sorted(structure):
            yield from named_leaves(structure[key], _joined(name, key))
    elif isinstance(structure, (list, tuple)):
        for key, value in zip(getattr(structure, "_fields", [""] * len(structure)), structure, strict=True):
            yield from named_leaves(value, _joined(name, key))
    else:
        yield name, structure


def _joined(name: str, key: Any) -> str:
    return "_".join(part for part in (name, str(key)) if part)


def distinct(names: Sequence[str]) -> Iterator[str]:
    """The names; one that came before gets a number that none of them ends in."""
    taken: set[str] = set()
    for name in names:
        numbered = (f"{name}_{number}" for number in itertools.count(1))
        free = name if name not in taken else next(new for new in numbered if new not in taken.union(names))
        taken.add(free)
        yield free
