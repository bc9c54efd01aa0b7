"""The contract of a finished ``.tflite`` file: what must be true of it whatever the converter did.

1. It has the signatures asked for, with the names, the order, the shapes and the types of inputs and outputs.
2. No variables: every weight is a constant.
3. Only operations that the plain interpreter has, unless others are allowed; only those that the device has.
4. No BatchNorm computes the statistics of the batch at run time.
5. No operation is left of a BatchNorm that was folded: an operation that multiplies or adds a per-channel constant
   and comes from a BatchNorm has a verdict that says so, and none that multiplies comes from a convolution or Dense,
   but from one of a single input channel, which is a product.
6. In a quantized file no convolution or Dense computes in float. TFLite has no integer kernel for some other
   operations: what they leave in float is listed in the report.
   The layers that were to stay in float do, and those that were to have 16 bits have them.
7. Where one scale for a weight was asked for, no weight has more, but that of a depthwise convolution of floats, for
   which LiteRT has no other kernel: see `kerasbn_export.conversion.mended`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kerasbn.errors import ConversionError
from kerasbn.flavour import flavour_of
from kerasbn_export.conversion.origins import Origins
from kerasbn_export.devices.profiles import Device
from kerasbn_export.ends import ModelInput
from kerasbn_export.folding.verdict import Verdict
from kerasbn_export.precision import PER_CHANNEL, PER_TENSOR
from kerasbn_export.program.program import Program
from kerasbn_export.tflite.file import FileSignature, Op, Tensor, TFLiteFile

VARIABLE_OPS = frozenset({"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"})
STATISTICS_OPS = frozenset({"MEAN", "SUM", "SQUARED_DIFFERENCE", "RSQRT"})
LINEAR = ("Conv", "Dense", "Depthwise", "Separable")
INTEGER_OPS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED"})
"""Linear operations that TFLite always has an integer kernel for."""


@dataclass(frozen=True)
class Contract:
    """What was asked for.

    Attributes:
        programs: What was converted, after folding: one for each signature.
        batch_size: The batch that was asked for; None where it stays open.
        io_dtype: The type of those inputs and outputs that are numbers with a fraction.
        verdicts: One per BatchNorm of the model before folding; None if it was not folded.
        quantized: Whether activations are integers.
        device: What the file is for; None for anything that runs TFLite.
        select_ops: Whether operations of TensorFlow are allowed.
        weights: Whether a quantized weight may have a scale for each channel.
        kept: The names of the layers that stay in float.
        long: The names of the layers whose activations have 16 bits.
    """

    programs: tuple[Program, ...]
    batch_size: int | None
    io_dtype: str
    verdicts: tuple[Verdict, ...] | None
    quantized: bool = False
    device: Device | None = None
    select_ops: bool = False
    weights: str = PER_CHANNEL
    kept: tuple[str, ...] = ()
    long: tuple[str, ...] = ()

    def check(self, file: TFLiteFile) -> None:
        """Raises `ConversionError` with every breach, each with the operation and the layer it comes from."""
        breaches = list(self.breaches(file))
        if breaches:
            raise ConversionError(f"The converted file is not what was asked for: {'; '.join(breaches)}.")

    def breaches(self, file: TFLiteFile) -> Iterator[str]:
        """What is wrong with a file, one sentence each."""
        yield from self._signatures(file)
        origins = Origins(file, self.programs)
        for index, op in enumerate(file.ops):
            yield from self._available(op, origins)
            # What is inside a loop the converter leaves as it is.
            kept = bool(self.kept) and bool(set(self.kept) & set(origins.names(op)))
            if kept and op.name in INTEGER_OPS and not _computes_in_float(op):
                yield f"{origins.describe(op)} computes in whole numbers, asked for was float"
            in_float = op.name in INTEGER_OPS and _computes_in_float(op) and not kept
            if self.quantized and index < file.main_ops and in_float:
                yield f"{origins.describe(op)} computes in float, though TFLite has an integer kernel for it"
            if self.long and op.name in INTEGER_OPS and (set(self.long) & set(origins.names(op))) and not op.long:
                yield f"{origins.describe(op)} has activations of {op.outputs[0].dtype.lower()}, asked for was int16"
            if self.weights == PER_TENSOR and _has_scales(op):
                yield f"{origins.describe(op)} has a weight with several scales, asked for was one"
            layer = origins.layer(op)
            if layer is not None:
                yield from self._judge(op, layer)

    def _signatures(self, file: TFLiteFile) -> Iterator[str]:
        wanted = {program.signature: program for program in self.programs}
        found = {signature.name: signature for signature in file.signatures}
        if set(found) != set(wanted):
            yield f"its signatures are {sorted(found)}, asked for were {sorted(wanted)}"
        taken = {tensor.name for op in file.ops for tensor in op.inputs}
        for name in sorted(set(found) & set(wanted)):
            yield from self._ends(found[name], wanted[name], taken)

    def _ends(self, found: FileSignature, wanted: Program, taken: Collection[str]) -> Iterator[str]:
        inputs = [(end.name, tuple(-1 if size is None else size for size in end.shape))
                  for end in wanted.fixed(self.batch_size)]  # fmt: skip
        named = [(name, tensor.shape) for name, tensor in zip(found.input_names, found.inputs, strict=True)]
        if named != inputs:
            yield f"its inputs are {named}, asked for were {inputs}"
        names = tuple(end.name for end in wanted.outputs)
        if found.output_names != names:
            yield f"its outputs are {found.output_names}, asked for were {names}"
            return
        both = list(zip(wanted.inputs, found.inputs, strict=True))
        yield from self._types("input", [(end, tensor) for end, tensor in both if tensor.name in taken])
        yield from self._types("output", list(zip(wanted.outputs, found.outputs, strict=True)))
        for end, tensor in zip(wanted.outputs, found.outputs, strict=True):
            if not _may_be(tensor.shape, end.shape):
                yield f"output {end.name!r} has shape {tensor.shape}, asked for was {_open(end.shape)}"

    def _types(self, side: str, ends: Sequence[tuple[ModelInput, Tensor]]) -> Iterator[str]:
        """Of ends that something reads or gives: what nothing reads has no grid."""
        for end, tensor in ends:
            dtype = self.io_dtype if "float" in end.dtype else end.dtype
            if tensor.dtype.lower() != dtype:
                yield f"{side} {end.name!r} is {tensor.dtype.lower()}, asked for was {dtype}"

    def _available(self, op: Op, origins: Origins) -> Iterator[str]:
        if op.name in VARIABLE_OPS:
            yield f"{origins.describe(op)} reads a variable ({op.outputs[0].name if op.outputs else 'no name'})"
        elif op.name.startswith("CUSTOM:"):
            if not (self.select_ops and op.name.startswith("CUSTOM:Flex")):
                yield f"{origins.describe(op)} is no builtin operation"
        elif self.device is not None and self.device.ops is not None and op.name not in self.device.ops:
            yield f"{origins.describe(op)} is no operation that {self.device.runtime}"

    def _judge(self, op: Op, layer: Any) -> Iterator[str]:
        kind = type(layer).__name__
        if _is_batchnorm(layer) and op.name in STATISTICS_OPS:
            yield f"{op.name} of BatchNorm {layer.name!r} computes the statistics of the batch at run time"
        elif op.affine and not self._explained(layer):
            yield f"{op.name} is left of BatchNorm {layer.name!r}, which has no verdict that says so"
        elif op.affine and op.name in {"MUL", "DIV"} and kind.startswith(LINEAR) and not _multiplies(layer):
            yield f"{op.name} by a per-channel constant is left behind {kind} {layer.name!r}"

    def _explained(self, layer: Any) -> bool:
        """Whether a layer may leave an affine operation: what stands where a BatchNorm was needs a verdict."""
        if self.verdicts is None:
            return True
        own = [verdict for verdict in self.verdicts if _names(verdict, layer)]
        stands_for_one = _is_batchnorm(layer) or (own and type(layer).__name__ == "Rescaling")
        return not stands_for_one or any(not verdict.gone for verdict in own)


def _multiplies(layer: Any) -> bool:
    """Whether a linear layer has a product of its own: its activation's, or that of one number by its kernel."""
    activation = getattr(layer, "activation", None)
    if activation is not None and not _is_elementwise(activation):
        return True
    kernel = next((weight for weight in layer.weights if "kernel" in weight.name), None)
    return kernel is not None and all(size == 1 for size in kernel.shape[:-1])


def _is_elementwise(activation: Any) -> bool:
    """Whether an activation of Keras treats all channels alike; of another nobody knows."""
    of_keras = str(getattr(activation, "__module__", "")).startswith(("keras.", "tf_keras.", "tensorflow."))
    return of_keras and getattr(activation, "__name__", "") != "sparsemax"


def _names(verdict: Verdict, layer: Any) -> bool:
    """Whether a verdict is about a layer, whose name is the last part of its path, or the whole of it."""
    return str(layer.name) in (verdict.layer, verdict.layer.rpartition("/")[2], verdict.layer.replace("/", "_"))


def _computes_in_float(op: Op) -> bool:
    return any(tensor.dtype == "FLOAT32" for tensor in op.outputs)


def _has_scales(op: Op) -> bool:
    """Whether a weight has several scales that could have one."""
    hybrid = op.name == "DEPTHWISE_CONV_2D" and op.inputs[0].dtype == "FLOAT32"
    return not hybrid and any(tensor.constant and tensor.scales > 1 for tensor in op.inputs)


def _may_be(found: Sequence[int], wanted: Sequence[int | None]) -> bool:
    """Whether the shapes agree where both are known; the first dimension is the batch, or grows with it."""
    return len(found) == len(wanted) and all(a < 0 or b is None or a == b for a, b in zip(found, wanted, strict=True))


def _open(shape: Sequence[int | None]) -> tuple[int, ...]:
    return tuple(-1 if size is None else size for size in shape)


def _is_batchnorm(layer: Any) -> bool:
    flavour = flavour_of(layer)
    return isinstance(layer, (flavour.keras.layers.BatchNormalization, flavour.batch_normalization))
