"""Runs a ``.tflite`` file in TFLite Micro, in a process of its own, and measures its arena.

The arena is what a microcontroller must set aside for activations and for the interpreter's own records. The package
``tflite-micro`` counts it on this machine, whose pointers are twice as long as those of a microcontroller: there it is
somewhat smaller.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasbn.errors import ConversionError, MissingPackageError
from kerasbn_export.child import crash_of, run_child
from kerasbn_export.devices.optional_package import TFLITE_MICRO

MODEL, INPUTS, OUTPUTS, REFUSAL = "model.tflite", "inputs.npz", "outputs.npz", "error.txt"
ARENAS = (1 << 26, 1 << 30)
"""Bytes to try; what is not used of them costs nothing."""


@dataclass(frozen=True)
class MicroRun:
    """What one or more runs in TFLite Micro gave.

    Attributes:
        arena_bytes: All of the arena that was used.
        activation_bytes: The part that operations share, the activations and what kernels need while they run.
        outputs: In the file's order, as the file stores them; the runs on the first axis.
    """

    arena_bytes: int
    activation_bytes: int
    outputs: tuple[NDArray[Any], ...]


def run_micro(data: bytes, inputs: Sequence[NDArray[Any]] = ()) -> MicroRun:
    """Runs a file.

    Args:
        data: The file.
        inputs: One array per input as the file stores them, quantized ones in their own dtype, with the runs on the
            first axis and the file's own batch on the second; none runs it once on whatever is in the arena.

    Raises:
        MissingPackageError: ``tflite-micro`` is not installed.
        ConversionError: TFLite Micro cannot run the file; the message has its reason.
    """
    if TFLITE_MICRO.tool is None:
        raise MissingPackageError(TFLITE_MICRO.missing)
    with tempfile.TemporaryDirectory(prefix="kerasbn_") as name:
        folder = Path(name)
        (folder / MODEL).write_bytes(data)
        np.savez(folder / INPUTS, *inputs)
        done = run_child("-m", "kerasbn_export.devices.micro", name)
        if done.returncode or (folder / REFUSAL).exists():
            raise ConversionError(f"TFLite Micro cannot run the file: {_reason(done, folder / REFUSAL)}.")
        with np.load(folder / OUTPUTS) as stored:
            outputs = tuple(stored[f"arr_{index}"] for index in range(len(stored.files)))
    return MicroRun(_used(done.stderr, "total"), _used(done.stderr, "head"), outputs)


def _used(text: str, part: str) -> int:
    """The last number that the recording allocator printed for a part."""
    return int(re.findall(rf"Arena allocation {part} (\d+) bytes", text)[-1])


def _reason(done: subprocess.CompletedProcess[str], refusal: Path) -> str:
    """What TFLite Micro wrote, without the names of its source files."""
    if crash := crash_of(done):
        return f"it crashed ({crash})"
    lines = [re.sub(r"^\S+\.(cc|h)(:\d+)? ", "", line) for line in done.stderr.splitlines() if line.strip()]
    said = [line.strip(" .") for line in lines if not line.startswith("[Recording")]
    return "; ".join(said[-2:]) or (refusal.read_text() if refusal.exists() else "no message")


def _answer(folder: Path) -> None:
    """The child's side."""
    from tflite_micro import runtime

    with np.load(folder / INPUTS) as stored:
        inputs = [stored[f"arr_{index}"] for index in range(len(stored.files))]
    data, error = (folder / MODEL).read_bytes(), None
    for arena in ARENAS:
        try:
            interpreter = runtime.Interpreter.from_bytes(data, arena_size=arena)
            break
        except RuntimeError as failure:
            error = failure
    else:
        (folder / REFUSAL).write_text(str(error))
        return
    runs = [_run(interpreter, arrays) for arrays in (zip(*inputs, strict=True) if inputs else [()])]
    np.savez(folder / OUTPUTS, *(np.stack(arrays) for arrays in zip(*runs, strict=True)))
    interpreter.print_allocations()


def _run(interpreter: Any, arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    for index, array in enumerate(arrays):
        interpreter.set_input(array, index)
    interpreter.invoke()
    found: list[NDArray[Any]] = []
    while True:
        try:
            found.append(np.array(interpreter.get_output(len(found))))
        except IndexError:
            return found


if __name__ == "__main__":
    _answer(Path(sys.argv[1]))
