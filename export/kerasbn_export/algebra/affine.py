"""The algebra of BatchNorm at inference, in float64.

A BatchNorm in inference computes, per channel,

    y = gamma * (x - mean) / sqrt(variance + epsilon) + beta = s*x + t
    s = gamma / sqrt(variance + epsilon)
    t = beta - mean*s

(Ioffe and Szegedy 2015, algorithm 2, line 11). `Affine` is the pair (s, t). Affines compose:

    b(a(x)) = s_b*(s_a*x + t_a) + t_b = (s_b*s_a)*x + (s_b*t_a + t_b)

Nothing here knows a graph or imports TensorFlow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Affine:
    """``y = scale*x + shift`` along some axes of x.

    Attributes:
        scale: float64, one entry for each channel.
        shift: float64, of the same shape.
    """

    scale: Float64
    shift: Float64

    def then(self, after: Affine) -> Affine:
        """``after(self(x))`` as one affine."""
        return Affine(after.scale * self.scale, after.scale * self.shift + after.shift)

    @property
    def is_identity(self) -> bool:
        """Whether it changes nothing, exactly."""
        return self.keeps_scale and self.keeps_zero

    @property
    def is_uniform(self) -> bool:
        """Whether it does the same to every channel: ``s*x + t`` with two numbers."""
        return bool(np.all(self.scale == self.scale[:1]) and np.all(self.shift == self.shift[:1]))

    @property
    def keeps_scale(self) -> bool:
        """Whether it only shifts: ``s = 1``."""
        return bool(np.all(self.scale == 1.0))

    @property
    def keeps_zero(self) -> bool:
        """Whether it only scales: ``t = 0``."""
        return bool(np.all(self.shift == 0.0))

    @property
    def scaling(self) -> Affine:
        """Its scale alone: ``s*x``."""
        return Affine(self.scale, np.zeros_like(self.shift))

    @property
    def shifting(self) -> Affine:
        """Its shift alone: ``x + t``."""
        return Affine(np.ones_like(self.scale), self.shift)

    @property
    def magnitude(self) -> Affine:
        """The size of its scale alone: ``|s|*x``, which followed by `after_magnitude` is the whole."""
        return Affine(np.abs(self.scale), np.zeros_like(self.shift))

    @property
    def after_magnitude(self) -> Affine:
        """``sign(s)*x + t``, with a sign of 1 for ``s = 0``."""
        return Affine(np.where(self.scale < 0, -1.0, 1.0), self.shift)

    @property
    def inverse(self) -> Affine | None:
        """``(y - t)/s``; None where some channel has ``s = 0``, or it is not finite."""
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            scale, shift = 1.0 / self.scale, -self.shift / self.scale
        return Affine(scale, shift) if np.all(np.isfinite(scale)) and np.all(np.isfinite(shift)) else None

    @property
    def shift_before_scale(self) -> Affine | None:
        """``x + t/s``, which followed by `scaling` is the whole: ``s*(x + t/s) = s*x + t``.

        None where some channel has ``s = 0`` and ``t != 0``, or where ``t/s`` is not a finite number.
        """
        if np.any((self.scale == 0) & (self.shift != 0)):
            return None
        with np.errstate(over="ignore"):
            shift = np.divide(self.shift, self.scale, out=np.zeros_like(self.shift), where=self.shift != 0)
        return Affine(np.ones_like(self.scale), shift) if np.all(np.isfinite(shift)) else None


def batchnorm_affine(
    gamma: npt.ArrayLike | None,
    beta: npt.ArrayLike | None,
    mean: npt.ArrayLike,
    variance: npt.ArrayLike,
    epsilon: float,
) -> Affine:
    """``s = gamma / sqrt(variance + epsilon)``, ``t = beta - mean*s``.

    Args:
        gamma: The scale, None for ones.
        beta: The offset, None for zeros.
        mean: The moving mean.
        variance: The moving variance.
        epsilon: Added to the variance inside the square root.
    """
    mean64 = np.asarray(mean, np.float64)
    gamma64 = np.ones_like(mean64) if gamma is None else np.asarray(gamma, np.float64)
    beta64 = np.zeros_like(mean64) if beta is None else np.asarray(beta, np.float64)
    scale = gamma64 / np.sqrt(np.asarray(variance, np.float64) + epsilon)
    return Affine(scale, beta64 - mean64 * scale)


def round_to(array: Float64, dtype: npt.DTypeLike) -> npt.NDArray[np.floating]:
    """Round once to the weight's dtype, what is subnormal in float32 to zero.

    A subnormal weight slows the built-in TFLite kernels down by a factor of tens and changes no result that
    float32 could hold. Half precision keeps its subnormal numbers: they begin at 6e-5.
    """
    rounded = array.astype(dtype)
    rounded[np.abs(array) < np.finfo(np.float32).tiny] = 0
    return rounded
