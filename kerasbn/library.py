"""What the layer is made of in one Keras: its package, its tensors, its stock layer's habits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

from kerasbn.layout import Layout

Tensor = Any
Operations = Any
"""`keras.ops`, or a module with the part of it that `kerasbn.tensorflow.ops` lists."""
Correction = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From the mean and the population variance of a batch to (r, d) of `kerasbn.renorm`."""


class Kernel(Protocol):
    """Batch normalization in one operation; gamma, beta and the statistics are flat, in float32."""

    def accepts(self, layout: Layout, dtype: str) -> bool:
        """Whether `training` takes such an input."""

    def training(
        self, x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float, layout: Layout
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs, mean and population variance."""

    def corrected(
        self, x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float, layout: Layout, correction: Correction
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As `training`, but ``y = gamma * (x_hat * r + d) + beta``; no gradient passes through r and d."""

    def takes_axes_apart(self) -> bool:
        """Whether `training` takes channel axes that are no neighbours where the layer is called."""

    def masked(
        self, x: Tensor, mask: Tensor, gamma: Tensor, beta: Tensor, epsilon: float, layout: Layout
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Outputs, mean, population variance and count; the mask as `kerasbn.moments.expanded` returns it."""

    def infers(self, layout: Layout, dtype: str) -> bool:
        """Whether `inference` takes such an input."""

    def inference(
        self, x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor, epsilon: float
    ) -> Tensor:
        """Outputs from given statistics."""


@dataclass(frozen=True)
class Library:
    """One Keras on one backend.

    Attributes:
        keras: The package.
        ops: Operations on its tensors.
        kernel: Its fused kernel, if it has one.
        all_sum: Sums a tensor over the replicas of a distribution strategy, if it can.
        weight: Arguments of ``add_weight`` for gamma and beta.
        average: Arguments of ``add_weight`` for moving averages.
        unbiased_in_stock: (rank, channel axis) of the inputs for which the stock layer averages the unbiased
            variance.
        wide_ghost_weights: Whether the stock layer's weights under ghost batches have the rank of the input and one
            axis more.
    """

    keras: ModuleType
    ops: Operations
    kernel: Kernel | None
    all_sum: Callable[[Tensor], Tensor] | None
    weight: dict[str, Any]
    average: dict[str, Any]
    unbiased_in_stock: frozenset[tuple[int, ...]] = frozenset()
    wide_ghost_weights: bool = False
