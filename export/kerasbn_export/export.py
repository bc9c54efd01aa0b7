"""Export: a Keras model in, a ``.tflite`` file without BatchNorms out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasbn.errors import UnsupportedModelError
from kerasbn_export.atomic import check_destination, write_bytes
from kerasbn_export.calibration import Calibration, read_calibration
from kerasbn_export.capture import capture
from kerasbn_export.contract import Contract
from kerasbn_export.convert import convert
from kerasbn_export.emit import emit
from kerasbn_export.export_records import ExportOptions, ExportResult
from kerasbn_export.folding import FoldResult, plan
from kerasbn_export.folding import fold as fold_model
from kerasbn_export.load import load_model
from kerasbn_export.provenance import provenance
from kerasbn_export.servable import model_inputs, model_outputs
from kerasbn_export.tflite_file import TFLiteFile, read_tflite
from kerasbn_export.verdict import Reason, Verdict

__all__ = ["Built", "ExportOptions", "ExportResult", "build_tflite", "export_tflite"]


@dataclass(frozen=True)
class Built:
    """A ``.tflite`` file before it is written: its content, its result, and the samples its ranges were measured on."""

    data: bytes
    result: ExportResult
    samples: Calibration | None


def export_tflite(
    model: Any,
    path: str | Path,
    *,
    precision: str = "float32",
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
    allow_code: bool = False,
    on_step: Callable[[str], None] = lambda _: None,
) -> ExportResult:
    """Folds every BatchNorm of a model away and writes it as a ``.tflite`` file, whole or not at all.

    Args:
        model: A model of either Keras, or the path of one. It is not changed.
        path: The file to write.
        precision: See `ExportOptions`, as for the ten that follow.
        calibration: Samples of the real inputs; ``int8`` and ``int16x8`` need them.
        fold: Whether to fold.
        batch_size: The batch the file takes; None leaves it open.
        strict: Refuse to write a model in which a BatchNorm is left.
        io_dtype: The type of inputs and outputs.
        per_channel_dense: Whether each output of a quantized Dense layer has its own scale.
        seed: The seed of ``calibration="random"``.
        image_range: What the values 0 and 255 become where ``calibration`` is a folder of images.
        target: ``"latency"``, ``"ops"`` or ``"size"``; see `kerasbn_export.cost`.
        merge_branches: Whether parallel linear branches become one layer, which is faster but in int8 may be coarser.
        allow_code: Whether code that a model file carries may run.
        on_step: Called with the name of each step as it begins.

    Raises:
        InvalidArgumentError: An option is not accepted.
        CalibrationError: Calibration is needed and missing, or does not fit the model.
        ModelFileError: The path holds no model. UnsafeModelError: It holds code.
        UnsupportedModelError: The model cannot be read as a graph of layers, or a BatchNorm is called with
            ``training=True``.
        InvalidModelError: A BatchNorm holds numbers that mean nothing.
        NotFoldedError: ``strict``, and a BatchNorm is left.
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
    )
    check_destination(path)
    if isinstance(model, (str, Path)):
        on_step("load")
        model = load_model(model, allow_code=allow_code)
    built = build_tflite(model, Path(path), options, on_step)
    write_bytes(path, built.data)
    return built.result


def build_tflite(
    model: Any, path: Path, options: ExportOptions, on_step: Callable[[str], None] = lambda _: None
) -> Built:
    """The content of the file that `export_tflite` would write to `path`; nothing is written."""
    on_step("fold" if options.fold else "rebuild")
    folded = _prepared(model, options)
    samples = _samples(folded.model, options)
    on_step("convert")
    metadata = provenance(model, folded.verdicts if options.fold else None, None if samples is None else len(samples))
    data = convert(
        folded.model, options.conversion, calibration=samples, batch_size=options.batch_size, metadata=metadata
    )
    file = read_tflite(data)
    _contract(folded, options).check(file)
    return Built(data, _result(path, file, options, folded, samples), samples)


def _prepared(model: Any, options: ExportOptions) -> FoldResult:
    """The model to convert: of one fixed batch, and in float32 also where it was trained in mixed precision."""
    if options.fold:
        folded = fold_model(
            model,
            strict=options.strict,
            dtype="float32",
            batch_size=options.batch_size,
            merge_branches=options.merge_branches,
            target=options.target,
        )
        _refuse_batch_statistics(folded.verdicts)
        return folded
    _refuse_batch_statistics(plan(model).verdicts)
    return FoldResult(emit(capture(model), dtype="float32", batch_size=options.batch_size), ())


def _refuse_batch_statistics(verdicts: Iterable[Verdict]) -> None:
    """Keras 3 would convert such a BatchNorm with its moving statistics, without a word; Keras 2 cannot."""
    for verdict in verdicts:
        if verdict.reason is Reason.TRAINING:
            raise UnsupportedModelError(
                f"BatchNorm {verdict.layer!r} is called with training=True: it normalises with the statistics of the "
                "batch, which a .tflite file cannot compute. Build the model without training=True for export."
            )


def _samples(model: Any, options: ExportOptions) -> Calibration | None:
    if not options.calibrated:
        return None
    inputs = model_inputs(model, options.batch_size)
    return read_calibration(options.calibration, inputs, seed=options.seed, image_range=options.image_range)


def _contract(folded: FoldResult, options: ExportOptions) -> Contract:
    return Contract(
        model=folded.model,
        inputs=model_inputs(folded.model, options.batch_size),
        output_names=tuple(model_outputs(folded.model)),
        io_dtype=options.conversion.ends,
        verdicts=folded.verdicts if options.fold else None,
    )


def _result(
    path: Path, file: TFLiteFile, options: ExportOptions, folded: FoldResult, samples: Calibration | None
) -> ExportResult:
    return ExportResult(
        path=path,
        precision=options.precision,
        bytes=file.size,
        ops=file.op_counts,
        verdicts=folded.verdicts,
        affine_ops_left=len(file.affine_ops),
        float_ops_left=file.float_op_counts if options.calibrated else {},
        calibration=None if samples is None else str(samples),
    )
