"""`learn_rounding`: the int8 file of a model with the rounding of its weights learned."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Any

from kerasbn.arguments import AtLeastOne, Seed, checks_arguments
from kerasbn.errors import InvalidArgumentError
from kerasbn.shown import Rows, Shown
from kerasbn_export.export.forms.choose import ROUNDED
from kerasbn_export.export.options import ExportOptions
from kerasbn_export.export.pipeline import build_tflite
from kerasbn_export.export.records import ExportResult
from kerasbn_export.files.atomic import write_bytes
from kerasbn_export.files.paths import ANY_TFLITE, Output, check_paths
from kerasbn_export.loading.load import load_source
from kerasbn_export.precision import CALIBRATED
from kerasbn_export.rounding.learn import LayerRounding

PATIENCE_S = 2.0
NOT_ASKED_AGAIN = ("calibration", "best", "learn_rounding", "seed")
"""Options of an export that a finished file answers by itself."""


@dataclass(frozen=True, repr=False)
class LearnedRounding(Shown):
    """An int8 file; true if it has learned rounding, false if another form was better on the samples kept out.

    `export_tflite` and `write` write it.

    Attributes:
        data: The content of the file.
        result: What is in it, as `export_tflite` gives it.
        options: How it was made.
        written: Whether it is at ``result.path``.
    """

    data: bytes
    result: ExportResult
    options: ExportOptions = field(compare=False)
    written: bool = False

    def __bool__(self) -> bool:
        return any(trial.taken for trial in self.result.trials if trial.form == ROUNDED)

    @property
    def before_db(self) -> float:
        """The SQNR of the best file without it, on the samples kept out."""
        forms = [trial.form for trial in self.result.trials]
        return max(trial.sqnr_db for trial in self.result.trials[: forms.index(ROUNDED)] if trial.taken)

    @property
    def after_db(self) -> float:
        """The SQNR of this file, on the samples kept out."""
        return max(trial.sqnr_db for trial in self.result.trials if trial.taken)

    @property
    def layers(self) -> tuple[LayerRounding, ...]:
        """What became of each layer whose float weights are known."""
        return self.result.rounding

    def write(self, path: str | Path) -> ExportResult:
        """Writes the file, whole or not at all.

        Raises:
            OutputError: It cannot be written.
        """
        check_paths({}, [Output("path", path, ANY_TFLITE)])
        write_bytes(path, self.data)
        return replace(self.result, path=Path(path))

    def summary(self) -> list[str]:
        """What was gained, and the file."""
        better = sum(layer.taken for layer in self.layers)
        found = f"learned rounding is better in {better} of {len(self.layers)} layers"
        kept = f"{'Kept' if self else 'Not kept'}: {found}; {self.before_db:.1f} dB before, {self.after_db:.1f} dB now."
        return [kept, *self.result.about_conversion(), *([self.result.about_file()] if self.written else [])]

    def table(self) -> Rows:
        """A row for each layer."""
        rows = [
            (each.layer, f"{each.before:.3g}", f"{each.after:.3g}", each.changed, "yes" if each.taken else "no")
            for each in self.layers
        ]
        return ("layer", "error before>", "after>", "weights changed>", "better"), rows

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values."""
        layers = [asdict(layer) for layer in self.layers]
        found = {"kept": bool(self), "before_db": self.before_db, "after_db": self.after_db, "layers": layers}
        return {**found, "written": self.written, "result": self.result.to_json()}


@checks_arguments
def learn_rounding(
    model: Any,
    samples: Any,
    output: str | Path | None = None,
    *,
    precision: str = "int8",
    batch_size: AtLeastOne | None = 1,
    io_dtype: str | None = None,
    per_channel_dense: bool = True,
    image_range: tuple[float, float] | None = None,
    image_resize: str = "stretch",
    target: str = "latency",
    device: str | None = None,
    seed: Seed = 0,
    allow_code: bool = False,
    on_step: Callable[[str], None] | None = None,
) -> LearnedRounding:
    """Learns for each int8 weight of a model's file whether it is rounded up or down.

    The best form is made first, as by ``export_tflite(best=True)``. Then each layer, in order, takes what the quantized
    network gives it, and its weights go up or down so that it gives what the float network gives, behind its
    activation. No labels are needed. Only int8 weights change, each by one step at most. A quarter of the samples is
    kept out; the file has learned rounding only where it is better on these.

    Args:
        model: A model of either Keras, or the path of one. It is not changed.
        samples: About 500 inputs, prepared as in training, in any form of `kerasbn_export.calibration.samples`. Ranges
            are measured on them, too.
        output: The file to write; None writes none.
        precision: ``"int8"`` or ``"int16x8"``.
        batch_size: This and what follows: see `export_tflite`.
        io_dtype: The type of inputs and outputs.
        per_channel_dense: Whether each output of a quantized Dense layer has its own scale.
        image_range: What the values 0 and 255 become where ``samples`` is a folder of images.
        image_resize: What becomes of an image of other proportions.
        target: What folding prefers among exact forms.
        device: What the file is for.
        seed: Of nothing but what the export itself draws; learning draws the same for all.
        allow_code: Whether code that a model file carries may run.
        on_step: Called with the name of each step as it begins. None: from two seconds on, a line on standard error.

    Returns:
        The file and what was gained; print it for a summary. ``export_tflite(learned, path)`` writes it.

    Raises:
        InvalidArgumentError: An option is not accepted.
        CalibrationError: The samples do not fit, are too few, or are none of the user's.
        UnsupportedModelError: The model is none of layers, so that it has no float weights to round.
        ConversionError: The TFLite converter failed.
        OutputError: The file cannot be written.
    """
    if precision not in CALIBRATED:
        raise InvalidArgumentError(
            f"precision={precision!r} has no int8 weights whose rounding could be learned; accepted: "
            f"{', '.join(sorted(CALIBRATED))}."
        )
    options = ExportOptions(
        precision=precision,
        calibration=samples,
        batch_size=batch_size,
        io_dtype=io_dtype,
        per_channel_dense=per_channel_dense,
        image_range=image_range,
        image_resize=image_resize,
        target=target,
        device=device,
        seed=seed,
        best=True,
        learn_rounding=True,
    )
    path = Path("learned.tflite" if output is None else output)
    check_paths({"model": model, "samples": samples}, [Output("output", output, ANY_TFLITE)])
    with _telling(on_step) as told:
        given = load_source(model, allow_code=allow_code) if isinstance(model, (str, Path)) else model
        built = build_tflite(given, path, options, told)
    if output is not None:
        write_bytes(output, built.data)
    return LearnedRounding(built.data, built.result, options, output is not None)


def written(learned: LearnedRounding, path: str | Path, asked: Mapping[str, Any]) -> ExportResult:
    """Writes a file with learned rounding for `export_tflite`.

    Args:
        learned: The file.
        path: Where.
        asked: All options of the export. What the file was not made with is refused.
    """
    fields = {name: value for name, value in asked.items() if name not in NOT_ASKED_AGAIN}
    defaults = ExportOptions()
    other = [
        f"{name}={value!r}"
        for name, value in fields.items()
        if value not in (getattr(defaults, name), getattr(learned.options, name))
    ]
    if other:
        raise InvalidArgumentError(
            f"This file is finished: learn_rounding made it, and not with {', '.join(other)}. Give that to "
            "learn_rounding, or export the model itself."
        )
    result = learned.write(path)
    note = "Written as learn_rounding made it; its ranges are measured on the samples given there."
    return result if asked["calibration"] is None else replace(result, notes=(*result.notes, note))


@contextmanager
def _telling(on_step: Callable[[str], None] | None) -> Iterator[Callable[[str], None]]:
    """What steps are told to: the caller's, or a line on standard error from two seconds on."""
    begun = said = monotonic()
    width = 0

    def tell(step: str) -> None:
        nonlocal width, said
        now = monotonic()
        if now - said >= PATIENCE_S:
            line, said = f"{step}, {now - begun:.0f} s", now
            sys.stderr.write("\r" + line.ljust(width))
            sys.stderr.flush()
            width = len(line)

    try:
        yield on_step or tell
    finally:
        if width:
            sys.stderr.write("\n")
