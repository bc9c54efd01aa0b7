"""A BatchNorm that a converter moved forward, into the linear layer that takes its output.

For ``y = W (s*x + t) + b`` a file may hold ``y = (W*s) x + (b + W t)``, with s along the input channels of W. What the
tensor of x lacks of it, as a bias that was moved on too, goes the same way.
"""

from __future__ import annotations

from collections.abc import Container
from copy import copy

import numpy as np

from kerasbn_export.algebra.affine import Affine
from kerasbn_export.arrays import Array
from kerasbn_export.graph.model import Call, Value
from kerasbn_export.verification.faults.folding import affine, channel_axis, is_batchnorm, statistics

INPUT_AXIS = {"Dense": 0, "Conv1D": -2, "Conv2D": -2, "Conv3D": -2, "DepthwiseConv1D": -2, "DepthwiseConv2D": -2}
"""The axis of a kernel along its input channels."""


def source_of(call: Call, held: Container[Value]) -> tuple[Value, Affine | None]:
    """The value that a file holds of what a call takes, and the BatchNorms between the two.

    Args:
        call: A call with one input.
        held: The values of which the file has a tensor.
    """
    value, total = call.inputs[0], None
    while value not in held and value.producer is not None and is_batchnorm(value.producer):
        if not channel_axis(value.producer):
            break
        before = Affine(*affine(statistics(value.producer)))
        total = before if total is None else before.then(total)
        value = value.producer.inputs[0]
    return value, total


def with_affine(call: Call, before: Affine | None, lacking: Array | None) -> tuple[Call, bool]:
    """The call with what lies before it in its weights, and whether its bias is known then.

    Args:
        call: A call of a linear layer.
        before: The affine between what the file holds and what the layer takes.
        lacking: What is to be added to what the file holds, for one sample.
    """
    if before is None and lacking is None:
        return call, True
    if call.layer.kind not in INPUT_AXIS:
        return call, False
    name = "kernel" if "kernel" in call.layer.weights else "depthwise_kernel"
    kernel = np.asarray(call.layer.weights[name], np.float64)
    added = np.zeros(1) if lacking is None else lacking
    scaled = kernel
    if before is not None:
        scaled = kernel * _along_the_input(before.scale, kernel, INPUT_AXIS[call.layer.kind])
        added = before.scale * added + before.shift
    given, held = copy(call), {**call.layer.weights, name: scaled}
    by_channel = _by_channel(added, len(kernel)) if call.layer.kind == "Dense" else None
    if by_channel is not None:
        held["bias"] = held.get("bias", 0.0) + by_channel @ kernel
    given.layer = call.layer.with_weights(held)
    return given, by_channel is not None


def _by_channel(added: Array, channels: int) -> Array | None:
    """A constant for one sample as one number a channel; None where it is another at other places."""
    rows = np.broadcast_to(added, (*np.shape(added)[:-1], channels)).reshape(-1, channels)
    same: Array = rows[0]
    return same if np.all(rows == same) else None


def _along_the_input(scale: Array, kernel: Array, axis: int) -> Array:
    """The factor of each weight; in a grouped convolution output channels of other groups have other inputs."""
    inputs = kernel.shape[axis]
    if 1 < inputs < scale.size or (inputs == 1 < scale.size and kernel.ndim > 2):
        groups = scale.size // inputs
        of_each: Array = np.transpose(np.repeat(scale.reshape(groups, inputs), kernel.shape[-1] // groups, axis=0))
        return of_each
    view = [1] * kernel.ndim
    view[axis] = -1
    factors: Array = scale.reshape(view)
    return factors
