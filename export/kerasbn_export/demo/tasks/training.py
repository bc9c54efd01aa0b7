"""How the networks of the demos are trained."""

from __future__ import annotations

from typing import Any

from kerasbn_export.demo.task import Lesson


def class_loss(lesson: Lesson) -> Any:
    """The cross entropy between logits and the numbers of classes."""
    return lesson.flavour.keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def mask_loss(lesson: Lesson) -> Any:
    """The cross entropy between logits and answers of 0 or 1, the mean over all."""
    return lesson.flavour.keras.losses.BinaryCrossentropy(from_logits=True)


def falling(lesson: Lesson, rate: float, batch_size: int) -> Any:
    """A learning rate that falls to zero along a cosine over the whole training."""
    steps = lesson.epochs * -(-len(lesson.split.train_x) // batch_size)
    return lesson.flavour.keras.optimizers.schedules.CosineDecay(rate, steps)


def fit(model: Any, lesson: Lesson, loss: Any, *, batch_size: int, rate: Any, **options: Any) -> None:
    """Train with Adam.

    Args:
        model: Of the lesson's Keras.
        lesson: The data, and for how long.
        loss: Of ``compile``.
        batch_size: Samples of a step.
        rate: The learning rate, or a schedule of it.
        options: More for ``compile``. ``jit_compile=False`` saves a network of many layers half a minute of XLA.
    """
    keras = lesson.flavour.keras
    model.compile(keras.optimizers.Adam(rate), loss, **options)
    model.fit(
        lesson.split.train_x,
        lesson.split.train_y,
        batch_size=batch_size,
        epochs=lesson.epochs,
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: lesson.on_epoch())],
    )
