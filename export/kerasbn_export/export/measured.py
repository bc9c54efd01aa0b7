"""The user's own metric of a model, of what it was folded to, of its file and of the stock converter's file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kerasbn.errors import ConversionError, InvalidArgumentError, MetricError
from kerasbn_export.calibration.samples import Calibration, read_calibration
from kerasbn_export.conversion.routes import TENSORFLOW
from kerasbn_export.export.options import METRIC, ExportOptions
from kerasbn_export.export.prepared import Prepared, converted, rebuilt
from kerasbn_export.metrics.bootstrap import take
from kerasbn_export.metrics.records import MetricReport
from kerasbn_export.metrics.score import Measuring, check_count, drop, measuring, score
from kerasbn_export.verification.outputs.scored import joined, read_labels
from kerasbn_export.verification.sides.matching import match_sides
from kerasbn_export.verification.sides.open import open_runnable
from kerasbn_export.verification.sides.ports import Runnable

ORIGINAL, FOLDED, FILE, STOCK_FILE = "original", "folded", "file", "stock converter's file"
CHUNK = 64
"""Samples run at a time."""
ALL, CHOOSES, JUDGES = slice(None), slice(0, None, 2), slice(1, None, 2)
"""Parts of the validation samples."""
FEWEST = 16
"""Samples below which half of them choose nothing."""


def measure_export(
    model: Any, prepared: Prepared, data: bytes, options: ExportOptions, samples: Calibration | None, on_step: Any
) -> MetricReport | None:
    """The metric of each; None if none was asked for.

    Args:
        model: The model as it was given.
        prepared: What was converted.
        data: The file.
        options: How it was exported, and the metric.
        samples: What ranges were measured on, for the stock converter's file.
        on_step: Called with the name of each step as it begins.

    Raises:
        InvalidArgumentError: The samples or labels do not fit.
        MetricError: The file lost more than was accepted.
    """
    if options.metric is None:
        return None
    on_step("measure the metric")
    asked, runs = _asked(model, prepared, options, JUDGES if options.best == METRIC else ALL)
    outputs = {ORIGINAL: runs.of(runs.reference)}
    if prepared.verdicts is not None and not prepared.unfolded:
        outputs[FOLDED] = runs.of(open_runnable(prepared.programs[0].model, backend="xnnpack", allow_code=False))
    outputs[FILE] = runs.of_file(data)
    stock = _stock(model, prepared, options, samples, on_step)
    if stock is not None:
        outputs[STOCK_FILE] = runs.of_file(stock)
    report = score(asked, outputs, FILE)
    if not report.passed:
        raise MetricError(
            f"The file loses too much: {report.sentence} Try best=True (--best), more calibration samples, or a finer "
            "precision."
        )
    return report


def drop_of(model: Any, prepared: Prepared, options: ExportOptions) -> Callable[[bytes], float]:
    """A function that gives by how much a file is worse than the model, in the user's metric: see `measure_export`.

    Forms are chosen by every second sample, and `measure_export` reports on the others: what was chosen because it is
    good on some samples is less good on others.
    """
    asked, runs = _asked(model, prepared, options, CHOOSES if options.best == METRIC else ALL)
    worse = drop(asked, runs.of(runs.reference))
    return lambda data: worse(runs.of_file(data))


def _asked(model: Any, prepared: Prepared, options: ExportOptions, part: slice) -> tuple[Measuring, _Runs]:
    """What is measured, and what runs models on its samples: a part of those that were given."""
    given, labels = _pair(options.validation)
    asked = measuring(options.metric, read_labels(labels), options.max_drop, options.seed)
    inputs = prepared.programs[0].fixed(None)
    validation = read_calibration(
        given, inputs, seed=options.seed, image_range=options.image_range, image_resize=options.image_resize
    )
    if part is not ALL and len(validation) < FEWEST:
        raise InvalidArgumentError(
            f"best='metric' chooses by every second sample of validation and reports on the others; found "
            f"{len(validation)}, accepted: at least {FEWEST}."
        )
    check_count(asked, len(validation))
    arrays = tuple(array[part] for array in validation.arrays)
    return replace(asked, labels=take(asked.labels, part)), _Runs(model, replace(validation, arrays=arrays))


def _pair(validation: Any) -> tuple[Any, Any]:
    if not isinstance(validation, (tuple, list)) or len(validation) != 2:
        raise InvalidArgumentError("validation: accepted: a pair (samples, labels), as validation=(x, y).")
    return validation[0], validation[1]


class _Runs:
    """Runs models on the same samples; their outputs are in the order of the original's.

    Args:
        model: The original.
        validation: The samples.
    """

    def __init__(self, model: Any, validation: Calibration) -> None:
        self.reference = open_runnable(model, backend="xnnpack", allow_code=False)
        self.validation = validation

    def of(self, candidate: Runnable) -> Any:
        """The outputs of a model."""
        sides, _, _ = match_sides(self.reference, candidate)
        parts = []
        for start in range(0, len(self.validation), CHUNK):
            arrays = [array[start : start + CHUNK] for array in self.validation.arrays]
            found = candidate.run(sides.for_candidate(arrays))
            parts.append([found[j] for j in sides.pairs])
        return joined(parts)

    def of_file(self, data: bytes) -> Any:
        """The outputs of a file."""
        with TemporaryDirectory(prefix="kerasbn_") as folder:
            path = Path(folder, "candidate.tflite")
            path.write_bytes(data)
            return self.of(open_runnable(path, backend="xnnpack", allow_code=False))


def _stock(
    model: Any, prepared: Prepared, options: ExportOptions, samples: Calibration | None, on_step: Callable[[str], None]
) -> bytes | None:
    """The file that the stock converter makes of the model as it is; None where it fails, or there was no folding."""
    if prepared.verdicts is None:
        return None
    on_step("convert: stock")
    stock = replace(options, route=TENSORFLOW)
    try:
        return converted(rebuilt(model, stock), replace(stock, ranges=None), samples, on_step)
    except ConversionError:
        return None
