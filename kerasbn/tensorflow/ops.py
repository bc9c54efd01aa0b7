"""TensorFlow under the names of `keras.ops`: what the layer needs of it, in both Kerases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow import (  # noqa: F401 - under the same name
    broadcast_to,
    cast,
    cond,
    convert_to_tensor,
    expand_dims,
    maximum,
    minimum,
    ones,
    sqrt,
    square,
    stop_gradient,
    tile,
    transpose,
    where,
    zeros,
    zeros_like,
)

from kerasbn.library import Tensor

rsqrt = tf.math.rsqrt
max = tf.reduce_max  # noqa: A001 - keras.ops calls it so


def reshape(x: Tensor, shape: Sequence[Any]) -> Tensor:
    """The tensor in another shape; itself if it has that shape."""
    same = x.shape.is_fully_defined() and tuple(x.shape) == tuple(shape)
    return x if same else tf.reshape(x, shape)


def sum(x: Tensor, axis: Sequence[int], keepdims: bool = False) -> Tensor:  # noqa: A001 - keras.ops calls it so
    """The sum over some axes."""
    return tf.reduce_sum(x, axis, keepdims)


def mean(x: Tensor, axis: Sequence[int], keepdims: bool = False) -> Tensor:
    """The mean over some axes."""
    return tf.reduce_mean(x, axis, keepdims)


def shape(x: Tensor) -> tuple[Any, ...]:
    """The shape: ints where they are static, scalars where they are not."""
    if x.shape.is_fully_defined():
        return tuple(x.shape)
    dynamic = tf.shape(x)
    return tuple(dynamic[i] if size is None else size for i, size in enumerate(x.shape))


def all_sum(x: Tensor) -> Tensor:
    """The sum over the replicas of a `tf.distribute` strategy; ``x`` itself outside of one."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return x
    return context.all_reduce(tf.distribute.ReduceOp.SUM, x)
