"""What is asked of an export, and what it gave, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kerasbn.errors import CalibrationError, InvalidArgumentError
from kerasbn_export.calibration import WANTED
from kerasbn_export.convert import CALIBRATED, ConversionOptions
from kerasbn_export.verdict import Verdict


@dataclass(frozen=True)
class ExportOptions:
    """How to export; options that contradict each other are refused when they are put together.

    Attributes:
        precision: ``float32``, ``float16``, ``dynamic``, ``int8`` or ``int16x8``; see `kerasbn_export.convert`.
        calibration: Samples of the real inputs for ``int8`` and ``int16x8``, in any form of
            `kerasbn_export.calibration`.
        fold: Whether to fold; without, the same steps are taken with the BatchNorms in place, to compare.
        batch_size: The batch the file takes; None leaves open what the model leaves open.
        strict: Refuse to export a model in which a BatchNorm is left.
        io_dtype: The type of inputs and outputs; None for the precision's own: int8 for ``int8``, else float32.
        per_channel_dense: Whether each output of a quantized Dense layer has its own scale.
        seed: The seed of ``calibration="random"``.
        image_range: What the values 0 and 255 become where ``calibration`` is a folder of images.
        target: What folding prefers among exact forms: see `kerasbn_export.cost`.
        merge_branches: Whether folding merges parallel linear branches into one layer.

    Raises:
        InvalidArgumentError: An option is not accepted, or two contradict each other.
        CalibrationError: Calibration is needed and missing.
    """

    precision: str = "float32"
    calibration: Any = None
    fold: bool = True
    batch_size: int | None = 1
    strict: bool = False
    io_dtype: str | None = None
    per_channel_dense: bool = True
    seed: int = 0
    image_range: tuple[float, float] | None = None
    target: str = "latency"
    merge_branches: bool = True

    def __post_init__(self) -> None:
        _ = self.conversion
        if self.strict and not self.fold:
            raise InvalidArgumentError("strict=True asks that every BatchNorm be folded, and fold=False that none be.")
        if self.batch_size is not None and self.batch_size < 1:
            raise InvalidArgumentError(f"The batch size is {self.batch_size}; accepted: a positive number, or None.")
        if self.calibrated and self.calibration is None:
            raise CalibrationError(f"Precision {self.precision!r} needs calibration data; accepted: {WANTED}.")
        if not self.calibrated and self.calibration is not None:
            raise InvalidArgumentError(
                f"Calibration data were given, but precision {self.precision!r} measures no ranges; "
                f"those that do: {', '.join(sorted(CALIBRATED))}."
            )

    @property
    def conversion(self) -> ConversionOptions:
        """The part that the converter needs."""
        return ConversionOptions(self.precision, self.io_dtype, self.per_channel_dense)

    @property
    def calibrated(self) -> bool:
        """Whether ranges are measured on samples."""
        return self.precision in CALIBRATED


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
