"""What became of each BatchNorm: one `Verdict` per BatchNorm layer, as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from kerasbn.shown import Rows, Shown


class Action(str, Enum):
    """What was done with a BatchNorm."""

    FOLDED = "folded"
    """Gone: its scale and shift are inside the weights of other layers."""
    MERGED = "merged"
    """Gone into another affine that itself had to stay."""
    LOWERED = "lowered"
    """Replaced by a cheaper operation."""
    KEPT = "kept"
    """Still there, unchanged."""


class Reason(str, Enum):
    """Why a BatchNorm is not gone; docs/reference/reasons.md is made of these lines."""

    TRAINING = "training"
    """It is called with ``training=True``: it normalises with the statistics of the batch."""
    NOT_LINEAR = "not-linear"
    """What computes its input is not a linear layer."""
    ACTIVATION = "activation"
    """The linear layer before it applies an activation inside."""
    SEVERAL_USES = "several-uses"
    """Its input is also used elsewhere."""
    SHARED = "shared"
    """The layer that would take it in is called at several places, and the target is the smallest file."""
    AXIS = "axis"
    """It normalises an axis that is not the output axis of the layer before it."""
    MODEL_INPUT = "model-input"
    """It normalises an input of the model, and what follows takes no affine in."""
    MODEL_OUTPUT = "model-output"
    """Its output, or a value that it would change on the way, is an output of the model."""
    NEGATIVE_SCALE = "negative-scale"
    """A channel with a scale below zero cannot pass a maximum or a ReLU."""
    ZERO_PADDING = "zero-padding"
    """Its shift cannot pass zero padding, or a transposed convolution, whose outputs see different numbers of taps."""
    NOT_AFFINE = "not-affine"
    """What lies on the way lets a scale pass or a shift, but not both."""
    SHAPE = "shape"
    """A size that the way depends on is not known, or one axis is mixed with others."""
    OVERFLOW = "overflow"
    """The folded weights would not be finite in the layer's precision."""
    COARSER = "coarser"
    """Gone, it would cost the quantized file accuracy: both forms were measured, and this one is better."""
    OPAQUE = "opaque"
    """It sits inside a layer that cannot be opened, or its own class is not known."""


@dataclass(frozen=True, repr=False)
class Verdict(Shown):
    """What became of one BatchNorm layer.

    Attributes:
        layer: Its name, with the path of the nested models it sits in: ``"backbone/bn1"``.
        action: What was done.
        direction: ``"backward"`` into the layers before, ``"forward"`` into those behind, ``"both"``, or None.
        into: The layers whose weights now hold it.
        rules: The rules used, in order.
        ops_before: Elementwise operations it costs unfolded (MUL + ADD), over all its calls.
        ops_after: The same after folding.
        reason: Why it is not gone; None if it is.
        sentence: The reason in words, naming the layers concerned; empty if it is gone.
        static_shape: Whether exactness depends on a shape that was taken as fixed.
        note: What to know of a fold that is exact all the same, as that a merged kernel is coarser in int8.
    """

    layer: str
    action: Action
    direction: str | None = None
    into: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    ops_before: int = 2
    ops_after: int = 0
    reason: Reason | None = None
    sentence: str = ""
    static_shape: bool = False
    note: str = ""

    @property
    def gone(self) -> bool:
        """Whether no operation of this BatchNorm is left."""
        return self.action in (Action.FOLDED, Action.MERGED)

    @property
    def where(self) -> str:
        """The layers that hold it, or why it is not gone; and what to know of either."""
        return " ".join(filter(None, (", ".join(self.into) if self.gone else self.sentence, self.note)))

    def summary(self) -> list[str]:
        """One line."""
        way = f" {self.direction} into" if self.gone and self.direction else ":"
        return [f"{self.layer}: {self.action.value}{way} {self.where}".rstrip(": ")]

    def table(self) -> Rows:
        """One row."""
        return table_of([self])

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values."""
        return {key: value.value if isinstance(value, Enum) else value for key, value in asdict(self).items()}


def left(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Those of the BatchNorms that are not gone."""
    return [verdict for verdict in verdicts if not verdict.gone]


def count_of(verdicts: Sequence[Verdict]) -> str:
    """One sentence about all BatchNorms."""
    if not verdicts:
        return "The model has no BatchNorm: nothing to fold."
    rest = left(verdicts)
    reasons = Counter(verdict.reason.value if verdict.reason else verdict.action.value for verdict in rest)
    why = "".join(f"; {count} left: {reason}" for reason, count in reasons.items())
    cost = sum(verdict.ops_after for verdict in rest)
    return f"{len(verdicts) - len(rest)} of {len(verdicts)} BatchNorms folded{why}{_costing(cost)}."


def _costing(operations: int) -> str:
    return f"; they cost {operations} operation{'s' * (operations != 1)}" if operations else ""


def table_of(verdicts: Sequence[Verdict]) -> Rows:
    """What became of each BatchNorm, and where it went or why it stayed."""
    rows = [(verdict.layer, verdict.action.value, verdict.direction or "", verdict.where) for verdict in verdicts]
    return ("BatchNorm", "is", "direction", "into, or why not"), rows
