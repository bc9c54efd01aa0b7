"""What the search minimises: the distance from the remembered statistics, and doubt about the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kerasbn.lazy import LazyModule
from kerasbn_export.calibration.data_free.observed import Observed, Target

tf: Any = LazyModule("tensorflow")  # importing this module is to import no TensorFlow

CONFIDENCE, SPREAD = 1.0, 20.0
"""The weight of the cross entropy beside the statistics, and by what factor it is more or less for single samples: of
real data, too, some are clearer than others, and the clearest have the largest scores."""
GOLDEN = (5**0.5 - 1) / 2
"""Its multiples lie evenly between whole numbers, however many there are."""
BITS = 6
"""2^6 samples differ in so many bits."""
TINY = 1e-8
"""Keeps roots and logarithms from zero, where they have no slope."""


def distance(observed: Observed, values: Sequence[Any]) -> Any:
    """``mean(z)^2 + (deviation(z) - target)^2``, the mean over channels and BatchNorms."""
    parts = [_of_one(target, [values[index] for index in target.outputs]) for target in observed.targets]
    return tf.add_n(parts) / len(parts)


def _of_one(target: Target, values: Sequence[Any]) -> Any:
    """All calls of a BatchNorm have a part in what it remembers."""
    mean, inverse, deviation = (
        tf.constant(array, tf.float32) for array in (target.mean, target.inverse, target.deviation)
    )
    normal = [(value - mean) * inverse for value in values]
    first = tf.add_n([tf.reduce_mean(z, target.reduced, keepdims=True) for z in normal]) / len(normal)
    second = tf.add_n([tf.reduce_mean((z - first) ** 2, target.reduced, keepdims=True) for z in normal]) / len(normal)
    return tf.reduce_mean(first**2) + tf.reduce_mean((tf.sqrt(second + TINY) - deviation) ** 2)


def doubt(observed: Observed, values: Sequence[Any]) -> Any:
    """The cross entropy of every output of scores with one class for each sample, the classes in turn, weighted."""
    parts = [_cross_entropy(values[index], kind) for index, kind in observed.scores]
    return tf.add_n(parts) / len(parts) if parts else tf.constant(0.0)


def _cross_entropy(scores: Any, kind: str) -> Any:
    numbers, classes = tf.range(tf.shape(scores)[0]), scores.shape[-1]
    if kind == "sigmoid":  # the bits of the sample's number: of each score, half the samples are to have it
        wanted = tf.cast(tf.bitwise.right_shift(numbers[:, None], tf.range(classes) % BITS) % 2, tf.float32)
        likely = tf.reduce_mean(tf.math.log(wanted * scores + (1 - wanted) * (1 - scores) + TINY), -1)
    else:
        logarithms = tf.nn.log_softmax(scores) if kind == "linear" else tf.math.log(scores + TINY)
        likely = tf.gather(logarithms, numbers % classes, batch_dims=1)
    return -tf.reduce_mean(_weights(numbers) * likely)


def _weights(numbers: Any) -> Any:
    """From ``CONFIDENCE / SPREAD`` to ``CONFIDENCE * SPREAD``, for the samples of each class."""
    place = tf.math.floormod(GOLDEN * tf.cast(numbers, tf.float32), 1.0)
    return CONFIDENCE * SPREAD ** (2 * place - 1)
