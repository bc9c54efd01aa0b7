"""Keeps a model as it was while its own code runs on symbolic tensors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from kerasbn.flavour import layers_inside


@contextmanager
def untouched(layer: Any) -> Iterator[None]:
    """Put back every attribute, list, dict, set and variable of a layer and of the layers inside it.

    A symbolic run leaves nodes on every layer that it calls, and ``call`` may count, collect losses or assign.
    """
    layers = [layer, *layers_inside(layer)]
    attributes = [(inner, dict(vars(inner))) for inner in layers]
    containers = [(value, _copy(value)) for _, saved in attributes for value in saved.values() if _is_container(value)]
    variables = [(variable, np.array(variable)) for variable in layer.variables]
    try:
        yield
    finally:
        for container, content in containers:
            _put_back(container, content)
        for inner, saved in attributes:
            vars(inner).clear()
            vars(inner).update(saved)
        for variable, value in variables:
            if np.array(variable).tobytes() != value.tobytes():
                variable.assign(value)


def _is_container(value: Any) -> bool:
    return isinstance(value, (list, dict, set))


def _copy(container: Any) -> Any:
    if isinstance(container, dict):
        return dict(container.items())
    return set(container) if isinstance(container, set) else list(container)


def _put_back(container: Any, content: Any) -> None:
    """Past the wrappers with which both Kerases watch for changes: they would take the repair for one."""
    if isinstance(container, dict):
        if _same(list(container.items()), list(content.items())):
            return
        dict.clear(container)
        dict.update(container, content)
    elif isinstance(container, set):
        set.intersection_update(container, content)
        set.update(container, content)
    else:
        list.__setitem__(container, slice(None), content)
        if isinstance(getattr(container, "_storage", None), list):  # where TensorFlow's wrapper keeps the elements
            container._storage[:] = content


def _same(now: list[Any], before: list[Any]) -> bool:
    return len(now) == len(before) and all(a[0] is b[0] and a[1] is b[1] for a, b in zip(now, before, strict=True))
