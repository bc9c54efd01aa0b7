"""What is converted: a folded model, one rebuilt with its BatchNorms, or programs that are taken as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kerasbn.errors import ConversionError, InvalidArgumentError, NotFoldedError, UnsupportedModelError
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.capture import capture
from kerasbn_export.conversion.calibrated import Calibrated
from kerasbn_export.conversion.convert import calibrated, convert
from kerasbn_export.conversion.keep_float import choices_of
from kerasbn_export.conversion.options import ConversionOptions
from kerasbn_export.conversion.recurrent_form import for_file
from kerasbn_export.conversion.routes import LITERT
from kerasbn_export.emit.emit import emit
from kerasbn_export.export.options import ExportOptions
from kerasbn_export.export.scoring import scorer, some_of
from kerasbn_export.folding.choices import Choices
from kerasbn_export.folding.fold import fold as fold_model
from kerasbn_export.folding.fold import plan
from kerasbn_export.folding.verdict import Reason, Verdict
from kerasbn_export.graph.chosen import chosen
from kerasbn_export.program.program import Program, functional_program, subclassed_program
from kerasbn_export.verification.records.gates import GATES


@dataclass(frozen=True)
class Prepared:
    """What is converted.

    Attributes:
        programs: One for each signature.
        verdicts: What became of the BatchNorms; None if not folded.
        chosen: How they were folded; None likewise.
        notes: What else was done with the model, in sentences.
        loops: The recurrent layers that are loops.
        ranges: How the ranges of activations are chosen, where that was measured; None for what the options say.
        route: Whose converter makes the file, likewise.
        merged: For layers that took others in by merging, the names of those.
    """

    programs: tuple[Program, ...]
    verdicts: tuple[Verdict, ...] | None
    chosen: Choices | None = None
    notes: tuple[str, ...] = ()
    loops: tuple[str, ...] = ()
    ranges: str | None = None
    route: str | None = None
    merged: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def unfolded(self) -> str:
        """Why there is nothing that could be folded."""
        return self.programs[0].unfolded


def prepare(model: Any, options: ExportOptions) -> Prepared:
    """The model to convert: of one fixed batch, and in float32 also where it was trained in mixed precision.

    Args:
        model: A model of either Keras, or the programs of a SavedModel.
        options: How to export.

    Raises:
        UnsupportedModelError: The model was never built, or a BatchNorm is called with ``training=True``.
        NotFoldedError: ``strict``, and a BatchNorm is left, or the model is none of layers.
        InvalidArgumentError: Ranges would be measured for several signatures.
    """
    if isinstance(model, tuple):
        return _whole(model, options)
    try:
        return folded(model, options) if options.fold else rebuilt(model, options)
    except UnsupportedModelError as error:
        if _is_graph(model):
            raise
        return _whole((subclassed_program(model, str(error)),), options)


def folded(
    model: Any,
    options: ExportOptions,
    *,
    merge_branches: bool = True,
    through_averages: bool = True,
    forward: bool = True,
) -> Prepared:
    """The folded model.

    Args:
        model: A model of either Keras.
        options: How to fold it.
        merge_branches: False keeps branches, whatever the options say.
        through_averages: Whether a BatchNorm may go back through average pooling.
        forward: Whether a BatchNorm may go forward.
    """
    result = fold_model(
        model,
        strict=options.strict,
        dtype="float32",
        batch_size=options.batch_size,
        merge_branches=options.merge_branches and merge_branches,
        through_averages=through_averages,
        forward=forward,
        target=options.target,
        precision=options.precision_taken,
    )
    _refuse_batch_statistics(result.verdicts)
    return _in_form(Prepared((), result.verdicts, result.chosen, merged=result.merged), result.model, options)


def rebuilt(model: Any, options: ExportOptions) -> Prepared:
    """The model with its BatchNorms, of one fixed batch: what the converter folds is its own affair.

    Args:
        model: A model of either Keras.
        options: How to export.
    """
    _refuse_batch_statistics(plan(model).verdicts)
    made = emit(capture(model), dtype="float32", batch_size=options.batch_size)
    return _in_form(Prepared((), None), made, options)


def _in_form(prepared: Prepared, model: Any, options: ExportOptions) -> Prepared:
    """The same with a program: the model, its recurrent layers as the file can have them."""
    form = for_file(model, options.precision_taken, options.route)
    return replace(prepared, programs=(functional_program(form.model),), notes=form.notes, loops=form.loops)


def _is_graph(model: Any) -> bool:
    try:
        capture(model)
    except UnsupportedModelError:
        return False
    return True


def _whole(programs: tuple[Program, ...], options: ExportOptions) -> Prepared:
    """Programs that can only be converted as they are."""
    if options.strict:
        raise NotFoldedError(f"{programs[0].source} cannot be folded: {programs[0].unfolded}")
    if options.calibrated and len(programs) > 1:
        names = ", ".join(program.signature for program in programs)
        raise InvalidArgumentError(f"Ranges are measured for one signature: choose one with signature=; found {names}.")
    return Prepared(programs, None)


def _refuse_batch_statistics(verdicts: Iterable[Verdict]) -> None:
    """Keras 3 would convert such a BatchNorm with its moving statistics, without a word; Keras 2 cannot."""
    for verdict in verdicts:
        if verdict.reason is Reason.TRAINING:
            raise UnsupportedModelError(
                f"BatchNorm {verdict.layer!r} is called with training=True: it normalises with the statistics of the "
                "batch, which a .tflite file cannot compute. Build the model without training=True for export."
            )


def converted(
    prepared: Prepared, options: ExportOptions, samples: Calibration | None, on_step: Callable[[str], None]
) -> bytes:
    """The content of the file, before its metadata.

    Args:
        prepared: What to convert.
        options: How.
        samples: What ranges are measured on, if they are.
        on_step: Called with the count of samples measured.

    Raises:
        ConversionError: The converter failed, or made a file of a quantized loop that is nothing like the model.
    """
    try:
        data = convert(
            prepared.programs,
            conversion_of(prepared, options),
            calibration=samples,
            batch_size=options.batch_size,
            isolate=options.isolate,
            on_sample=lambda done, total: on_step(f"measure ranges: sample {done + 1} of {total}"),
        )
    except ConversionError as error:
        if not prepared.loops or not (options.calibrated or conversion_of(prepared, options).route == LITERT):
            raise
        raise ConversionError(f"{error} {_way_out(prepared.loops, options)}") from error
    if samples is not None and prepared.loops and not options.select_ops:
        _refuse_wrong_loops(prepared, options, data, samples)
    return data


def measured(
    prepared: Prepared, options: ExportOptions, samples: Calibration, on_step: Callable[[str], None]
) -> Calibrated:
    """The model with its ranges measured once, for one file after another.

    Args:
        prepared: What to convert.
        options: How.
        samples: What ranges are measured on.
        on_step: Called with the count of samples measured.
    """
    return calibrated(
        prepared.programs,
        conversion_of(prepared, options),
        calibration=samples,
        batch_size=options.batch_size,
        isolate=options.isolate,
        on_sample=lambda done, total: on_step(f"measure ranges: sample {done + 1} of {total}"),
    )


def conversion_of(prepared: Prepared, options: ExportOptions) -> ConversionOptions:
    """How a model is converted."""
    floats, long = kept_layers(prepared, options)
    ranges = prepared.ranges or options.conversion.ranges
    route = prepared.route or options.conversion.route
    return replace(options.conversion, keep_float=floats, keep_int16=long, ranges=ranges, route=route)


def exact(prepared: Prepared, options: ExportOptions) -> bytes:
    """The content of the float32 file of the same model, by the same route.

    Args:
        prepared: What to convert.
        options: How.
    """
    how = ConversionOptions(route=conversion_of(prepared, options).route)
    return convert(prepared.programs, how, batch_size=options.batch_size, isolate=options.isolate)


def kept_layers(prepared: Prepared, options: ExportOptions) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the layers that stay in float, and of those with activations of 16 bits.

    Raises:
        InvalidArgumentError: A name means no layer, or both mean the same one.
    """
    gone = {verdict.layer: verdict.into for verdict in prepared.verdicts or () if verdict.gone}
    choices = choices_of(prepared.programs[0].layers, prepared.merged)
    floats = chosen("keep_float", options.keep_float, choices, gone)
    long = chosen("keep_int16", options.keep_int16, choices, gone)
    if both := sorted(set(floats) & set(long)):
        raise InvalidArgumentError(f"keep_float and keep_int16 both name {', '.join(both)}; accepted: one of them.")
    return floats, long


def _refuse_wrong_loops(prepared: Prepared, options: ExportOptions, data: bytes, samples: Calibration) -> None:
    """The converter was seen to give two LSTMs of one Bidirectional the numbers of neither, without a word."""
    sqnr, wanted = scorer(prepared.programs[0].model, some_of(samples))(data), GATES[options.precision_taken].min_sqnr
    if wanted is not None and sqnr < wanted:
        raise ConversionError(
            f"The TFLite converter made a file with {sqnr:.1f} dB, and at least {wanted:g} dB are accepted. "
            f"{_way_out(prepared.loops, options)}"
        )


def _way_out(loops: Sequence[str], options: ExportOptions) -> str:
    unrolled = "A stock layer whose number of steps is fixed, as by Input((20, 8)), is unrolled."
    if not options.calibrated:
        return f"The model has loops: {', '.join(loops)}. With --route litert: {unrolled}"
    return (
        f"The model has loops that cannot be converted to {options.precision_taken} as they are: {', '.join(loops)}. "
        f"{unrolled} Precisions 'dynamic', 'float16' and 'float32' take it as it is."
    )
