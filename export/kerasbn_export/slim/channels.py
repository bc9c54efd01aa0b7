"""Channels that stand or fall together, and why some have to stay.

A channel of a value is a number. Two channels are tied where one cannot be taken out without the other: the branches
of a sum, the calls of a shared layer. A channel that has to stay keeps all that are tied to it (union-find).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]


class Why(str, Enum):
    """Why a constant channel stays."""

    MODEL_OUTPUT = "model-output"
    """The model gives the channel to its user."""
    NOT_CONSTANT = "not-constant"
    """A layer takes the channel where it is not constant: another branch, or before the BatchNorm."""
    ZERO_PADDING = "zero-padding"
    """The constant meets zero padding, and is another number at the border."""
    CARRIER = "carrier"
    """It carries the constants of the other channels through zero padding."""
    NO_WAY = "no-way"
    """A layer takes the channel that cannot lose one."""
    SHARED = "shared"
    """A layer is called at several places, and its constants there are not the same."""
    OVERFLOW = "overflow"
    """The new weights would not be finite in the layer's precision."""
    LAST = "last"
    """It is the last channel: a layer needs one."""


@dataclass(frozen=True)
class Stay:
    """Why a channel stays: the reason, and a sentence that names the layer."""

    why: Why
    sentence: str


class Channels:
    """The channels of all values of one graph."""

    def __init__(self) -> None:
        self._parents: list[int] = []
        self._stays: dict[int, Stay] = {}

    def new(self, count: int) -> Ids:
        """Channels that nothing is known of yet."""
        first = len(self._parents)
        self._parents.extend(range(first, first + count))
        return np.arange(first, first + count)

    def tie(self, some: Ids, others: Ids) -> None:
        """Let each of some channels stand or fall with the other at its place."""
        for one, other in zip(some.tolist(), others.tolist(), strict=True):
            a, b = self._root(one), self._root(other)
            if a != b:
                self._parents[b] = a
                if b in self._stays:
                    self._stays.setdefault(a, self._stays.pop(b))

    def keep(self, ids: Iterable[int] | Ids, stay: Stay) -> None:
        """Let channels stay; the first reason counts."""
        for channel in ids:
            self._stays.setdefault(self._root(int(channel)), stay)

    def stay(self, channel: int) -> Stay | None:
        """Why the channel stays; None if it goes."""
        return self._stays.get(self._root(channel))

    def stays(self, ids: Ids) -> npt.NDArray[np.bool_]:
        """Which of the channels stay."""
        return np.array([self._root(channel) in self._stays for channel in ids.tolist()], bool)

    def roots(self, ids: Ids) -> Ids:
        """One channel for all that are tied, for each."""
        return np.array([self._root(channel) for channel in ids.tolist()], np.int64)

    def _root(self, channel: int) -> int:
        parents = self._parents
        while parents[channel] != channel:
            parents[channel] = parents[parents[channel]]
            channel = parents[channel]
        return channel
