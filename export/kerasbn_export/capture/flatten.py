"""From the symbolic graph of a model, with models inside models, to one flat `Graph`."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np

from kerasbn.errors import UnsupportedModelError
from kerasbn.flavour import flavour_of
from kerasbn_export.capture.arguments import first_call_arguments
from kerasbn_export.capture.augmentation import is_identity_at_inference, resizing, says_a_false_shape
from kerasbn_export.capture.binding import casts, casts_only_floats, is_masked, pairs, takes_mask, value_of
from kerasbn_export.capture.symbolic import Event, Symbolic, is_symbolic, origin, own_graph, plain, read_graph
from kerasbn_export.capture.trace import trace
from kerasbn_export.capture.training import (
    argument,
    has_layers_inside,
    in_context,
    in_inference,
    in_words,
    without_context,
)
from kerasbn_export.capture.wrappers import calls_batchnorms, inner_call
from kerasbn_export.graph.batchnorm import inner_batchnorms, layer_kind, true_config
from kerasbn_export.graph.model import Call, Graph, Layer, Value, new_layer
from kerasbn_export.graph.operations import meaning
from kerasbn_export.graph.structure import leaves, map_leaves

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
        self.layers: dict[tuple[int, str], Layer] = {}
        self.paths: set[str] = set()
        self.vague: set[Value] = set()  # whose shape Keras tells wrongly
        self.keep_alive: list[Any] = []  # a scope knows tensors by identity: none may be freed and its id reused

    def graph(self) -> Graph:
        """The model as a graph."""
        known = read_graph(self.flavour, self.model)
        if known is not None:
            inputs = map_leaves(self._input, known.inputs)
            symbolic = known
        else:
            args, kwargs = map_leaves(self._input, first_call_arguments(self.flavour, self.model))
            event = Event(self.model, args, kwargs, [])
            symbolic = trace(self.flavour, self.model, *self._stand_ins(event))
            inputs = [*args, kwargs] if kwargs else args[0] if len(args) == 1 else list(args)
        given = inputs if known is not None else [*args, kwargs]
        outputs = self._nested(symbolic, given, prefix="", training=None)
        names = self._output_names(symbolic)
        if self.flavour.name == "keras":
            without_context(self.calls)
        return Graph(self.flavour, self.model.name, _needed(self.calls, outputs), inputs, outputs, names)

    def _output_names(self, symbolic: Symbolic) -> list[str]:
        """As the model itself gives them, also where a subclass of a functional model computes something else."""
        names = [origin(tensor).name for tensor in leaves(symbolic.outputs)]
        declared = list(leaves(plain(getattr(own_graph(self.model), "output", []))))
        return [origin(tensor).name for tensor in declared] if len(declared) == len(names) else names

    def _input(self, tensor: Any) -> Any:
        if not is_symbolic(tensor):
            return tensor
        value = value_of(tensor)
        self.calls.append(Call(self._layer(origin(tensor), prefix=""), (), {}, [value]))
        self.keep_alive.append(tensor)
        return value

    def _nested(self, inner: Symbolic, given: Any, prefix: str, training: bool | None) -> Any:
        """Record the calls of a symbolic graph on given values; its outputs, in their structure."""
        self.keep_alive.append(inner)
        scope: Scope = {}
        for tensor, value in pairs(inner.inputs, given):
            if is_symbolic(tensor):
                scope[id(tensor)] = self._conformed(value, tensor, prefix)
        masked = any(value.masked for value in scope.values())  # what Keras does not know of the tensors inside
        for event in inner.events:
            args, kwargs = map_leaves(lambda leaf: _bound(leaf, scope), (event.args, event.kwargs))
            bound = in_words(self.flavour, replace(event, args=args, kwargs=kwargs))
            bound = in_inference(self.flavour, in_context(self.flavour, bound, training, inner.replays))
            outputs = self._event(bound, event, prefix, training)
            for tensor, value in zip(event.outputs, outputs, strict=True):
                value.masked |= masked
                scope[id(tensor)] = value
        return map_leaves(lambda tensor: scope[id(tensor)], inner.outputs)

    def _event(self, bound: Event, event: Event, prefix: str, training: bool | None) -> list[Value]:
        """Record one call, or the calls inside it. ``bound`` has values where ``event`` has symbolic tensors."""
        if is_identity_at_inference(bound):
            return [bound.args[0]]
        inner = inner_call(self.flavour, bound, event)
        if inner is not None:
            return self._event(*inner, f"{prefix}{event.layer.name}/", training)
        inside = self._inside(bound, event)
        if inside is not None:
            flag = argument(bound, "training")
            flag = training if flag is None else bool(flag)
            return list(leaves(self._nested(*inside, f"{prefix}{event.layer.name}/", flag)))
        if training and argument(bound, "training") is None and has_layers_inside(event.layer):
            raise UnsupportedModelError(
                f"Layer {prefix + event.layer.name!r} ({type(event.layer).__qualname__}) holds layers and is called in "
                "training mode by the model around it, which kerasbn cannot write down. Give its `call` a `training` "
                "argument."
            )
        outputs = [self._value(tensor, bound) for tensor in event.outputs]
        options = resizing(event.layer)
        if options is not None and argument(bound, "training") is False:
            path = self._free_path(prefix + event.layer.name)
            layer = replace(new_layer("Resizing", event.layer.name, options), path=path)
            self.calls.append(Call(layer, bound.args, {}, outputs))
            return outputs
        self.calls.append(Call(self._layer(event.layer, prefix, bound), bound.args, bound.kwargs, outputs))
        return outputs

    def _value(self, tensor: Any, bound: Event) -> Value:
        """The value of an output; its height and width are not known where an augmentation before told others."""
        value = value_of(tensor)
        given = [leaf for leaf in leaves([list(bound.args), bound.kwargs]) if isinstance(leaf, Value)]
        if self.vague.intersection(given) or any(says_a_false_shape(bound, each) for each in given):
            value.shape = value.shape and (value.shape[0], *(None for _ in value.shape[1:-1]), *value.shape[-1:])
            self.vague.add(value)
        return value

    def _inside(self, bound: Event, event: Event) -> tuple[Symbolic, Any] | None:
        """The graph inside what was called and the arguments to bind its inputs to; None for a closed layer."""
        layer = bound.layer
        if isinstance(argument(bound, "training"), Value):
            return None
        if isinstance(layer, self.flavour.keras.Model):
            known = read_graph(self.flavour, layer)
            if known is not None:
                given = bound.args[0] if bound.args else bound.kwargs["inputs"]
                return None if takes_mask(event) or not casts_only_floats(known.inputs, given) else (known, given)
        elif not self._is_opened(layer):
            return None
        if is_masked(event):
            return None  # whether a mask comes out of it is for its own code to say
        try:
            symbolic = trace(self.flavour, layer, *self._stand_ins(bound))
        except UnsupportedModelError:
            return None  # it stays closed, and the verdict of each BatchNorm inside says so
        return (symbolic, [*bound.args, bound.kwargs]) if calls_batchnorms(self.flavour, layer, symbolic) else None

    def _is_opened(self, layer: Any) -> bool:
        """Whether a layer is looked into: a Lambda for its operations, one of the user's for its BatchNorms."""
        kind = layer_kind(self.flavour, layer)
        return kind == "Lambda" or (kind is None and bool(inner_batchnorms(self.flavour, layer)))

    def _stand_ins(self, bound: Event) -> Any:
        """The arguments with a new symbolic input for each value, in the dtype that the layer casts it to."""
        layer = bound.layer

        def one(leaf: Any) -> Any:
            if not isinstance(leaf, Value):
                return leaf
            if leaf.shape is None:
                raise UnsupportedModelError(
                    f"{type(layer).__qualname__} {layer.name!r} is called on a tensor whose rank is not known. Give "
                    "the model's inputs a shape, with None for the sizes that vary."
                )
            dtype = layer.compute_dtype if "float" in leaf.dtype and casts(layer) else leaf.dtype
            return self.flavour.keras.Input(batch_shape=leaf.shape, dtype=dtype)

        return map_leaves(one, (bound.args, bound.kwargs))

    def _conformed(self, value: Value, tensor: Any, prefix: str) -> Value:
        """The value as the nested model takes it in: cast to the dtype of its input."""
        expected = value_of(tensor)
        if value.rank != expected.rank:
            raise UnsupportedModelError(
                f"The nested model {prefix[:-1]!r} was built for an input of shape {expected.shape} and is called on "
                f"one of shape {value.shape}. Call it on the rank that it was built for."
            )
        if value.dtype == expected.dtype or "float" not in value.dtype or "float" not in expected.dtype:
            return value
        config = {"name": "cast", "activation": "linear", "dtype": expected.dtype}
        layer = new_layer("Activation", f"{prefix.replace('/', '_')}cast", config)
        cast = Value(value.shape, expected.dtype, value.masked)
        self.calls.append(Call(layer, (value,), {}, [cast]))
        return cast

    def _layer(self, source: Any, prefix: str, bound: Event | None = None) -> Layer:
        stands_for = None if bound is None else meaning(source, bound.args, bound.kwargs)
        key = (id(source), repr(stands_for))
        if key not in self.layers:
            path = self._free_path(prefix + source.name)
            kind, options = stands_for or (layer_kind(self.flavour, source), None)
            dtype = getattr(source, "compute_dtype", None) or "float32"
            self.layers[key] = Layer(source.name, path, kind, source, dtype, true_config(source), meaning=options)
        return self.layers[key]

    def _free_path(self, path: str) -> str:
        """The path, with a number if another layer has it: subclassed models may give two layers one name."""
        numbered = (f"{path}_{number}" for number in itertools.count(2))
        free = next(p for p in itertools.chain([path], numbered) if p not in self.paths)
        self.paths.add(free)
        return free


def _bound(leaf: Any, scope: Scope) -> Any:
    """A value for a symbolic tensor, a numpy copy for a variable or a tensor, anything else as it is."""
    if is_symbolic(leaf):
        return scope[id(leaf)]
    return np.array(leaf) if hasattr(leaf, "numpy") and hasattr(leaf, "shape") else leaf


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
