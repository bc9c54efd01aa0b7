"""What the user measures by: a name, a function, a metric of Keras, or ``"module:function"``."""

from __future__ import annotations

import importlib
import math
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasbn.errors import InvalidArgumentError
from kerasbn_export.metrics.named import LESS_IS_BETTER, METRICS

LESS = re.compile(r"error|loss|entropy|divergence|deviation|hinge|poisson", re.IGNORECASE)
"""In the name of a metric of Keras: less of it is better."""
KERAS_METHODS = ("update_state", "reset_state", "result")


@dataclass(frozen=True)
class Metric:
    """A measure of labels and outputs.

    Attributes:
        name: For the report.
        function: Of labels and outputs, as Keras and scikit-learn have it.
        less_is_better: Whether a smaller value is the better one.
        named: Whether it is one of kerasbn's own, which take one array of outputs.
    """

    name: str
    function: Callable[[Any, Any], Any]
    less_is_better: bool = False
    named: bool = False

    def __call__(self, labels: Any, outputs: Any) -> float:
        """The value.

        Raises:
            InvalidArgumentError: It is no single number, or the metric takes no several outputs.
        """
        if self.named and not isinstance(outputs, np.ndarray):
            raise InvalidArgumentError(
                f"Metric {self.name!r} takes one output, and the model has {len(outputs)}; accepted: a function of "
                "your own, which gets a list of them."
            )
        value = np.asarray(self.function(labels, outputs))
        if value.size != 1 or value.dtype.kind not in "biuf":
            raise InvalidArgumentError(f"Metric {self.name!r} gave {value!r}; accepted: one number.")
        return float(value.reshape(()))


def read_metric(metric: Any) -> Metric:
    """The metric that is asked for.

    Args:
        metric: One of `kerasbn_export.metrics.named.METRICS`, ``"module:function"``, a function of labels and outputs,
            or a metric of Keras. A function says with an attribute ``less_is_better = True`` that it is an error.

    Raises:
        InvalidArgumentError: It is none of these, or there is no such function.
    """
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, str) and metric in METRICS:
        return Metric(metric, METRICS[metric], metric in LESS_IS_BETTER, named=True)
    if isinstance(metric, str) and ":" in metric:
        return _of_function(_imported(metric), metric)
    if all(callable(getattr(metric, name, None)) for name in KERAS_METHODS):
        return _of_keras(metric)
    if callable(metric) and not isinstance(metric, type):
        return _of_function(metric, getattr(metric, "__name__", type(metric).__name__))
    raise InvalidArgumentError(
        f"Metric {metric!r} is not known; accepted: {', '.join(METRICS)}, 'module:function', a function of labels and "
        "outputs, or a metric of Keras."
    )


def _of_function(function: Callable[[Any, Any], Any], name: str) -> Metric:
    return Metric(name, function, bool(getattr(function, "less_is_better", False)))


def _of_keras(metric: Any) -> Metric:
    def measured(labels: Any, outputs: Any) -> Any:
        metric.reset_state()
        metric.update_state(labels, outputs)
        return np.asarray(metric.result())

    return Metric(str(metric.name), measured, bool(LESS.search(f"{type(metric).__name__} {metric.name}")))


def _imported(text: str) -> Callable[[Any, Any], Any]:
    """The function of a module that the user named, also one that lies where the command is run."""
    module, _, name = text.partition(":")
    with _working_directory():
        try:
            found = getattr(importlib.import_module(module), name, None)
        except Exception as error:  # a user's module raises whatever it raises
            said = f"{type(error).__name__}: {error}"
            raise InvalidArgumentError(f"Metric {text!r}: module {module!r} cannot be imported ({said}).") from error
    if not callable(found):
        raise InvalidArgumentError(f"Metric {text!r}: module {module!r} has no function {name!r}.")
    function: Callable[[Any, Any], Any] = found
    return function


@contextmanager
def _working_directory() -> Iterator[None]:
    place = os.getcwd()
    sys.path.insert(0, place)
    try:
        yield
    finally:
        sys.path.remove(place)


def is_share(metric: Metric, value: float) -> bool:
    """Whether a value is a share, as an accuracy: more is better and it lies between 0 and 1."""
    return not metric.less_is_better and math.isfinite(value) and 0 <= value <= 1
