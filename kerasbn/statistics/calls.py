"""Which BatchNorms a functional model calls with ``training=True``, and how long it was trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kerasbn.statistics.layers import BatchNorm


def called_in_training(model: Any, norms: list[BatchNorm]) -> set[str]:
    """The paths of the BatchNorms that the model's own calls, or those of a model they sit in, put into training."""
    flagged = {id(layer) for part in _models(model) for layer in _flagged(part)}
    inside = {id(inner) for part in model._flatten_layers() if id(part) in flagged for inner in part._flatten_layers()}
    return {norm.path for norm in norms if id(norm.layer) in flagged | inside}


def _models(model: Any) -> Iterator[Any]:
    for layer in model._flatten_layers():
        yield layer
        functional = vars(layer).get("_functional")
        if functional is not None:
            yield functional


def _flagged(model: Any) -> Iterator[Any]:
    for nodes in (getattr(model, "_nodes_by_depth", None) or {}).values():
        for node in nodes:
            if _flag(node) is True or _flag(node) == 1:
                yield getattr(node, "operation", None) or node.layer


def _flag(node: Any) -> Any:
    arguments = getattr(node, "arguments", None)
    keywords: Any = arguments.kwargs if arguments is not None else getattr(node, "call_kwargs", None) or {}
    positional = tuple(arguments.args if arguments is not None else getattr(node, "call_args", None) or ())
    flag = keywords.get("training", positional[1] if len(positional) > 1 else None)
    return flag if isinstance(flag, bool | int) else None


def steps_of(model: Any) -> int | None:
    """The step counter of the optimizer that the model was compiled with; None without one."""
    iterations = getattr(getattr(model, "optimizer", None), "iterations", None)
    if iterations is None or not hasattr(iterations, "numpy"):
        return None
    return int(iterations.numpy())
