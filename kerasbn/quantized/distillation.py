"""A model whose loss is how far it is from a teacher.

For the scores ``t`` of the teacher and ``s`` of the model, which are the outputs before a softmax or sigmoid::

    loss = mean((s - t)^2) / mean(t^2)                    of each output, summed
    loss = KL(softmax(t) || softmax(s)) + the same        where the output ends in a softmax

Sources: Hinton et al. 2015 (Distilling the knowledge in a neural network) for the divergence, at temperature 1; Ba and
Caruana 2014 (Do deep nets really need to be deep?) for squares of logits.
"""

from __future__ import annotations

from typing import Any

from kerasbn.lazy import LazyModule

tf: Any = LazyModule("tensorflow")

SMALLEST = 1e-12
"""The least mean square of a teacher's output that a difference is measured against."""


class DistillationMixin:
    """A functional model that learns from a teacher; without one it is an ordinary model."""

    taught: Any = None
    """What shows the loss in Keras 2, which does so only for a loss that it was compiled with."""
    _teacher: Any = None
    _taps: tuple[Any, ...] = ()
    _endings: tuple[str, ...] = ()

    def teach(self, teacher: Any, taps: tuple[Any, ...], endings: tuple[str, ...]) -> None:
        """Take a teacher, which is not saved with this model.

        Args:
            teacher: A model of the same inputs that gives the scores of each output.
            taps: For each output the range of this model through which its scores go; None where there is none, as
                of a layer that stays in float: then the output itself is compared.
            endings: The activation behind the scores of each output.
        """
        for tap in filter(None, taps):
            tap.tapped = True
        for name, value in (("_teacher", teacher), ("_taps", taps), ("_endings", endings)):
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
        """The loss of a batch, which the model has just run on."""
        if self._teacher is None:
            return super().compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, **rest)  # type: ignore[misc]  # of Keras
        scores = tf.nest.flatten(self._teacher(x, training=False))
        outputs = zip(self._taps, tf.nest.flatten(y_pred), strict=True)
        found = [output if tap is None else tap.latest for tap, output in outputs]
        loss = sum(distance(*each) for each in zip(scores, found, self._endings, strict=True))
        if self.taught is not None:
            self.taught.update_state(loss)
        return loss


def distance(wanted: Any, found: Any, ending: str) -> Any:
    """How far scores are from the teacher's; see above."""
    wanted = tf.stop_gradient(wanted)
    squares = tf.reduce_mean(tf.math.squared_difference(wanted, found))
    loss = squares / tf.maximum(tf.reduce_mean(tf.square(wanted)), SMALLEST)
    if ending == "softmax":
        entropies = tf.nn.log_softmax(wanted) - tf.nn.log_softmax(found)
        loss += tf.reduce_mean(tf.reduce_sum(tf.nn.softmax(wanted) * entropies, -1))
    return loss
