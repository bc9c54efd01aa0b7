"""From the symbolic graph of a model, with models inside models, to one flat `Graph`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from kerasbn.errors import UnsupportedModelError
from kerasbn.flavour import flavour_of
from kerasbn_export.batchnorm import inner_batchnorms, layer_kind
from kerasbn_export.capture.symbolic import Event, Symbolic, is_symbolic, origin, read_graph
from kerasbn_export.capture.trace import first_call_arguments, trace
from kerasbn_export.graph import Call, Graph, Layer, Value, new_layer
from kerasbn_export.structure import leaves, map_leaves

Scope = dict[int, Value]
"""From the identity of a symbolic tensor to the value it stands for."""


class Flattening:
    """One reading of one model: the calls found so far, and the one `Layer` of each Keras layer.

    Args:
        model: A model of either Keras.
    """

    def __init__(self, model: Any) -> None:
        self.flavour = flavour_of(model)
        self.model = model
        self.calls: list[Call] = []
        self.layers: dict[int, Layer] = {}
        self.keep_alive: list[Any] = []  # a scope knows tensors by identity: none may be freed and its id reused

    def graph(self) -> Graph:
        """The model as a graph."""
        symbolic = self._top_level()
        scope: Scope = {}
        inputs = map_leaves(lambda tensor: self._input(tensor, scope), symbolic.inputs)
        self._events(symbolic, scope, prefix="", training=False)
        outputs = map_leaves(lambda tensor: scope[id(tensor)], symbolic.outputs)
        names = [origin(tensor).name for tensor in leaves(symbolic.outputs)]
        return Graph(self.flavour, self.model.name, _needed(self.calls, outputs), inputs, outputs, names)

    def _top_level(self) -> Symbolic:
        known = read_graph(self.flavour, self.model)
        if known is not None:
            return known
        arguments = first_call_arguments(self.flavour, self.model)
        symbolic = trace(self.flavour, self.model, arguments, {})
        structure = arguments[0] if len(arguments) == 1 else list(arguments)
        return replace(symbolic, inputs=structure)

    def _input(self, tensor: Any, scope: Scope) -> Value:
        value = _value(tensor)
        layer = self._layer(origin(tensor), prefix="")
        self.calls.append(Call(layer, (), {}, [value]))
        self.keep_alive.append(tensor)
        scope[id(tensor)] = value
        return value

    def _events(self, symbolic: Symbolic, scope: Scope, prefix: str, training: bool) -> None:
        self.keep_alive.append(symbolic)
        for event in symbolic.events:
            args, kwargs = map_leaves(lambda leaf: _bound(leaf, scope), (event.args, event.kwargs))
            if training and _takes_training(event.layer):
                kwargs = (
                    {"training": True, **kwargs} if self.flavour.name == "tf_keras" else {**kwargs, "training": True}
                )
            self._event(replace(event, args=args, kwargs=kwargs), event, scope, prefix)

    def _event(self, bound: Event, event: Event, scope: Scope, prefix: str) -> None:
        """Record one call, or the calls inside it. ``bound`` has values where ``event`` has symbolic tensors."""
        inner = self._inside(bound)
        if inner is None:
            outputs = [_value(tensor) for tensor in event.outputs]
            self.calls.append(Call(self._layer(event.layer, prefix), bound.args, bound.kwargs, outputs))
        else:
            training = bound.kwargs.get("training") is True
            outputs = self._nested(*inner, training, f"{prefix}{event.layer.name}/")
        for tensor, value in zip(event.outputs, outputs, strict=True):
            scope[id(tensor)] = value

    def _inside(self, bound: Event) -> tuple[Symbolic, Any] | None:
        """The graph inside what was called and the arguments to bind its inputs to; None for a closed layer."""
        layer = bound.layer
        if isinstance(layer, self.flavour.keras.Model):
            known = read_graph(self.flavour, layer)
            if known is not None:
                return known, bound.args[0] if bound.args else bound.kwargs["inputs"]
        elif layer_kind(self.flavour, layer) or not inner_batchnorms(self.flavour, layer):
            return None
        stand_ins = map_leaves(self._stand_in, (bound.args, bound.kwargs))
        try:
            return trace(self.flavour, layer, *stand_ins), [*bound.args, bound.kwargs]
        except UnsupportedModelError:
            return None  # it stays closed, and the verdict of each BatchNorm inside says so

    def _stand_in(self, leaf: Any) -> Any:
        if not isinstance(leaf, Value):
            return leaf
        return self.flavour.keras.Input(batch_shape=leaf.shape, dtype=leaf.dtype)

    def _nested(self, inner: Symbolic, given: Any, training: bool, prefix: str) -> list[Value]:
        scope: Scope = {}
        for tensor, value in _pairs(inner.inputs, given):
            if is_symbolic(tensor):
                scope[id(tensor)] = self._conformed(value, tensor, prefix)
        self._events(inner, scope, prefix, training)
        return [scope[id(tensor)] for tensor in leaves(inner.outputs)]

    def _conformed(self, value: Value, tensor: Any, prefix: str) -> Value:
        """The value as the nested model takes it in: cast to the dtype of its input."""
        expected = _value(tensor)
        if value.rank != expected.rank:
            raise UnsupportedModelError(
                f"The nested model {prefix[:-1]!r} was built for an input of shape {expected.shape} and is called on "
                f"one of shape {value.shape}. Call it on the rank that it was built for."
            )
        if value.dtype == expected.dtype or "float" not in value.dtype or "float" not in expected.dtype:
            return value
        config = {"name": "cast", "activation": "linear", "dtype": expected.dtype}
        layer = new_layer("Activation", f"{prefix.replace('/', '_')}cast", config)
        cast = Value(value.shape, expected.dtype)
        self.calls.append(Call(layer, (value,), {}, [cast]))
        return cast

    def _layer(self, source: Any, prefix: str) -> Layer:
        known = self.layers.get(id(source))
        if known is None:
            kind = layer_kind(self.flavour, source)
            dtype = getattr(source, "compute_dtype", None) or "float32"
            known = Layer(source.name, prefix + source.name, kind, source, dtype)
            self.layers[id(source)] = known
        return known


def _value(tensor: Any) -> Value:
    """The value that a symbolic tensor stands for."""
    shape = tensor.shape
    known = getattr(shape, "rank", len(shape) if isinstance(shape, tuple) else None) is not None
    dtype = tensor.dtype
    name = dtype if isinstance(dtype, str) else dtype.name
    return Value(tuple(shape) if known else None, name, getattr(tensor, "_keras_mask", None) is not None)


def _bound(leaf: Any, scope: Scope) -> Any:
    """A value for a symbolic tensor, a numpy copy for a variable or a tensor, anything else as it is."""
    if is_symbolic(leaf):
        return scope[id(leaf)]
    return np.array(leaf) if hasattr(leaf, "numpy") and hasattr(leaf, "shape") else leaf


def _takes_training(layer: Any) -> bool:
    call = getattr(layer, "call", None)
    return call is not None and "training" in inspect.signature(call).parameters


def _pairs(expected: Any, given: Any) -> Iterator[tuple[Any, Any]]:
    """Each input of a nested model with what the call gives it, as Keras binds them: a dict by its keys."""
    if isinstance(given, dict):
        for tensor_key, tensor in _keyed(expected):
            yield from zip(leaves(tensor), leaves(given[tensor_key]), strict=True)
    else:
        yield from zip(leaves(expected), leaves(given), strict=True)


def _keyed(expected: Any) -> list[tuple[str, Any]]:
    if isinstance(expected, dict):
        return list(expected.items())
    return [(origin(tensor).name, tensor) for tensor in leaves(expected)]


def _needed(calls: list[Call], outputs: Any) -> list[Call]:
    """The calls that the outputs depend on, and the inputs."""
    pending = list(leaves(outputs))
    needed: set[Call] = set()
    while pending:
        call = pending.pop().producer
        if call not in needed:
            needed.add(call)
            pending.extend(call.inputs)
    return [call for call in calls if call in needed or not call.inputs]
