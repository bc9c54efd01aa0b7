"""The grids of integers that a quantized file has, as numbers.

===========  =============================  ===========================  ==================================
what         integers                       scale                        zero point
===========  =============================  ===========================  ==================================
activation   int8, -128 to 127              ``(high - low) / 255``       ``round(-low / scale) - 128``
activation   int16, -32768 to 32767         ``high / 32767``             0
kernel       int8, -127 to 127              ``max|W| / 127``             0
===========  =============================  ===========================  ==================================

A kernel has one scale for each of its output channels, or one for the whole. Source: TensorFlow's documentation of
``fake_quant_with_min_max_vars``, which moves ``low`` and ``high`` so that 0 is one of the integers' numbers.
"""

from __future__ import annotations

import math

import numpy as np

from kerasbn.quantized.numbers import LARGEST, SMALLEST_STEP
from kerasbn_export.arrays import Array
from kerasbn_export.tflite.quantization import Quantization


def grid(low: float, high: float, bits: int) -> Quantization:
    """The scale and the zero point that TensorFlow and the converter give a range."""
    steps = 2**bits - 1
    scale = (np.float32(high) - np.float32(low)) / np.float32(steps)
    zero = min(max(-np.float32(low) / scale, 0.0), float(steps))
    return Quantization(float(scale), math.floor(zero + 0.5) - 2 ** (bits - 1), f"int{bits}")


def kernel_steps(kernel: Array, kept: tuple[int, ...]) -> Array:
    """The step of the grid of each output channel, in the rank of the kernel.

    Args:
        kernel: The kernel.
        kept: The axes of the output channels; none for one step for the whole.
    """
    others = tuple(axis for axis in range(kernel.ndim) if axis - kernel.ndim not in kept)
    steps: Array = np.maximum(np.abs(kernel).max(axis=others, keepdims=True) / LARGEST, SMALLEST_STEP)
    return steps


def on_grid(kernel: Array, kept: tuple[int, ...]) -> Array:
    """The nearest numbers on the grid: ``step * round(W / step)``."""
    steps = kernel_steps(kernel, kept)
    nearest: Array = np.rint(kernel / steps) * steps
    return nearest
