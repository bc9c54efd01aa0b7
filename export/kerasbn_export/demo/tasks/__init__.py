"""The demos by name: each file has one network, its real data, and a picture of what came out."""

from kerasbn.errors import InvalidArgumentError
from kerasbn_export.demo.task import Task
from kerasbn_export.demo.tasks.detection import DETECTION
from kerasbn_export.demo.tasks.handwritten import DIGITS
from kerasbn_export.demo.tasks.heartbeats import HEARTBEATS
from kerasbn_export.demo.tasks.language import LANGUAGE
from kerasbn_export.demo.tasks.mnist import MNIST
from kerasbn_export.demo.tasks.nuclei import SCENE, SEGMENTATION
from kerasbn_export.demo.tasks.speech import CRNN, KEYWORDS, LSTM

TASKS = {
    task.name: task
    for task in (DIGITS, MNIST, KEYWORDS, SEGMENTATION, LANGUAGE, HEARTBEATS, CRNN, LSTM, SCENE, DETECTION)
}
"""In the order in which they are listed."""

__all__ = ["DIGITS", "TASKS", "task_named"]


def task_named(name: str) -> Task:
    """The demo of that name.

    Raises:
        InvalidArgumentError: There is none.
    """
    if name not in TASKS:
        raise InvalidArgumentError(f"There is no demo named {name!r}; accepted: {', '.join(TASKS)}.")
    return TASKS[name]
