"""How the stored numbers of a quantized tensor stand for real ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kerasbn_export.arrays import Array


@dataclass(frozen=True)
class Quantization:
    """``real = scale * (stored - zero_point)``, one scale for the whole tensor."""

    scale: float
    zero_point: int
    dtype: str

    def store(self, real: Array) -> Array:
        """The nearest stored values, clipped to what the dtype holds."""
        info = np.iinfo(self.dtype)
        stored = np.rint(np.asarray(real, np.float64) / self.scale) + self.zero_point
        clipped: Array = np.clip(stored, info.min, info.max).astype(self.dtype)
        return clipped

    def restore(self, stored: Array) -> Array:
        """The real values, in float32."""
        return ((stored.astype(np.float64) - self.zero_point) * self.scale).astype(np.float32)

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest real value."""
        info = np.iinfo(self.dtype)
        return (info.min - self.zero_point) * self.scale, (info.max - self.zero_point) * self.scale
