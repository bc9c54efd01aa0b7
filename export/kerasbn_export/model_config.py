"""Looks at the description of a model before any Keras does: its depth, its size, and that its layers form no circle.

Keras 2 tries again and again to connect what can never be connected, and both Kerases follow a description as deep as
it goes.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    calls = dict(_calls(layers))
    waiting = {(name, i): _taken(name, i, calls) for name, nodes in calls.items() for i in range(len(nodes))}
    for (name, _), taken in waiting.items():
        for other, index in taken:
            if (other, index) not in waiting:
                raise ValueError(f"layer {name!r} takes output of call {index} of layer {other!r}, which has none")
    try:
        TopologicalSorter(waiting).prepare()
    except CycleError as error:
        circle = " -> ".join(dict.fromkeys(name for name, _ in error.args[1]))
        raise ValueError(f"the layers {circle} form a circle") from error


def _calls(layers: list[Any]) -> Iterator[tuple[str, list[Any]]]:
    """The name of each layer that is called, with what each call takes."""
    for layer in layers:
        nodes = layer.get("inbound_nodes") if isinstance(layer, dict) else None
        if isinstance(nodes, list) and nodes:
            config = layer.get("config")
            name = layer.get("name") or (config.get("name") if isinstance(config, dict) else None)
            if isinstance(name, str):
                yield name, nodes


def _taken(name: str, index: int, calls: dict[str, list[Any]]) -> set[Call]:
    """The calls whose outputs a call takes, and the call of the same layer before it."""
    found, left = {(name, index - 1)} if index else set(), [calls[name][index]]
    while left:
        node = left.pop()
        if isinstance(node, list) and _is_output(node) and node[0] in calls:
            found.add((node[0], node[1]))
        left.extend(_children(node))
    return found


def _is_output(node: list[Any]) -> bool:
    """Whether it is ``[layer, call, output]``, as both Kerases write it."""
    return len(node) >= 3 and isinstance(node[0], str) and all(type(number) is int for number in node[1:3])
