"""The reference as a network that is run call by call, in a precision of choice, from any point.

This is the referee (float64 from the model's inputs) and the yardstick for each layer (float64 from the
candidate's own inputs to that layer).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasbn_export.build import build_layer, retyped_arguments, set_weights
from kerasbn_export.graph import Call, Graph, Layer, Value
from kerasbn_export.structure import leaves, map_leaves
from kerasbn_export.verify.ports import Array


class Network:
    """The calls of a graph, on new layers that hold the model's weights in another precision.

    Args:
        graph: What `capture` read.
        dtype: The precision to compute in; None for the model's own.
    """

    def __init__(self, graph: Graph, dtype: str | None = "float64") -> None:
        self.graph = graph
        self.calls = graph.in_order()
        self.inputs: list[Value] = list(leaves(graph.inputs))
        self.outputs: list[Value] = list(leaves(graph.outputs))
        self._dtype = dtype
        self._layers: dict[Layer, Any] = {}

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The outputs for some samples; of the values in between only those still needed are kept."""
        values = self.start(arrays)
        last = {value: call for call in self.calls for value in call.inputs}
        for call in self.computing():
            values.update(self.evaluate(call, values))
            for value in {v for v in call.inputs if last[v] is call}.difference(self.outputs):
                values.pop(value)
        return [values[value] for value in self.outputs]

    def computing(self) -> list[Call]:
        """The calls without those that stand for the model's inputs."""
        return [call for call in self.calls if call.output not in self.inputs]

    def start(self, arrays: Sequence[Array]) -> dict[Value, Array]:
        """The values of the model's inputs."""
        return {
            value: self._typed(np.asarray(array, value.dtype)) for value, array in zip(self.inputs, arrays, strict=True)
        }

    def evaluate(self, call: Call, values: dict[Value, Array]) -> dict[Value, Array]:
        """The outputs of one call for the values it takes."""
        arguments = retyped_arguments((call.args, call.kwargs), self._dtype)
        args, kwargs = map_leaves(lambda leaf: self._given(leaf, values), arguments)
        if call.layer not in self._layers:
            self._layers[call.layer] = self._built(call.layer, args, kwargs)
        outputs = self._layers[call.layer](*args, **kwargs)
        return {value: np.asarray(array) for value, array in zip(call.outputs, leaves(outputs), strict=True)}

    def _built(self, layer: Layer, args: Any, kwargs: Any) -> Any:
        """A new layer; its first call makes its variables."""
        new = build_layer(self.graph.flavour, layer, layer.name, self._dtype)
        new(*args, **kwargs)
        set_weights(layer, new)
        return new

    def _given(self, leaf: Any, values: dict[Value, Array]) -> Any:
        return self._tensor(values[leaf]) if isinstance(leaf, Value) else leaf

    def _tensor(self, array: Array) -> Any:
        keras = self.graph.flavour.keras
        if self.graph.flavour.name == "keras":
            return keras.ops.convert_to_tensor(array)
        return keras.backend.constant(array, dtype=array.dtype.name)

    def _typed(self, array: Array) -> Array:
        return array.astype(self._dtype) if self._dtype and "float" in array.dtype.name else array
