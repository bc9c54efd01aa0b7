"""Quantization-aware training: int8 files before and after, and what a step costs.

    python benchmarks/qat.py                            digits, separable, mobilenet_v2, in both Kerases
    python benchmarks/qat.py --corpus DIR --only resnet8    the trained model of a folder, too
    python benchmarks/qat.py --epochs 3 --keras keras   fewer steps, one Keras
    python benchmarks/qat.py --tfmot --keras tf_keras   one more column: tensorflow-model-optimization on Keras 2

The networks, samples and judges are those of `rounding.py`. Each cell has SQNR in dB, accuracy in percent and minutes.
``taught`` are the columns in which the float model is the teacher; the others are trained on labels, where there are
any. ``step`` is the time of a training step over that of the folded float model, measured in turns. A network without
labels is judged by how often its largest output is the float model's. Exit code 1 where the best trained file is more
than 0.3 dB or 0.5 points below the best file without training.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from calibration import CORPUS
from files import silent
from rich.console import Console
from rich.table import Table
from rounding import JUDGING, SUBJECTS, Subject

from kerasbn.flavour import NAMES, Flavour, flavour_of
from kerasbn_export import export_tflite, fold, quantization_schedule, quantize_aware
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.export.scoring import scorer
from kerasbn_export.finetune.finetune import LEARNING_RATE, WATCHED, optimizer_for
from kerasbn_export.finetune.records import Worth
from kerasbn_export.quantization.distill import endings
from kerasbn_export.verification.sides.tflite_runner import TFLiteRunner

BATCH, RATE, SAMPLES = 32, LEARNING_RATE, 500
SLACK_DB, SLACK_POINTS = 0.3, 0.005
FORMS: dict[str, dict[str, Any]] = {
    "averaged": {"ranges": "ema"},
    "learned": {"ranges": "learned"},
    "live": {"ranges": "learned", "bn": "live"},
    "taught": {"ranges": "learned", "distill": True},
    "taught, per tensor": {"ranges": "learned", "distill": True, "weights": "per-tensor"},
}
BEFORE = ("best before", "per tensor before")
TFMOT = "tfmot"


def main() -> int:
    """Prints the table; 0 if training is nowhere worse than none."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keras", choices=NAMES)
    parser.add_argument("--only", default="", help="networks with this in their name")
    parser.add_argument("--corpus", metavar="DIR", help="a folder with resnet8.h5")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--tfmot", action="store_true", help="train with tensorflow-model-optimization as well")
    arguments = parser.parse_args()
    if arguments.corpus:
        os.environ[CORPUS] = arguments.corpus
    columns = (*BEFORE, *FORMS, *([TFMOT] if arguments.tfmot else []))
    table, missed = Table("network", "Keras", "float", *columns, "step", title="int8: SQNR dB, accuracy %, min"), False
    for name, make in SUBJECTS.items():
        if arguments.only in name and (name != "resnet8" or CORPUS in os.environ):
            for keras in [arguments.keras] if arguments.keras else ["tf_keras"] if name == "resnet8" else NAMES:
                missed |= add_row(table, name, Flavour(keras), make, columns, arguments.epochs)
    Console(width=220).print(table)
    return int(missed)


def add_row(
    table: Table,
    name: str,
    flavour: Flavour,
    make: Callable[[Flavour], Subject],
    columns: tuple[str, ...],
    epochs: int,
) -> bool:
    """Adds one network; whether training made it worse."""
    flavour.keras.backend.clear_session()
    flavour.keras.utils.set_random_seed(0)
    subject = make(flavour)
    exact = np.argmax(subject.model.predict(subject.test, verbose=0), -1)
    truth = exact if subject.labels is None else np.asarray(subject.labels).reshape(-1)
    score = scorer(subject.model, Calibration((subject.test[:JUDGING],), "array"))
    worths, cells = {}, []
    for column in columns:
        print(f"\r{name} {flavour.name} {column}            ", end="", file=sys.stderr, flush=True)
        begun = time.monotonic()
        try:
            with silent():
                content = made(subject, column, epochs)
        except Exception as error:  # of tfmot, which refuses by many types
            if column != TFMOT:
                raise
            cells.append(f"{type(error).__name__}")
            continue
        minutes = (time.monotonic() - begun) / 60
        answers = np.argmax(TFLiteRunner(content, column).run([subject.test])[0], -1)
        worths[column] = Worth(score(content), float(np.mean(answers == truth)))
        cells.append(f"{worths[column].sqnr_db:.1f}, {100 * worths[column].accuracy:.1f}, {minutes:.1f}")
    print(file=sys.stderr)
    missed = any(is_worse(worths[before], after) for before, after in compared(worths))
    cells.append(f"{step_ratio(subject):.2f}")
    table.add_row(name, flavour.name, f"{100 * np.mean(exact == truth):.1f}", *cells, style="red" if missed else None)
    return missed


def compared(worths: dict[str, Worth]) -> Iterator[tuple[str, list[Worth]]]:
    """Each file without training, with those that are trained the same way."""
    yield BEFORE[0], [worths[form] for form in FORMS if "per tensor" not in form]
    yield BEFORE[1], [worths[form] for form in FORMS if "per tensor" in form]


def is_worse(before: Worth, after: list[Worth]) -> bool:
    """Whether none of the trained files is as good, in noise or in accuracy."""
    noise, right = max(worth.sqnr_db for worth in after), max(worth.accuracy or 0.0 for worth in after)
    return noise < before.sqnr_db - SLACK_DB and right < (before.accuracy or 0.0) - SLACK_POINTS


def made(subject: Subject, column: str, epochs: int) -> bytes:
    """The file of a column."""
    images = subject.train[:SAMPLES]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "candidate.tflite")
        if column in BEFORE:
            weights = "per-tensor" if column == BEFORE[1] else "per-channel"
            export_tflite(subject.model, path, precision="int8", calibration=images, weights=weights, best=True)
            return path.read_bytes()
        if column == TFMOT:
            return by_tfmot(subject, epochs)
        export_tflite(trained(subject, FORMS[column], epochs), path)
        return path.read_bytes()


def trained(subject: Subject, form: dict[str, Any], epochs: int) -> Any:
    """The tuned model, trained on labels where there are any and nothing else is asked for."""
    images, labels = subject.train[:SAMPLES], subject.train_labels
    taught = form.get("distill", False) or labels is None
    tuned = quantize_aware(subject.model, images, **{**form, "distill": taught})
    compile_as(tuned, None if taught else classes(subject.model), epochs * -(-len(images) // BATCH))
    targets = None if taught else labels[:SAMPLES]
    watched = np.arange(len(images)) % WATCHED == WATCHED - 1
    seen, unseen = ((images[rows], *([] if taught else [targets[rows]])) for rows in (~watched, watched))
    best = flavour_of(tuned).keras.callbacks.EarlyStopping("val_loss", patience=epochs, restore_best_weights=True)
    tuned.fit(*seen, validation_data=unseen, epochs=epochs, batch_size=BATCH, verbose=0,
              callbacks=[quantization_schedule(tuned, images), best])  # fmt: skip
    return tuned


def classes(model: Any) -> Any:
    """The loss of labels that are classes."""
    losses = flavour_of(model).keras.losses
    return losses.SparseCategoricalCrossentropy(from_logits=endings(model)[0] != "softmax")


def compile_as(model: Any, loss: Any, steps: int) -> None:
    """As `finetune` does."""
    model.compile(optimizer=optimizer_for(model, RATE, steps), loss=loss)


def by_tfmot(subject: Subject, epochs: int) -> bytes:
    """The file of tensorflow-model-optimization's own training, with the same steps."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    import tensorflow as tf
    import tensorflow_model_optimization as tfmot

    images = subject.train[:SAMPLES]
    labels = subject.train_labels
    targets = labels[:SAMPLES] if labels is not None else subject.model.predict(images, verbose=0)
    tuned = tfmot.quantization.keras.quantize_model(subject.model)
    loss = "mse" if labels is None else classes(subject.model)
    compile_as(tuned, loss, epochs * -(-len(images) // BATCH))
    tuned.fit(images, targets, epochs=epochs, batch_size=BATCH, verbose=0)
    converter = tf.lite.TFLiteConverter.from_keras_model(tuned)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return bytes(converter.convert())


def step_ratio(subject: Subject, rounds: int = 5) -> float:
    """The time of an epoch of the tuned model over that of the folded one, the least of some turns each."""
    images = subject.train[:SAMPLES]
    targets = np.argmax(subject.model.predict(images, verbose=0), -1)
    models = [fold(subject.model).model, quantize_aware(subject.model, images)]
    for model in models:
        compile_as(model, classes(subject.model), 1000)
        model.fit(images, targets, batch_size=BATCH, verbose=0)
    times: list[list[float]] = [[], []]
    for _ in range(rounds):
        for model, spent in zip(models, times, strict=True):
            begun = time.perf_counter()
            model.fit(images, targets, batch_size=BATCH, verbose=0)
            spent.append(time.perf_counter() - begun)
    return min(times[1]) / min(times[0])


if __name__ == "__main__":
    sys.exit(main())
