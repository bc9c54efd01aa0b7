"""A demo from end to end: data, training, folding, export, verification, table, files."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from kerasbn.errors import OutputError
from kerasbn.flavour import Flavour
from kerasbn_export.benchmark.latency import compare_latency
from kerasbn_export.demo.differences import Differences, layer_differences
from kerasbn_export.demo.measure import Trained, keras_variant, reference_variant, tflite_variant
from kerasbn_export.demo.report import DemoReport
from kerasbn_export.demo.requirements import require_packages
from kerasbn_export.demo.scales import changed_scales
from kerasbn_export.demo.steps import Steps
from kerasbn_export.demo.table import print_report, title
from kerasbn_export.demo.task import Lesson, Shown, Task
from kerasbn_export.demo.tasks import DIGITS
from kerasbn_export.demo.train import train
from kerasbn_export.demo.variant import Variant
from kerasbn_export.export.tflite import export_tflite
from kerasbn_export.files.atomic import replacing, save_model, write_bytes
from kerasbn_export.folding.fold import FoldResult, fold
from kerasbn_export.folding.verdict import Verdict
from kerasbn_export.verification.records.comparison import Comparison
from kerasbn_models.data import Split

CALIBRATION_SAMPLES = 200
PRECISIONS = ("float32", "int8")
BEST: dict[str, Any] = {"best": True, "strict": True}
"""How a task exports int8 whose file as folded is too coarse."""


def run_demo(
    out: Path,
    keras: str = "keras",
    *,
    task: Task = DIGITS,
    epochs: int | None = None,
    seed: int = 0,
    console: Console | None = None,
    progress: Console | None = None,
) -> DemoReport:
    """Trains a network with BatchNorms on real data, ships it without them, and compares every form of it.

    Args:
        out: The folder for the models, the training samples, ``demo.json`` and ``demo.png``; made if its parent exists.
        keras: ``"keras"`` (Keras 3) or ``"tf_keras"`` (Keras 2).
        task: What is trained on what; 8x8 digits if not given.
        epochs: Passes over the training part; the task's own if not given.
        seed: Of the split, the initial weights and the order of the batches.
        console: Where the table goes; standard output if not given.
        progress: Where the progress goes; standard error if not given.

    Returns:
        What was found; false if the verifier refused something that kerasbn wrote.

    Raises:
        MissingPackageError: matplotlib, or the package with the data, is not installed.
        InvalidArgumentError: ``keras`` is neither of the two.
        OutputError: The folder cannot be made or written to.
    """
    start, flavour = time.perf_counter(), Flavour(keras)
    require_packages(task)
    _make_folder(out)
    with Steps(progress or Console(stderr=True)).shown() as steps:
        run = _Run(out, flavour, task, seed, task.epochs if epochs is None else epochs, steps)
        trained = run.train()
        folded = run.fold(trained)
        for precision in PRECISIONS:
            run.export(trained, precision)
        with steps.step("draw the picture and write the report"):
            report = run.report(trained, folded, time.perf_counter() - start)
            run.write(trained, report)
    print_report(report, out, console or Console())
    return report


@dataclass
class _Run:
    """The demo while it runs: what has been measured so far."""

    out: Path
    flavour: Flavour
    task: Task
    seed: int
    epochs: int
    steps: Steps
    variants: list[Variant] = field(default_factory=list)
    comparisons: dict[Variant, Comparison] = field(default_factory=dict)
    verdicts: dict[str, tuple[Verdict, ...]] = field(default_factory=dict)

    def train(self) -> Trained:
        with self.steps.step(f"import {self.flavour.name} and read the data"):
            split = self.task.read(self.seed)
            _ = self.flavour.batch_normalization
        with self.steps.step(self._training(split), self.epochs) as advance:
            model, stock = train(self.task, Lesson(self.flavour, split, self.epochs, self.seed, advance))
        save_model(model, self._path(".keras"))
        with replacing(self.out / f"{self.task.unit}.npy") as path, path.open("wb") as file:
            np.save(file, split.train_x)
        trained = Trained(model, stock, self.task, split, self.flavour)
        self.variants.append(reference_variant(trained, "Keras, trained", self._path(".keras")))
        return trained

    def fold(self, trained: Trained) -> FoldResult:
        path = self._path("-folded.keras")
        with self.steps.step("fold and verify"):
            folded = fold(trained.model)
            save_model(folded.model, path)
            self._add(*keras_variant(trained, "Keras, folded", path, folded))
        return folded

    def export(self, trained: Trained, precision: str) -> None:
        stock, ours = self._path(f"-stock-{precision}.tflite"), self._path(f"-{precision}.tflite")
        calibration = trained.split.train_x[:CALIBRATION_SAMPLES] if precision == "int8" else None
        with self.steps.step(f"export {precision}: the stock converter's file and kerasbn's", 2) as advance:
            export_tflite(trained.stock, stock, precision=precision, calibration=calibration, fold=False)
            advance()
            options = BEST if self.task.best and calibration is not None else {}
            made = export_tflite(trained.model, ours, precision=precision, calibration=calibration, **options)
            self.verdicts[precision] = made.verdicts
            advance()
        with self.steps.step(f"run, time and verify both {precision} files"):
            stock_latency, our_latency = compare_latency([stock, ours])
            self._add(*tflite_variant(trained, f"{precision}, stock", stock_latency, ours=False))
            self._add(*tflite_variant(trained, f"{precision}, kerasbn", our_latency, ours=True))

    def _add(self, variant: Variant, comparison: Comparison) -> None:
        self.variants.append(variant)
        self.comparisons[variant] = comparison

    def report(self, trained: Trained, folded: FoldResult, seconds: float) -> DemoReport:
        differences = layer_differences(self.comparisons)
        return DemoReport(
            keras=self.flavour.name,
            seed=self.seed,
            epochs=self.epochs,
            seconds=seconds,
            variants=tuple(self.variants),
            verdicts=tuple(folded.verdicts),
            layers=_compared_layers(trained.model, differences),
            differences=differences,
            scales=changed_scales(trained.model, folded.model),
            task=self.task.name,
            title=self.task.title,
            metric=self.task.metric,
            int8_verdicts=self.verdicts["int8"],
        )

    def write(self, trained: Trained, report: DemoReport) -> None:
        answers = trained.answers_of(self._path("-int8.tflite"))
        shown = Shown(self.task, title(report), report, trained.split, answers)
        with replacing(self.out / "demo.png") as path:
            self.task.picture(path, shown)
        write_bytes(self.out / "demo.json", report.json_bytes())

    def _path(self, end: str) -> Path:
        return self.out / f"{self.task.name}{end}"

    def _training(self, split: Split) -> str:
        """What is going to happen, and for how long."""
        text = f"train for {self.epochs} epochs on {len(split.train_x)} {self.task.unit}"
        return text if self.task.seconds is None else f"{text}, about {self.task.seconds} s"


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: the folder cannot be made: {error.strerror}; its parent must exist.") from error


def _compared_layers(model: Any, differences: Differences) -> tuple[str, ...]:
    """Every layer that some form of the network could be read at, in the order of computation."""
    found = {name for layers in differences.values() for name in layers}
    return tuple(layer.name for layer in model.layers if layer.name in found)
