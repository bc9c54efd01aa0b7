"""A program, and one signature of a finished file, as something to compare: see `kerasbn_export.verification`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasbn.errors import ModelFileError
from kerasbn.lazy import LazyModule
from kerasbn_export.program import Program
from kerasbn_export.servable import traced
from kerasbn_export.verification.ports import Array, Port

tf: Any = LazyModule("tensorflow")  # importing this module is to import no TensorFlow


class ProgramRunner:
    """Runs a program in TensorFlow.

    Args:
        program: What to run.
    """

    precision = "float32"

    def __init__(self, program: Program) -> None:
        self.label = program.source
        self.inputs = tuple(Port(end.name, end.shape, end.dtype) for end in program.inputs)
        self.outputs = tuple(Port(end.name, end.shape, end.dtype) for end in program.outputs)
        self._function = traced(program.call, program.inputs)

    @property
    def referee(self) -> tuple[None, str]:
        """None: only its float32 computation is known."""
        return None, f"referee unavailable: {self.label} has no layers that could be computed in float64."

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The values of every output."""
        tensors = [tf.constant(array, port.dtype) for array, port in zip(arrays, self.inputs, strict=True)]
        return [np.asarray(tensor) for tensor in self._function(*tensors)]

    def run_with_scores(self, arrays: Sequence[Array]) -> tuple[list[Array], list[Array | None]]:
        """The outputs; what goes into a softmax is not known."""
        return self.run(arrays), [None] * len(self.outputs)


class SignatureRunner:
    """Runs one signature of a ``.tflite`` file whose inputs and outputs are float, or integers that mean themselves.

    Args:
        path: The file.
        name: The signature.
        program: What it was converted from, for the order of its ends.
    """

    precision = "float32"

    def __init__(self, path: Path, name: str, program: Program) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self.label = f"signature {name!r} of {path.name}"
        self._open: Callable[[], Any] = lambda: Interpreter(model_path=str(path)).get_signature_runner(name)
        try:
            self._open()
        except (RuntimeError, ValueError) as error:
            raise ModelFileError(f"{self.label}: LiteRT cannot open it: {error}.") from error
        self.inputs = tuple(Port(end.name, end.shape, end.dtype) for end in program.inputs)
        self.outputs = tuple(Port(end.name, end.shape, end.dtype) for end in program.outputs)

    @property
    def referee(self) -> tuple[None, str]:
        """None: a file has one precision, its own."""
        return None, "referee unavailable: the reference is a .tflite file, which has no float64 form."

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The values of every output, sample by sample."""
        samples = [self._run([array[index : index + 1] for array in arrays]) for index in range(len(arrays[0]))]
        return [np.concatenate(values) for values in zip(*samples, strict=True)]

    def run_with_scores(self, arrays: Sequence[Array]) -> tuple[list[Array], list[Array | None]]:
        """The outputs; what goes into a softmax is not known."""
        return self.run(arrays), [None] * len(self.outputs)

    def _run(self, arrays: Sequence[Array]) -> list[Array]:
        given: dict[str, Any] = {port.name: array for port, array in zip(self.inputs, arrays, strict=True)}
        results = self._open()(**given)  # each sample from a fresh state
        return [results[port.name] for port in self.outputs]
