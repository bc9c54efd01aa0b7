"""What a graph costs, and which of several exact forms a target prefers. All choices are here.

============  ====================================================================================================
target        choices
============  ====================================================================================================
``latency``   an affine that is left is one depthwise 1x1 (rank 4) or one ADD; layers are cloned where that lets a
              BatchNorm go; ReLUs move to where they are fused, and in int8 one that is fused nowhere gets an
              operation that does; no channel of ones
``ops``       as ``latency``, and a shift before zero padding becomes a channel of ones: one operation less
``size``      as ``latency``, once with layers cloned and once without; the graph with fewer weight bytes is taken
============  ====================================================================================================

The channel of ones is exact and needs no operation, but it makes two convolutions one channel wider: three
Conv-ReLU-BatchNorm before a 'same' convolution took 0.8 to 1.8 of the stock conversion's time in float32 and 0.5 to
1.3 in int8, the depthwise 0.8 to 1.0 and 0.6 to 1.0. So only ``ops`` asks for it. A map of what the padding hides,
behind the convolution, is one ADD as well, and took 0.7 to 1.0 and 0.5 to 0.9, but it has up to one number for each
output element where stock has two for each channel, and no target may make a file larger than stock's: every target
takes the map where it has fewer numbers. All with XNNPACK, one thread: ``python benchmarks/zero_padding.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kerasbn.errors import InvalidArgumentError
from kerasbn_export.graph.model import Graph
from kerasbn_export.precision import PRECISIONS, QUANTIZED

TARGETS = ("latency", "ops", "size")


@dataclass(frozen=True)
class Choices:
    """Which of several exact forms to use.

    Attributes:
        merge: Merge linear layers, side by side or in a row, into one (rule 10).
        clone: Let calls of one layer become calls of several, so that a BatchNorm can go into one of them.
        constant_one: Carry a shift through zero padding by a channel of ones (rule 9).
        accompany: Give a ReLU that stays alone an operation that fuses it (rule 14).
        averages: Let a BatchNorm go back through average pooling (rule 4).
        forward: Let a BatchNorm go forward (rule 3), as a whole or in part.
        magnitudes: Send the magnitude of a scale backward before anything goes forward (rule 8).
        positions: Let a small Dense become one kernel for each place of an axis that it does not sum over (rule 3).
    """

    merge: bool = True
    clone: bool = True
    constant_one: bool = False
    accompany: bool = False
    averages: bool = True
    forward: bool = True
    magnitudes: bool = False
    positions: bool = False


def choices(
    target: str, *, merge: bool = True, averages: bool = True, forward: bool = True, precision: str = "float32"
) -> list[Choices]:
    """The choices that a target wants tried; of several, the graph with the fewest `weight_bytes` is taken.

    Args:
        target: ``"latency"``, ``"ops"`` or ``"size"``.
        merge: Whether linear layers may become one.
        averages: Whether a BatchNorm may go back through average pooling.
        forward: Whether a BatchNorm may go forward.
        precision: What the folded model is converted to.

    Raises:
        InvalidArgumentError: The target or the precision is not known.
    """
    for name, value, accepted in (("target", target, TARGETS), ("precision", precision, PRECISIONS)):
        if value not in accepted:
            raise InvalidArgumentError(f"{name}={value!r} is not known; accepted: {', '.join(accepted)}.")
    quantized = precision in QUANTIZED
    positions = forward and target != "size" and not quantized
    asked = Choices(merge=merge, averages=averages, forward=forward, magnitudes=quantized, positions=positions)
    if target == "size":
        return [replace(asked, clone=clone) for clone in (True, False)]
    ones, lone = target == "ops" and forward, target == "latency" and precision == "int8"
    return [replace(asked, constant_one=ones, accompany=lone)]


OPERATION_NUMBERS = 100
"""An operation with its tensors and their names takes 560 bytes of a file: more than as many float32 numbers."""
OPERATION_PRODUCTS = 10_000
"""An operation more took 0.5 microseconds, with XNNPACK and one thread; a convolution made 20 products a nanosecond."""
AFFINE_PRODUCTS = 5
"""A depthwise 1x1 took as long for one element as a convolution for as many products."""


def pays(numbers: int, channels: int, positions: int | None) -> bool:
    """Whether more numbers in a kernel are worth an affine that goes: no larger file, and no slower.

    Args:
        numbers: How many numbers the kernel has more, each of them a product at every output position.
        channels: Those of the affine.
        positions: Output positions, None if not known.
    """
    fits = numbers <= 2 * channels + OPERATION_NUMBERS
    if positions is None:
        return fits and numbers <= AFFINE_PRODUCTS * channels
    return fits and positions * (numbers - AFFINE_PRODUCTS * channels) <= OPERATION_PRODUCTS


def weight_bytes(graph: Graph) -> int:
    """The bytes of all weights of a graph in its own precision; a shared layer counts once."""
    layers = {id(call.layer): call.layer for call in graph}
    return sum(
        array.size * np.dtype("float16" if "16" in layer.dtype else "float32").itemsize
        for layer in layers.values()
        for array in layer.weights.values()
    )
