"""What is wrong with a file of the second route, with the layer where that is known.

1. It keeps the contract of `kerasbn_export.conversion.contract`.
2. LiteRT's own kernels can prepare every operation: a wrong shape shows there, with the number of the operation.
3. `kerasbn_export.verification.verify` says that it computes what the model computes. Rounding alone may put a file
   with ranges below the gate of its outputs: there each layer has to stay within the rounding to its own grids.
"""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kerasbn.errors import ConversionError, KerasBNError, ModelFileError
from kerasbn_export.arrays import Array
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.child import crash_of, last_line, run_child
from kerasbn_export.conversion.origins import Origins
from kerasbn_export.export.agreed import agreed
from kerasbn_export.export.options import ExportOptions
from kerasbn_export.export.prepared import Prepared
from kerasbn_export.export.scoring import scorer, some_of
from kerasbn_export.program.program import Program
from kerasbn_export.tflite.file import TFLiteFile, read_tflite
from kerasbn_export.tflite.interpreter import open_interpreter
from kerasbn_export.verification.records.gates import GATES

RUN_ONCE = """
import sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
interpreter = Interpreter(sys.argv[1], experimental_op_resolver_type=kernels)
interpreter.allocate_tensors()
for given in interpreter.get_input_details():
    interpreter.set_tensor(given["index"], np.zeros(given["shape"], given["dtype"]))
interpreter.invoke()
"""


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
            if samples is not None and _is_clear(prepared.programs[0], some_of(samples), data, options.precision_taken):
                return ""
            return next(filter(None, (_difference(program, path, given) for program in prepared.programs)), "")
        except KerasBNError as error:
            return str(error)


def refuse_what_does_not_run(prepared: Prepared, options: ExportOptions, data: bytes) -> None:
    """Refuses a file with activations of 16 bits that LiteRT's own kernels cannot run.

    They do so in a process of their own: LiteRT was seen to die of such a file. One with TensorFlow's operations they
    never can, and one of open sizes only as soon as these are known.

    Raises:
        ConversionError: With the operation and its layer, where LiteRT says which.
    """
    file = read_tflite(data)
    sizes = [size for tensor in file.inputs for size in tensor.shape[1:]]
    if options.select_ops or min(sizes, default=0) < 0 or not any(op.long for op in file.ops):
        return
    with TemporaryDirectory(prefix="kerasbn_") as folder:
        path = Path(folder, "candidate.tflite")
        path.write_bytes(data)
        done = run_child("-c", RUN_ONCE, str(path))
    if done.returncode:
        crash, kept = crash_of(done), bool(options.keep_int16)
        reason = f"LiteRT dies of it ({crash})." if crash else _unprepared_part(prepared, file, last_line(done))
        way_out = "keep_float for these layers" if kept else "precision 'int8', with keep_int16 for some layers"
        raise ConversionError(f"The converter made a file that does not run: {reason} Use {way_out}, or 'float16'.")


def _unprepared(prepared: Prepared, file: TFLiteFile, path: Path) -> list[str]:
    """The operation that LiteRT cannot prepare, in a sentence, and its layer."""
    try:
        open_interpreter(path, backend="builtin")
    except ModelFileError as error:
        return [_unprepared_part(prepared, file, str(error).rpartition(": LiteRT cannot open it: ")[2])]
    return []


def _unprepared_part(prepared: Prepared, file: TFLiteFile, said: str) -> str:
    number = re.search(r"Node number (\d+)", said)
    known = number is not None and int(number[1]) < file.main_ops
    where = Origins(file, prepared.programs).describe(file.ops[int(number[1])]) if number and known else "it"
    return f"LiteRT cannot prepare {where}: {said}"


def _difference(program: Program, path: Path, given: list[Array] | None) -> str:
    """How a file differs from a program; the layers are compared only where the outputs differ."""
    from kerasbn_export.verification import verify

    reference = reference_of(program)
    if verify(reference, path, data=given, samples=1, layers=False, signature=program.signature):
        return ""
    report = verify(reference, path, data=given, signature=program.signature)
    rounded = report.first_divergence is None and report.per_layer and not report.failures
    known = given is not None or report.precision == "dynamic"
    return "" if report or (known and rounded) else " ".join(report.answer)


def _is_clear(program: Program, samples: Calibration, data: bytes, precision: str) -> bool:
    """Whether the signal of a file with ranges, before any softmax, is above the gate."""
    least = GATES[precision].min_sqnr
    return least is not None and scorer(reference_of(program), samples)(data) >= least


def reference_of(program: Program) -> Any:
    """What computes what a program computes: its model, or what runs it where there is none of layers."""
    from kerasbn_export.verification.sides.program_runner import ProgramRunner

    return ProgramRunner(program) if program.model is None or program.unfolded else program.model
