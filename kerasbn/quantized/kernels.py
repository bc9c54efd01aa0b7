"""Linear layers whose kernel lies on the grid of a quantized file.

``y = f(x conv Q(W) + b)`` with ``Q(W) = s * round(W / s)`` and ``s = max|W| / 127`` for each output channel, or for
the whole kernel. The gradient goes to ``W`` as if Q were not there (straight through: Bengio et al. 2013). The bias is
not rounded: a file has it in 32 bits.

For a scale of each channel the operations are plain ones: they know any axis, also the two of a depthwise kernel, and
the converter sees a constant that lies on the grid that it will choose itself. One scale for the whole it chooses only
where it is told by TensorFlow's fake quantization.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kerasbn.lazy import LazyModule
from kerasbn.quantized.numbers import LARGEST, NARROWEST, SMALLEST_STEP

tf: Any = LazyModule("tensorflow")

KERNEL_NAMES = ("_kernel", "depthwise_kernel", "kernel")
"""Where layers of either Keras keep their kernel, the first that is there."""
LINEAR = (
    *("Dense", "Conv1D", "Conv2D", "DepthwiseConv1D", "DepthwiseConv2D"),
    *("Conv1DTranspose", "Conv2DTranspose"),
)
"""The layers that TFLite computes in integers, and that have one kernel."""


def output_axes(kind: str) -> tuple[int, ...]:
    """The axes of a kernel that count its output channels, from the end."""
    if kind.startswith("Depthwise"):
        return (-2, -1)
    return (-2,) if kind.endswith("Transpose") else (-1,)


class KernelMixin:
    """A linear layer of Keras with its kernel on a grid.

    Args:
        per_channel: Whether each output channel has a scale of its own.
    """

    def __init__(self, *args: Any, per_channel: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.per_channel = per_channel

    def call(self, inputs: Any) -> Any:
        """What the layer computes with the kernel as the file has it."""
        with self._on_grid():
            return super().call(inputs)  # type: ignore[misc]  # of Keras

    def get_config(self) -> dict[str, Any]:
        """The layer's configuration and `per_channel`."""
        return {**super().get_config(), "per_channel": self.per_channel}  # type: ignore[misc]  # of Keras

    @property
    def kept_axes(self) -> tuple[int, ...]:
        """The axes of the kernel along which it has scales of its own."""
        return output_axes(self.stock_kind) if self.per_channel else ()  # type: ignore[attr-defined]  # of the class

    @contextmanager
    def _on_grid(self) -> Iterator[None]:
        """The kernel on its grid stands in the place of the variable, for the time of a call."""
        name = next(name for name in KERNEL_NAMES if name in vars(self))
        variable = vars(self)[name]
        object.__setattr__(self, name, straight_through(variable, self.kept_axes))  # past Keras, which tracks variables
        try:
            yield
        finally:
            object.__setattr__(self, name, variable)


def straight_through(variable: Any, kept: tuple[int, ...]) -> Any:
    """A kernel on its grid, with the gradient of the kernel itself.

    Args:
        variable: The kernel.
        kept: The axes of the output channels, from the end; none for one scale for the whole.
    """
    kernel = tf.convert_to_tensor(variable)
    others = [axis for axis in range(kernel.shape.rank) if axis - kernel.shape.rank not in kept]
    largest = tf.stop_gradient(tf.reduce_max(tf.abs(kernel), others, keepdims=bool(kept)))
    if not kept:
        largest = tf.maximum(largest, NARROWEST)
        return tf.quantization.fake_quant_with_min_max_vars(kernel, -largest, largest, narrow_range=True)
    step = tf.maximum(largest / LARGEST, SMALLEST_STEP)
    nearest = tf.round(kernel / step) * step
    return kernel + tf.stop_gradient(nearest - kernel)
