"""Matrix products on TensorFlow's threads, the ones that every other part of an export uses."""

from __future__ import annotations

import tensorflow as tf

from kerasbn_export.arrays import Array


def product(one: Array, other: Array, *, transposed: bool = False) -> Array:
    """``one @ other`` of each group, in their dtype.

    Args:
        one: ``(groups, rows, n)``.
        other: ``(groups, n, columns)``.
        transposed: Whether ``one`` is given as ``(groups, n, rows)``.
    """
    found: Array = tf.linalg.matmul(one, other, transpose_a=transposed).numpy()
    return found
