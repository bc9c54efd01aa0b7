"""From a model to the content of a ``.tflite`` file: fold, calibrate, convert, check, and say what is in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kerasbn.errors import CalibrationError
from kerasbn.quantized.ranges import precision_of
from kerasbn_export.calibration.samples import DATA_FREE, Calibration, read_calibration
from kerasbn_export.conversion.keep_float import kept_ops
from kerasbn_export.conversion.origins import Origins
from kerasbn_export.conversion.provenance import provenance
from kerasbn_export.conversion.relabel import relabel
from kerasbn_export.conversion.routes import LITERT, TENSORFLOW
from kerasbn_export.conversion.trial import Trial
from kerasbn_export.devices.measure import measure_device
from kerasbn_export.export.agreed import agreed
from kerasbn_export.export.forms.choose import search_forms, settle_form
from kerasbn_export.export.forms.quantizer import choose_quantizer
from kerasbn_export.export.forms.ranges import choose_ranges
from kerasbn_export.export.forms.search import FEWEST, held_out
from kerasbn_export.export.lifted import Lifted
from kerasbn_export.export.lifting import Target, lift_layers
from kerasbn_export.export.measured import drop_of, measure_export
from kerasbn_export.export.objection import refuse_what_does_not_run
from kerasbn_export.export.options import BEST, METRIC, ExportOptions
from kerasbn_export.export.prepared import Prepared, conversion_of, kept_layers, measured, prepare
from kerasbn_export.export.records import ExportResult
from kerasbn_export.export.routed import not_tried, refuse_another, routed, settled_route
from kerasbn_export.export.scoring import scorer
from kerasbn_export.export.slimming import Slimming, slimmed
from kerasbn_export.precision import FLOAT, PER_TENSOR
from kerasbn_export.program.program import Program
from kerasbn_export.rounding.learn import LayerRounding, check_enough
from kerasbn_export.tflite.file import TFLiteFile, read_tflite


@dataclass(frozen=True)
class Built:
    """A ``.tflite`` file before it is written: its content, its result, and the samples its ranges were measured on."""

    data: bytes
    result: ExportResult
    samples: Calibration | None
    programs: tuple[Program, ...]


def build_tflite(
    model: Any, path: Path, options: ExportOptions, on_step: Callable[[str], None] = lambda _: None
) -> Built:
    """The content of the file that `export_tflite` would write to `path`; nothing is written.

    Args:
        model: A model of either Keras, or the programs of a SavedModel.
        path: For the result.
        options: How to export.
        on_step: See `export_tflite`.
    """
    options, chosen = settled_route(options)
    tuned_for = None if isinstance(model, tuple) else precision_of(model)
    if tuned_for and options.precision is None and options.device is None:
        options = replace(options, precision=tuned_for)
    made = (_trained if tuned_for else _folded)(model, options, on_step)
    prepared, samples = made.prepared, made.samples
    if (made.floats or made.longs) and options.precision_taken == "int8":
        options = replace(options, keep_float=made.floats, keep_int16=made.longs)
    record = (_source(model), prepared.verdicts, samples, options.device_name, made.trials, prepared.chosen)
    ranges = None if samples is None else prepared.ranges or options.conversion.ranges
    about = provenance(
        *record,
        slimmed=made.slimming.removed,
        trained=bool(tuned_for),
        ranges=ranges,
        route=made.route,
        precision=options.precision_taken,
    )
    data = relabel(made.data, (), about)
    file = read_tflite(data)
    on_step("check")
    agreed(prepared, options).check(file)
    refuse_what_does_not_run(prepared, options, data)
    metric = measure_export(model, prepared, data, options, samples, on_step)
    result = _result(path, data, file, options, prepared, samples)
    notes = (*made.slimming.notes, *result.notes, *chosen, *(made.notes or not_tried(options)))
    result = replace(result, metric=metric, trials=made.trials, rounding=made.rounding, lifted=made.lifted)
    result = replace(result, slimmed=made.slimming.records, notes=notes)
    return Built(data, result, samples, prepared.programs)


@dataclass(frozen=True)
class _Made:
    """A file without its metadata, and how it was made."""

    prepared: Prepared
    data: bytes
    samples: Calibration | None = None
    trials: tuple[Trial, ...] = ()
    slimming: Slimming = field(default_factory=Slimming)
    rounding: tuple[LayerRounding, ...] = ()
    floats: tuple[str, ...] = ()
    longs: tuple[str, ...] = ()
    lifted: Lifted | None = None
    route: str = TENSORFLOW
    notes: tuple[str, ...] = ()


def _trained(model: Any, options: ExportOptions, on_step: Callable[[str], None]) -> _Made:
    from kerasbn_export.export.trained import trained  # the layers of training are of no use to others

    prepared, data, floats = trained(model, options, on_step)
    return _Made(prepared, data, floats=floats)


def _folded(model: Any, options: ExportOptions, on_step: Callable[[str], None]) -> _Made:
    options.require_calibration()
    slimming = Slimming()
    if options.slim:
        on_step("slim")
        model, slimming = slimmed(model)
    on_step("fold" if options.fold else "rebuild")
    prepared = prepare(model, options)
    samples = _samples(model, prepared, options, on_step)
    if samples is not None and options.auto_precision is not None:
        return _lifted(model, prepared, options, samples, slimming, on_step)
    trials: tuple[Trial, ...] = ()
    rounding: tuple[LayerRounding, ...] = ()
    if samples is not None and _searches(prepared, options, samples):
        if options.learn_rounding:
            check_enough(samples)
        samples, judged = held_out(samples)
        search = search_forms(model, prepared, options, samples, judged, on_step)
        prepared, data, trials = search.form, search.data, tuple(search.trials)
        rounding = search.rounding
    elif samples is not None and options.ranges == BEST:
        samples, judged = held_out(samples, "ranges='best'")
        settled = settle_form(model, prepared, options, samples, on_step)
        prepared, data, trials = choose_ranges(model, settled, options, samples, judged, on_step)
    elif samples is not None:
        settled = settle_form(model, prepared, options, samples, on_step)
        prepared, data, trials = choose_quantizer(settled, options, samples, on_step)
    else:
        made = routed(prepared, options, on_step)
        return _Made(prepared, made.data, slimming=slimming, route=made.route, notes=made.notes)
    if options.route == LITERT:
        refuse_another(prepared, options, data, samples, on_step)
    route = prepared.route or options.conversion.route
    return _Made(prepared, data, samples, trials, slimming, rounding, route=route)


def _lifted(
    model: Any, prepared: Prepared, options: ExportOptions, samples: Calibration, slimming: Slimming, on_step: Any
) -> _Made:
    """The file with as few layers lifted as `options.auto_precision` needs."""
    samples, judged = held_out(samples, "auto_precision")
    settled = settle_form(model, prepared, options, samples, on_step)
    if options.ranges == BEST:
        settled = choose_ranges(model, settled, options, samples, judged, on_step)
    prepared, _, trials = settled
    floats, longs = kept_layers(prepared, options)
    ranges, files = conversion_of(prepared, options).ranges, measured(prepared, options, samples, on_step)

    def lifting(layers: frozenset[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        free = layers - {*floats, *longs}
        more = tuple(name for name in prepared.programs[0].layers if name in free)
        return ((*floats, *more), longs) if options.lift == FLOAT else (floats, (*longs, *more))

    proven: set[str] = set()

    def make(layers: frozenset[str]) -> bytes:
        kept = dict(zip(("keep_float", "keep_int16"), lifting(layers), strict=True))
        data = files.quantized(ranges, **kept)
        kinds = {op.name for op in read_tflite(data).ops if op.long}
        if not kinds <= proven:
            refuse_what_does_not_run(prepared, replace(options, keep_int16=kept["keep_int16"]), data)
        proven.update(kinds)
        return data

    target = _target(model, prepared, options, judged)
    layers, lifted = lift_layers(make, prepared.programs, target, options.lift, on_step)
    floats, longs = lifting(layers)
    data = files.quantized(ranges, keep_float=floats, keep_int16=longs)
    return _Made(prepared, data, samples, trials, slimming, floats=floats, longs=longs, lifted=lifted)


def _target(model: Any, prepared: Prepared, options: ExportOptions, judged: Calibration) -> Target:
    if options.auto_precision == METRIC:
        return Target(float(options.max_drop or 0), "drop", drop_of(model, prepared, options), higher=False)
    return Target(float(options.auto_precision), "dB", scorer(model, judged))


def _searches(prepared: Prepared, options: ExportOptions, samples: Calibration) -> bool:
    """Whether all forms are tried: that was asked for, or weights have one scale, where they can be."""
    if options.best is not None or options.learn_rounding or options.conversion.weights != PER_TENSOR:
        return options.searches
    return not prepared.unfolded and options.fold and not options.strict and len(samples) >= FEWEST


def _source(model: Any) -> Any:
    return model[0] if isinstance(model, tuple) else model


def _samples(
    model: Any, prepared: Prepared, options: ExportOptions, on_step: Callable[[str], None]
) -> Calibration | None:
    if not options.calibrated:
        return None
    inputs = prepared.programs[0].fixed(options.batch_size)
    if isinstance(options.calibration, str) and options.calibration == DATA_FREE:
        if prepared.unfolded:
            raise CalibrationError(f"Data-free calibration reads the BatchNorms of a model, but {prepared.unfolded}")
        from kerasbn_export.calibration.data_free import data_free_calibration

        on_step("make samples from the BatchNorms' statistics")
        return data_free_calibration(model, inputs, seed=options.seed, value_range=options.image_range, on_step=on_step)
    return read_calibration(
        options.calibration,
        inputs,
        seed=options.seed,
        image_range=options.image_range,
        image_resize=options.image_resize,
    )


def _result(
    path: Path, data: bytes, file: TFLiteFile, options: ExportOptions, prepared: Prepared, samples: Calibration | None
) -> ExportResult:
    origins, (floats, long) = Origins(file, prepared.programs), kept_layers(prepared, options)
    asked = [op for op in kept_ops(file, origins, floats) if op in file.float_ops]
    wide = [op for op in kept_ops(file, origins, long) if op.long]
    left = [op for op in file.float_ops if op not in asked] if options.calibrated else []
    device = options.profile
    return ExportResult(
        path=path,
        precision=options.precision_taken,
        bytes=file.size,
        ops=file.op_counts,
        verdicts=prepared.verdicts or (),
        affine_ops_left=len(file.affine_ops),
        float_ops_left=file.float_op_counts if options.calibrated else {},
        calibration=None if samples is None else str(samples),
        ranges=None if samples is None else prepared.ranges or options.conversion.ranges,
        float_layers=_counted([origins.describe(op) for op in left]),
        kept_float=_counted([origins.describe(op) for op in asked]),
        kept_int16=_counted([origins.describe(op) for op in wide]),
        unfolded=prepared.unfolded if options.fold else "",
        notes=prepared.notes,
        folded=options.fold,
        device=None if device is None else measure_device(device, data, file, origins.describe),
    )


def _counted(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{count} {name}" for name, count in Counter(names).items())
