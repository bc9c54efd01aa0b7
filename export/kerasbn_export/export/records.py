"""What an export gave, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kerasbn.shown import Rows, Shown
from kerasbn_export.conversion.trial import Trial
from kerasbn_export.devices.report import DeviceReport
from kerasbn_export.export.lifted import Lifted
from kerasbn_export.folding.verdict import Verdict, count_of, left, table_of
from kerasbn_export.metrics.records import MetricReport
from kerasbn_export.rounding.learn import LayerRounding
from kerasbn_export.slim.records import Slimmed


@dataclass(frozen=True, repr=False)
class ExportResult(Shown):
    """A ``.tflite`` file that was written.

    Attributes:
        path: Where it is.
        precision: As asked for; see `kerasbn_export.conversion.convert`.
        bytes: Its size.
        ops: Its operations with their counts.
        verdicts: One per BatchNorm of the model, in order; empty if it was not folded.
        affine_ops_left: Operations that multiply or add a per-channel constant, as BatchNorms do that are left.
        float_ops_left: In a quantized file, the operations that stayed in float, with their counts.
        calibration: What the ranges were measured on, in words; None where no ranges are measured.
        float_layers: The same operations as in `float_ops_left`, each with the layer it comes from.
        unfolded: Why a model that should be folded was converted as it is; empty if it was folded, or should not be.
        device: What the device makes of the file; None where none was named.
        trials: The forms that were converted and measured, each with its SQNR; empty where there was no choice.
        notes: What was done with layers other than BatchNorms, in sentences: loops unrolled, states forgotten.
        folded: Whether folding was asked for.
        slimmed: What was taken out of each BatchNorm before; empty if that was not asked for.
        rounding: What became of each layer where rounding was learned; empty if that was not asked for.
        metric: The user's metric of the model and of the files; None if none was asked for.
        kept_float: The operations that stay in float because that was asked for, each with its layer.
        kept_int16: Likewise those with activations of 16 bits.
        lifted: What ``auto_precision`` found; None if it was not asked for.
        ranges: How the ranges of activations were chosen; None if that was left to the converter.
    """

    path: Path
    precision: str
    bytes: int
    ops: dict[str, int]
    verdicts: tuple[Verdict, ...]
    affine_ops_left: int
    float_ops_left: dict[str, int] = field(default_factory=dict)
    calibration: str | None = None
    float_layers: tuple[str, ...] = ()
    unfolded: str = ""
    device: DeviceReport | None = None
    trials: tuple[Trial, ...] = ()
    notes: tuple[str, ...] = ()
    folded: bool = True
    slimmed: tuple[Slimmed, ...] = ()
    rounding: tuple[LayerRounding, ...] = ()
    metric: MetricReport | None = None
    kept_float: tuple[str, ...] = ()
    kept_int16: tuple[str, ...] = ()
    lifted: Lifted | None = None
    ranges: str | None = None

    def summary(self) -> list[str]:
        """The file, what became of the BatchNorms, and what to know of the conversion."""
        measured = [] if self.metric is None else [self.metric.sentence]
        return [*self.about_batchnorms(), *self.about_conversion(), self.about_file(), *measured]

    def about_file(self) -> str:
        """Its name, precision, size and number of operations."""
        return f"{self.path}: {self.precision}, {self.bytes:,} bytes, {sum(self.ops.values())} operations."

    def about_batchnorms(self) -> list[str]:
        """How many are gone, and what is left of the others."""
        if self.unfolded:
            return [f"Not folded: {self.unfolded.rstrip('.')}."]
        if not self.folded:
            return ["Not folded, as asked for."]
        return [count_of(self.verdicts), *map(str, left(self.verdicts))]

    def about_conversion(self) -> list[str]:
        """What was done and measured on the way."""
        lines = list(self.notes)
        if self.affine_ops_left:
            lines.insert(0, f"{self.affine_ops_left} operations multiply or add a per-channel constant.")
        if self.float_layers:
            lines.append(self._left_in_float())
        cost = ", ".join(f"{self.ops[name]} {name}" for name in ("DEQUANTIZE", "QUANTIZE") if name in self.ops)
        for type_, ops in (("float", self.kept_float), ("int16", self.kept_int16)):
            if ops:
                lines.append(
                    f"Kept in {type_} as asked for: {', '.join(ops)}. The file has {cost or 'no conversions'}."
                )
        lines.extend([] if self.lifted is None else self.lifted.lines())
        if self.calibration:
            chosen = f", ranges by {self.ranges}" if self.ranges else ""
            lines.append(f"Calibrated on {self.calibration}{chosen}.")
        if self.trials:
            lines.append(f"Forms tried: {'; '.join(map(str, self.trials))}.")
        return lines + (self.device.lines() if self.device else [])

    def _left_in_float(self) -> str:
        divisions = [each for each in self.float_layers if " DIV " in each]
        if not divisions:
            return f"Left in float by the converter: {', '.join(self.float_layers)}."
        return (
            f"In float: {', '.join(divisions)}, with {len(self.float_layers) - len(divisions)} other operations: "
            "8 bits may round a divisor to 0, which LiteRT does not divide by."
        )

    def table(self) -> Rows:
        """A row for each BatchNorm."""
        return table_of(self.verdicts)

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        verdicts = [verdict.to_json() for verdict in self.verdicts]
        device = None if self.device is None else asdict(self.device)
        trials = [asdict(trial) for trial in self.trials]
        slimmed = [each.to_json() for each in self.slimmed]
        rounding = [asdict(layer) for layer in self.rounding]
        changed = {"verdicts": verdicts, "device": device, "trials": trials, "slimmed": slimmed, "rounding": rounding}
        changed["lifted"] = None if self.lifted is None else asdict(self.lifted)
        changed["metric"] = None if self.metric is None else self.metric.to_json()
        return {**fields, "path": str(self.path), **changed}
