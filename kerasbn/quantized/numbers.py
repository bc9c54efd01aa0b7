"""The numbers of the grids on which a quantized file has its tensors; see `kerasbn_export.quantization.grids`."""

from __future__ import annotations

BITS = {"int8": 8, "int16x8": 16}
"""Of the activations of each precision."""
LARGEST = 127
"""The largest integer of a kernel."""
SMALLEST_STEP = 2.0**-126 * LARGEST
"""The step of a kernel of zeros."""
NARROWEST = 1e-6
"""A range is at least so wide: TensorFlow takes no empty one."""
FIXED = {
    8: {"softmax": (0.0, 255 / 256), "sigmoid": (0.0, 255 / 256), "tanh": (-1.0, 127 / 128)},
    16: {"softmax": (-1.0, 32767 / 32768), "sigmoid": (-1.0, 32767 / 32768), "tanh": (-1.0, 32767 / 32768)},
}
"""The ranges that TFLite gives these, whatever the data are, for activations of so many bits."""


def fitted(low: float, high: float, bits: int) -> tuple[float, float]:
    """The range around some numbers: it holds 0, is not empty, and is symmetric where the zero point has to be 0."""
    low, high = min(low, 0.0), max(high, 0.0)
    if bits == BITS["int16x8"]:
        high = max(high, -low * 32767 / 32768, NARROWEST)
        low = symmetric_low(high)
    return low, max(high, low + NARROWEST)


def symmetric_low(high: float) -> float:
    """The low end of the int16 range whose zero point is 0."""
    return -high * 32768 / 32767
