"""What Keras knows of a model: its symbolic graph, read the same way from both Kerases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kerasbn.flavour import Flavour
from kerasbn_export.graph.structure import leaves, map_leaves


@dataclass(frozen=True)
class Event:
    """One call as Keras recorded it: a layer or operation, its arguments, the symbolic tensors it gave."""

    layer: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: list[Any]


@dataclass(frozen=True)
class Symbolic:
    """The symbolic graph of a model: structures of symbolic tensors and the events between them.

    Attributes:
        inputs: What it takes.
        outputs: What it gives.
        events: The calls between, each after those that it depends on.
        replays: Whether Keras itself runs these events, and not a ``call`` of the user's.
    """

    inputs: Any
    outputs: Any
    events: list[Event]
    replays: bool = True


def read_graph(flavour: Flavour, model: Any) -> Symbolic | None:
    """The graph that Keras keeps of a functional or Sequential model; None if it keeps none or does not run it."""
    function = own_graph(model)
    if function is None or not _runs_its_graph(model):
        return None
    events = [event_of(flavour, node) for node in _nodes(function)]
    if flavour.name == "keras":
        return Symbolic(plain(function._inputs_struct), plain(function._outputs_struct), events)
    return Symbolic(plain(function._nested_inputs), plain(function._nested_outputs), events)


def own_graph(model: Any) -> Any:
    """The functional model that holds the graph of a model: itself, or the one inside a Sequential; None if none."""
    function = getattr(model, "_functional", None) or model
    return function if getattr(function, "_nodes_by_depth", None) else None


def _runs_its_graph(model: Any) -> bool:
    """Whether ``call`` is Keras' own: a subclass may have a graph and compute something else."""
    call = getattr(type(model), "call", None)
    own = getattr(call, "__module__", "").startswith(("keras.src.models.", "tf_keras.src.engine."))
    return own and "call" not in vars(model)


def _nodes(function: Any) -> Iterator[Any]:
    for depth in sorted(function._nodes_by_depth, reverse=True):
        yield from (node for node in function._nodes_by_depth[depth] if not node.is_input)


def event_of(flavour: Flavour, node: Any) -> Event:
    """The call that a node of Keras' graph stands for."""
    if flavour.name == "keras":
        return Event(node.operation, plain(node.arguments.args), plain(node.arguments.kwargs), list(node.outputs))
    return Event(node.layer, tuple(plain(node.call_args)), plain(node.call_kwargs), list(leaves(node.outputs)))


def node_inputs(flavour: Flavour, node: Any) -> list[Any]:
    """Every symbolic tensor that a node takes, in args and in kwargs."""
    return list(node.arguments.keras_tensors if flavour.name == "keras" else node.keras_inputs)


def plain(structure: Any) -> Any:
    """The structure without the wrappers that Keras tracks lists and dicts with."""
    return map_leaves(lambda leaf: leaf, structure)


def is_symbolic(leaf: Any) -> bool:
    """Whether the leaf is a symbolic tensor of either Keras."""
    return any(base.__name__ == "KerasTensor" for base in type(leaf).__mro__)


def origin(tensor: Any) -> Any:
    """The layer or operation that gave a symbolic tensor."""
    return tensor._keras_history[0]


def mask_of(tensor: Any) -> Any:
    """The mask that Keras attached to a symbolic tensor, None if there is none."""
    return getattr(tensor, "_keras_mask", None)
