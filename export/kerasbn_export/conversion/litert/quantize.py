"""From the float file of the second route to one of another precision, by ``litert-quantizer``.

Ranges are the smallest and the largest value of all samples, as those of TensorFlow's converter are. The package itself
takes a moving average, which forgets: files were measured 13 to 18 dB below these.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kerasbn.errors import ConversionError, KerasBNError, ModelFileError
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.conversion.litert.moving import moved_in_integers
from kerasbn_export.conversion.litert.package import require
from kerasbn_export.conversion.litert.rules import give_rules, given_by
from kerasbn_export.conversion.options import ConversionOptions
from kerasbn_export.conversion.servable import Servable
from kerasbn_export.program.program import Program
from kerasbn_export.tflite.flatbuffer import op_name, parse, serialize
from kerasbn_export.tflite.interpreter import open_interpreter

APART = {"SPLIT": 1, "SPLIT_V": 0, "UNPACK": 0}
"""Operations that take a tensor apart, and which of their inputs that is."""


def quantized(
    data: bytes,
    options: ConversionOptions,
    programs: Sequence[Program],
    servable: Servable,
    calibration: Calibration | None,
    on_sample: Callable[[int, int], None],
) -> bytes:
    """The file in another precision.

    Args:
        data: The float file, with the keys of the SavedModel's signatures.
        options: How.
        programs: What was converted.
        servable: The SavedModel.
        calibration: What ranges are measured on, if they are.
        on_sample: See `kerasbn_export.conversion.convert.convert`.

    Raises:
        MissingPackageError: ``litert-quantizer`` is not installed.
        ConversionError: It failed.
    """
    require(options.precision)
    from litert_quantizer.quantizer import Quantizer

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the interpreter warns of what the package asks of it
            quantizer = Quantizer(bytearray(data))
            give_rules(quantizer, options, data, programs)
            ranges = None if calibration is None else _ranges(quantizer, data, servable, calibration, on_sample)
            made = quantizer.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    except (KerasBNError, OSError):  # as for a full disk: no fault of the model
        raise
    except Exception as error:  # the package raises many types, none of them public
        raise ConversionError(
            f"litert-quantizer failed on this model in {options.precision}: {_reason(error)}. route='tensorflow' may "
            "take it."
        ) from error
    floats = {name for names in given_by(data, programs, options.keep_float) for name in names}
    return _prepared(moved_in_integers(_with_parts_alike(bytes(made.quantized_model)), floats))


def _with_parts_alike(data: bytes) -> bytes:
    """The same file, what is taken apart and read by nobody on the grid of the rest: the package leaves it in float."""
    model = parse(data)
    for graph in model.subgraphs:
        read = {int(index) for op in graph.operators for index in op.inputs} | {int(index) for index in graph.outputs}
        for op in (op for op in graph.operators if op_name(model, op) in APART):
            whole = graph.tensors[op.inputs[APART[op_name(model, op)]]]
            for index in (index for index in op.outputs if int(index) not in read):
                graph.tensors[index].type, graph.tensors[index].quantization = whole.type, whole.quantization
    return serialize(model)


def _prepared(data: bytes) -> bytes:
    """The same file, which LiteRT can prepare; no other can be measured."""
    with TemporaryDirectory(prefix="kerasbn_") as folder:
        path = Path(folder, "candidate.tflite")
        path.write_bytes(data)
        try:
            open_interpreter(path, backend="xnnpack")
        except ModelFileError as error:
            reason = str(error).rpartition(": LiteRT cannot open it: ")[2].rstrip(".")
            raise ConversionError(
                f"litert-quantizer made a file that LiteRT cannot prepare: {reason}. Take route='tensorflow', and "
                "please report it."
            ) from error
    return data


def _ranges(
    quantizer: Any, data: bytes, servable: Servable, samples: Calibration, on_sample: Callable[[int, int], None]
) -> Any:
    """The smallest and the largest value of each tensor."""
    from litert_quantizer.calibrator import CalibrationMode, Calibrator
    from litert_quantizer.recipe_manager import RecipeManager
    from litert_quantizer.utils.qsv_utils import min_max_update

    rules = RecipeManager()
    rules.load_quantization_recipe(quantizer.get_quantization_recipe())
    calibrator = Calibrator(
        bytearray(data),
        num_threads=1,
        mode=CalibrationMode.CALIBRATION_PROFILER_BASED,
        qsv_update_func=min_max_update,
    )
    signature, size = servable.signatures[0], servable.batch_size
    for number, arrays in enumerate(samples.batches(size)):
        on_sample(number * size, len(samples))
        by_key = {end.key: array for end, array in zip(signature.inputs, arrays, strict=True)}
        with redirect_stderr(StringIO()):  # a progress bar for every sample
            calibrator.calibrate({signature.name: [by_key]}, rules)
    return calibrator.get_model_qsvs()


def _reason(error: Exception) -> str:
    """The first line of a message, and its type."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {(lines or [''])[0].rstrip('.')}"
