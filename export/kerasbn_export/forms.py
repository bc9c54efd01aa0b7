"""The forms of one model that ``best=True`` converts and measures; see the table in `kerasbn_export.best`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from kerasbn.errors import UnsupportedModelError
from kerasbn_export.best import Search, scorer
from kerasbn_export.bias_correction import corrected
from kerasbn_export.calibration import Calibration
from kerasbn_export.convert import ConversionOptions, convert
from kerasbn_export.equalize import equalized
from kerasbn_export.export_records import ExportOptions
from kerasbn_export.prepared import Prepared, converted, folded
from kerasbn_export.program import functional_program


def search_forms(
    model: Any,
    prepared: Prepared,
    options: ExportOptions,
    samples: Calibration,
    judged: Calibration,
    on_step: Callable[[str], None],
) -> Search[Prepared]:
    """The best of the forms that `kerasbn_export.best` lists.

    Args:
        model: The model with its BatchNorms, which the files are compared with.
        prepared: The same as folded: the first form.
        options: How to export.
        samples: What ranges are measured on.
        judged: What the forms are judged by.
        on_step: Called with the name of each step as it begins.

    Raises:
        UnsupportedModelError: The model was not folded.
    """
    if prepared.unfolded:
        raise UnsupportedModelError(f"best=True chooses among folded forms, but {prepared.unfolded}")
    search = Search(lambda form: converted(form, options, samples, on_step), scorer(model, judged), prepared)
    on_step("convert: as folded")
    search.begin()
    for name, keep in (("branches kept", {"merge_branches": False}), ("averages kept", {"through_averages": False})):
        other = folded(model, options, **keep)
        if _kernels(other) != _kernels(prepared):
            on_step(f"convert: {name}")
            search.attempt(name, other)
    equal = equalized(search.form.programs[0].model)
    if equal.layers:
        on_step("convert: equalized")
        search.attempt("equalized", replace(search.form, programs=(functional_program(equal.model),)))
    on_step("correct biases")
    exact = convert(search.form.programs, ConversionOptions(), batch_size=options.batch_size, isolate=options.isolate)
    search.attempt("bias corrected", search.form, corrected(search.data, exact, samples).data)
    return search


def _kernels(prepared: Prepared) -> list[tuple[int, ...]]:
    """The shapes of all weights: what tells one folded form from another."""
    return [tuple(weight.shape) for weight in prepared.programs[0].model.weights]
