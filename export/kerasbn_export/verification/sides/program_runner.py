"""A program as something to compare: see `kerasbn_export.verification`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasbn.lazy import LazyModule
from kerasbn_export.arrays import Array
from kerasbn_export.program.program import Program
from kerasbn_export.program.traced import traced
from kerasbn_export.verification.sides.ports import Port

tf: Any = LazyModule("tensorflow")  # importing this module is to import no TensorFlow


class ProgramRunner:
    """Runs a program in TensorFlow.

    Args:
        program: What to run.
    """

    precision = "float32"

    def __init__(self, program: Program) -> None:
        self.label, self.signature = program.source, program.signature
        self.inputs = tuple(Port(end.name, end.shape, end.dtype, aliases=end.aliases) for end in program.inputs)
        self.outputs = tuple(Port(end.name, end.shape, end.dtype, aliases=end.aliases) for end in program.outputs)
        self._function = traced(program.call, program.inputs)

    @property
    def referee(self) -> tuple[None, str]:
        """None: only its float32 computation is known."""
        return None, f"referee unavailable: {self.label} has no layers that could be computed in float64."

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The values of every output, in the batch of the program where that is fixed."""
        count = len(arrays[0])
        size = self.inputs[0].shape[0] or count
        parts = [self._run([array[start : start + size] for array in arrays], size) for start in range(0, count, size)]
        return [np.concatenate(part)[:count] for part in zip(*parts, strict=True)]

    def _run(self, arrays: Sequence[Array], size: int) -> list[Array]:
        full = [array[np.minimum(np.arange(size), len(array) - 1)] for array in arrays]
        tensors = [tf.constant(array, port.dtype) for array, port in zip(full, self.inputs, strict=True)]
        return [np.asarray(tensor) for tensor in self._function(*tensors)]

    def run_with_scores(self, arrays: Sequence[Array]) -> tuple[list[Array], list[Array | None]]:
        """The outputs; what goes into a softmax is not known."""
        return self.run(arrays), [None] * len(self.outputs)
