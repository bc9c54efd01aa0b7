"""What was found of each layer and of each weight."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from kerasbn_export.verification.records.clipping import Clipping
from kerasbn_export.verification.records.pictures import Numbers


@dataclass(frozen=True)
class LayerComparison:
    """One layer of the reference against the candidate's tensor that carries its name.

    Attributes:
        layer: The layer in the reference.
        tensor: The candidate's tensor.
        position: The layer whose output the tensor was found to hold: the layer itself, or one that the
            converter or a fold merged into it.
        merged: The layers after ``layer`` up to ``position``.
        local_error: max|difference| / max|reference| where the reference computes this layer from the
            candidate's own inputs to it: the error made here.
        cumulative_error: The same where both start from the model's inputs.
        local_sqnr_db: The local error as a ratio of signal to noise in dB.
        rounding: The local error as a part of what rounding explains at most, in float32 or to the grids of a quantised
            file, or that of a weight; None where that is not known.
        passed: Whether rounding explains the local error or, where that is not known, whether it passes the gate.
        moved: Whether it gives other numbers on purpose: a fold or the converter moved a scale or a shift across it,
            and a later layer takes that back.
        cumulative_sqnr_db: The cumulative error as a ratio of signal to noise in dB.
        clipping: What the tensor's range cannot hold, where that alone is more noise than an output may have.
    """

    layer: str
    tensor: str
    position: str
    merged: tuple[str, ...]
    local_error: float
    cumulative_error: float
    local_sqnr_db: float
    rounding: float | None
    passed: bool
    moved: bool = False
    cumulative_sqnr_db: float = math.inf
    clipping: Clipping | None = None


@dataclass(frozen=True)
class WeightComparison:
    """A kernel or bias of the candidate against the float64 algebra.

    Attributes:
        layer: The linear layer.
        batchnorm: The BatchNorm that is folded in; empty if none is.
        weight: ``"kernel"`` or ``"bias"``.
        max_difference: The largest difference.
        max_expected: The largest magnitude expected.
        worst_index: Where the difference is largest.
        passed: Whether rounding explains the difference.
        diagnosis: The known mistake that gives just these weights; empty if there is none.
        expected: For a bias that is wrong its values by channel, for a kernel the norm of each output channel.
        rounding: The difference as a part of what rounding explains: half a step of the grid that the candidate's lies
            on, and 1e-5 of the largest magnitude.
        found: The candidate's, for a kernel along the expected one: 0.5 is a scale half as large, -1 one turned round.
    """

    layer: str
    batchnorm: str
    weight: str
    max_difference: float
    max_expected: float
    worst_index: tuple[int, ...]
    passed: bool
    diagnosis: str
    expected: Numbers = field(default=(), repr=False)
    found: Numbers = field(default=(), repr=False)
    rounding: float = 0.0

    @property
    def sentence(self) -> str:
        """The finding in words."""
        known = f"; as if: {self.diagnosis}" if self.diagnosis else "."
        return f"Layer {self.layer!r}: {self.weight} differs by {self.max_difference:.3g} at {self.worst_index}{known}"


@dataclass(frozen=True)
class Divergence:
    """The first layer that is wrong while what it is given is right.

    Attributes:
        layer: Its name in the reference.
        suspects: The layer and those between it and the last tensors found right: the error is in one of them.
        tensor: The candidate's tensor that holds the wrong values.
        local_error: The error made there, relative to max|reference|.
        cumulative_error: The error there, counted from the model's inputs.
        sentence: The finding in words.
    """

    layer: str
    suspects: tuple[str, ...]
    tensor: str
    local_error: float
    cumulative_error: float
    sentence: str
