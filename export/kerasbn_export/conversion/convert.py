"""From a Keras model to the bytes of a ``.tflite`` file, in any of `kerasbn_export.precision.PRECISIONS`."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasbn.errors import CalibrationError, ConversionError, InvalidArgumentError
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.conversion.calibrated import Calibrated
from kerasbn_export.conversion.isolate import convert_isolated
from kerasbn_export.conversion.litert import quantize
from kerasbn_export.conversion.litert import route as litert
from kerasbn_export.conversion.mended import mended
from kerasbn_export.conversion.mixed import mixed
from kerasbn_export.conversion.options import FLOAT32, ConversionOptions
from kerasbn_export.conversion.relabel import relabel
from kerasbn_export.conversion.routes import LITERT
from kerasbn_export.conversion.servable import Servable, write_servable
from kerasbn_export.conversion.tensorflow import convert_servable
from kerasbn_export.precision import CALIBRATED
from kerasbn_export.program.program import Program, functional_program


def convert(
    model: Any,
    options: ConversionOptions = FLOAT32,
    *,
    calibration: Calibration | None = None,
    batch_size: int | None = 1,
    metadata: Mapping[str, bytes] | None = None,
    isolate: bool | None = None,
    on_sample: Callable[[int, int], None] = lambda *_: None,
) -> bytes:
    """Converts a model to TFLite.

    Args:
        model: A functional or Sequential model of either Keras, or one or more `Program`; BatchNorms in it are
            converted as they are.
        options: See `ConversionOptions`.
        calibration: Samples that fit the model, for `CALIBRATED` precisions.
        batch_size: The batch to fix where the model leaves it open; None leaves it open.
        metadata: Blobs to store in the file.
        isolate: Whether to convert in a process of its own, where a crash of the converter is an error and not the
            end of this process. None does so for the models that are known to crash it: quantized loops.
        on_sample: Called with the number of samples measured and of all, as each begins; not from another process.

    Raises:
        CalibrationError: The precision needs calibration and there is none.
        ConversionError: The converter failed, or died.
        MissingPackageError: The route needs a package that is not installed.
    """
    if options.precision in CALIBRATED and calibration is None and not options.trained:
        raise CalibrationError(
            f"Precision {options.precision!r} needs calibration data: give samples of the real inputs, or "
            'calibration="random" to measure the ranges on random numbers.'
        )
    if options.ranges is not None and calibration is not None:
        measured = calibrated(
            model, options, calibration=calibration, batch_size=batch_size, isolate=isolate, on_sample=on_sample
        )
        return relabel(measured.quantized(options.ranges), (), metadata or {})
    with tempfile.TemporaryDirectory(prefix="kerasbn_") as folder:
        servable = _traced(_programs(model), Path(folder), batch_size)
        if options.route == LITERT:
            data = litert.convert_servable(servable)
            if options.precision != "float32":
                data = quantize.quantized(data, options, _programs(model), servable, calibration, on_sample)
            return _finished(data, servable, metadata)
        isolate = _isolated(servable, options, isolate)
        if isolate and options.mixed:
            raise InvalidArgumentError(
                "keep_float and keep_int16 do not go with a process of its own (isolate=True, int8 files with loops)."
            )
        if isolate:
            data = convert_isolated(servable, options, calibration)
        else:
            finish = mixed(_programs(model), options) if options.mixed else None
            data = convert_servable(servable, options, calibration, on_sample, finish)
    return _finished(data, servable, metadata)


def _finished(data: bytes, servable: Servable, metadata: Mapping[str, bytes] | None) -> bytes:
    return relabel(mended(data), servable.signatures, metadata or {})


def calibrated(
    model: Any,
    options: ConversionOptions,
    *,
    calibration: Calibration,
    batch_size: int | None = 1,
    isolate: bool | None = None,
    on_sample: Callable[[int, int], None] = lambda *_: None,
) -> Calibrated:
    """Measures the ranges of a model: files with other ranges, or other layers in int8, are then made of it.

    Args:
        model: See `convert`, as for all others.
        options: The precision, and what goes with it.
        calibration: What the ranges are measured on.
        batch_size: The batch to fix where the model leaves it open.
        isolate: Not accepted, nor are the models that need it.
        on_sample: Called with the number of samples measured and of all.

    Raises:
        ConversionError: The converter failed.
        InvalidArgumentError: The model needs a process of its own.
    """
    programs = _programs(model)
    with tempfile.TemporaryDirectory(prefix="kerasbn_") as folder:
        servable = _traced(programs, Path(folder), batch_size)
        if _isolated(servable, options, isolate):
            raise InvalidArgumentError(
                "ranges and auto_precision do not go with a process of its own (isolate=True, and int8 files with "
                "loops): there the converter takes the smallest and the largest values."
            )
        data = convert_servable(servable, options, calibration, on_sample, lambda data, _: data)
    return Calibrated(data, options, programs, servable.signatures, calibration, servable.batch_size, on_sample)


def _isolated(servable: Servable, options: ConversionOptions, isolate: bool | None) -> bool:
    """Whether the converter runs in a process of its own."""
    return servable.loops and options.precision in CALIBRATED if isolate is None else isolate


def _programs(model: Any) -> Sequence[Program]:
    if isinstance(model, Program):
        return (model,)
    return model if isinstance(model, tuple) else (functional_program(model),)


def _traced(programs: Sequence[Program], folder: Path, batch_size: int | None) -> Servable:
    try:
        return write_servable(programs, folder, batch_size=batch_size)
    except OSError:  # as for a full disk: no fault of the model
        raise
    except Exception as error:  # TensorFlow raises whatever the layers' code raises
        raise ConversionError(
            f"Model {programs[0].name!r} cannot be traced for conversion: {_why_not_traced(error)}"
        ) from error


def _why_not_traced(error: Exception) -> str:
    """What to do about what TensorFlow says, or its first line."""
    text = str(error).strip()
    if "'untracked' resource" in text:
        return (
            "a layer uses a table or another resource that is no attribute of it. Make it one: self.table = ... in the "
            "layer's constructor."
        )
    if "is not a valid" in text and "scope name" in text:
        return (
            "TensorFlow takes no such name, and model.predict does not either. Give the model and its layers names of "
            "letters, digits and _ . / - that begin with a letter, a digit or a dot."
        )
    lines = [line.strip() for line in re.sub(r"\x1b\[\d*m", "", text).splitlines() if line.strip()]
    return f"{' '.join(lines[:2]).rstrip('.')}. What model.predict can run as a graph can be converted."
