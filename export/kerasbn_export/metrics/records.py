"""The metric of each model, as data."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from kerasbn.shown import Rows, Shown

PERCENT = 100
ROUNDING = 1e-9
"""What a difference of two shares is off: 0.895 is 0.5000000000000004 points below 0.9."""


@dataclass(frozen=True)
class Scored:
    """The metric of one model.

    Attributes:
        name: What it is: ``"original"``, ``"folded"``, ``"file"`` or ``"stock converter's file"``.
        value: The metric.
        difference: Its value less the original's.
        low: The lower end of the 95 % interval of the difference.
        high: The upper end.
    """

    name: str
    value: float
    difference: float = 0.0
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True, repr=False)
class MetricReport(Shown):
    """The user's metric of the original and of what was made of it.

    Attributes:
        metric: Its name.
        less_is_better: Whether a smaller value is the better one.
        share: Whether it is a share, whose drop is in percentage points.
        samples: How many it was measured on.
        seed: Of the bootstrap.
        scored: The original first.
        judged: Which of them the gate is about.
        max_drop: The largest accepted drop, in percentage points of a share or in the metric's own unit; None for none.
    """

    metric: str
    less_is_better: bool
    share: bool
    samples: int
    seed: int
    scored: tuple[Scored, ...]
    judged: str
    max_drop: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the drop that was measured is accepted; a NaN is not."""
        return self.max_drop is None or self.drop <= self.max_drop + ROUNDING

    @property
    def drop(self) -> float:
        """By how much the judged model is worse, in percentage points of a share."""
        return self._worse(self._judged.difference)

    @property
    def largest_drop(self) -> float:
        """The worse end of the interval of the drop."""
        return max(self._worse(self._judged.low), self._worse(self._judged.high))

    @property
    def sentence(self) -> str:
        """What the judged model loses, and whether that is accepted."""
        one, ends = self._judged, sorted((self._worse(self._judged.low), self._worse(self._judged.high)))
        unit = " points" if self.share else ""
        values = f"{self._shown(self.scored[0].value)} -> {self._shown(one.value)}"
        said = (
            f"{self.metric}: {values} on {self.samples:,} samples; "
            f"drop {self.drop:.2f}{unit}, 95 % interval {ends[0]:.2f} to {ends[1]:.2f}"
        )
        if self.max_drop is None:
            return f"{said}."
        if not self.passed:
            return f"{said}; accepted: at most {self.max_drop:g}."
        if not self.largest_drop <= self.max_drop + ROUNDING:
            return f"{said}; accepted: at most {self.max_drop:g}, which so few samples do not prove."
        return f"{said}; accepted: at most {self.max_drop:g}."

    def summary(self) -> list[str]:
        """The answer, and a line for each model."""
        return [self.sentence, *(" ".join(map(str, row)) for row in self.table()[1])]

    def table(self) -> Rows:
        """A row for each model."""
        columns = (self.metric, "value>", "difference>", "95 % interval>")
        rows = [
            (
                each.name,
                self._shown(each.value),
                "" if number == 0 else self._shown(each.difference, signed=True),
                "" if number == 0 else f"{self._shown(each.low, signed=True)} to {self._shown(each.high, signed=True)}",
            )
            for number, each in enumerate(self.scored)
        ]
        return columns, rows

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values."""
        found = {**asdict(self), "drop": self.drop, "passed": self.passed}
        found["scored"] = [{name: _number(value) for name, value in each.items()} for each in found["scored"]]
        return {name: _number(value) for name, value in found.items()}

    @property
    def _judged(self) -> Scored:
        return next(each for each in self.scored if each.name == self.judged)

    def _worse(self, difference: float) -> float:
        worse = difference if self.less_is_better else -difference
        return (worse * PERCENT if self.share else worse) + 0.0

    def _shown(self, value: float, *, signed: bool = False) -> str:
        sign = "+" if signed else ""
        return format(value * PERCENT, f"{sign}.2f") + " %" if self.share else format(value, f"{sign}.5g")


def _number(value: Any) -> Any:
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value
