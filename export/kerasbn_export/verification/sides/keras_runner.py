"""A Keras model as something to run, in either Keras."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from kerasbn.errors import KerasBNError, NotComparableError
from kerasbn.flavour import flavour_of
from kerasbn_export.arrays import Array
from kerasbn_export.capture import capture
from kerasbn_export.ends import ModelInput
from kerasbn_export.files.reading import reading
from kerasbn_export.graph.configuration import configuration_of
from kerasbn_export.graph.structure import leaves
from kerasbn_export.program.program import functional_program
from kerasbn_export.verification.network.network import Network
from kerasbn_export.verification.sides.fresh_state import fresh_state
from kerasbn_export.verification.sides.ports import Port
from kerasbn_export.verification.sides.repeated import Repeated

CHUNK = 8
"""Samples per call where the batch is open, at most."""

ROOM = 8 << 20
"""The bytes that the activations of a call may take, if the weights take less. Keras 3 keeps all of them."""

FLATTENING = ("softmax", "sigmoid")
"""Activations behind which errors hide: a softmax was seen to hide 12 dB."""


class KerasRunner:
    """Runs a functional or Sequential model of Keras 3 or tf_keras.

    Args:
        model: The model; it is called, never changed.
        label: What to call it in the report.
        original: The model as the user gave it, if that is not functional.
    """

    precision = "float32"

    def __init__(self, model: Any, label: str, original: Any = None) -> None:
        self.model = model
        self.original = model if original is None else original
        self.label = label
        self._keras = flavour_of(model).keras
        ends = functional_program(model)
        self._taken, self._given = list(leaves(model.input)), list(leaves(model.output))
        self.inputs = tuple(self._input_port(*pair) for pair in zip(ends.inputs, self._taken, strict=True))
        self.outputs = tuple(
            Port(end.name, _shape(tensor), _dtype(tensor), aliases=end.aliases, made_up=self._made_up(end.name))
            for end, tensor in zip(ends.outputs, self._given, strict=True)
        )
        self._final = Repeated(self._keras.Model(self._taken, self._given))
        self._before = [self._linear_part(tensor) for tensor in self._given]

    @cached_property
    def referee(self) -> tuple[Network | None, str]:
        """The model in float64; None and the reason where it cannot be read."""
        try:
            return Network(capture(self.original)), ""
        except KerasBNError as error:
            return None, f"referee unavailable: {error}"

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The values of every output."""
        return self._in_chunks(self._final, arrays)

    def run_with_scores(self, arrays: Sequence[Array]) -> tuple[list[Array], list[Array | None]]:
        """The outputs, and each before its own softmax or sigmoid, all in one run."""
        values = self._in_chunks(self._with_scores, arrays)
        count = len(self.outputs)
        rest = iter(values[count:])
        return values[:count], [None if tensor is None else next(rest) for tensor in self._before]

    @cached_property
    def _with_scores(self) -> Repeated:
        before = [tensor for tensor in self._before if tensor is not None]
        return Repeated(self._keras.Model(self._taken, [*self._given, *before]))

    def _input_port(self, end: ModelInput, tensor: Any) -> Port:
        made_up = bool(re.fullmatch(r"(input|input_layer|keras_tensor)(_\d+)?", end.name))
        limit = self._ids(tensor)
        return Port(end.name, _shape(tensor), _dtype(tensor), aliases=end.aliases, limit=limit, made_up=made_up)

    def _made_up(self, name: str) -> bool:
        """Whether it is what Keras calls a layer without a name: its class, in lower case, and a number."""
        kinds = [type(layer).__name__ for layer in self.model.layers if layer.name == name]
        return any(re.sub(r"_\d+$", "", name).replace("_", "") == kind.lower() for kind in kinds)

    def _ids(self, tensor: Any) -> int:
        """How many ids the embeddings take that read the input; 0 if none does."""
        sizes = [layer.input_dim for layer in _embeddings(self.model) if _reads(layer, tensor)]
        return min(sizes, default=0)

    def _linear_part(self, output: Any) -> Any:
        layer = next((layer for layer in self.model.layers if _single(layer, "output") is output), None)
        if layer is None:
            return None
        if type(layer).__name__ == "Activation" and configuration_of(layer)["activation"] == "linear":
            return self._linear_part(layer.input)
        return linear_part(layer)

    def _in_chunks(self, model: Repeated, arrays: Sequence[Array]) -> list[Array]:
        batch = self.inputs[0].shape[0] or self._at_a_time
        chunks = [self._call(model, [array[i : i + batch] for array in arrays], batch) for i in _starts(arrays, batch)]
        return [np.concatenate(parts) for parts in zip(*chunks, strict=True)]

    @cached_property
    def _at_a_time(self) -> int:
        room = max(ROOM, 4 * int(self.model.count_params()))
        return max(1, min(CHUNK, room // max(1, 4 * _elements(self.model))))

    def _call(self, repeated: Repeated, arrays: list[Array], batch: int) -> list[Array]:
        count = len(arrays[0])
        if self.inputs[0].shape[0] is not None and count < batch:
            arrays = [np.concatenate([array, np.repeat(array[-1:], batch - count, axis=0)]) for array in arrays]
        reported = reading(self.label, "the model cannot be run", NotComparableError)
        with reported, fresh_state(repeated.model):
            results = [np.asarray(value) for value in _flat(repeated(arrays))]
        for value, port in zip(results, self.outputs, strict=False):
            if not value.ndim or len(value) != len(arrays[0]):
                raise NotComparableError(
                    f"Output {port.name} of {self.label} has shape {value.shape} for a batch of {len(arrays[0])}: "
                    "verify compares sample by sample, so every output needs the batch as its first dimension."
                )
        return [value[:count] for value in results]


def linear_part(layer: Any) -> Any:
    """What the layer gives before its softmax or sigmoid, as a symbolic tensor; None if it applies neither."""
    name = type(layer).__name__
    activation = getattr(getattr(layer, "activation", None), "__name__", name.lower())
    if activation not in FLATTENING:
        return None
    if name in ("Activation", "Softmax"):
        return layer.input
    linear = type(layer).from_config(
        {**configuration_of(layer), "name": f"{layer.name}_before", "activation": "linear"}
    )
    values = linear(layer.input)
    linear.set_weights(layer.get_weights())
    return values


def _elements(model: Any) -> int:
    """The numbers in all tensors of a model for one sample; of a size that is open one is counted."""
    inner = [_elements(layer) for layer in model.layers if getattr(layer, "layers", None)]
    outputs = [tensor for layer in model.layers for tensor in leaves(_single(layer, "output"))]
    return sum(inner) + sum(prod(size or 1 for size in tensor.shape[1:]) for tensor in outputs if tensor is not None)


def _starts(arrays: Sequence[Array], batch: int) -> range:
    return range(0, len(arrays[0]), batch)


def _flat(values: Any) -> list[Any]:
    return list(values) if isinstance(values, (list, tuple)) else [values]


def _shape(tensor: Any) -> tuple[int | None, ...]:
    return tuple(None if size is None else int(size) for size in tensor.shape)


def _dtype(tensor: Any) -> str:
    return str(getattr(tensor.dtype, "name", tensor.dtype))


def _embeddings(model: Any) -> list[Any]:
    return [layer for layer in model.layers if type(layer).__name__ == "Embedding"]


def _reads(layer: Any, tensor: Any) -> bool:
    return _single(layer, "input") is tensor


def _single(layer: Any, end: str) -> Any:
    """The input or output of a layer that is called once; None for one that is called more often, or not at all."""
    try:
        return getattr(layer, end)
    except (AttributeError, ValueError):
        return None
