"""Runs the TFLite converter in a process of its own, so that its death is an error message.

The converter can abort or crash the process it runs in, as the int8 calibrator does on some recurrent models.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from kerasbn.errors import ConversionError
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.child import crash_of, last_line, run_child
from kerasbn_export.conversion.options import ConversionOptions
from kerasbn_export.conversion.servable import Servable, Signature
from kerasbn_export.conversion.tensorflow import convert_servable
from kerasbn_export.program.traced import End

REQUEST, SAMPLES, RESULT, REFUSAL = "request.json", "samples.npz", "model.tflite", "error.txt"


def convert_isolated(servable: Servable, options: ConversionOptions, calibration: Calibration | None) -> bytes:
    """Converts a SavedModel in a new process.

    Raises:
        ConversionError: The converter failed there, or the process died; the message names the signal.
    """
    with tempfile.TemporaryDirectory(prefix="kerasbn_") as name:
        folder = Path(name)
        _write_request(folder, servable, options, calibration)
        done = run_child("-m", "kerasbn_export.conversion.isolate", name)
        if (folder / REFUSAL).exists():
            raise ConversionError((folder / REFUSAL).read_text())
        if done.returncode or not (folder / RESULT).exists():
            raise ConversionError(_obituary(done))
        return (folder / RESULT).read_bytes()


def _write_request(
    folder: Path, servable: Servable, options: ConversionOptions, calibration: Calibration | None
) -> None:
    request = {"servable": {**asdict(servable), "folder": str(servable.folder)}, "options": asdict(options)}
    (folder / REQUEST).write_text(json.dumps(request))
    if calibration is not None:
        np.savez(folder / SAMPLES, *calibration.arrays)


def _obituary(done: subprocess.CompletedProcess[str]) -> str:
    if crash := crash_of(done):
        return f"The TFLite converter crashed ({crash}) on this model."
    return f"The TFLite converter's process ended with code {done.returncode}: {last_line(done)}"


def _answer(folder: Path) -> None:
    """The child's side: reads the request in `folder`, leaves the result or the refusal there."""
    request = json.loads((folder / REQUEST).read_text())
    fields = request["servable"]
    signatures = tuple(_signature(record) for record in fields["signatures"])
    servable = Servable(Path(fields["folder"]), signatures, fields["batch_size"], fields["loops"])
    try:
        data = convert_servable(servable, ConversionOptions(**request["options"]), _samples(folder))
    except ConversionError as error:
        (folder / REFUSAL).write_text(str(error))
    else:
        (folder / RESULT).write_bytes(data)


def _signature(record: dict[str, Any]) -> Signature:
    ends = {side: tuple(End(**end) for end in record[side]) for side in ("inputs", "outputs")}
    return Signature(record["name"], **ends)


def _samples(folder: Path) -> Calibration | None:
    if not (folder / SAMPLES).exists():
        return None
    with np.load(folder / SAMPLES) as stored:
        return Calibration(tuple(stored[f"arr_{index}"] for index in range(len(stored.files))), "array")


if __name__ == "__main__":
    _answer(Path(sys.argv[1]))
