"""Quantization-aware training and learned rounding: int8 files before and after, and what a step costs.

    python benchmarks/qat.py                            every network of `judged_networks`, in both Kerases
    python benchmarks/qat.py --corpus DIR --only resnet8    the trained model of a folder, too
    python benchmarks/qat.py --epochs 3 --keras keras   fewer steps, one Keras
    python benchmarks/qat.py --tfmot --keras tf_keras   one more column: tensorflow-model-optimization on Keras 2
    python benchmarks/qat.py --results FILE --markdown  keeps each row, and goes on where it was; the table for the docs

Each cell has SQNR in dB, accuracy in percent and minutes. 500 training samples calibrate and teach; 200 others judge
the SQNR, and the whole test part the accuracy. ``stock`` is the stock converter's file, ``as folded`` ours, ``best``
the best of our forms. ``averaged`` to ``live`` are trained on labels, where there are any; ``taught`` by the float
model. ``step`` is the time of a training step over that of the folded float model, measured in turns. A network without
labels is judged by how often its largest output is the float model's.

The exit code is 1 where a row misses a goal; each is a line below the table:

* learned rounding is more than 0.3 dB below the best file without it;
* the best trained file is more than 0.3 dB and 0.5 points below the best file without training;
* the file as folded loses a point or more, and the best trained one still loses more than 0.2;
* with one scale for a kernel, the taught file is more than 0.5 points below that with one for each channel;
* a step takes more than twice the time.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from against_stock import Cell, faults_of, keep, kept, texts
from calibration import CORPUS
from files import silent
from judged_networks import CALIBRATING, JUDGING, Subject, made_anew, rows
from rounding import file_of

from kerasbn.errors import KerasBNError
from kerasbn.flavour import NAMES, Flavour, flavour_of
from kerasbn_export import export_tflite, fold, quantization_schedule, quantize_aware
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.export.scoring import scorer
from kerasbn_export.finetune.finetune import LEARNING_RATE, WATCHED, fit_best, optimizer_for
from kerasbn_export.finetune.records import Worth
from kerasbn_export.quantization.distill import endings
from kerasbn_export.verification.sides.tflite_runner import TFLiteRunner
from models import print_table

BATCH, RATE, SAMPLES = 32, LEARNING_RATE, CALIBRATING
SLACK_DB, SLACK_POINTS = 0.3, 0.005
WORTH_MENDING, LOST, PER_TENSOR, SLOWEST_STEP = 0.01, 0.002, 0.005, 2.0
"""Accuracy that int8 as folded loses, that trained int8 may lose, that one scale for a kernel may cost; and times."""
FORMS: dict[str, dict[str, Any]] = {
    "averaged": {"ranges": "ema"},
    "learned": {"ranges": "learned"},
    "live": {"ranges": "learned", "bn": "live"},
    "taught": {"ranges": "learned", "distill": True},
    "taught, per tensor": {"ranges": "learned", "distill": True, "weights": "per-tensor"},
}
BEFORE = ("stock", "as folded", "best", "learned rounding")
"""Files without training; see `rounding.py`."""
PER_TENSOR_BEFORE, TFMOT = "per tensor before", "tfmot"


def main() -> int:
    """Prints the table; 0 if every goal is reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keras", choices=NAMES)
    parser.add_argument("--only", default="", help="networks with this in their name")
    parser.add_argument("--corpus", metavar="DIR", help="a folder with resnet8.h5")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--tfmot", action="store_true", help="train with tensorflow-model-optimization as well")
    parser.add_argument("--results", type=Path, metavar="FILE", help="keeps each row, and goes on where it was")
    parser.add_argument("--markdown", action="store_true", help="the table for a page")
    arguments = parser.parse_args()
    if arguments.corpus:
        os.environ[CORPUS] = arguments.corpus
    columns = (*BEFORE, *list(FORMS)[:-1], PER_TENSOR_BEFORE, list(FORMS)[-1], *([TFMOT] if arguments.tfmot else []))
    shown, done = ("float", *columns, "step"), kept(arguments.results)
    wanted = [*rows(arguments.only, arguments.keras)]
    for name, keras, make in wanted:
        subject = None if (name, keras) in done else made_anew(make, Flavour(keras))
        if subject is not None:
            done[name, keras] = [*cells_of(subject, columns, arguments.epochs)]
            keep(arguments.results, name, keras, done[name, keras], shown)
    found = [(name, keras) for name, keras, _ in wanted if (name, keras) in done]
    table = [[*row, *texts(done[row], shown)] for row in found]
    print_table(("network", "Keras", *shown), table, arguments.markdown)
    faults = [fault for row in found for fault in faults_of(*row, done[row])]
    print("\n".join(faults))
    return int(bool(faults))


def cells_of(subject: Subject, columns: Sequence[str], epochs: int) -> Iterator[Cell]:
    """A row: what the float model is worth, the file of each column, and the cost of a step, with the goals missed."""
    exact = subject.model.predict(subject.test, verbose=0)
    score = scorer(subject.model, Calibration((subject.test[:JUDGING],), "array"))
    right = subject.right(exact, exact)
    yield Cell("float", f"{100 * right:.1f} of {len(subject.test)}")
    worths: dict[str, Worth] = {}
    for column in columns:
        begun = time.monotonic()
        try:
            content = made(subject, column, epochs)
        except Exception as error:  # of tfmot, which refuses by many types
            if not isinstance(error, KerasBNError) and column != TFMOT:
                raise
            yield Cell(column, type(error).__name__)
            continue
        if not content:
            yield Cell(column, "fails")
            continue
        minutes = (time.monotonic() - begun) / 60
        answers = TFLiteRunner(content, column).run([subject.test])[0]
        worth = worths[column] = Worth(score(content), subject.right(answers, exact))
        yield Cell(column, f"{worth.sqnr_db:.1f}, {100 * worth.accuracy:.1f}, {minutes:.1f}", missed(worths, right))
    if "averaged" in worths:
        ratio = step_ratio(subject)
        yield Cell("step", f"{ratio:.2f}", f"a step takes {ratio:.2f} times as long" if ratio > SLOWEST_STEP else "")


def missed(worths: Mapping[str, Worth], right: float) -> str:
    """The goal that the last of some files misses; empty if none.

    Args:
        worths: By column, in the order of the columns.
        right: The accuracy of the float model.
    """
    last = [*worths][-1]
    per_channel = [worths[form] for form in FORMS if form in worths and "per tensor" not in form]
    if last == "learned rounding" and worths[last].sqnr_db < worths["best"].sqnr_db - SLACK_DB:
        return f"learned rounding has {worths[last]}, the best file without it {worths['best']}"
    if last == "taught":
        best = max(worth.accuracy or 0.0 for worth in per_channel)
        if is_worse(worths["best"], per_channel):
            return f"the best trained file has {best:.2%}, the best file without training {worths['best']}"
        if right - (worths["as folded"].accuracy or 0.0) >= WORTH_MENDING and right - best > LOST:
            return f"the best trained file has {best:.2%}, the float model {right:.2%}"
    if last == "taught, per tensor" and "taught" in worths:
        both = [worths[form].accuracy or 0.0 for form in ("taught", last)]
        if both[0] - both[1] > PER_TENSOR:
            return f"one scale for a kernel has {both[1]:.2%}, one for each channel {both[0]:.2%}"
    return ""


def is_worse(before: Worth, after: list[Worth]) -> bool:
    """Whether none of the trained files is as good, in noise or in accuracy."""
    noise, right = max(worth.sqnr_db for worth in after), max(worth.accuracy or 0.0 for worth in after)
    return noise < before.sqnr_db - SLACK_DB and right < (before.accuracy or 0.0) - SLACK_POINTS


def made(subject: Subject, column: str, epochs: int) -> bytes:
    """The file of a column; nothing where the stock converter fails."""
    if column in BEFORE:
        return file_of(subject, column)
    images = subject.train[:SAMPLES]
    with tempfile.TemporaryDirectory() as folder, silent():
        path = Path(folder, "candidate.tflite")
        if column == PER_TENSOR_BEFORE:
            export_tflite(subject.model, path, precision="int8", calibration=images, weights="per-tensor", best=True)
            return path.read_bytes()
        if column == TFMOT:
            return by_tfmot(subject, epochs)
        export_tflite(trained(subject, FORMS[column], epochs), path)
        return path.read_bytes()


def trained(subject: Subject, form: dict[str, Any], epochs: int) -> Any:
    """The tuned model, trained on labels where there are any and nothing else is asked for."""
    order = np.random.default_rng(0).permutation(SAMPLES)
    images, labels = subject.train[:SAMPLES][order], subject.train_labels
    taught = form.get("distill", False) or labels is None
    tuned = quantize_aware(subject.model, images, **{**form, "distill": taught})
    compile_as(tuned, None if taught else classes(subject.model), epochs * -(-len(images) // BATCH))
    targets = None if taught else labels[:SAMPLES][order]
    watched = np.arange(len(images)) % WATCHED == WATCHED - 1
    seen, unseen = ((images[rows], *([] if taught else [targets[rows]])) for rows in (~watched, watched))
    schedule = [quantization_schedule(tuned, images)]
    fit_best(tuned, seen, unseen, epochs=epochs, batch_size=BATCH, callbacks=schedule)
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
    targets = subject.model.predict(images, verbose=0)
    models = [fold(subject.model).model, quantize_aware(subject.model, images)]
    for model in models:
        compile_as(model, "mse", 1000)
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
