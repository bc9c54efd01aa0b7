"""TensorFlow's fused kernel, for every rank; and what takes its place where `kerasbn.tensorflow.choice` finds it slow.

``FusedBatchNormV3`` knows ranks 4 and 5. Averaging needs no geometry, so every other input is reshaped to
rank 4 around its channel axis: ``(..., C)`` to ``(-1, 1, 1, C)``, which copies nothing, and ``(outer, C, inner...)`` to
``(outer, C, inner, 1)``, which is transposed on a CPU, or, under casts or a mask, to ``(outer, 1, 1, C * inner)``: a
channel in many columns, whose sums are added. XLA has `kerasbn.tensorflow.compiled`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import tensorflow as tf

from kerasbn.layout import Layout
from kerasbn.library import Correction, Tensor
from kerasbn.tensorflow import centering, choice, compiled, formula, kernel, masking
from kerasbn.tensorflow.centering import Form, Outputs
from kerasbn.tensorflow.choice import FEW, Way
from kerasbn.tensorflow.compiled import in_xla
from kerasbn.tensorflow.ops import reshape, shape

VECTOR = 16
"""Channels that the kernel of a CPU has in one register in bfloat16; a rest takes it 20 to 40 times as long."""
COLUMN = 8
"""Elements that make a column worth two vectors of its own statistics."""


def accepts(layout: Layout, dtype: str) -> bool:
    """Whether the kernel takes such an input."""
    return layout.contiguous and dtype in ("float16", "bfloat16", "float32")


def training(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float, layout: Layout) -> Outputs:
    """Outputs, mean and population variance."""
    if in_xla():
        return compiled.training(x, gamma, beta, epsilon, layout)[:3]
    if _way(x, x, layout) is Way.FORMULA:
        return formula.training(x, gamma, beta, epsilon, layout)
    rank4, form = _rank4(x, layout)
    outputs, mean, variance = centering.training(rank4, form, gamma, beta, epsilon)
    return tf.cast(_like(outputs, x, layout, form), x.dtype), mean, variance


def corrected(
    x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float, layout: Layout, correction: Correction
) -> Outputs:
    """As `training`, but ``y = gamma * (x_hat * r + d) + beta``; no gradient passes through r and d."""
    if in_xla():
        return compiled.training(x, gamma, beta, epsilon, layout, correction=correction)[:3]
    if _way(x, x, layout) is Way.FORMULA:
        return formula.training(x, gamma, beta, epsilon, layout, correction)
    rank4, form = _rank4(x, layout)
    outputs, mean, variance = centering.corrected(rank4, form, gamma, beta, epsilon, correction)
    return tf.cast(_like(outputs, x, layout, form), x.dtype), mean, variance


def takes_axes_apart() -> bool:
    """Whether channel axes need not be neighbours: XLA gains nothing from putting them together."""
    return in_xla()


def masked(
    x: Tensor, mask: Tensor, gamma: Tensor, beta: Tensor, epsilon: float, layout: Layout
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Outputs, mean, population variance and count."""
    if in_xla():
        return compiled.training(x, gamma, beta, epsilon, layout, mask=mask)
    wide = _widened(x, layout)
    if not layout.trailing and (width := _width(x, layout)) > 1:
        columns = (-1, layout.channels * width)
        kept = tf.reshape(tf.broadcast_to(mask, tf.shape(x)), columns)
        y, *found = masking.training(tf.reshape(wide, columns), kept, gamma, beta, epsilon, width=width)
        return tf.ensure_shape(tf.cast(tf.reshape(y, tf.shape(x)), x.dtype), x.shape), *found
    order = [*layout.reduction_axes, *layout.axes]
    back = sorted(range(layout.rank), key=order.__getitem__)
    apart = wide if layout.trailing else _moved(wide, order)
    by_row = layout.axes == (layout.rank - 1,)
    kept = mask if by_row else tf.transpose(tf.broadcast_to(mask, tf.shape(x)), order)
    rows = tf.reshape(apart, (-1, layout.channels)), tf.reshape(kept, (-1, 1 if by_row else layout.channels))
    y, *found = masking.training(*rows, gamma, beta, epsilon, many=_many(apart, layout, x))
    y = tf.cast(tf.reshape(y, tf.shape(apart)), x.dtype)
    return tf.ensure_shape(y if layout.trailing else _moved(y, back), x.shape), *found


def inference(x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor, epsilon: float) -> Tensor:
    """Outputs from given statistics."""
    return kernel.inference(x, gamma, beta, mean, variance, epsilon)


def infers(layout: Layout, dtype: str) -> bool:
    """Whether `inference` takes such an input: images with channels last.

    Elsewhere reshapes and transposes would hide the layer from converters.
    """
    return _native(layout) and layout.trailing and not (dtype == "bfloat16" and layout.channels % VECTOR)


def _way(x: Tensor, ready: Tensor, layout: Layout) -> Way:
    """How inputs are normalized that were cast, or not, from ``x`` to ``ready``."""
    if ready.dtype != tf.float32 or kernel.on_gpu():
        return Way.KERNEL
    if x.dtype == tf.float32 and isinstance(layout.channels, int):  # Ghost batches may be of unknown number.
        return choice.way(x.shape, layout, kernel.onednn())
    return Way.SUMS if _many(ready, layout, x) else Way.KERNEL


def _many(ready: Tensor, layout: Layout, x: Tensor) -> bool:
    """Whether `sums` takes the statistics of casts, or of what a mask keeps, in less time than the kernel."""
    return ready.dtype == tf.float32 and choice.count(x.shape, layout.reduction_axes) > FEW and not kernel.on_gpu()


def _widened(x: Tensor, layout: Layout) -> Tensor:
    """In float32 where the kernel loses more time on 16 bits than the casts take."""
    slow = x.dtype == tf.float16 or (x.dtype == tf.bfloat16 and layout.channels % VECTOR)
    return tf.cast(x, "float32") if slow and not kernel.on_gpu() else x


def _native(layout: Layout) -> bool:
    return layout.rank == 4 and layout.axes in ((1,), (3,))


def _rank4(x: Tensor, layout: Layout) -> tuple[Tensor, Form]:
    wide = _widened(x, layout)
    many = _way(x, wide, layout) is Way.SUMS
    if layout.trailing:
        return wide if _native(layout) else tf.reshape(wide, (-1, 1, 1, layout.channels)), Form("NHWC", many)
    if many and wide is not x and (width := _width(x, layout)) > 1:
        return tf.reshape(wide, (-1, 1, 1, layout.channels * width)), Form("NHWC", many, width)
    first = tf.expand_dims(_split(wide, layout), -1)  # Indexing has a gradient that copies.
    if kernel.on_gpu():  # It is as fast with the channels first; a CPU transposes, and slower than `tf.transpose`.
        return first, Form("NCHW")
    return _moved(first, (0, 2, 3, 1)), Form("NHWC", many)


def _width(x: Tensor, layout: Layout) -> int:
    """How many columns make a channel, where these can be taken as they lie; else 1.

    Where transposes come on top of casts or of a mask, they take longer than what columns cost.
    """
    outer, sizes = x.shape[: layout.axes[0]], x.shape[layout.axes[0] :]
    if None in sizes or choice.count(outer, range(len(outer))) < COLUMN:
        return 1
    return math.prod(sizes[len(layout.axes) :])


def _moved(x: Tensor, order: Sequence[int]) -> Tensor:
    """The axes in another order, in the type of ``x``.

    Of real numbers this is a plain transpose, which TensorFlow would put before a cast, where it is slower in 16 bits;
    and so is its gradient.
    """
    back = sorted(range(len(order)), key=order.__getitem__)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def moved(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        return tf.raw_ops.ConjugateTranspose(x=x, perm=order), lambda dy: _moved(dy, back)

    return moved(x)


def _split(x: Tensor, layout: Layout) -> Tensor:
    """Of shape (outer, channels, inner)."""
    sizes = shape(x)
    outer, inner = sizes[: layout.axes[0]], sizes[layout.axes[-1] + 1 :]
    return tf.reshape(x, (math.prod(outer), layout.channels, math.prod(inner)))


def _like(y: Tensor, x: Tensor, layout: Layout, form: Form) -> Tensor:
    if not layout.trailing and form.width == 1 and not kernel.on_gpu():
        y = _moved(y, (0, 3, 1, 2))
    y = reshape(y, shape(x))
    return y if y.shape.is_fully_defined() else tf.ensure_shape(y, x.shape)
