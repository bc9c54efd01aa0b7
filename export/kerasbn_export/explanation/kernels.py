"""The kernels of a file's linear operations, channel by channel."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.tflite.graph import LINEAR_OPS, Operation, TFLiteGraph


@dataclass(frozen=True)
class Kernel:
    """A kernel.

    Attributes:
        operation: What takes it.
        ranges: By output channel the largest magnitude.
        quantized: Whether it is stored in integers.
        one_scale: Whether all channels have the same scale, as one number.
    """

    operation: Operation
    ranges: Array
    quantized: bool
    one_scale: bool

    @property
    def spread(self) -> float:
        """The largest range as a multiple of the middle one; channels of zeros do not count."""
        some = self.ranges[self.ranges > 0]
        return float(some.max() / np.median(some)) if some.size > 1 else 1.0

    @property
    def lost_db(self) -> float:
        """What the spread costs the middle channel, roughly: half of ``20 log10(spread)``."""
        return 20 * math.log10(self.spread) / 2


def most_uneven(kernels: Iterable[Kernel], least: float) -> Kernel | None:
    """The kernel with the largest spread; None if none is above some."""
    return max((kernel for kernel in kernels if kernel.spread > least), key=lambda kernel: kernel.spread, default=None)


def kernels(graph: TFLiteGraph) -> Iterator[Kernel]:
    """The kernels that are stored in the file."""
    for operation in graph.operations:
        stored = graph.constant(operation.inputs[1]) if _is_linear(operation) else None
        if stored is None or stored.values.ndim < 2:
            continue
        axis = stored.values.ndim - 1 if operation.name == "DEPTHWISE_CONV_2D" else 0
        channels = np.moveaxis(np.abs(stored.values), axis, 0)
        ranges = channels.reshape(len(channels), -1).max(axis=1)
        quantized = graph.tensors[operation.inputs[1]].quantization is not None
        yield Kernel(operation, ranges, quantized, quantized and stored.step.size == 1)


def _is_linear(operation: Operation) -> bool:
    return operation.name in LINEAR_OPS and len(operation.inputs) > 1
