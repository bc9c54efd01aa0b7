"""TensorFlow's fused operation and its gradient at rank 4; gamma, beta and statistics are float32 vectors."""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf

# There is no public name for this question.
from tensorflow.python.util._pywrap_util_port import IsMklEnabled

from kerasbn.averages import population
from kerasbn.library import Tensor
from kerasbn.tensorflow import ops as tensorflow_ops


def onednn() -> bool:
    """Whether oneDNN computes the operation; else it is Eigen, as on processors without AVX-512 VNNI."""
    return bool(IsMklEnabled())


def on_gpu() -> bool:
    """Whether a graphics card computes the operation."""
    return bool(tf.config.list_physical_devices("GPU"))


class Normalized(NamedTuple):
    """What the operation gives in training.

    Attributes:
        y: The outputs.
        mean: Of the batch.
        variance: Of the batch, the population's.
        reserved: What the operation keeps for its gradient; of a CPU, which keeps mean and variance, the mean alone.
    """

    y: Tensor
    mean: Tensor
    variance: Tensor
    reserved: tuple[Tensor, ...]

    @property
    def saved(self) -> tuple[Tensor, ...]:
        """What `gradient` takes."""
        return self.reserved if len(self.reserved) > 1 else (*self.reserved, self.variance, tf.zeros((0,)))


def training(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float, data_format: str = "NHWC") -> Normalized:
    """Normalizes with the statistics of the batch."""
    nothing = tf.zeros((0,), gamma.dtype)
    y, mean, variance, *reserved = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=gamma, offset=beta, mean=nothing, variance=nothing,
        epsilon=epsilon, exponential_avg_factor=1.0, data_format=data_format, is_training=True,
    )  # fmt: skip
    if not on_gpu():
        return Normalized(y, mean, reserved[1], (reserved[0],))
    sizes = tensorflow_ops.shape(x)
    count = math.prod(sizes[:3] if data_format == "NHWC" else (sizes[0], *sizes[2:]))
    return Normalized(y, mean, population(tensorflow_ops, variance, count), tuple(reserved))


def inference(
    x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor, epsilon: float, data_format: str = "NHWC"
) -> Tensor:
    """Normalizes with given statistics."""
    y, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=gamma, offset=beta, mean=mean, variance=variance,
        epsilon=epsilon, data_format=data_format, is_training=False,
    )  # fmt: skip
    return y


def gradient(
    dy: Tensor,
    x: Tensor,
    gamma: Tensor,
    reserved: tuple[Tensor, ...],
    epsilon: float,
    data_format: str = "NHWC",
    is_training: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, gamma and beta, through the statistics too if ``is_training``."""
    mean, variance, more = reserved
    dx, dgamma, dbeta, *_ = tf.raw_ops.FusedBatchNormGradV3(
        y_backprop=dy, x=x, scale=gamma, reserve_space_1=mean, reserve_space_2=variance, reserve_space_3=more,
        epsilon=epsilon, data_format=data_format, is_training=is_training,
    )  # fmt: skip
    return dx, dgamma, dbeta
