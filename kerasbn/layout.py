"""Which axes of an input are channels, and which are averaged over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from kerasbn.errors import InvalidArgumentError

Axis = int | Sequence[int]


@dataclass(frozen=True)
class Layout:
    """The channel axes of an input of known rank.

    Attributes:
        rank: Of the input, with the batch axis.
        axes: The channel axes, from 0, in increasing order.
        sizes: The static size of each of them.
    """

    rank: int
    axes: tuple[int, ...]
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, axis: Axis, input_shape: Sequence[int | None], layer: str) -> Layout:
        """The layout of an input shape.

        Raises:
            InvalidArgumentError: An axis is out of range, named twice, or of unknown size.
        """
        rank, given = len(input_shape), as_tuple(axis)
        axes = tuple(sorted(each % rank for each in given if -rank <= each < rank))
        found = f"axis={axis} for inputs of shape {tuple(input_shape)} in BatchNormalization layer {layer!r}"
        if len(axes) != len(given):
            raise InvalidArgumentError(f"Found {found}; each axis must be from {-rank} to {rank - 1}.")
        if len(set(axes)) != len(axes):
            raise InvalidArgumentError(f"Found {found}: it names an axis twice; name each once.")
        sizes = tuple(size for each in axes if (size := input_shape[each]) is not None)
        if len(sizes) != len(axes):
            raise InvalidArgumentError(f"Found {found}: its size is unknown; give the input a fixed size there.")
        return cls(rank, axes, sizes)

    @cached_property
    def reduction_axes(self) -> tuple[int, ...]:
        """The axes that the statistics are taken over."""
        return tuple(each for each in range(self.rank) if each not in self.axes)

    @cached_property
    def stages(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """`reduction_axes` in two parts: those in front of the channels, and those behind.

        Where none is behind, the last of those in front is the second part.
        """
        front = self.axes[0] - self.trailing
        return self.reduction_axes[:front], self.reduction_axes[front:]

    @cached_property
    def broadcast_shape(self) -> tuple[int, ...]:
        """The shape in which a weight is broadcast against the input."""
        sizes = dict(zip(self.axes, self.sizes, strict=True))
        return tuple(sizes.get(each, 1) for each in range(self.rank))

    @cached_property
    def weight_shape(self) -> tuple[int, ...]:
        """The shape of gamma, beta and the averages: ``(channels,)``, or the broadcast shape for several axes."""
        return self.sizes if len(self.axes) == 1 else self.broadcast_shape

    @cached_property
    def channels(self) -> int:
        """How many statistics there are of each kind."""
        return math.prod(self.sizes)

    @cached_property
    def contiguous(self) -> bool:
        """Whether a reshape alone makes one axis of the channel axes."""
        return self.axes == tuple(range(self.axes[0], self.axes[-1] + 1))

    @cached_property
    def trailing(self) -> bool:
        """Whether the channel axes are the last ones."""
        return self.contiguous and self.axes[-1] == self.rank - 1


def as_tuple(axis: Axis) -> tuple[int, ...]:
    """``axis`` as a tuple, whichever of its forms was given."""
    return (axis,) if isinstance(axis, int) else tuple(axis)
