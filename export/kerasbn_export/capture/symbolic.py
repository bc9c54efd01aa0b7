"""What Keras knows of a model: its symbolic graph, read the same way from both Kerases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kerasbn.flavour import Flavour
from kerasbn_export.structure import leaves, map_leaves


@dataclass(frozen=True)
class Event:
    """One call as Keras recorded it: a layer or operation, its arguments, the symbolic tensors it gave."""

    layer: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: list[Any]


@dataclass(frozen=True)
class Symbolic:
    """The symbolic graph of a model: structures of symbolic tensors and the events between them."""

    inputs: Any
    outputs: Any
    events: list[Event]


def read_graph(flavour: Flavour, model: Any) -> Symbolic | None:
    """The graph that Keras keeps of a functional or Sequential model; None if it keeps none or does not run it."""
    if not _runs_its_graph(model):
        return None
    if flavour.name == "keras":
        function = getattr(model, "_functional", None) or model
        if getattr(function, "_nodes_by_depth", None) is None:
            return None
        return Symbolic(function._inputs_struct, function._outputs_struct, list(_keras_events(function)))
    if not getattr(model, "_nodes_by_depth", None):
        return None
    return Symbolic(plain(model._nested_inputs), plain(model._nested_outputs), list(_tf_keras_events(model)))


def _runs_its_graph(model: Any) -> bool:
    """Whether ``call`` is Keras' own: a subclass may have a graph and compute something else."""
    call = getattr(type(model), "call", None)
    return getattr(call, "__module__", "").startswith(("keras.src.models.", "tf_keras.src.engine."))


def _nodes(function: Any) -> Iterator[Any]:
    for depth in sorted(function._nodes_by_depth, reverse=True):
        yield from (node for node in function._nodes_by_depth[depth] if not node.is_input)


def _keras_events(function: Any) -> Iterator[Event]:
    for node in _nodes(function):
        yield Event(node.operation, plain(node.arguments.args), plain(node.arguments.kwargs), list(node.outputs))


def _tf_keras_events(model: Any) -> Iterator[Event]:
    for node in _nodes(model):
        yield Event(node.layer, tuple(plain(node.call_args)), plain(node.call_kwargs), list(leaves(node.outputs)))


def plain(structure: Any) -> Any:
    """The structure without the wrappers that Keras tracks lists and dicts with."""
    return map_leaves(lambda leaf: leaf, structure)


def is_symbolic(leaf: Any) -> bool:
    """Whether the leaf is a symbolic tensor of either Keras."""
    return any(base.__name__ == "KerasTensor" for base in type(leaf).__mro__)


def origin(tensor: Any) -> Any:
    """The layer or operation that gave a symbolic tensor."""
    return tensor._keras_history[0]
