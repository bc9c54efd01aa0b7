"""A tensor of the candidate, and a value of the reference that it is taken for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.graph.model import Call, Value
from kerasbn_export.verification.network.bound import Bound
from kerasbn_export.verification.records.clipping import Clipping
from kerasbn_export.verification.records.measure import Measurement


@dataclass(frozen=True)
class KeptTensor:
    """A tensor of the candidate, and the layers that its name tells of.

    Attributes:
        name: Its name.
        layers: The layers.
        shape: The shape of its values.
        load: Gives its values, each time anew.
        index: Its number in a file.
    """

    name: str
    layers: tuple[str, ...]
    shape: tuple[int, ...]
    load: Callable[[], Array]
    index: int = -1


@dataclass
class Fit:
    """A tensor taken for a value of the reference, with the chain of calls from the layer to it."""

    tensor: KeptTensor
    chain: tuple[Call, ...]
    local: Measurement
    rounding: float | None
    passed: bool
    clipping: Clipping | None = None
    offset: Array | None = None
    """What the tensor lacks, where it was moved on."""
    right: Array | None = None
    """What it was to hold."""

    @property
    def named(self) -> bool:
        """Whether the tensor's name tells of every layer of the chain."""
        return {call.layer.path for call in self.chain} <= set(self.tensor.layers)


@dataclass(frozen=True)
class Step:
    """A value that a layer's tensor may hold.

    Attributes:
        chain: The calls up to it.
        values: What the reference gives.
        find_bound: Finds what rounding explains.
    """

    chain: tuple[Call, ...]
    values: dict[Value, Array]
    find_bound: Callable[[], Bound | None]

    @cached_property
    def bound(self) -> Bound | None:
        """What rounding explains, found where it is asked for."""
        return self.find_bound()

    @property
    def end(self) -> Value:
        """The value."""
        return self.chain[-1].output

    @property
    def array(self) -> Array:
        """What the reference gives for it."""
        return self.values[self.end]


def shaped(array: Array, like: Array) -> Array:
    """The same numbers in the shape of another array of as many."""
    return array.reshape(like.shape)


def as_numbers(array: Array) -> Array:
    """Truth values as 0 and 1, whose differences can be measured; anything else as it is."""
    return array.astype(np.float32) if array.dtype == bool else array


def squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without the dimensions of one."""
    return tuple(size for size in shape if size != 1)
