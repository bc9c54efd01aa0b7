"""A finished file against a device's profile: what falls back to a processor, what does not fit, what is slow there.

Only facts that the profile has are looked at. An operation without which the file cannot run at all is no finding but
a breach of `kerasbn_export.conversion.contract`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from kerasbn_export.devices.memory import activation_bytes
from kerasbn_export.devices.profiles.device import MICRO, REFUSED, Device
from kerasbn_export.devices.report import Finding
from kerasbn_export.devices.ways_out import way_out
from kerasbn_export.precision import PER_TENSOR
from kerasbn_export.tflite.file import CONVERSIONS, Op, Tensor, TFLiteFile

ACTIVATIONS = frozenset({"RELU", "RELU6", "RELU_N1_TO_1"})
LINEAR = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"})
OF_TYPE = {"INT8": "int8", "UINT8": "int8", "INT16": "int16x8"}
"""The precision that an operation with such an output computes in; for any other type it is the file's."""
FLOAT = ("float32", "float16", "dynamic")
SHOWN = 6
"""Layers that a sentence names."""


@dataclass(frozen=True)
class ProfileCheck:
    """A file and the device that it is for.

    Attributes:
        device: The device.
        file: The file.
        describe: An operation and its layer in words.
    """

    device: Device
    file: TFLiteFile
    describe: Callable[[Op], str]

    def findings(self) -> tuple[Finding, ...]:
        """What the profile says against the file, what costs most first."""
        operations = (self._absent(), self._in_float(), self._in_16_bits(), self._scales(), self._asymmetric())
        return tuple(finding for found in (*operations, self._memory(), self._slow()) for finding in found)

    @property
    def _ops(self) -> Iterator[Op]:
        """Those that are work: a constant that is made float32 when the file is loaded is none."""
        for op in self.file.ops:
            if not (op.name in CONVERSIONS and all(tensor.constant for tensor in op.inputs)):
                yield op

    def _precision(self, op: Op) -> str:
        kind = op.outputs[0].dtype if op.outputs else ""
        if kind == "FLOAT32" and op.name not in CONVERSIONS:
            return self.file.precision if self.file.precision in FLOAT else "float32"
        return OF_TYPE.get(kind, self.file.precision)

    def _absent(self) -> Iterator[Finding]:
        """The operations that it does not have, one finding for each name."""
        if self.device.others == REFUSED:
            return
        left = [op for op in self._ops if self.device.runs(op.name, self._precision(op)) is False]
        where = "in TFLite Micro's reference kernels" if self.device.others == MICRO else "on the CPU"
        for name in dict.fromkeys(op.name for op in left):
            layers = self._named(op for op in left if op.name == name)
            yield Finding(layers, f"{self.device.name} does not have {name}; it runs {where}", way_out(name))

    def _in_float(self) -> Iterator[Finding]:
        """What computes in float on a device that does not."""
        if set(self.device.precisions) & set(FLOAT):
            return
        left = [op for op in self._ops if op.name not in CONVERSIONS and self._precision(op) in FLOAT]
        if left:
            why = f"computes in float, and {self.device.name} runs {', '.join(self.device.precisions)}"
            out = "TFLite has no integer kernel for it: use another layer, or leave it to your program."
            yield Finding(self._named(left), why, out)

    def _in_16_bits(self) -> Iterator[Finding]:
        """What has activations of 16 bits in an int8 file, on a device that has none."""
        if "int16x8" in self.device.precisions:
            return
        left = [op for op in self._ops if op.name not in CONVERSIONS and op.long]
        if left:
            why = f"has activations of 16 bits, and {self.device.name} runs {', '.join(self.device.precisions)}"
            yield Finding(self._named(left), why, "Leave these layers out of keep_int16 (--keep-int16, --lift int16).")

    def _scales(self) -> Iterator[Finding]:
        if self.device.weights != PER_TENSOR:
            return
        several = [op for op in self._ops if any(tensor.constant and tensor.scales > 1 for tensor in op.inputs)]
        if several:
            why = f"has a scale for each channel, and {self.device.name} takes one for the whole weight"
            yield Finding(self._named(several), why, "Export it with --weights per-tensor.")

    def _asymmetric(self) -> Iterator[Finding]:
        """Activations whose zero is not at 0 where the device wants that."""
        for precision, kind in self.device.activations.items():
            if kind != "symmetric":
                continue
            found = [op for op in self._ops if self._precision(op) == precision and any(map(_shifted, op.outputs))]
            if found:
                why = f"has its zero elsewhere than at 0, and {self.device.name} takes symmetric ranges in {precision}"
                wider = "int16x8" in self.device.precisions and precision != "int16x8"
                out = "int16x8 has such ranges: --precision int16x8." if wider else "TFLite has no such ranges in int8."
                yield Finding(self._named(found), why, out)

    def _memory(self) -> Iterator[Finding]:
        needs = {
            "file_bytes": ("The file and its weights", self.file.size),
            "arena_bytes": ("The activations", activation_bytes(self.file)),
        }
        for name, most in self.device.memory.items():
            what, needed = needs[name]
            if needed > most:
                why = f"need {needed:,} bytes, and {self.device.name} has {most:,}"
                yield Finding(what, why, "Make the network smaller: kerasbn export --slim, or a smaller input.")

    def _slow(self) -> Iterator[Finding]:
        if self.device.lone_activation == "slow":
            lone = [op for op in self._ops if op.name in ACTIVATIONS and self._precision(op) not in FLOAT]
            for name in dict.fromkeys(op.name for op in lone):
                layers = self._named(op for op in lone if op.name == name)
                yield Finding(layers, "stands alone, which is slow there", way_out(name))
        if self.device.channels is not None:
            yield from self._channels(self.device.channels)

    def _channels(self, step: int) -> Iterator[Finding]:
        uneven = [op for op in self._ops if op.name in LINEAR and op.outputs[0].shape[-1] % step]
        if uneven:
            why = f"has channels that are no multiple of {step}, and costs as much as the next one that is"
            yield Finding(self._named(uneven), why, f"Give the layer a multiple of {step} channels.")

    def _named(self, ops: Iterable[Op]) -> str:
        names = [
            name if count == 1 else f"{count} x {name}" for name, count in Counter(map(self.describe, ops)).items()
        ]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        return ", ".join(names[:SHOWN]) + more


def _shifted(tensor: Tensor) -> bool:
    return tensor.scales > 0 and tensor.zero_point != 0
