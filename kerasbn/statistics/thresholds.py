"""Every threshold of `kerasbn.check`, with its reason. ``docs/statistics.md`` shows this table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from kerasbn.errors import InvalidArgumentError


@dataclass(frozen=True)
class Threshold:
    """From which number on there is a finding.

    Attributes:
        what: What the number is.
        warn: Above it there is a warning; None: there is none.
        fail: Above it the statistics are not fit; None: they are.
        why: The reason.
    """

    what: str
    warn: float | None
    fail: float | None
    why: str

    def severity(self, value: float) -> str | None:
        """``"fail"``, ``"warn"`` or None for nothing."""
        if self.fail is not None and value > self.fail:
            return "fail"
        return "warn" if self.warn is not None and value > self.warn else None


TABLE: dict[str, Threshold] = {
    "not-finite": Threshold("channels with NaN or infinity", None, 0, "no output is right"),
    "negative-variance": Threshold("channels with a variance below 0", None, 0, "no sum of squares is negative"),
    "never-updated": Threshold("whole layers at mean 0 and variance 1", None, 0, "these are the initial values"),
    "not-converged": Threshold(
        "share of the initial values left: momentum^steps, or measured on data", 0.01, 0.1,
        "momentum 0.99 needs 459 steps to forget 99 %, 0.999 needs 4603",
    ),
    "tiny-variance": Threshold(
        "share of channels whose variance is below epsilon", 0, None,
        "epsilon sets their scale: another epsilon makes another model",
    ),
    "large-scale": Threshold(
        "largest |scale| or |shift|", 1e3, 65504, "few steps of int8 for the other channels; above 65504 not in float16"
    ),
    "uneven-scale": Threshold(
        "largest / median channel of the folded kernel", 30, 1e3, "per-tensor int8 gives the other channels few steps"
    ),
    "large-mean": Threshold("largest |mean| / sigma", 30, 1e3, "float32 loses as many digits in x - mean"),
    "zero-gamma": Threshold("channels whose gamma is 0, or below 1/1000 of the median", None, None, "can be removed"),
    "training-mode": Threshold("calls with training=True", None, 0, "a sample's output depends on the others'"),
    "mixed-frozen": Threshold("frozen BatchNorms beside others", None, None, "often an accident of fine-tuning"),
    "small-batch": Threshold(
        "relative error of a variance, sqrt(2 / (elements - 1))", 0.255, 0.535,
        "32 elements for each channel give 0.25, 8 give 0.53",
    ),
    "shifted-mean": Threshold(
        "shift of the mean in sigma, median channel; twice that for one channel", 0.5, 1,
        "healthy models on other clips of their source: 0.12 to 0.63",
    ),
    "shifted-variance": Threshold(
        "variance, stored / measured or its inverse, median channel; twice that for one channel", 2, 4,
        "healthy models: 0.35 to 2.56 in single channels",
    ),
    "swapped": Threshold("mean and variance exchanged", None, 0, "each fits the data in the place of the other"),
    "scaled-inputs": Threshold(
        "factor between stored and measured statistics", None, 2, "the data are scaled otherwise than in training"
    ),
    "output": Threshold(
        "noise / signal of the outputs between stored and measured statistics", 0.1, 10**-0.5,
        "20 dB and 10 dB; a healthy network with momentum 0.9 had 25 dB; shifts can cancel, and this is what is felt",
    ),
    "gap": Threshold(
        "relative difference of the outputs between training and inference on one batch", 0.3, 0.7,
        "batches of 64 of a healthy model differ by up to 0.2",
    ),
    "uneven-batches": Threshold(
        "difference between training and inference with the statistics of the same data, above 50 %", None, None,
        "batches that are small or of one class each describe no other batch: nothing can be told",
    ),
    "few-samples": Threshold("fewer than 32 samples", None, None, "chance alone shifts so few too far"),
    "metric": Threshold("loss with stored statistics beyond that with measured ones", None, 0, "decides on repair"),
}  # fmt: skip
"""By the kind of a finding. Those without numbers are notes."""


def table_with(changes: Mapping[str, Any] | None) -> dict[str, Threshold]:
    """The table with some thresholds replaced.

    Args:
        changes: By kind, the number to fail above, or (warn, fail).

    Raises:
        InvalidArgumentError: A kind is not known, or its threshold is no number.
    """
    if changes is None:
        return TABLE
    if not isinstance(changes, Mapping):
        raise InvalidArgumentError(f"threshold={changes!r}; accepted: a dict from kinds to numbers or (warn, fail).")
    made = dict(TABLE)
    for kind, given in changes.items():
        warn, fail = given if isinstance(given, (tuple, list)) and len(given) == 2 else (None, given)
        if kind not in TABLE:
            raise InvalidArgumentError(f"threshold for {kind!r}; accepted: {', '.join(TABLE)}.")
        if not all(each is None or (isinstance(each, Real) and not isinstance(each, bool)) for each in (warn, fail)):
            raise InvalidArgumentError(f"threshold for {kind!r} is {given!r}; accepted: a number or (warn, fail).")
        made[kind] = Threshold(TABLE[kind].what, warn, fail, TABLE[kind].why)
    return made
