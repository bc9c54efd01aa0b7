"""The reference as a network that is run call by call, in a precision of choice, from any point.

This is the referee (float64 from the model's inputs) and the yardstick for each layer (float64 from the
candidate's own inputs to that layer). Every layer runs in inference mode, but where the user's own call says
otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from kerasbn.errors import NotComparableError, UnsupportedModelError
from kerasbn_export.arrays import Array
from kerasbn_export.capture.symbolic import Event
from kerasbn_export.capture.training import in_context
from kerasbn_export.emit.layer import build_layer, retyped_arguments, set_weights
from kerasbn_export.emit.likeness import is_alike
from kerasbn_export.folding.rules.producer import maker
from kerasbn_export.graph.model import Call, Graph, Layer, Value, new_layer
from kerasbn_export.graph.recurrent_layers import at_inference
from kerasbn_export.graph.structure import leaves, map_leaves
from kerasbn_export.verification.network.bound import NOT_ROUNDING, absolute, activation_name
from kerasbn_export.verification.network.elementwise import Function

NOT_STEEPER_THAN_ONE = NOT_ROUNDING | {"tanh", "sigmoid"}
"""Activations behind which noise is no larger."""

FLATTENING = ("softmax", "sigmoid")
"""Activations behind which errors hide."""


class Network:
    """The calls of a graph, on new layers that hold the model's weights in another precision.

    Args:
        graph: What `capture` read.
        dtype: The precision to compute in; None for the model's own.

    Attributes:
        in_float32: The layers for which TensorFlow has no kernel in that precision, or that cannot be made again.
    """

    def __init__(self, graph: Graph, dtype: str | None = "float64") -> None:
        self.graph = graph
        self.calls = graph.in_order()
        self.inputs: list[Value] = list(leaves(graph.inputs))
        self.outputs: list[Value] = list(leaves(graph.outputs))
        self.in_float32: dict[Layer, None] = {}
        self._dtype = dtype
        self._layers: dict[tuple[Layer, str | None], Any] = {}
        self._absolute: dict[Layer, Layer | None] = {}

    def run(self, arrays: Sequence[Array], given: Mapping[Value, Function] | None = None) -> list[Array]:
        """The outputs for some samples; of the values in between only those still needed are kept.

        Args:
            arrays: The samples.
            given: For some values what stands in their place, made of what the network computes.
        """
        values = self.start(arrays)
        for call in self.computing():
            values.update(self.evaluate(call, values))
            values.update({value: given[value](values[value]) for value in call.outputs if given and value in given})
            self.release(call, values)
        return [values[value] for value in self.outputs]

    def run_with_scores(self, arrays: Sequence[Array]) -> tuple[list[Array], list[Array | None]]:
        """The outputs, and each before its own softmax or sigmoid."""
        values, scores = self.start(arrays), {}
        makers = [(maker(self.graph, value), value) for value in self.outputs]
        for call in self.computing():
            for value in (value for made_by, value in makers if made_by is call):
                if before := before_activation(call):
                    scores[value] = self.evaluate(before, values)[before.output]
            values.update(self.evaluate(call, values))
            self.release(call, values)
        return [values[value] for value in self.outputs], [scores.get(value) for value in self.outputs]

    def release(self, call: Call, *running: dict[Value, Array]) -> None:
        """Drop the values that no call behind one takes, and that are no outputs."""
        for value in self._done[call]:
            for values in running:
                values.pop(value, None)

    @property
    def below_float32(self) -> bool:
        """Whether the model itself computes in less than float32 somewhere."""
        return any(dtype in call.layer.dtype for call in self.calls for dtype in ("float16", "float8"))

    @cached_property
    def _done(self) -> dict[Call, list[Value]]:
        """The values that are not needed once a call has run."""
        last = {value: call for call in self.calls for value in (*call.outputs, *call.inputs)}
        done: dict[Call, list[Value]] = {call: [] for call in self.calls}
        for value, call in last.items():
            if value not in self.outputs:
                done[call].append(value)
        return done

    def computing(self) -> list[Call]:
        """The calls without those that stand for the model's inputs."""
        return [call for call in self.calls if call.output not in self.inputs]

    def start(self, arrays: Sequence[Array]) -> dict[Value, Array]:
        """The values of the model's inputs."""
        return {
            value: self._typed(np.asarray(array, value.dtype)) for value, array in zip(self.inputs, arrays, strict=True)
        }

    def evaluate(self, call: Call, values: dict[Value, Array]) -> dict[Value, Array]:
        """The outputs of one call for the values it takes.

        Raises:
            NotComparableError: The layer cannot be run alone.
        """
        try:
            outputs = self._call(call, values, "float32" if call.layer in self.in_float32 else self._dtype)
        # TensorFlow lacks some kernels in float64 and says so in many ways; custom layers may raise anything.
        except Exception as error:
            if self._dtype is None or call.layer in self.in_float32:
                raise NotComparableError(
                    f"Layer {call.layer.path!r} ({call.layer.kind or type(call.layer.source).__qualname__}) cannot be "
                    f"run alone: {type(error).__name__}: {error}"
                ) from error
            self.in_float32[call.layer] = None
            return self.evaluate(call, values)
        return {value: self._typed(np.asarray(array)) for value, array in zip(call.outputs, outputs, strict=True)}

    def _call(self, call: Call, values: dict[Value, Array], dtype: str | None) -> list[Any]:
        arguments = retyped_arguments((call.args, call.kwargs), dtype)
        args, kwargs = map_leaves(lambda leaf: self._given(leaf, values, dtype), arguments)
        if (call.layer, dtype) not in self._layers:
            self._layers[call.layer, dtype] = self._built(call.layer, dtype, args, kwargs)
        return list(leaves(self._at_inference(self._layers[call.layer, dtype], args, kwargs)))

    def _at_inference(self, layer: Any, args: Any, kwargs: Any) -> Any:
        """What a layer gives, with ``training=False`` where its call has no flag: some have True as their default."""
        event = in_context(self.graph.flavour, Event(layer, args, kwargs, []), training=False, replays=False)
        return layer(*event.args, **event.kwargs)

    def products(self, call: Call, values: dict[Value, Array]) -> Array | None:
        """``|x| conv |W|`` of a linear layer; None if it is not one."""
        if call.layer not in self._absolute:
            self._absolute[call.layer] = absolute(call.layer)
        layer = self._absolute[call.layer]
        if layer is None or len(call.inputs) != 1:
            return None
        return self._alone(layer, call, np.abs(values[call.inputs[0]]))

    def function(self, call: Call) -> Function:
        """What a call with one input makes of an array."""
        return lambda array: self.evaluate(call, {call.inputs[0]: array})[call.output]

    def before_activation(self, call: Call, values: dict[Value, Array]) -> tuple[Function, Array] | None:
        """The activation that a linear layer applies, and what it takes; None if it rounds nothing.

        Args:
            call: The layer, which has been evaluated.
            values: What it takes.
        """
        if activation_name(call.layer) in NOT_ROUNDING:
            return None
        dtype = "float32" if call.layer in self.in_float32 else self._dtype
        activation = self._layers[call.layer, dtype].activation
        linear = call.layer.with_weights(call.layer.weights, activation="linear")

        def function(array: Array) -> Array:
            return self._typed(np.asarray(activation(self._tensor(array.astype(dtype)))))

        return function, self._alone(linear, call, values[call.inputs[0]])

    def noise(self, call: Call, values: dict[Value, Array], step: Array) -> Array | None:
        """``sqrt(x^2 conv step^2)`` of a linear layer with one kernel; None if it is not one.

        Args:
            call: The layer.
            values: What it takes.
            step: The step of the grid on which each number of the kernel lies.
        """
        layer = absolute(call.layer) if activation_name(call.layer) in NOT_STEEPER_THAN_ONE else None
        if layer is None or len(call.inputs) != 1 or len(layer.weights) != 1:
            return None
        squares = {name: np.square(step).reshape(array.shape) for name, array in layer.weights.items()}
        summed = self._alone(layer.with_weights(squares), call, np.square(values[call.inputs[0]]))
        root: Array = np.sqrt(np.maximum(summed, 0.0))
        return root

    def _alone(self, layer: Layer, call: Call, array: Array) -> Array:
        """A layer in place of that of a call with one input."""
        one = Call(layer, (call.inputs[0],), {}, [])
        value = Value(call.output.shape, call.output.dtype)
        one.outputs.append(value)
        return self.evaluate(one, {call.inputs[0]: array})[value]

    def _built(self, layer: Layer, dtype: str | None, args: Any, kwargs: Any) -> Any:
        """The layer itself in its own precision, else a new one; its first call makes its variables.

        It keeps no state from one call to the next. One that cannot be made again does the work itself, in its own
        precision.
        """
        alone = at_inference(layer)
        if dtype is None and not alone.changed:
            return layer.source
        try:
            new = build_layer(self.graph.flavour, alone, layer.name, dtype)
            self._at_inference(new, args, kwargs)
            set_weights(alone, new)
            if not is_alike(self.graph.flavour, alone, new, args, kwargs):
                raise UnsupportedModelError(f"Layer {layer.path!r}: its get_config() makes another layer.")
        except Exception:  # the constructor and the first call of a layer of the user's may raise anything
            if layer not in self.in_float32 or layer.changed or not isinstance(layer.source, self._layer_class):
                raise
            return layer.source
        return new

    @property
    def _layer_class(self) -> Any:
        return self.graph.flavour.keras.layers.Layer

    def _given(self, leaf: Any, values: dict[Value, Array], dtype: str | None) -> Any:
        if not isinstance(leaf, Value):
            return leaf
        array = values[leaf]
        return self._tensor(array.astype(dtype, copy=False) if dtype and "float" in array.dtype.name else array)

    def _tensor(self, array: Array) -> Any:
        keras = self.graph.flavour.keras
        if self.graph.flavour.name == "keras":
            return keras.ops.convert_to_tensor(array)
        return keras.backend.constant(array, dtype=array.dtype.name)

    def _typed(self, array: Array) -> Array:
        return array.astype(self._dtype, copy=False) if self._dtype and "float" in array.dtype.name else array


def before_activation(call: Call) -> Call | None:
    """The call without the softmax or sigmoid that it ends in; None if it ends in neither."""
    activation = call.layer.config.get("activation", str(call.layer.kind).lower()) if call.layer.kind else None
    if activation not in FLATTENING or len(call.inputs) != 1:
        return None
    identity = {"activation": "linear"}
    layer = new_layer("Activation", call.layer.name, identity)
    if call.layer.kind not in ("Activation", "Softmax"):
        layer = call.layer.with_weights(call.layer.weights, **identity)
    return Call(layer, (call.inputs[0],), {}, [Value(call.output.shape, call.output.dtype)])
