"""From a `Graph` back to a Keras model: the calls are replayed on new layers."""

from __future__ import annotations

from typing import Any

from kerasbn_export.build import build_layer, retyped_arguments, set_weights
from kerasbn_export.graph import Call, Graph, Layer, Value
from kerasbn_export.structure import leaves, map_leaves


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


class _Emission:
    """One replay: the new layer of each `Layer`, the new tensor of each `Value`."""

    def __init__(self, graph: Graph, dtype: str | None, batch_size: int | None) -> None:
        self.graph = graph
        self.keras = graph.flavour.keras
        self.dtype = dtype
        self.batch_size = batch_size
        self.built: dict[Layer, Any] = {}
        self.names: set[str] = set()
        self.tensors: dict[Value, Any] = {}

    def model(self, name: str) -> Any:
        for call in self.graph.in_order():
            self._replay(call)
        inputs = map_leaves(self.tensors.__getitem__, self.graph.inputs)
        named = iter(
            [self._named(*pair) for pair in zip(leaves(self.graph.outputs), self.graph.output_names, strict=True)]
        )
        outputs = _refilled(self.graph.outputs, named)
        model = self.keras.Model(inputs, outputs, name=name)
        for layer, target in self.built.items():
            set_weights(layer, target)
        return model

    def _replay(self, call: Call) -> None:
        if call.layer.kind == "InputLayer":
            self.tensors[call.output] = self._input(call.layer)
            return
        target = self._layer(call.layer)
        args, kwargs = retyped_arguments((call.args, call.kwargs), self.dtype)
        args, kwargs = map_leaves(self._tensor, (args, kwargs))
        outputs = target(*args, **kwargs)
        for value, tensor in zip(call.outputs, leaves(outputs), strict=True):
            self.tensors[value] = tensor

    def _tensor(self, leaf: Any) -> Any:
        return self.tensors[leaf] if isinstance(leaf, Value) else leaf

    def _layer(self, layer: Layer) -> Any:
        if layer not in self.built:
            self.built[layer] = build_layer(self.graph.flavour, layer, self._free_name(layer), self.dtype)
        return self.built[layer]

    def _free_name(self, layer: Layer) -> str:
        """The layer's own name where it is free, else with those of the models it sat in, else with a number."""
        candidates = [layer.name, layer.path.replace("/", "_")]
        name = next((c for c in candidates if c not in self.names), candidates[-1])
        number = 1
        while name in self.names:
            number += 1
            name = f"{candidates[-1]}_{number}"
        self.names.add(name)
        return name

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
        if tensor._keras_history[0].name == name or name in self.names:
            return tensor
        self.names.add(name)
        dtype = self.dtype if self.dtype and "float" in value.dtype else value.dtype
        return self.keras.layers.Activation("linear", name=name, dtype=dtype)(tensor)


def _refilled(structure: Any, values: Any) -> Any:
    """The structure with its leaves, in flattened order, taken from an iterator."""
    if isinstance(structure, dict):
        new = {key: _refilled(structure[key], values) for key in sorted(structure)}
        return {key: new[key] for key in structure}
    if isinstance(structure, (list, tuple)):
        return type(structure)(_refilled(item, values) for item in structure)
    return next(values)
