"""The contract of a finished ``.tflite`` file: what must be true of it whatever the converter did.

1. Inputs and outputs have the names, the order, the shapes and the types asked for.
2. No variables: every weight is a constant.
3. Only operations that the plain interpreter has.
4. No BatchNorm computes the statistics of the batch at run time.
5. No operation is left of a BatchNorm that was folded: an operation that multiplies or adds a per-channel constant
   and comes from a BatchNorm has a verdict that says so, and none that multiplies comes from a convolution or Dense.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kerasbn.errors import ConversionError
from kerasbn.flavour import flavour_of
from kerasbn_export.calibration import ModelInput
from kerasbn_export.tflite_file import Op, TFLiteFile
from kerasbn_export.verdict import Verdict
from kerasbn_export.verification.naming import Provenance

VARIABLE_OPS = frozenset({"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"})
STATISTICS_OPS = frozenset({"MEAN", "SUM", "SQUARED_DIFFERENCE", "RSQRT"})
LINEAR = ("Conv", "Dense", "Depthwise", "Separable")


@dataclass(frozen=True)
class Contract:
    """What was asked for.

    Attributes:
        model: The model that was converted, after folding.
        inputs: Its inputs, with the batch that was asked for.
        output_names: In order.
        io_dtype: The type of those inputs and outputs that are numbers with a fraction.
        verdicts: One per BatchNorm of the model before folding; None if it was not folded.
    """

    model: Any
    inputs: tuple[ModelInput, ...]
    output_names: tuple[str, ...]
    io_dtype: str
    verdicts: tuple[Verdict, ...] | None

    def check(self, file: TFLiteFile) -> None:
        """Raises `ConversionError` with every breach, each with the operation and the layer it comes from."""
        breaches = list(self.breaches(file))
        if breaches:
            raise ConversionError(f"The converted file is not what was asked for: {'; '.join(breaches)}.")

    def breaches(self, file: TFLiteFile) -> Iterator[str]:
        """What is wrong with a file, one sentence each."""
        yield from self._ends(file)
        yield from (f"{op.name} reads a variable ({op.outputs[0].name})" for op in file.ops if op.name in VARIABLE_OPS)
        yield from (f"operation {name} is no builtin one" for name in file.custom_ops)
        layers = {layer.name: layer for layer in self.model.layers}
        provenance = Provenance(layers, [tensor.name for op in file.ops for tensor in op.outputs])
        for op in file.ops:
            origins = provenance.layers(op.outputs[0].name) if op.outputs else ()
            if origins:
                yield from self._judge(op, layers[origins[0]])

    def _ends(self, file: TFLiteFile) -> Iterator[str]:
        wanted = [(item.name, tuple(-1 if size is None else size for size in item.shape)) for item in self.inputs]
        found = [(name, tensor.shape) for name, tensor in zip(file.input_names, file.inputs, strict=True)]
        if found != wanted:
            yield f"its inputs are {found}, asked for were {wanted}"
        if file.output_names != self.output_names:
            yield f"its outputs are {file.output_names}, asked for were {self.output_names}"
        for item, tensor in zip(self.inputs, file.inputs, strict=False):
            dtype = self.io_dtype if "float" in item.dtype else item.dtype
            if tensor.dtype.lower() != dtype:
                yield f"input {item.name!r} is {tensor.dtype.lower()}, asked for was {dtype}"

    def _judge(self, op: Op, layer: Any) -> Iterator[str]:
        kind = type(layer).__name__
        if _is_batchnorm(layer):
            if op.name in STATISTICS_OPS:
                yield f"{op.name} of BatchNorm {layer.name!r} computes the statistics of the batch at run time"
            elif op.affine and not self._explained(layer.name):
                yield f"{op.name} is left of BatchNorm {layer.name!r}, which has no verdict that says so"
        elif op.affine and op.name in {"MUL", "DIV"} and kind.startswith(LINEAR):
            yield f"{op.name} by a per-channel constant is left behind {kind} {layer.name!r}"

    def _explained(self, name: str) -> bool:
        if self.verdicts is None:
            return True
        return any(not verdict.gone and verdict.layer.rpartition("/")[2] == name for verdict in self.verdicts)


def _is_batchnorm(layer: Any) -> bool:
    flavour = flavour_of(layer)
    return isinstance(layer, (flavour.keras.layers.BatchNormalization, flavour.batch_normalization))
