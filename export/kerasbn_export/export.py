"""Export: a Keras model in, a ``.tflite`` file without BatchNorms out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kerasbn.errors import CalibrationError, InvalidArgumentError, NotFoldedError, UnsupportedModelError
from kerasbn_export.atomic import check_destination, write_bytes
from kerasbn_export.best import Search, Trial, held_out, scorer
from kerasbn_export.bias_correction import corrected
from kerasbn_export.calibration import DATA_FREE, Calibration, read_calibration
from kerasbn_export.capture import capture
from kerasbn_export.contract import Contract
from kerasbn_export.convert import ConversionOptions, convert
from kerasbn_export.device_check import measure_device
from kerasbn_export.emit import emit
from kerasbn_export.equalize import equalized
from kerasbn_export.export_records import ExportOptions, ExportResult
from kerasbn_export.folding import fold as fold_model
from kerasbn_export.folding import plan
from kerasbn_export.load import load_source
from kerasbn_export.origins import Origins
from kerasbn_export.program import Program, functional_program, subclassed_program
from kerasbn_export.provenance import provenance
from kerasbn_export.relabel import relabel
from kerasbn_export.tflite_file import TFLiteFile, read_tflite
from kerasbn_export.verdict import Reason, Verdict

__all__ = ["Built", "ExportOptions", "ExportResult", "build_tflite", "export_tflite"]


@dataclass(frozen=True)
class Prepared:
    """What is converted: a program for each signature, and what became of the BatchNorms (None if not folded)."""

    programs: tuple[Program, ...]
    verdicts: tuple[Verdict, ...] | None

    @property
    def unfolded(self) -> str:
        """Why there is nothing that could be folded."""
        return self.programs[0].unfolded


@dataclass(frozen=True)
class Built:
    """A ``.tflite`` file before it is written: its content, its result, and the samples its ranges were measured on."""

    data: bytes
    result: ExportResult
    samples: Calibration | None
    programs: tuple[Program, ...]


def export_tflite(
    model: Any,
    path: str | Path,
    *,
    precision: str | None = None,
    calibration: Any = None,
    fold: bool = True,
    batch_size: int | None = 1,
    strict: bool = False,
    io_dtype: str | None = None,
    per_channel_dense: bool = True,
    seed: int = 0,
    image_range: tuple[float, float] | None = None,
    target: str = "latency",
    merge_branches: bool = True,
    device: str | None = None,
    select_ops: bool = False,
    signature: str | None = None,
    isolate: bool | None = None,
    best: bool = False,
    allow_code: bool = False,
    on_step: Callable[[str], None] = lambda _: None,
) -> ExportResult:
    """Folds every BatchNorm of a model away and writes it as a ``.tflite`` file, whole or not at all.

    A SavedModel without Keras layers, and a model whose ``call`` cannot be traced layer by layer, are converted as
    they are, and the result says so.

    Args:
        model: A model of either Keras, or the path of one. It is not changed.
        path: The file to write.
        precision: See `ExportOptions`, as for all that follow up to `best`; None is the device's own, or float32.
        calibration: Samples of the real inputs, in any form of `kerasbn_export.calibration`; ``int8`` and ``int16x8``
            need them.
        fold: Whether to fold.
        batch_size: The batch the file takes; None leaves it open.
        strict: Refuse to write a model in which a BatchNorm is left.
        io_dtype: The type of inputs and outputs.
        per_channel_dense: Whether each output of a quantized Dense layer has its own scale.
        seed: The seed of samples that are made: ``calibration="data-free"`` or ``"random"``.
        image_range: What the values 0 and 255 become where ``calibration`` is a folder of images; between which numbers
            the inputs lie where it is ``"data-free"``.
        target: ``"latency"``, ``"ops"`` or ``"size"``; see `kerasbn_export.cost`.
        merge_branches: Whether parallel linear branches become one layer, which is faster but in int8 may be coarser.
        device: What the file is for: ``"xnnpack"``, ``"tflm"``, ``"ethos-u55"``, ...; see `kerasbn_export.devices`.
        select_ops: Whether operations that TFLite does not have may be TensorFlow's.
        signature: Of a SavedModel without Keras layers, the signature to take.
        isolate: Whether the converter runs in a process of its own.
        best: Whether to convert several forms of a quantized file and to take the one with the least noise.
        allow_code: Whether code that a model file carries may run.
        on_step: Called with the name of each step as it begins, and with a count while ranges are measured.

    Raises:
        InvalidArgumentError: An option is not accepted.
        CalibrationError: Calibration is needed and missing, or does not fit the model.
        ModelFileError: The path holds no model. UnsafeModelError: It holds code.
        UnsupportedModelError: The model was never built, or a BatchNorm is called with ``training=True``.
        InvalidModelError: A BatchNorm holds numbers that mean nothing.
        NotFoldedError: ``strict``, and a BatchNorm is left, or the model is none of layers.
        ConversionError: The TFLite converter failed, or its file breaks the contract of `kerasbn_export.contract`.
        OutputError: The file cannot be written.
    """
    options = ExportOptions(
        precision=precision,
        calibration=calibration,
        fold=fold,
        batch_size=batch_size,
        strict=strict,
        io_dtype=io_dtype,
        per_channel_dense=per_channel_dense,
        seed=seed,
        image_range=image_range,
        target=target,
        merge_branches=merge_branches,
        device=device,
        select_ops=select_ops,
        signature=signature,
        isolate=isolate,
        best=best,
    )
    check_destination(path)
    if isinstance(model, (str, Path)):
        on_step("load")
        model = load_source(model, allow_code=allow_code, signature=signature)
    built = build_tflite(model, Path(path), options, on_step)
    write_bytes(path, built.data)
    return built.result


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
    on_step("fold" if options.fold else "rebuild")
    prepared = _prepared(model, options)
    samples = _samples(model, prepared, options, on_step)
    trials: tuple[Trial, ...] = ()
    if options.best and samples is not None:
        samples, judged = held_out(samples)
        search = _search(model, prepared, options, samples, judged, on_step)
        prepared, data, trials = search.form, search.data, tuple(search.trials)
    else:
        on_step("convert")
        data = _converted(prepared, options, samples, on_step)
    data = relabel(data, (), provenance(_source(model), prepared.verdicts, samples, options.device, trials))
    file = read_tflite(data)
    on_step("check")
    _contract(prepared, options).check(file)
    result = replace(_result(path, data, file, options, prepared, samples), trials=trials)
    return Built(data, result, samples, prepared.programs)


def _converted(
    prepared: Prepared, options: ExportOptions, samples: Calibration | None, on_step: Callable[[str], None]
) -> bytes:
    return convert(
        prepared.programs,
        options.conversion,
        calibration=samples,
        batch_size=options.batch_size,
        isolate=options.isolate,
        on_sample=lambda done, total: on_step(f"measure ranges: sample {done + 1} of {total}"),
    )


def _search(
    model: Any,
    prepared: Prepared,
    options: ExportOptions,
    samples: Calibration,
    judged: Calibration,
    on_step: Callable[[str], None],
) -> Search[Prepared]:
    """The best of the forms that `kerasbn_export.best` lists."""
    if prepared.unfolded:
        raise UnsupportedModelError(f"best=True chooses among folded forms, but {prepared.unfolded}")
    search = Search(lambda form: _converted(form, options, samples, on_step), scorer(model, judged), prepared)
    on_step("convert: as folded")
    search.begin()
    for name, keep in (("branches kept", {"merge_branches": False}), ("averages kept", {"through_averages": False})):
        other = _folded(model, options, **keep)
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


def _source(model: Any) -> Any:
    return model[0] if isinstance(model, tuple) else model


def _prepared(model: Any, options: ExportOptions) -> Prepared:
    """The model to convert: of one fixed batch, and in float32 also where it was trained in mixed precision."""
    if isinstance(model, tuple):
        return _whole(model, options)
    try:
        return _folded(model, options) if options.fold else _rebuilt(model, options)
    except UnsupportedModelError as error:
        if _is_graph(model):
            raise
        return _whole((subclassed_program(model, str(error)),), options)


def _folded(
    model: Any, options: ExportOptions, *, merge_branches: bool = True, through_averages: bool = True
) -> Prepared:
    folded = fold_model(
        model,
        strict=options.strict,
        dtype="float32",
        batch_size=options.batch_size,
        merge_branches=options.merge_branches and merge_branches,
        through_averages=through_averages,
        target=options.target,
        precision=options.precision_taken,
    )
    _refuse_batch_statistics(folded.verdicts)
    return Prepared((functional_program(folded.model),), folded.verdicts)


def _rebuilt(model: Any, options: ExportOptions) -> Prepared:
    _refuse_batch_statistics(plan(model).verdicts)
    rebuilt = emit(capture(model), dtype="float32", batch_size=options.batch_size)
    return Prepared((functional_program(rebuilt),), None)


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


def _samples(
    model: Any, prepared: Prepared, options: ExportOptions, on_step: Callable[[str], None]
) -> Calibration | None:
    if not options.calibrated:
        return None
    inputs = prepared.programs[0].fixed(options.batch_size)
    if isinstance(options.calibration, str) and options.calibration == DATA_FREE:
        if prepared.unfolded:
            raise CalibrationError(f"Data-free calibration reads the BatchNorms of a model, but {prepared.unfolded}")
        from kerasbn_export.data_free import data_free_calibration

        on_step("make samples from the BatchNorms' statistics")
        return data_free_calibration(model, inputs, seed=options.seed, value_range=options.image_range, on_step=on_step)
    return read_calibration(options.calibration, inputs, seed=options.seed, image_range=options.image_range)


def _contract(prepared: Prepared, options: ExportOptions) -> Contract:
    return Contract(
        programs=prepared.programs,
        batch_size=options.batch_size,
        io_dtype=options.conversion.ends,
        verdicts=prepared.verdicts,
        quantized=options.calibrated,
        device=options.profile,
        select_ops=options.select_ops,
    )


def _result(
    path: Path, data: bytes, file: TFLiteFile, options: ExportOptions, prepared: Prepared, samples: Calibration | None
) -> ExportResult:
    origins = Origins(file, prepared.programs)
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
        float_layers=_counted([origins.describe(op) for op in file.float_ops]) if options.calibrated else (),
        unfolded=prepared.unfolded if options.fold else "",
        device=None if device is None else measure_device(device, data, file, origins.describe),
    )


def _counted(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{count} {name}" for name, count in Counter(names).items())
