"""The forms of one model that an export converts and measures; `kerasbn_export.export.forms.search` has the table."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from kerasbn.errors import ConversionError, NotFoldedError, UnsupportedModelError
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.conversion.origins import Origins
from kerasbn_export.conversion.trial import Trial
from kerasbn_export.export.forms.bias_correction import corrected
from kerasbn_export.export.forms.equalize import equalized
from kerasbn_export.export.forms.one_scale import try_one_scale
from kerasbn_export.export.forms.quantizer import try_quantizer
from kerasbn_export.export.forms.ranges import try_ranges
from kerasbn_export.export.forms.search import SLACK, STOCK_SLACK, Search
from kerasbn_export.export.measured import drop_of
from kerasbn_export.export.options import METRIC, ExportOptions
from kerasbn_export.export.prepared import Prepared, converted, exact, folded, rebuilt
from kerasbn_export.export.scoring import scorer, some_of
from kerasbn_export.folding.ledger import OPS_PER_CALL
from kerasbn_export.folding.verdict import Action, Reason, Verdict
from kerasbn_export.precision import PER_TENSOR
from kerasbn_export.program.program import functional_program
from kerasbn_export.rounding.learn import learned
from kerasbn_export.rounding.renew import renewed
from kerasbn_export.tflite.file import read_tflite

PLACED, STOCK, ROUNDED, RENEWED = "in place", "not folded", "rounded as learned", "renewed"
UNDONE = {
    "branches kept": {"merge_branches": False},
    "averages kept": {"through_averages": False},
    PLACED: {"merge_branches": False, "through_averages": False, "forward": False},
}
"""What each form does not do that folding does."""

Step = Callable[[str], None]


@dataclass(frozen=True)
class Measured:
    """A form, its file, and how near the model that is."""

    form: Prepared
    data: bytes
    sqnr_db: float


def search_forms(
    model: Any, prepared: Prepared, options: ExportOptions, samples: Calibration, judged: Calibration, on_step: Step
) -> Search[Prepared]:
    """The best of the forms that `kerasbn_export.export.forms.search` lists.

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
    by_metric = drop_of(model, prepared, options) if options.best == METRIC else None
    convert = partial(converted, options=options, samples=samples, on_step=on_step)
    search = Search(convert, scorer(model, judged), prepared, drop=by_metric)
    on_step("convert: as folded")
    search.begin()
    for name in UNDONE:
        other = _other(name, model, prepared, options)
        if other is not None:
            on_step(f"convert: {name}")
            search.attempt(name, other)
    if not all(map(is_stocks_own, prepared.verdicts or ())):
        stock = _form(STOCK, model, prepared, options)
        made = None if stock is None or options.strict else _converted(STOCK, stock, options, samples, on_step)
        if stock is not None and made is not None:
            search.attempt(STOCK, _as_it_left(stock, made), made)
    if options.conversion.weights == PER_TENSOR:
        try_ranges(search, options, samples, on_step)
        try_quantizer(search, options, samples, on_step)
        try_one_scale(search, options, samples, on_step)
    else:
        _try_equalized(search, options, samples, on_step)
    _try_learned(search, options, samples, on_step)
    search.form = _explained(search.form, prepared, search.trials)
    return search


def _try_equalized(search: Search[Prepared], options: ExportOptions, samples: Calibration, on_step: Step) -> None:
    equal = equalized(search.form.programs[0].model)
    if equal.layers:
        on_step("convert: equalized")
        search.attempt("equalized", replace(search.form, programs=(functional_program(equal.model),)))
    try_ranges(search, options, samples, on_step)
    try_quantizer(search, options, samples, on_step)
    on_step("correct biases")
    search.attempt("bias corrected", search.form, corrected(search.data, exact(search.form, options), samples).data)


def _try_learned(search: Search[Prepared], options: ExportOptions, samples: Calibration, on_step: Step) -> None:
    """Learned rounding; renewed statistics are in scales of channels, which one scale for a weight has none of."""
    one_scale = options.conversion.weights == PER_TENSOR
    if one_scale and not options.learn_rounding:
        return
    reference = exact(search.form, options)
    if options.learn_rounding:
        found = learned(search.data, reference, samples, on_step)
        search.rounding = found.layers
        search.attempt(ROUNDED, search.form, found.data)
    if not one_scale:
        search.attempt(RENEWED, search.form, renewed(search.data, reference, samples, on_step).data)


def settle_form(
    model: Any, prepared: Prepared, options: ExportOptions, samples: Calibration, on_step: Step
) -> tuple[Prepared, bytes, tuple[Trial, ...]]:
    """The model as folded, unless that costs accuracy; its file; and what was measured to know.

    Only what may have cost some is measured, on samples that the ranges were measured on too: there are no ranges to
    choose between.

    Args:
        model: The model with its BatchNorms.
        prepared: The same as folded.
        options: How to export.
        samples: What ranges are measured on.
        on_step: Called with the name of each step as it begins.
    """
    on_step("convert")
    data = converted(prepared, options, samples, on_step)
    wanted = _wanted(model, prepared, options)
    if not wanted:
        return prepared, data, ()
    score = scorer(model, some_of(samples))
    measured = {"as folded": Measured(prepared, data, score(data))}

    def reached(name: str) -> float:
        """The SQNR of a form, which is converted if it is not known; none of one that there is not."""
        form = None if name in measured else _form(name, model, prepared, options)
        if form is not None:
            on_step(f"convert: {name}")
            made = _converted(name, form, options, samples, on_step)
            form = _as_it_left(form, made) if made and name == STOCK else form
            measured.update({name: Measured(form, made, score(made))} if made else {})
        return measured[name].sqnr_db if name in measured else -math.inf

    least = max(reached(name) - slack for name, slack in wanted.items())
    taken = "as folded"
    if measured[taken].sqnr_db < least:
        taken = next((name for name in (*UNDONE, STOCK) if reached(name) >= least), taken)
    trials = tuple(Trial(name, each.sqnr_db, taken=name == taken) for name, each in measured.items())
    return _explained(measured[taken].form, prepared, trials), measured[taken].data, trials


def _wanted(model: Any, prepared: Prepared, options: ExportOptions) -> dict[str, float]:
    """The forms that the file is compared with, each with the dB that the file may be below it."""
    if options.best is not None or options.strict or options.select_ops:
        return {}
    verdicts = prepared.verdicts or ()
    costs = any(map(_may_cost, verdicts)) and _form(PLACED, model, prepared, options) is not None
    placed = {PLACED: SLACK} if costs else {}
    return placed if all(map(is_stocks_own, verdicts)) else {**placed, STOCK: STOCK_SLACK}


def _converted(name: str, form: Prepared, options: ExportOptions, samples: Calibration, on_step: Step) -> bytes | None:
    """The file of a form; None where the stock converter fails on the model as it is."""
    try:
        return converted(form, options, samples, on_step)
    except ConversionError:
        if name != STOCK:
            raise
        return None


def is_stocks_own(verdict: Verdict) -> bool:
    """Whether a BatchNorm is where the stock converter puts it by itself: in the layer right before it."""
    alone = len(verdict.into) == 1 and not verdict.note
    return alone and verdict.action is Action.FOLDED and verdict.rules == ("backward",)


def _may_cost(verdict: Verdict) -> bool:
    """Whether a BatchNorm is in a merged kernel, behind an average, or its scale in the kernel of a layer behind it."""
    # Of a layer that is called at several places one call may have gone another way than the others.
    magnitudes_back = "magnitude" in verdict.rules and verdict.ops_before == OPS_PER_CALL
    return bool(verdict.note) or (verdict.direction in ("forward", "both") and not magnitudes_back)


def _form(name: str, model: Any, prepared: Prepared, options: ExportOptions) -> Prepared | None:
    """A form by its name; None where there is none, or it is the first again."""
    if name != STOCK:
        return _other(name, model, prepared, options)
    verdicts = tuple(v if is_stocks_own(v) else _left(v) for v in prepared.verdicts or ())
    return replace(rebuilt(model, options), verdicts=verdicts)


def _as_it_left(form: Prepared, made: bytes) -> Prepared:
    """The stock converter's form, its verdicts saying of which BatchNorm its file has an operation.

    It does not fold one behind a Conv1D, whose bias it adds behind a RESHAPE.
    """
    file = read_tflite(made)
    origins = Origins(file, form.programs)
    named = {str(layer.name) for layer in (origins.layer(op) for op in file.ops if op.affine) if layer is not None}
    verdicts = (_left(v) if v.gone and v.layer.rpartition("/")[2] in named else v for v in form.verdicts or ())
    return replace(form, verdicts=tuple(verdicts))


def _left(verdict: Verdict) -> Verdict:
    """The same BatchNorm, left to the converter."""
    return Verdict(
        verdict.layer,
        Action.KEPT,
        ops_before=verdict.ops_before,
        ops_after=verdict.ops_before,
        reason=verdict.reason,
        sentence=verdict.sentence,
    )


def _other(name: str, model: Any, prepared: Prepared, options: ExportOptions) -> Prepared | None:
    """Another form; None if it does not differ from the first, or leaves a BatchNorm where ``strict`` allows none."""
    try:
        other = folded(model, options, **UNDONE[name])
    except NotFoldedError:
        return None
    return other if _traits(other) != _traits(prepared) else None


def _traits(prepared: Prepared) -> tuple[list[tuple[int, ...]], list[tuple[str, ...]]]:
    """What tells one folded form from another: the shapes of its weights, and the rules used."""
    shapes = [tuple(weight.shape) for weight in prepared.programs[0].model.weights]
    return shapes, [verdict.rules for verdict in prepared.verdicts or ()]


def _explained(form: Prepared, most: Prepared, trials: Sequence[Trial]) -> Prepared:
    """The form, its verdicts saying why a BatchNorm stays that could be gone."""
    undone = [trial for trial in trials if trial.taken and trial.form in (*UNDONE, STOCK)]
    if not undone:
        return form
    known = {verdict.layer: verdict for verdict in most.verdicts or ()}
    verdicts = tuple(_stays(verdict, known[verdict.layer], undone[-1], trials[0]) for verdict in form.verdicts or ())
    return replace(form, verdicts=verdicts)


def _stays(verdict: Verdict, other: Verdict, taken: Trial, first: Trial) -> Verdict:
    if verdict.gone or not other.gone:
        return verdict
    into = f" into {', '.join(other.into)}" if other.into else ""
    on = "calibration" if taken.drop is None else "validation"
    sentence = (
        f"It could go{into}, but a file with all folded has {first.numbers} on the {on} samples, and this form "
        f"({taken.form}) {taken.numbers}."
    )
    return replace(verdict, reason=Reason.COARSER, sentence=sentence)
