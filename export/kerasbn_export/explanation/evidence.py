"""What is known of a file, for the causes to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kerasbn.statistics.health import Health
from kerasbn_export.arrays import Array
from kerasbn_export.explanation.commands import Commands
from kerasbn_export.explanation.kernels import Kernel, kernels
from kerasbn_export.explanation.spread import Spread
from kerasbn_export.tflite.file import TFLiteFile
from kerasbn_export.tflite.graph import Operation, TFLiteGraph
from kerasbn_export.verification.records.comparison import Comparison


@dataclass(frozen=True)
class Evidence:
    """A file, and as much more as was given.

    Attributes:
        file: Its operations.
        graph: The same with its numbers.
        record: What kerasbn wrote into it; None if kerasbn did not make it.
        commands: The commands that mend it.
        inputs: By the tensor of each input the samples; empty without.
        spreads: By tensor what the samples make of it in the file; empty without.
        comparison: With the model; None without a model and samples.
        health: Of the model's statistics; None without a model.
    """

    file: TFLiteFile
    graph: TFLiteGraph
    record: Mapping[str, Any] | None
    commands: Commands
    inputs: Mapping[int, Array] = field(default_factory=dict)
    spreads: Mapping[int, Spread] = field(default_factory=dict)
    comparison: Comparison | None = None
    health: Health | None = None

    @property
    def precision(self) -> str:
        """What the file computes in."""
        return self.graph.precision

    @cached_property
    def kernels(self) -> tuple[Kernel, ...]:
        """The kernels of its linear operations."""
        return tuple(kernels(self.graph))

    def where(self, operation: Operation) -> str:
        """The operation with the layer or tensor that it gives."""
        return f"{operation.name} {self.name(operation.outputs[0])!r}"

    def name(self, index: int) -> str:
        """The layer whose values a tensor holds, as far as that is known, else the tensor's own name."""
        name = self.graph.tensors[index].name
        return self._layers.get(name, name.partition(";")[0])

    @cached_property
    def _layers(self) -> dict[str, str]:
        layers = self.comparison.per_layer if self.comparison else ()
        return {layer.tensor: layer.layer for layer in layers}

    @cached_property
    def unfolded(self) -> bool:
        """Whether nobody folded the BatchNorms that stand in it."""
        folded = self.record is not None and self.record.get("verdicts") is not None
        return not folded and any(op.name in ("MUL", "DIV") for op in self.file.affine_ops)

    @property
    def per_tensor(self) -> bool:
        """Whether every kernel has one scale, although it has several channels."""
        several = [kernel for kernel in self.kernels if kernel.quantized and len(kernel.ranges) > 1]
        return bool(several) and all(kernel.one_scale for kernel in several)

    @property
    def calibration(self) -> str:
        """What the record says that the ranges were measured on; empty if it says nothing."""
        return str((self.record or {}).get("calibration") or "")
