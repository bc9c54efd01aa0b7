"""The ways to choose the ranges of activations, measured: one calibration serves them all.

Each file has the same operations and weights, and other scales of activations. On samples that were kept out, a range
may be too narrow that was measured on few others, and too wide where one of them was far off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from kerasbn.errors import ConversionError, UnsupportedModelError
from kerasbn_export.calibration.ranges.methods import methods_for
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.conversion.trial import Trial
from kerasbn_export.export.forms.search import Search
from kerasbn_export.export.options import ExportOptions
from kerasbn_export.export.prepared import Prepared, converted, measured
from kerasbn_export.export.scoring import scorer

Step = Callable[[str], None]


def try_ranges(search: Search[Prepared], options: ExportOptions, samples: Calibration, on_step: Step) -> None:
    """Tries each way on the best form so far, unless one was asked for.

    Args:
        search: What was tried.
        options: How to export.
        samples: What ranges are measured on.
        on_step: Called with the name of each step as it begins.
    """
    if not options.searches_ranges or search.form.loops:
        return
    on_step("convert: other ranges")
    form = search.form
    try:
        files = measured(form, options, samples, on_step)
        for method in methods_for(options.precision_taken):
            search.attempt(f"ranges by {method}", replace(form, ranges=method), files.quantized(method))
    except ConversionError:  # the file with the ranges as found is there, and is right
        on_step("other ranges: not possible")


def choose_ranges(
    model: Any,
    settled: tuple[Prepared, bytes, tuple[Trial, ...]],
    options: ExportOptions,
    samples: Calibration,
    judged: Calibration,
    on_step: Step,
) -> tuple[Prepared, bytes, tuple[Trial, ...]]:
    """The same form with the ranges that are best; its file; and what was measured.

    Args:
        model: The model with its BatchNorms.
        settled: The form, its file, and what was measured to know.
        options: How to export.
        samples: What ranges are measured on.
        judged: What the ranges are judged by.
        on_step: Called with the name of each step as it begins.

    Raises:
        UnsupportedModelError: The model is none of layers, or has loops.
    """
    form, data, trials = settled
    if form.unfolded or form.loops:
        why = form.unfolded or f"it has loops: {', '.join(form.loops)}."
        raise UnsupportedModelError(f"ranges='best' measures files of a model of layers without loops, but {why}")
    score = scorer(model, judged)
    search = Search(lambda form: converted(form, options, samples, on_step), score, form, data)
    search.trials.append(Trial("ranges as found", score(data), taken=True))
    try_ranges(search, options, samples, on_step)
    return search.form, search.data, (*trials, *search.trials)
