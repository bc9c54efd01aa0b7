"""Traces a model or layer that computes in a ``call`` of its own: one symbolic run in inference."""

from __future__ import annotations

import contextlib
import importlib
import inspect
from collections.abc import Iterator
from typing import Any

from kerasbn.errors import UnsupportedModelError
from kerasbn.flavour import Flavour, layers_inside
from kerasbn_export.capture.symbolic import Event, Symbolic, event_of, is_symbolic, node_inputs, plain
from kerasbn_export.capture.untouched import untouched
from kerasbn_export.graph.structure import leaves


def trace(flavour: Flavour, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Symbolic:
    """The graph of one run of ``layer.call`` in inference; the layer is left as it was.

    Args:
        flavour: The layer's Keras.
        layer: A model or a layer made of layers.
        args: Its positional arguments, symbolic inputs where tensors are.
        kwargs: Its keyword arguments, likewise.

    Raises:
        UnsupportedModelError: The run failed, or gave something that is no symbolic tensor of this run.
    """
    unbuilt = [inner for inner in layers_inside(layer) if not inner.built]
    with untouched(layer), _functions_of_tensorflow(flavour):
        try:
            outputs = plain(layer.call(*args, **_in_inference(layer, args, kwargs)))
            # Keras and TensorFlow raise nearly every type when user code meets a symbolic tensor.
        except Exception as error:
            raise UnsupportedModelError(_refusal(layer, f"{type(error).__name__}: {_first_line(error)}")) from error
        for leaf in leaves(outputs):
            if not is_symbolic(leaf):
                raise UnsupportedModelError(_refusal(layer, f"a {type(leaf).__name__} among its outputs"))
        late = [inner.name for inner in unbuilt if inner.built and inner.weights]
        if late:
            raise UnsupportedModelError(
                _refusal(layer, f"new weights: layer {late[0]!r} was never built, so that it has not been trained")
            )
        inputs = [leaf for leaf in leaves([list(args), kwargs]) if is_symbolic(leaf)]
        events = list(_events(flavour, layer, inputs, outputs))
        if any(_hides_a_tensor(leaf) for event in events for leaf in leaves([list(event.args), event.kwargs])):
            raise UnsupportedModelError(_refusal(layer, "a slice whose ends are tensors, which Keras 3 does not track"))
        return Symbolic([*args, kwargs], outputs, events, replays=False)


def _functions_of_tensorflow(flavour: Flavour) -> contextlib.AbstractContextManager[None]:
    """They take symbolic tensors of tf_keras by themselves."""
    if flavour.name != "keras":
        return contextlib.nullcontext()
    module = importlib.import_module("kerasbn_export.capture.tensorflow_function")  # imports TensorFlow and Keras
    return module.recorded_functions()  # type: ignore[no-any-return]


def _events(flavour: Flavour, layer: Any, inputs: list[Any], outputs: Any) -> Iterator[Event]:
    """The calls between inputs and outputs, each after those that it depends on."""
    given = {id(tensor) for tensor in inputs}
    done: set[int] = set()
    pending = [_node(tensor) for tensor in reversed(list(leaves(outputs))) if id(tensor) not in given]
    while pending:
        node = pending[-1]
        before = [tensor for tensor in node_inputs(flavour, node) if id(tensor) not in given]
        missing = [_node(tensor) for tensor in before if id(_node(tensor)) not in done]
        if id(node) in done:
            pending.pop()
        elif missing:
            pending.extend(reversed(missing))
        elif node.is_input:
            raise UnsupportedModelError(_refusal(layer, "a tensor that is no argument of its call"))
        else:
            done.add(id(pending.pop()))
            yield event_of(flavour, node)


def _hides_a_tensor(leaf: Any) -> bool:
    return isinstance(leaf, slice) and any(map(is_symbolic, (leaf.start, leaf.stop, leaf.step)))


def _node(tensor: Any) -> Any:
    source, index, _ = tensor._keras_history
    return source._inbound_nodes[index]


def _in_inference(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    parameters = list(inspect.signature(layer.call).parameters)
    given = {**dict(zip(parameters, args, strict=False)), **kwargs}
    if "training" in parameters and given.get("training") is None and parameters.index("training") >= len(args):
        return {**kwargs, "training": False}
    return kwargs


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip().rstrip(".") if lines else "no message"


def _refusal(layer: Any, found: str) -> str:
    kind = type(layer)
    return (
        f"{kind.__module__}.{kind.__qualname__} {layer.name!r} cannot be traced: calling it on symbolic tensors gave "
        f"{found}. kerasbn needs a `call` that uses Keras layers and operations only; build the model "
        "functionally, or move what needs concrete values into a layer of its own."
    )
