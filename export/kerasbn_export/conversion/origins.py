"""From an operation of a file back to the Keras layer that it comes from."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from kerasbn_export.capture import capture
from kerasbn_export.graph.structure import leaves
from kerasbn_export.program.program import Program
from kerasbn_export.tflite.file import Op, TFLiteFile
from kerasbn_export.tflite.graph import LINEAR_OPS
from kerasbn_export.tflite.layer_names import Provenance

PASSED = ("Activation", "ReLU", "LeakyReLU", "ELU", "Softmax", "Dropout", "Identity")
"""Layers that an operation may have fused: what computes the value is before them."""
CONVERSIONS = ("QUANTIZE", "DEQUANTIZE", "CAST")


class Origins:
    """Finds layers by the names of the tensors, which carry the layers' paths, and for outputs by the model's graph.

    Args:
        file: A converted file.
        programs: What it was converted from, in the order of its signatures.
    """

    def __init__(self, file: TFLiteFile, programs: Sequence[Program]) -> None:
        self._programs = programs
        self._layers = {name: layer for program in programs for name, layer in program.layers.items()}
        self._names = Provenance(self._layers, [tensor.name for op in file.ops for tensor in op.outputs])
        self._nameless = dict(self._by_kernels(file))
        self._outputs = _computing(file)
        self._found: dict[str, Any] = {}

    def layer(self, op: Op) -> Any:
        """The last of the layers behind an operation; None if no name tells of one."""
        if not op.outputs:
            return None
        name = op.outputs[0].name
        if name not in self._found:
            self._found[name] = self._search(name)
        return self._found[name]

    def names(self, op: Op) -> tuple[str, ...]:
        """The names of all layers that went into an operation."""
        layer = self.layer(op)
        own = () if layer is None else tuple(name for name, each in self._layers.items() if each is layer)
        return (*own, *self._named(op.outputs[0].name)) if op.outputs else own

    def _named(self, tensor: str) -> Sequence[str]:
        return self._names.layers(tensor) or self._nameless.get(tensor, ())

    def _by_kernels(self, file: TFLiteFile) -> Iterator[tuple[str, tuple[str, ...]]]:
        """The layers of linear operations that lost their names, as Keras 3 compiles a grouped convolution.

        By the size of the kernel, where one operation and one layer have it: nothing is guessed.
        """
        known = {name for op in file.ops for tensor in op.outputs for name in self._names.layers(tensor.name)}
        waiting, lost = defaultdict[int, list[str]](list), defaultdict[int, list[str]](list)
        for name, layer in self._layers.items():
            if name not in known and (kernel := getattr(layer, "kernel", None)) is not None:
                waiting[math.prod(kernel.shape)].append(name)
        for op in file.ops:
            if op.name in LINEAR_OPS and not self._names.layers(op.outputs[0].name):
                lost[math.prod(op.inputs[1].shape)].append(op.outputs[0].name)
        for size, names in waiting.items():
            if len(names) == len(lost[size]) == 1:
                yield lost[size][0], (names[0],)

    def _search(self, name: str) -> Any:
        found = self._named(name)
        if not found and name in self._outputs:
            found = self._before_output(self._outputs[name])
        return self._layers.get(found[0]) if found else None

    def describe(self, op: Op) -> str:
        """The operation and its layer in words."""
        layer = self.layer(op)
        if layer is not None:
            return f"{op.name} of {type(layer).__name__} {layer.name!r}"
        where = f" at {op.outputs[0].name!r}" if op.outputs and op.outputs[0].name else ""
        return f"{op.name}{where}"

    def _before_output(self, index: int) -> Sequence[str]:
        """The layer that computes an output, which has no name of its own in the file."""
        program = self._programs[0]
        if program.model is None or program.unfolded:
            return ()
        value = list(leaves(capture(program.model).outputs))[index]
        while value.producer is not None:
            layer, inputs = value.producer.layer, value.producer.inputs
            if layer.kind not in PASSED or len(inputs) != 1:
                return (str(layer.name),)
            value = inputs[0]
        return ()


def _computing(file: TFLiteFile) -> dict[str, int]:
    """For the tensors that hold an output, also before its type is changed, the index of that output."""
    found = {tensor.name: index for index, tensor in enumerate(file.outputs)}
    for op in reversed(file.ops[: file.main_ops]):
        if op.name in CONVERSIONS and op.outputs[0].name in found:
            found.setdefault(op.inputs[0].name, found[op.outputs[0].name])
    return found
