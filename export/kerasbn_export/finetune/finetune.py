"""`finetune`: train a model for its int8 file, and write that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kerasbn.arguments import AtLeastOne, Positive, Seed, checks_arguments
from kerasbn.errors import CalibrationError
from kerasbn.flavour import flavour_of
from kerasbn_export.arrays import Array
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.export.forms.search import FEWEST, held_out, judged_rows
from kerasbn_export.export.options import ExportOptions
from kerasbn_export.export.pipeline import Built, build_tflite
from kerasbn_export.files.atomic import write_bytes
from kerasbn_export.files.paths import ANY_TFLITE, Output, check_paths
from kerasbn_export.finetune.judge import accuracy_of, classes, judge
from kerasbn_export.finetune.records import Finetuned, NoBetterFileError
from kerasbn_export.quantization.aware import quantize_aware, samples_for
from kerasbn_export.quantization.distill import endings
from kerasbn_export.quantization.schedule import quantization_schedule

LEARNING_RATE = 3e-4
"""The first step, as a part of the size of each weight; it falls to 0 along a cosine."""
SMALLEST_SIZE = 1e-9
"""A variable counts as so large at least; one of zeros has to be able to move."""
WATCHED = 8
"""One training sample of so many is not trained on, and says which epoch was best."""


@checks_arguments
def finetune(
    model: Any,
    data: Any,
    path: str | Path,
    *,
    labels: Any = None,
    distill: bool = False,
    epochs: AtLeastOne = 3,
    batch_size: AtLeastOne = 32,
    learning_rate: Positive = LEARNING_RATE,
    bn: str = "frozen",
    ranges: str = "learned",
    weights: str = "per-channel",
    keep_float: Any = (),
    seed: Seed = 0,
    force: bool = False,
    on_step: Callable[[str], None] = lambda _: None,
) -> Finetuned:
    """Trains a model for its int8 file and writes that, whole or not at all.

    Every fourth sample is kept out to judge by. Where the trained file is worse there than the best one that
    `export_tflite` makes without training, with ``best=True``, nothing is written.

    Args:
        model: A model of either Keras. It is not changed.
        data: Samples, in any form of `kerasbn_export.calibration.samples`; ``"data-free"`` makes them from the
            BatchNorms.
        path: The file to write.
        labels: One for each sample: classes as whole numbers or one-hot, or values of the output's shape. Without, the
            float model is the teacher.
        distill: Whether the float model is the teacher, labels or not; labels then only judge.
        epochs: How often the samples are seen.
        batch_size: How many at a time.
        learning_rate: The first step as a part of the size of each weight.
        bn: See `quantize_aware`, as for all that follow up to `seed`.
        ranges: Likewise; learned ones lost less than averages on every network of `benchmarks/qat.py`.
        weights: Likewise.
        keep_float: Likewise.
        seed: Likewise.
        force: Whether the file is written even if it is worse.
        on_step: Called with the name of each step as it begins, and with the loss of each epoch.

    Raises:
        CalibrationError: Samples or labels do not fit.
        NoBetterFileError: The trained file is worse; nothing is written.
        And what `quantize_aware` and `export_tflite` raise.
    """
    check_paths({"model": model, "data": data}, [Output("path", path, ANY_TFLITE)])
    samples = samples_for(model, data, seed)
    targets = _targets(labels, samples)
    targets = None if targets is None else _shaped(targets, model.outputs[0])
    training, judging = held_out(samples)
    kept = judged_rows(len(samples))
    judged = classes(targets, model.outputs)
    worth = judge(model, judging, None if judged is None else judged[kept])
    on_step("export without training")
    options = ExportOptions(
        precision="int8",
        calibration=list(training.arrays),
        best=True if len(training) >= FEWEST else None,
        weights=weights,
        keep_float=keep_float,
    )
    before = worth(build_tflite(model, Path(path), options).data)
    teacher = distill or targets is None
    on_step("put the ranges in")
    how = {"bn": bn, "ranges": ranges, "weights": weights, "keep_float": keep_float}
    tuned = quantize_aware(model, list(training.arrays), **how, distill=teacher, seed=seed)
    steps = epochs * -(-len(training) // batch_size)
    loss = None if teacher else _loss(model, targets)
    tuned.compile(optimizer=optimizer_for(tuned, learning_rate, steps), loss=loss)
    order = np.random.default_rng(seed).permutation(len(training))
    shuffled = replace(training, arrays=tuple(array[order] for array in training.arrays))
    given = None if teacher or targets is None else targets[~kept][order]
    _fit(tuned, shuffled, given, epochs, batch_size, on_step)
    on_step("export")
    built: Built = build_tflite(tuned, Path(path), ExportOptions(precision="int8"))
    after = worth(built.data)
    if after.is_worse_than(before) and not force:
        raise NoBetterFileError(
            f"The trained int8 file is worse than the best one without training, on {len(judging)} samples kept out: "
            f"{before} without, {after} with; nothing was written. Take export_tflite(best=True) (kerasbn export "
            "--best), or give more samples, more epochs or a smaller learning rate; force=True (--force) writes it all "
            "the same."
        )
    write_bytes(path, built.data)
    right = None if judged is None else accuracy_of(model, judging, judged[kept])
    return Finetuned(Path(path), before, after, right, teacher, epochs, len(training), len(judging), built.result)


def _targets(labels: Any, samples: Calibration) -> Array | None:
    if labels is None:
        return None
    found = np.asarray(labels)
    if len(found) != len(samples):
        raise CalibrationError(f"{len(found)} labels were given for {len(samples)} samples; each sample needs its own.")
    if found.dtype.kind not in "iufb":
        raise CalibrationError(f"Labels of type {found.dtype} are no numbers; accepted: classes or values.")
    return found


def _loss(model: Any, targets: Any) -> Any:
    """The loss that fits the labels and what the output ends in."""
    losses = flavour_of(model).keras.losses
    last = endings(model)[0]
    if targets.dtype.kind in "iu" and targets.ndim == 1 and model.outputs[0].shape[-1] > 1:
        return losses.SparseCategoricalCrossentropy(from_logits=last != "softmax")
    if last == "softmax":
        return losses.CategoricalCrossentropy()
    return losses.BinaryCrossentropy() if last == "sigmoid" else losses.MeanSquaredError()


def _shaped(targets: Array, output: Any) -> Array:
    """The labels as the loss wants them: one number in a row of its own, where the output has one."""
    return targets[:, None] if targets.ndim == 1 and tuple(output.shape[1:]) == (1,) else targets


def optimizer_for(model: Any, learning_rate: float, steps: int) -> Any:
    """Adafactor, whose steps are parts of the size of each variable (Shazeer and Stern 2018, section 8).

    Folded weights span decades: where images are 0 to 255 the first kernel is of 0.001. A step of Adam is the same for
    all: it took a trained ResNet8 from 21.8 dB to 1.4.

    Args:
        model: A model of either Keras.
        learning_rate: The first step.
        steps: After how many the rate is 0.
    """
    optimizers = flavour_of(model).keras.optimizers
    rate = optimizers.schedules.CosineDecay(learning_rate, steps)
    return optimizers.Adafactor(rate, epsilon_2=SMALLEST_SIZE, relative_step=False)


def _fit(
    tuned: Any,
    training: Calibration,
    targets: Array | None,
    epochs: int,
    batch_size: int,
    on_step: Callable[[str], None],
) -> None:
    """Trains on all but every `WATCHED` th sample."""
    watched = np.arange(len(training)) % WATCHED == WATCHED - 1

    def told(epoch: int, logs: Any) -> None:
        on_step(f"train: epoch {epoch + 1} of {epochs}, loss {logs.get('val_loss', float('nan')):.4g}")

    def part(rows: Array) -> tuple[Any, ...]:
        arrays = [array[rows] for array in training.arrays]
        inputs = arrays[0] if len(arrays) == 1 else arrays
        return (inputs,) if targets is None else (inputs, targets[rows])

    on_step(f"train: epoch 1 of {epochs}")
    tell = flavour_of(tuned).keras.callbacks.LambdaCallback(on_epoch_end=told)
    callbacks = [quantization_schedule(tuned, part(~watched)[0]), tell]
    fit_best(tuned, part(~watched), part(watched), epochs=epochs, batch_size=batch_size, callbacks=callbacks)


def fit_best(
    tuned: Any, seen: tuple[Any, ...], unseen: tuple[Any, ...], *, epochs: int, batch_size: int, callbacks: list[Any]
) -> None:
    """Trains a compiled model, and takes the epoch that was best on samples that it did not see; the start is one, too.

    Args:
        tuned: The model.
        seen: The inputs, and the targets where there are any.
        unseen: Likewise.
        epochs: How often the samples are seen.
        batch_size: How many at a time.
        callbacks: More of them.
    """
    best = flavour_of(tuned).keras.callbacks.EarlyStopping("val_loss", patience=epochs, restore_best_weights=True)
    start = tuned.get_weights()
    loss = float(tuned.evaluate(*unseen, verbose=0, return_dict=True)["loss"])
    history = tuned.fit(
        *seen,
        validation_data=unseen,
        epochs=epochs,
        batch_size=batch_size,
        shuffle=False,
        verbose=0,
        callbacks=[*callbacks, best],
    )
    if not min(history.history["val_loss"]) < loss:
        tuned.set_weights(start)
