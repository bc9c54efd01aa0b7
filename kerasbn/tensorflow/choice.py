"""Which way to normalize a batch in training is the fastest, for inputs in float32 on a CPU."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from enum import Enum

from kerasbn.layout import Layout

Shape = Sequence[int | None]
USUAL = 32
"""What stands for a size that is not known before the call: Keras' batch size."""
SMALL = 1 << 13
"""Elements below which the number of operations decides."""
LARGE = 1 << 20
"""Elements from which the passes over them decide."""
FEW = 1 << 10
"""Rows of which no way is much less exact than another."""
RUN = 1 << 14
"""Most numbers that are added one after the other in float32: their sum is wrong by up to 1e-6."""


class Way(Enum):
    """Who takes the statistics and normalizes."""

    FORMULA = "formula"
    """`kerasbn.tensorflow.formula`."""
    KERNEL = "kernel"
    """TensorFlow's operation, as `kerasbn.tensorflow.centering` calls it."""
    SUMS = "sums"
    """TensorFlow's operation, with the statistics of `kerasbn.tensorflow.sums`."""


def way(shape: Shape, layout: Layout, onednn: bool) -> Way:
    """The fastest way for inputs of this shape that is exact enough.

    Forward + backward, the time of the faster stock layer in units of each way's (more than 1: faster than both), on
    one thread of an AMD EPYC with two cores; x marks what is taken::

        shape, axis                 with oneDNN                without
                              formula kernel  sums      formula kernel  sums
        (64, 10)                x 1.00  0.87  0.65       x 1.01   0.95  0.87
        (2, 4, 4, 4)            x 0.97  0.89  0.63       x 0.99   1.03  0.79
        (512, 32)                 1.03 x0.95  0.79       x 1.01   0.88  0.79
        (4000, 64)                1.14  1.43 x1.25       x 1.20   1.06  1.12
        (4, 7, 7, 1024)           0.81 x0.92  0.80       x 1.10   1.03  1.02
        (1, 112, 112, 16)         0.57 x0.90  0.74       x 1.12   1.06  1.03
        (1, 224, 224, 3)          1.07  0.99 x1.16       x 1.19   0.74  0.75
        (100000, 1)             x 1.16  0.41  0.34       x 1.10   0.29  0.16
        (50000, 16)               1.13  1.64 x1.93       x 1.09         0.86
        (2, 64, 64, 64)           0.47 x0.80  0.74         0.93   1.00 x1.15
        (8, 28, 28, 256)          0.49  1.02 x1.03         1.01   1.01 x1.26
        (600, 2000)               1.23 x1.41  1.47       x 1.24   1.03  1.10
        (2, 1000000)            x 1.06  0.84  0.74       x 1.18         0.48
        (156250, 64)              1.59  3.81 x3.76         2.04        x3.34
        (8, 16, 10), 1          x 0.98  0.83  0.63       x 0.98   0.87  0.75
        (8, 64, 28, 28), 1      x 1.87  1.56  1.41       x 1.93   0.73  0.70
        (8, 3, 224, 224), 1     x 1.82  0.44  0.64       x 2.10   0.27  0.29
        (32, 64, 1000), 1       x 1.76  1.81  1.89       x 1.48   0.50  0.58
        (32, 64, 56, 56), 1       1.22  1.43 x1.52       x 2.33   0.72  0.83
        (20000, 16, 8), 1         1.67  4.22 x4.04         1.71   1.10 x1.17

    The kernel of few elements loses to the formula by what it takes to start; of very many it loses to sums by a
    pass. Where channels are not last, both first transpose. Without oneDNN the kernel is slow throughout. The kernel
    and the formula add row after row, so neither is taken where that would show (``RUN``). The kernel, whose mean is
    the coarsest, is taken of more than ``FEW`` rows only where a stock layer takes it: at ranks 4 and 5.

    Args:
        shape: Of the inputs, as far as it is known.
        layout: Which axes are channels.
        onednn: Whether the kernel is oneDNN's.
    """
    rows, channels = count(shape, layout.reduction_axes), layout.channels
    elements = rows * channels
    if channels == 1 or rows < 8 or elements <= SMALL:
        return Way.FORMULA
    if run(shape, layout) > RUN:
        return Way.SUMS
    if not onednn:
        many = layout.trailing and rows > 4 * FEW and channels >= 8
        return Way.SUMS if many and elements * channels > 16 * LARGE else Way.FORMULA
    if not layout.trailing:
        return Way.SUMS if elements > 2 * LARGE and channels >= 8 else Way.FORMULA
    if rows <= FEW or (layout.rank >= 4 and rows <= RUN and elements < LARGE):
        return Way.KERNEL
    return Way.FORMULA if elements < LARGE // 8 else Way.SUMS


def count(shape: Shape, axes: Iterable[int]) -> int:
    """Elements along some axes."""
    return math.prod(shape[axis] or USUAL for axis in axes)


def run(shape: Shape, layout: Layout) -> int:
    """How many numbers the formula adds one after the other; what lies together in memory it adds in pairs."""
    stages = layout.stages if layout.trailing else layout.stages[:1]
    return max(count(shape, axes) for axes in stages) // parts(shape, layout)


def parts(shape: Shape, layout: Layout) -> int:
    """In how many parts of equal size the formula adds the rows of a matrix: about their root, or 1."""
    rows = shape[0]
    if layout.reduction_axes != (0,) or not layout.trailing or not rows or rows * layout.channels <= SMALL:
        return 1
    return next(size for size in range(math.isqrt(rows), 0, -1) if rows % size == 0)
