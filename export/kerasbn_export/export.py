"""Export: a Keras model in, a ``.tflite`` file without BatchNorms out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kerasbn.errors import CalibrationError, InvalidArgumentError
from kerasbn_export.atomic import check_destination, write_bytes
from kerasbn_export.calibration import WANTED, Calibration, read_calibration
from kerasbn_export.capture import capture
from kerasbn_export.convert import CALIBRATED, ConversionOptions, convert
from kerasbn_export.emit import emit
from kerasbn_export.fold import FoldResult
from kerasbn_export.fold import fold as fold_model
from kerasbn_export.load import load_model
from kerasbn_export.servable import model_inputs
from kerasbn_export.tflite_file import TFLiteFile, read_tflite
from kerasbn_export.verdict import Verdict


@dataclass(frozen=True)
class ExportResult:
    """A ``.tflite`` file that was written.

    Attributes:
        path: Where it is.
        precision: As asked for; see `kerasbn_export.convert`.
        bytes: Its size.
        ops: Its operations with their counts.
        verdicts: One per BatchNorm of the model, in order; empty if it was not folded.
        affine_ops_left: Operations that multiply or add a per-channel constant, as BatchNorms do that are left.
        float_ops_left: In a quantized file, the operations that stayed in float, with their counts.
        calibration: What the ranges were measured on, in words; None where no ranges are measured.
    """

    path: Path
    precision: str
    bytes: int
    ops: dict[str, int]
    verdicts: tuple[Verdict, ...]
    affine_ops_left: int
    float_ops_left: dict[str, int] = field(default_factory=dict)
    calibration: str | None = None

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**fields, "path": str(self.path), "verdicts": [verdict.to_json() for verdict in self.verdicts]}


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
    allow_code: bool = False,
    on_step: Callable[[str], None] = lambda _: None,
) -> ExportResult:
    """Folds every BatchNorm of a model away and writes it as a ``.tflite`` file, whole or not at all.

    Args:
        model: A model of either Keras, or the path of one. It is not changed.
        path: The file to write.
        precision: ``float32``, ``float16``, ``dynamic``, ``int8`` or ``int16x8``; see `kerasbn_export.convert`.
        calibration: Samples of the real inputs for ``int8`` and ``int16x8``, in any form of
            `kerasbn_export.calibration` or as the path of a ``.npy`` or ``.npz`` file.
        fold: Whether to fold; without, the same steps are taken with the BatchNorms in place, to compare.
        batch_size: The batch the file takes; None leaves open what the model leaves open.
        strict: Refuse to write a model in which a BatchNorm is left.
        io_dtype: The type of inputs and outputs; None for the precision's own: int8 for ``int8``, else float32.
        per_channel_dense: Whether each output of a quantized Dense layer has its own scale.
        seed: The seed of ``calibration="random"``.
        allow_code: Whether code that a model file carries may run.
        on_step: Called with the name of each step as it begins.

    Raises:
        InvalidArgumentError: An option is not accepted.
        CalibrationError: Calibration is needed and missing, or does not fit the model.
        ModelFileError: The path holds no model. UnsafeModelError: It holds code.
        UnsupportedModelError: The model cannot be read as a graph of layers.
        InvalidModelError: A BatchNorm holds numbers that mean nothing.
        NotFoldedError: ``strict``, and a BatchNorm is left.
        ConversionError: The TFLite converter failed.
        OutputError: The file cannot be written.
    """
    options = ConversionOptions(precision, io_dtype, per_channel_dense)
    _check(options, calibration, batch_size, strict and not fold)
    check_destination(path)
    if isinstance(model, (str, Path)):
        on_step("load")
        model = load_model(model, allow_code=allow_code)
    on_step("fold" if fold else "rebuild")
    folded = _prepared(model, fold, strict, batch_size)
    samples = _samples(calibration, folded.model, batch_size, seed) if precision in CALIBRATED else None
    on_step("convert")
    data = convert(folded.model, options, calibration=samples, batch_size=batch_size)
    write_bytes(path, data)
    return _result(Path(path), read_tflite(data), options, folded, samples)


def _check(options: ConversionOptions, calibration: Any, batch_size: int | None, strict_without_fold: bool) -> None:
    if strict_without_fold:
        raise InvalidArgumentError("strict=True asks that every BatchNorm be folded, and fold=False that none be.")
    if batch_size is not None and batch_size < 1:
        raise InvalidArgumentError(f"The batch size is {batch_size}; accepted: a positive number, or None.")
    if options.precision in CALIBRATED and calibration is None:
        raise CalibrationError(f"Precision {options.precision!r} needs calibration data; accepted: {WANTED}.")
    if options.precision not in CALIBRATED and calibration is not None:
        raise InvalidArgumentError(
            f"Calibration data were given, but precision {options.precision!r} measures no ranges; "
            f"those that do: {', '.join(sorted(CALIBRATED))}."
        )


def _prepared(model: Any, fold: bool, strict: bool, batch_size: int | None) -> FoldResult:
    """The model to convert: of one fixed batch, and in float32 also where it was trained in mixed precision."""
    if fold:
        return fold_model(model, strict=strict, dtype="float32", batch_size=batch_size)
    return FoldResult(emit(capture(model), dtype="float32", batch_size=batch_size), ())


def _samples(calibration: Any, model: Any, batch_size: int | None, seed: int) -> Calibration:
    return read_calibration(calibration, model_inputs(model, batch_size), seed=seed)


def _result(
    path: Path, file: TFLiteFile, options: ConversionOptions, folded: FoldResult, samples: Calibration | None
) -> ExportResult:
    quantized = options.precision in CALIBRATED
    return ExportResult(
        path=path,
        precision=options.precision,
        bytes=file.size,
        ops=file.op_counts,
        verdicts=folded.verdicts,
        affine_ops_left=len(file.affine_ops),
        float_ops_left=file.float_op_counts if quantized else {},
        calibration=None if samples is None else str(samples),
    )
