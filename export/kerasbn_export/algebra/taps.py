"""Where the taps of a convolution fall, along one axis.

Output position p sees, by tap u, the element

    p*stride + u*dilation - before

of its input, with ``before`` zeros padded in front. Two convolutions with the same strides are taps of one where every
tap of the smaller falls on the element of some tap of the larger, for every p.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kerasbn_export.algebra.linear_input import zeros_before


@dataclass(frozen=True)
class Axis:
    """How a kernel lies along one axis.

    Attributes:
        padding: ``"valid"``, ``"same"`` or ``"causal"``.
        taps: How many there are.
        stride: From one output to the next.
        dilation: From one tap to the next.
        size: Elements of the input, None if not known.
    """

    padding: str = "valid"
    taps: int = 1
    stride: int = 1
    dilation: int = 1
    size: int | None = None

    @property
    def reach(self) -> int:
        """From the first tap to the last."""
        return self.dilation * (self.taps - 1)

    @property
    def before(self) -> int | None:
        """How many zeros stand before the first element; None where that depends on a size that is not known."""
        if self.size is not None or self.padding != "same":
            return zeros_before(self.padding, self.taps, self.stride, self.dilation, self.size or 0)
        return self.reach // 2 if self.stride == 1 or self.reach == 0 else None

    @property
    def lost(self) -> int:
        """How many elements fewer than without a kernel the outputs are counted over."""
        return self.reach if self.padding == "valid" else 0

    def gives_as_many_as(self, other: Axis) -> bool:
        """Whether both give one output for each of the same positions; their strides are the same."""
        last = (self.size or 0) - 1  # of the elements
        as_many = (last - self.lost) // self.stride == (last - other.lost) // other.stride
        return self.lost == other.lost if self.size is None else as_many

    def falls_on(self, other: Axis) -> bool:
        """Whether every tap falls on the element that a tap of the other falls on, at every output."""
        if (self.padding, self.taps, self.dilation) == (other.padding, other.taps, other.dilation):
            return True
        if self.before is None or other.before is None:
            return False
        shift = other.before - self.before
        first, last = shift // other.dilation, (shift + self.reach) // other.dilation
        whole = shift % other.dilation == 0 and (self.taps == 1 or self.dilation % other.dilation == 0)
        return whole and first >= 0 and last < other.taps

    def slots(self, other: Axis) -> list[int]:
        """The taps of the other that its own `falls_on`."""
        shift = (other.before or 0) - (self.before or 0)
        return [(shift + tap * self.dilation) // other.dilation for tap in range(self.taps)]


def axes(config: Mapping[str, Any], sizes: tuple[int | None, ...]) -> list[Axis]:
    """The axes of a convolution's kernel, on an input of these sizes; one tap each for a Dense, which slides too."""
    if "kernel_size" not in config:
        return [Axis(size=size) for size in sizes]
    options = ([_entry(config[key], axis) for axis in range(len(sizes))] for key in KEYS)
    return [Axis(str(config["padding"]), *along) for along in zip(*options, sizes, strict=True)]


def zeros_added(padding: Mapping[str, Any] | None, axes: int) -> list[tuple[int, int]]:
    """The zeros that a ZeroPadding adds before and behind every axis.

    Args:
        padding: Its configuration; None where there is none.
        axes: How many axes of positions there are.
    """
    if padding is None:
        return [(0, 0)] * axes
    pairs: Any = padding["padding"]
    return [tuple(pair) for pair in ([pairs] if axes == 1 else pairs)]


KEYS = ("kernel_size", "strides", "dilation_rate")


def _entry(value: Any, axis: int) -> int:
    return int(value if isinstance(value, int) else value[axis])
