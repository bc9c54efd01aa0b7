"""Train a task's network: seeded, so that a demo prints the same score twice on one machine."""

from __future__ import annotations

from typing import Any

from kerasbn_export.demo.task import Lesson, Task
from kerasbn_models.norm import Norm


def train(task: Task, lesson: Lesson) -> tuple[Any, Any]:
    """The trained model, and the same weights in the BatchNormalization that Keras ships.

    Neither has an optimizer any more.
    """
    keras = lesson.flavour.keras
    keras.utils.set_random_seed(lesson.seed)
    model = task.build(lesson.flavour.name, None)
    task.train(model, lesson)
    return _with_weights_of(model, task, lesson, None), _with_weights_of(
        model, task, lesson, keras.layers.BatchNormalization
    )


def _with_weights_of(model: Any, task: Task, lesson: Lesson, norm: Norm) -> Any:
    other = task.build(lesson.flavour.name, norm)
    other.set_weights(model.get_weights())
    return other
