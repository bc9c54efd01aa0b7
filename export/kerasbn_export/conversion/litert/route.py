"""The route through LiteRT's own converter: from a SavedModel to a ``.tflite`` file in float32."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerasbn.errors import ConversionError
from kerasbn_export.child import crash_of, last_line, run_child
from kerasbn_export.conversion.litert.lower import Lowered, lowered
from kerasbn_export.conversion.litert.package import require
from kerasbn_export.conversion.litert.passes import REFUSAL, REQUEST, RESULT
from kerasbn_export.conversion.servable import Servable

OTHER = "route='tensorflow' takes it."


def convert_servable(servable: Servable) -> bytes:
    """Converts a SavedModel in a process of its own.

    Args:
        servable: The SavedModel.

    Raises:
        MissingPackageError: ``litert-converter`` is not installed.
        ConversionError: The model has a loop or an open shape, or the converter failed or died.
    """
    require()
    if servable.loops:
        raise ConversionError(
            "route='litert' takes no loop, as a recurrent layer of an unknown number of steps is one. Take "
            "route='tensorflow' (--route tensorflow)."
        )
    return _converted(lowered(servable))


def _converted(modules: Sequence[Lowered]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="kerasbn_") as name:
        folder = Path(name)
        (folder / REQUEST).write_text(json.dumps([_written(folder, *each) for each in enumerate(modules)]))
        done = run_child("-m", "kerasbn_export.conversion.litert.passes", name)
        if (folder / REFUSAL).exists():
            raise ConversionError(f"litert-converter failed: {(folder / REFUSAL).read_text()}. {OTHER}")
        if done.returncode or not (folder / RESULT).exists():
            raise ConversionError(_obituary(done))
        return (folder / RESULT).read_bytes()


def _written(folder: Path, number: int, module: Lowered) -> dict[str, Any]:
    """Leaves the text of a module in a file of its own; what to know of it."""
    (folder / f"{number}.mlir").write_text(module.text)
    return {"name": module.name, "inputs": module.inputs, "outputs": module.outputs, "file": f"{number}.mlir"}


def _obituary(done: subprocess.CompletedProcess[str]) -> str:
    if crash := crash_of(done):
        return f"litert-converter crashed ({crash}) on this model. {OTHER}"
    return f"litert-converter ended with code {done.returncode}: {last_line(done)}. {OTHER}"
