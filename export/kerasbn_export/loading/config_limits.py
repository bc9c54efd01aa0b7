"""Looks at the description of a model before any Keras does: its depth, its size, and that its layers form no circle.

Keras 2 tries again and again to connect what can never be connected, and both Kerases follow a description as deep as
it goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

DEEPEST = 256
"""Levels of a description; a model within a model takes four."""
MOST_VALUES = 20_000_000
"""Values in a description; the largest of ``keras.applications`` has 300,000."""

Call = tuple[str, int]
"""A layer and which of its calls."""


def check_config(config: Any) -> None:
    """Raises `ValueError` if a description cannot be followed to its end.

    Args:
        config: As JSON values.
    """
    level, values = [config], 0
    for _ in range(DEEPEST):
        level = [child for node in level for child in _children(node)]
        values += len(level)
        if values > MOST_VALUES:
            raise ValueError(f"it describes more than {MOST_VALUES:,} values")
        for layers in (node for node in level if isinstance(node, list)):
            _check_connected(layers)
        if not level:
            return
    raise ValueError(f"its description is nested more than {DEEPEST} levels deep")


def _children(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        yield from (value for value in node.values() if isinstance(value, (dict, list)))
    elif isinstance(node, list):
        yield from (value for value in node if isinstance(value, (dict, list)))


def _check_connected(layers: list[Any]) -> None:
    """Raises `ValueError` if layers of a list wait for each other, or for a call that there is not."""
    called = {layer.name: layer for layer in _called(layers)}
    waiting = {(name, i): _taken(layer, i, called) for name, layer in called.items() for i in range(len(layer.calls))}
    for (name, _), taken in waiting.items():
        for other, index in taken:
            if (other, index) not in waiting:
                raise ValueError(f"layer {name!r} takes output of call {index} of layer {other!r}, which has none")
    try:
        TopologicalSorter(waiting).prepare()
    except CycleError as error:
        circle = " -> ".join(dict.fromkeys(name for name, _ in error.args[1]))
        raise ValueError(f"the layers {circle} form a circle") from error


@dataclass(frozen=True)
class _Layer:
    """A layer that is called.

    Attributes:
        name: Its name.
        calls: What each call takes.
        is_model: Whether it is a model, whose calls Keras 2 counts from 1.
    """

    name: str
    calls: list[Any]
    is_model: bool


def _called(layers: list[Any]) -> Iterator[_Layer]:
    for layer in layers:
        calls = layer.get("inbound_nodes") if isinstance(layer, dict) else None
        if isinstance(calls, list) and calls:
            config = layer["config"] if isinstance(layer.get("config"), dict) else {}
            name = layer.get("name") or config.get("name")
            if isinstance(name, str):
                yield _Layer(name, calls, "layers" in config)


def _taken(layer: _Layer, index: int, called: dict[str, _Layer]) -> set[Call]:
    """The calls whose outputs a call takes, and the call of the same layer before it."""
    found, left = {(layer.name, index - 1)} if index else set(), [layer.calls[index]]
    while left:
        node = left.pop()
        if isinstance(node, list) and _is_output(node) and node[0] in called:
            found.add((node[0], max(node[1] - 1, 0) if called[node[0]].is_model else node[1]))
        left.extend(_children(node))
    return found


def _is_output(node: list[Any]) -> bool:
    """Whether it is ``[layer, call, output]``, as both Kerases write it."""
    return len(node) >= 3 and isinstance(node[0], str) and all(type(number) is int for number in node[1:3])
