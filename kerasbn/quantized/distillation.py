"""The float model as the teacher of its quantized twin: nothing is needed but inputs.

==============================  =========================================================
the teacher's output ends in    loss of an output, averaged over samples
==============================  =========================================================
softmax                         ``KL(teacher || student)`` over the last axis
sigmoid                         cross-entropy of the two probabilities
anything else                   mean squared difference
==============================  =========================================================

Source: Hinton et al. 2015 (Distilling the knowledge in a neural network), with temperature 1: both have the same
logits to begin with.
"""

from __future__ import annotations

from typing import Any

from kerasbn.lazy import LazyModule

tf: Any = LazyModule("tensorflow")

SMALLEST = 1e-7
"""The least probability that a logarithm is taken of."""


class DistillationMixin:
    """A functional model whose loss is how far it is from a teacher; without one it is an ordinary model."""

    taught: Any = None
    """What shows the loss in Keras 2, which does so only for a loss that it was compiled with."""
    _teacher: Any = None
    _endings: tuple[str, ...] = ()

    def teach(self, teacher: Any, endings: tuple[str, ...]) -> None:
        """Take a teacher: a model of the same inputs and outputs, which is not saved with this one.

        Args:
            teacher: The model.
            endings: The activation of each of its outputs.
        """
        for name, value in (("_teacher", teacher), ("_endings", endings)):
            object.__setattr__(self, name, value)  # past Keras, which would train and save it
        if self._shows_own_losses:  # type: ignore[attr-defined]  # of the flavour
            object.__setattr__(self, "taught", self._keras.metrics.Mean(name="loss"))  # type: ignore[attr-defined]

    @property
    def metrics(self) -> list[Any]:
        """Those of Keras, and the loss."""
        own = [] if self.taught is None else [self.taught]
        return [*own, *super().metrics]  # type: ignore[misc]  # of Keras

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, **rest: Any
    ) -> Any:
        """The loss of a batch."""
        if self._teacher is None:
            return super().compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, **rest)  # type: ignore[misc]  # of Keras
        pairs = zip(_leaves(self._teacher(x, training=False)), _leaves(y_pred), self._endings, strict=True)
        loss = sum(distance(target, found, ending) for target, found, ending in pairs)
        if self.taught is not None:
            self.taught.update_state(loss)
        return loss


def distance(target: Any, found: Any, ending: str) -> Any:
    """How far an output is from the teacher's; see the table above."""
    target = tf.stop_gradient(target)
    if ending not in ("softmax", "sigmoid"):
        return tf.reduce_mean(tf.math.squared_difference(target, found))
    terms = target * (_log(target) - _log(found))
    if ending == "sigmoid":
        terms += (1.0 - target) * (_log(1.0 - target) - _log(1.0 - found))
        return tf.reduce_mean(terms)
    return tf.reduce_mean(tf.reduce_sum(terms, -1))


def _leaves(structure: Any) -> list[Any]:
    return list(tf.nest.flatten(structure))


def _log(values: Any) -> Any:
    return tf.math.log(tf.maximum(values, SMALLEST))
