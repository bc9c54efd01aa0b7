"""From a `Graph` back to a Keras model: the calls are replayed on new layers."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kerasbn.errors import KerasBNError, UnsupportedModelError
from kerasbn_export.capture import capture
from kerasbn_export.emit.copied import copied_layer
from kerasbn_export.emit.layer import build_layer, can_be_copied, retyped_arguments, set_weights
from kerasbn_export.emit.likeness import is_alike
from kerasbn_export.files.reading import first_line
from kerasbn_export.graph.model import Call, Graph, Layer, Value
from kerasbn_export.graph.structure import leaves, map_leaves

FRAMES, FRAMES_PER_CALL = 1000, 10
"""Python frames that building a model may need: some to begin with, and more for each call."""


def emit(graph: Graph, *, dtype: str | None = None, batch_size: int | None = None, name: str | None = None) -> Any:
    """A new functional model of the same Keras.

    Names, order and structure of inputs and outputs are those of the captured model. No variable is shared with it.

    Args:
        graph: What to build.
        dtype: The precision of every layer, as ``"float64"``; None for their own.
        batch_size: A fixed batch size; None for the model's own.
        name: The name of the new model; None for the captured model's.

    Raises:
        UnsupportedModelError: A layer cannot be made again from its configuration.
    """
    return _Emission(graph, dtype, batch_size).model(name or graph.name)


def functional(model: Any) -> Any:
    """A model that has a graph of its own, or the functional one that its ``call`` gives.

    Raises:
        UnsupportedModelError: Its ``call`` cannot be traced.
    """
    plain = type(model).__name__ in ("Functional", "Sequential") and bool(getattr(model, "inputs", None))
    return model if plain else emit(capture(model))


@contextmanager
def _deep_recursion(calls: int) -> Iterator[None]:
    """Both Kerases walk a new model by recursion, some frames for each layer of its longest path."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, FRAMES + FRAMES_PER_CALL * calls))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


class _Emission:
    """One replay: the new layer of each `Layer`, the new tensor of each `Value`."""

    def __init__(self, graph: Graph, dtype: str | None, batch_size: int | None) -> None:
        self.graph = graph
        self.keras = graph.flavour.keras
        self.dtype = dtype
        self.batch_size = batch_size
        self.built: dict[Layer, Any] = {}
        self.names: set[str] = set()
        self.owners = _output_owners(graph)
        self.aliases: dict[str, Any] = {}
        self.tensors: dict[Value, Any] = {}

    def model(self, name: str) -> Any:
        for call in self.graph.in_order():
            self._replay(call)
        inputs = map_leaves(self.tensors.__getitem__, self.graph.inputs)
        named = iter([self._named(*pair) for pair in _outputs(self.graph)])
        outputs = _refilled(self.graph.outputs, named)
        with _deep_recursion(len(self.graph)):
            model = self.keras.Model(inputs, outputs, name=name)
        for layer, target in self.built.items():
            set_weights(layer, target)
        return model

    def _replay(self, call: Call) -> None:
        if call.layer.kind == "InputLayer":
            self.tensors[call.output] = self._input(call.layer)
            return
        args, kwargs = retyped_arguments((call.args, call.kwargs), self.dtype)
        outputs = self._outputs(call.layer, *map_leaves(self._tensor, (args, kwargs)))
        for value, tensor in zip(call.outputs, leaves(outputs), strict=True):
            self.tensors[value] = tensor

    def _outputs(self, layer: Layer, args: Any, kwargs: Any) -> Any:
        """What a layer gives; a copy of it where the one that its configuration makes is another."""
        target, wrong = self._layer(layer), None
        try:
            outputs = target(*args, **kwargs)
            if is_alike(self.graph.flavour, layer, target, args, kwargs):
                return outputs
        except KerasBNError:
            raise
        except Exception as error:  # both Kerases raise nearly every type from the code of their layers
            wrong = error
        if not can_be_copied(layer, target, self.dtype):
            said = first_line(str(wrong)) if wrong else "its get_config() makes another layer"
            raise UnsupportedModelError(
                f"Layer {layer.name!r} ({layer.kind or type(layer.source).__name__}) cannot be called again in a new "
                f"model: {said}."
            ) from wrong
        self.built[layer] = copied_layer(self.graph.flavour, layer.source, target.name)
        return self.built[layer](*args, **kwargs)

    def _tensor(self, leaf: Any) -> Any:
        return self.tensors[leaf] if isinstance(leaf, Value) else leaf

    def _layer(self, layer: Layer) -> Any:
        if layer not in self.built:
            self.built[layer] = build_layer(self.graph.flavour, layer, self._free_name(layer), self.dtype)
        return self.built[layer]

    def _free_name(self, layer: Layer) -> str:
        """The layer's own name where it is free, else with those of the models it sat in, else with a number."""
        candidates = [layer.name, layer.path.replace("/", "_")]
        numbered = (f"{candidates[-1]}_{number}" for number in itertools.count(2))
        name = next(name for name in itertools.chain(candidates, numbered) if self._is_free(name, layer))
        self.names.add(name)
        return name

    def _is_free(self, name: str, layer: Layer) -> bool:
        return name not in self.names and self.owners.get(name, layer) is layer

    def _input(self, layer: Layer) -> Any:
        config = dict(layer.config)
        shape = list(config.get("batch_shape") or config["batch_input_shape"])
        options = {key: config[key] for key in ("sparse", "ragged", "optional") if config.get(key)}
        dtype = self.dtype if self.dtype and "float" in config["dtype"] else config["dtype"]
        batch_shape = (self.batch_size or shape[0], *shape[1:])
        tensor = self.keras.Input(batch_shape=batch_shape, dtype=dtype, name=self._free_name(layer), **options)
        if self.graph.flavour.name == "keras":  # knows an input by its tensor's name, which need not be the layer's
            tensor.name = layer.source.output.name
        return tensor

    def _named(self, value: Value, name: str) -> Any:
        """The output tensor under the name it had; a linear activation, which no converter keeps, carries the name."""
        tensor = self.tensors[value]
        if self.owners[name] is not None:
            return tensor
        if name not in self.aliases:
            dtype = self.dtype if self.dtype and "float" in value.dtype else value.dtype
            self.aliases[name] = self.keras.layers.Activation("linear", name=name, dtype=dtype, autocast=False)
        return self.aliases[name](tensor)


def _outputs(graph: Graph) -> list[tuple[Value, str]]:
    return list(zip(leaves(graph.outputs), graph.output_names, strict=True))


def _output_owners(graph: Graph) -> dict[str, Layer | None]:
    """For each name of an output the layer that has it and gives all outputs of that name; None if there is none."""
    owners: dict[str, Layer | None] = {}
    for value, name in _outputs(graph):
        layer = value.producer.layer if value.producer is not None else None
        fits = layer is not None and layer.name == name and owners.get(name, layer) is layer
        owners[name] = layer if fits else None
    return owners


def _refilled(structure: Any, values: Any) -> Any:
    """The structure with its leaves, in flattened order, taken from an iterator."""
    if isinstance(structure, dict):
        new = {key: _refilled(structure[key], values) for key in sorted(structure)}
        return {key: new[key] for key in structure}
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):  # a named tuple
        return type(structure)(*(_refilled(item, values) for item in structure))
    if isinstance(structure, (list, tuple)):
        return type(structure)(_refilled(item, values) for item in structure)
    return next(values)
