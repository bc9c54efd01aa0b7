"""What was taken out of each BatchNorm, and why what is constant stays, as data."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from kerasbn.shown import Rows, Shown
from kerasbn_export.slim.channels import Stay


@dataclass(frozen=True)
class Slimmed:
    """One BatchNorm.

    Attributes:
        layer: Its name, with the path of the nested models it sits in.
        channels: How many it had.
        silent: How many of them have a gamma of zero, or of at most the threshold.
        removed: How many are gone. One with another gamma goes where nothing needs it: a depthwise layer's input.
        stays: Why silent channels stay: the reason, the sentence and the count of each.
    """

    layer: str
    channels: int
    silent: int
    removed: int
    stays: tuple[tuple[Stay, int], ...] = ()

    @property
    def where(self) -> str:
        """Why silent channels stay, in words."""
        return " ".join(f"{count} stay: {stay.sentence}" for stay, count in self.stays)

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values."""
        stays = [{"why": stay.why.value, "sentence": stay.sentence, "count": count} for stay, count in self.stays]
        return {**asdict(self), "stays": stays}


@dataclass(frozen=True, repr=False)
class SlimResult(Shown):
    """A smaller model; true if something was removed.

    Attributes:
        model: A new model of the same Keras; it shares no variable with the one given.
        removed: One record for each BatchNorm layer, in the order of the model.
        parameters: The number of weights before and after.
        threshold: A gamma of at most this size was taken for zero.
        difference: The largest ``max|difference| / max|output|`` measured on samples; None where the result is exact.
    """

    model: Any
    removed: tuple[Slimmed, ...]
    parameters: tuple[int, int]
    threshold: float = 0.0
    difference: float | None = None

    def __bool__(self) -> bool:
        return any(slimmed.removed for slimmed in self.removed)

    @property
    def exact(self) -> bool:
        """Whether only channels went that are constant."""
        return self.difference is None

    @property
    def sentence(self) -> str:
        """What is gone, and whether the outputs are the same."""
        if not self:
            return f"No channel was removed: {self._why_none()}"
        gone, channels = (sum(getattr(slimmed, name) for slimmed in self.removed) for name in ("removed", "channels"))
        before, after = self.parameters
        outputs = "The outputs are the same."
        if self.difference is not None:
            outputs = (
                f"Not exact: gammas of at most {self.threshold:g} were taken for zero; the outputs differ by "
                f"{self.difference:.2g} of their largest number on random samples."
            )
        return f"{gone} of {channels} channels removed, {before:,} weights became {after:,}. {outputs}"

    def _why_none(self) -> str:
        silent = sum(slimmed.silent for slimmed in self.removed)
        if not self.removed:
            return "the model has no BatchNorm."
        return f"{silent} are constant, and all of them stay." if silent else "no gamma is zero."

    def summary(self) -> list[str]:
        """What is gone, and a line for each reason for which constant channels stay."""
        stays: Counter[str] = Counter()
        for slimmed in self.removed:
            stays.update({stay.why.value: count for stay, count in slimmed.stays})
        reasons = [", ".join(f"{count} {why}" for why, count in stays.items())] if stays else []
        return [f"{self.model.name}: {self.sentence}", *(f"Constant channels that stay: {line}." for line in reasons)]

    def table(self) -> Rows:
        """A row for each BatchNorm."""
        rows = [(each.layer, each.channels, each.silent, each.removed, each.where) for each in self.removed]
        return ("BatchNorm", "channels>", "silent>", "removed>", "why constant channels stay"), rows
