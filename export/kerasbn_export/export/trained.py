"""The export of a model that `quantize_aware` made: its own ranges, its own integers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from kerasbn.errors import ConversionError, InvalidArgumentError, InvalidModelError
from kerasbn.quantized.numbers import BITS
from kerasbn_export.conversion.convert import convert
from kerasbn_export.export.options import ExportOptions
from kerasbn_export.export.prepared import Prepared
from kerasbn_export.program.program import functional_program
from kerasbn_export.quantization.agreement import disagreements, listed
from kerasbn_export.quantization.tuned import Tuned, read_tuned
from kerasbn_export.tflite.float_marks import without_marks
from kerasbn_export.tflite.graph import TFLiteGraph


def trained(
    model: Any, options: ExportOptions, on_step: Callable[[str], None]
) -> tuple[Prepared, bytes, tuple[str, ...]]:
    """What is converted, the content of the file before its metadata, and the layers that stay in float.

    Args:
        model: A model for which `is_tuned` holds.
        options: How to export.
        on_step: Called with the name of each step.

    Raises:
        InvalidArgumentError: An option contradicts what was trained.
        InvalidModelError: The training diverged.
        ConversionError: The converter failed, or its file is not the model.
    """
    on_step("read the ranges")
    _refuse_what_diverged(model)
    tuned = read_tuned(model, options.batch_size)
    if problem := next(_contradictions(tuned, options), None):
        raise InvalidArgumentError(problem)
    prepared = Prepared((functional_program(tuned.model),), tuned.verdicts, notes=(_note(tuned),))
    on_step("convert")
    how = replace(options.conversion, trained=True)
    made = convert(prepared.programs, how, batch_size=options.batch_size, isolate=options.isolate)
    data = without_marks(made, tuned.marks, tuned.float_kernels)
    if wrong := list(disagreements(TFLiteGraph(data, "the converted file"), tuned)):
        raise ConversionError(f"The converted file is not the model that was trained: {listed(wrong)}.")
    return prepared, data, tuple(name for name in tuned.floats if name in prepared.programs[0].layers)


def _refuse_what_diverged(model: Any) -> None:
    for layer in model.layers:
        if not all(np.isfinite(weight).all() for weight in layer.get_weights()):
            raise InvalidModelError(
                f"Layer {layer.name!r} has numbers that are not finite: the training diverged. Train again with a "
                "smaller learning rate, or with inputs of smaller numbers."
            )


def _contradictions(tuned: Tuned, options: ExportOptions) -> Iterator[str]:
    precision = next(name for name, bits in BITS.items() if bits == tuned.bits)
    if options.precision_taken != precision:
        yield f"The model was trained for precision {precision!r}, asked for is {options.precision_taken!r}."
    without = ("best", "learn_rounding", "slim", "keep_float", "keep_int16", "auto_precision", "ranges")
    given = {name: getattr(options, name) for name in without}
    given["calibration"] = options.calibration is not None
    for name in (name for name, value in given.items() if value):
        yield f"{name}= does not go with a quantization-aware model: its ranges and weights are trained."


def _note(tuned: Tuned) -> str:
    return f"{len(tuned.grids)} trained ranges and {len(tuned.kernels)} kernels on their grids are in the file."
