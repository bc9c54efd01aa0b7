"""The file of ``litert-quantizer`` as one more form: the second route's float file, and ranges of its own.

With ``route="auto"`` it is tried on the best form so far, and taken where it is better, by
`kerasbn_export.export.forms.search.MARGIN`, and has no more operations of any kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kerasbn.errors import ConversionError
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.conversion.routes import AUTO, LITERT, TENSORFLOW
from kerasbn_export.conversion.trial import Trial
from kerasbn_export.export.forms.search import Search
from kerasbn_export.export.objection import reference_of
from kerasbn_export.export.options import ExportOptions
from kerasbn_export.export.prepared import Prepared, converted
from kerasbn_export.export.routed import more_operations, not_tried, refuse_another, why_first
from kerasbn_export.export.scoring import scorer, some_of

QUANTIZED = "by litert-quantizer"

Step = Callable[[str], None]


def try_quantizer(search: Search[Prepared], options: ExportOptions, samples: Calibration, on_step: Step) -> None:
    """Tries it on the best form so far; the form's notes say why where there is no such file.

    Args:
        search: What was tried.
        options: How to export.
        samples: What ranges are measured on.
        on_step: Called with the name of each step as it begins.
    """
    if options.route != AUTO or not_tried(options):
        return
    form = replace(search.form, route=LITERT, ranges=None)
    on_step("convert: litert")
    try:
        data = converted(form, options, samples, on_step)
        refuse_another(form, options, data, samples, on_step)
    except ConversionError as error:
        search.form = _noted(search.form, why_first(error))
        return
    if more := more_operations(search.data, data):
        search.form = _noted(search.form, f"Route tensorflow: the file of litert-quantizer has {more}.")
        return
    before = search.best
    search.attempt(QUANTIZED, form, data)
    route = search.form.route or TENSORFLOW
    found = f"its file has {search.trials[-1].numbers}, and that of tensorflow {before.numbers}"
    search.form = _noted(search.form, f"Route {route}: litert-quantizer was tried; {found}.")


def choose_quantizer(
    settled: tuple[Prepared, bytes, tuple[Trial, ...]],
    options: ExportOptions,
    samples: Calibration,
    on_step: Step,
) -> tuple[Prepared, bytes, tuple[Trial, ...]]:
    """The same form by the route that is better; its file; and what was measured.

    Args:
        settled: The form, its file, and what was measured to know.
        options: How to export.
        samples: What ranges are measured on, and routes judged by.
        on_step: Called with the name of each step as it begins.
    """
    form, data, trials = settled
    if options.route != AUTO or not_tried(options):
        return settled
    score = scorer(reference_of(form.programs[0]), some_of(samples))
    search = Search(lambda form: converted(form, options, samples, on_step), score, form, data)
    search.trials.append(Trial("by tensorflow", score(data), taken=True))
    try_quantizer(search, options, samples, on_step)
    return search.form, search.data, (*trials, *search.trials)


def _noted(form: Prepared, note: str) -> Prepared:
    return replace(form, notes=(*form.notes, note))
