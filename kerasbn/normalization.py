"""The arithmetic of the layer, without its weights.

::

    y = gamma * (x - mean) / sqrt(variance + epsilon) + beta
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kerasbn.layout import Layout
from kerasbn.library import Kernel, Operations, Tensor
from kerasbn.moments import AllSum, Moments, count, moments


@dataclass(frozen=True)
class Normalization:
    """Normalizes inputs of one layout.

    Statistics, gamma and beta have one element per channel, in any shape that holds them in order; gamma and
    beta may be None.

    Attributes:
        ops: The operations.
        kernel: The fused kernel; None computes with plain operations.
        layout: Which axes are channels.
        epsilon: Added to the variance.
        dtype: What plain operations compute in.
    """

    ops: Operations
    kernel: Kernel | None
    layout: Layout
    epsilon: float
    dtype: str

    def inference(self, x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """Outputs from given statistics."""
        if self.kernel is None or not self.kernel.infers(self.layout, x.dtype):
            return self._affine(x, gamma, beta, mean, variance)
        statistics = self._flat(mean), self._flat(variance)
        return self.kernel.inference(x, *self._weights(gamma, beta), *statistics, self.epsilon)

    def training(
        self, x: Tensor, gamma: Tensor, beta: Tensor, mask: Tensor = None, all_sum: AllSum | None = None
    ) -> tuple[Tensor, Moments]:
        """Outputs from the statistics of the batch, and those statistics."""
        if self.kernel is not None and mask is None and all_sum is None:
            return self._fused(self.kernel, x, gamma, beta)
        if self.kernel is not None and mask is not None and all_sum is None:
            return self._masked(self.kernel, x, gamma, beta, mask)
        found = moments(self.ops, self.ops.cast(x, self.dtype), self.layout, mask, all_sum)
        return self._from_center(x, gamma, beta, found.mean, found.variance), found

    @property
    def corrects(self) -> bool:
        """Whether there is `corrected`."""
        return self.kernel is not None

    def corrected(
        self, x: Tensor, gamma: Tensor, beta: Tensor, correction: Callable[[Moments], tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Moments]:
        """``gamma * (x_hat * r + d) + beta`` in few passes, with (r, d) from the statistics of the batch, and those."""
        kernel: Kernel = self.kernel  # type: ignore[assignment]
        number = count(self.ops, x, self.layout)

        def of_vectors(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
            return correction(Moments(mean, variance, number))

        y, mean, variance = kernel.corrected(x, *self._weights(gamma, beta), self.epsilon, self.layout, of_vectors)
        return y, self._moments(mean, variance, number)

    def _fused(self, kernel: Kernel, x: Tensor, gamma: Tensor, beta: Tensor) -> tuple[Tensor, Moments]:
        y, mean, variance = kernel.training(x, *self._weights(gamma, beta), self.epsilon, self.layout)
        number = count(self.ops, x, self.layout)
        return y, self._moments(mean, variance, number)

    def _moments(self, mean: Tensor, variance: Tensor, number: Tensor) -> Moments:
        mean, variance = (self.ops.reshape(each, self.layout.weight_shape) for each in (mean, variance))
        return Moments(mean, variance, number)

    def _masked(self, kernel: Kernel, x: Tensor, gamma: Tensor, beta: Tensor, mask: Tensor) -> tuple[Tensor, Moments]:
        y, mean, variance, number = kernel.masked(x, mask, *self._weights(gamma, beta), self.epsilon, self.layout)
        shape = self.layout.weight_shape
        number = self.ops.reshape(number, shape) if number.shape.rank else number
        return y, Moments(self.ops.reshape(mean, shape), self.ops.reshape(variance, shape), number)

    def _from_center(self, x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """``(x - mean) * scale + beta``: exact where |mean| is much larger than sigma."""
        y = (self.ops.cast(x, self.dtype) - self.spread(mean)) * self._scale(gamma, variance)
        return self.ops.cast(y if beta is None else y + self.spread(beta), x.dtype)

    def _affine(self, x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """``x * scale + shift``: one pass less over x, and what converters know."""
        scale = self._scale(gamma, variance)
        shift = -self.spread(mean) * scale
        shift = shift if beta is None else shift + self.spread(beta)
        return self.ops.cast(self.ops.cast(x, self.dtype) * scale + shift, x.dtype)

    def _scale(self, gamma: Tensor, variance: Tensor) -> Tensor:
        scale = self.ops.rsqrt(self.spread(variance) + self.epsilon)
        return scale if gamma is None else scale * self.spread(gamma)

    def _weights(self, gamma: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
        channels = (self.layout.channels,)
        return (
            self.ops.ones(channels, "float32") if gamma is None else self._flat(gamma),
            self.ops.zeros(channels, "float32") if beta is None else self._flat(beta),
        )

    def _flat(self, vector: Tensor) -> Tensor:
        return self.ops.reshape(self.ops.cast(vector, "float32"), (-1,))

    def spread(self, vector: Tensor) -> Tensor:
        """A vector in the shape that broadcasts against the inputs."""
        return self.ops.reshape(self.ops.cast(vector, self.dtype), self.layout.broadcast_shape)
