"""What is wrong with a file of the second route, with the layer where that is known.

1. It keeps the contract of `kerasbn_export.conversion.contract`.
2. LiteRT's own kernels can prepare every operation: a wrong shape shows there, with the number of the operation.
3. `kerasbn_export.verification.verify` says that it computes what the model computes.
"""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kerasbn.errors import KerasBNError, ModelFileError
from kerasbn_export.arrays import Array
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.conversion.origins import Origins
from kerasbn_export.export.agreed import agreed
from kerasbn_export.export.options import ExportOptions
from kerasbn_export.export.prepared import Prepared
from kerasbn_export.export.scoring import some_of
from kerasbn_export.program.program import Program
from kerasbn_export.tflite.file import TFLiteFile, read_tflite
from kerasbn_export.tflite.interpreter import open_interpreter


def objection(prepared: Prepared, options: ExportOptions, data: bytes, samples: Calibration | None = None) -> str:
    """What is wrong with a file; empty if nothing is.

    Args:
        prepared: What was converted.
        options: How.
        data: The file.
        samples: What its ranges were measured on, if they were; random inputs would lie elsewhere.
    """
    given = None if samples is None else list(some_of(samples).arrays)
    file = read_tflite(data)
    breaches = list(agreed(prepared, options).breaches(file))
    with TemporaryDirectory(prefix="kerasbn_") as folder:
        path = Path(folder, "candidate.tflite")
        path.write_bytes(data)
        if broken := [*breaches, *_unprepared(prepared, file, path)]:
            return "; ".join(broken)
        try:
            return next(filter(None, (_difference(program, path, given) for program in prepared.programs)), "")
        except KerasBNError as error:
            return str(error)


def _unprepared(prepared: Prepared, file: TFLiteFile, path: Path) -> list[str]:
    """The operation that LiteRT cannot prepare, in a sentence, and its layer."""
    try:
        open_interpreter(path, backend="builtin")
    except ModelFileError as error:
        number = re.search(r"Node number (\d+)", str(error))
        known = number is not None and int(number[1]) < file.main_ops
        where = Origins(file, prepared.programs).describe(file.ops[int(number[1])]) if number and known else "it"
        return [f"LiteRT cannot prepare {where}: {str(error).rpartition(': LiteRT cannot open it: ')[2]}"]
    return []


def _difference(program: Program, path: Path, given: list[Array] | None) -> str:
    """How a file differs from a program; the layers are compared only where the outputs differ."""
    from kerasbn_export.verification import verify

    reference = _reference(program)
    if verify(reference, path, data=given, samples=1, layers=False, signature=program.signature):
        return ""
    report = verify(reference, path, data=given, signature=program.signature)
    return "" if report else " ".join(report.answer)


def _reference(program: Program) -> Any:
    from kerasbn_export.verification.sides.program_runner import ProgramRunner

    return ProgramRunner(program) if program.model is None or program.unfolded else program.model
