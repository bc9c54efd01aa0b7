"""Takes the form of a quantized file that measures best.

Folding, equalization and what layers are merged are exact in real numbers, so that a float file is the same whichever
form is taken. A quantized file is not. With ``best=True`` an export converts the forms one after another, keeps a
quarter of the calibration samples out of the measuring of ranges, and takes what has the least noise on these:

====================  ==============================================================================
form                  tried
====================  ==============================================================================
as folded             always: the one that the others have to beat
branches kept         where folding merged linear layers into one (`kerasbn_export.folding.passes.branches`)
averages kept         where a BatchNorm went back through average pooling
in place              where folding did either, or moved a scale forward: BatchNorms go backward or
                      become one operation, and nothing else is done
not folded            where a BatchNorm went another way than back into the layer right before it: what the stock
                      converter makes of the model as it is
equalized             `kerasbn_export.export.forms.equalize`, on the best so far
ranges by ...         `kerasbn_export.export.forms.ranges`: each way to choose the ranges of activations, on the best so
                      far
by litert-quantizer   with ``route="auto"``: `kerasbn_export.export.forms.quantizer`, on the best so far
bias corrected        `kerasbn_export.export.forms.bias_correction`, on the best so far
rounded as learned    only with ``learn_rounding=True``, since it takes minutes: `kerasbn_export.rounding.learn`, on the
                      best so far
renewed               `kerasbn_export.rounding.renew`, on the best so far
clipped               `kerasbn_export.export.forms.one_scale`, where weights have one scale each: it tries the last
                      two in every sum with this one
====================  ==============================================================================

A form is taken if its SQNR is higher by `MARGIN`. Every one of them is reported, taken or not. With ``best="metric"``
a form is taken if the user's metric is better; if that is equal, the SQNR decides.

Without being asked, an export measures only what its own folding may have cost: where it did one of these things, the
file as folded is compared with the one in place, and if that is better by more than `SLACK`, the form with the fewest
changes undone is taken that is not. With one scale for a weight all forms are tried unasked: a file as folded is often
not usable there. Neither may the one not folded be better by more than `STOCK_SLACK`: see
`kerasbn_export.export.forms.choose.settle_form`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import numpy as np

from kerasbn.errors import CalibrationError
from kerasbn_export.arrays import Array
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.conversion.trial import Trial
from kerasbn_export.rounding.learn import LayerRounding

MARGIN = 0.1
"""dB that a form has to gain."""
SLACK = 0.3
"""dB that folding may cost unasked."""
STOCK_SLACK = 0.15
"""dB that a file may be below the stock converter's on the samples that judge: half of what other samples may show."""
HELD_OUT = 4
"""One sample in so many is kept to judge by."""
FEWEST = 8
"""Samples below which none can be kept out."""

Form = TypeVar("Form")


@dataclass
class Search(Generic[Form]):
    """The best form so far, and what was tried.

    Attributes:
        convert: From a form to the content of a file.
        score: The SQNR of a file in dB.
        form: The best form.
        data: Its file.
        trials: In the order they were made.
        rounding: What became of each layer, where rounding was learned.
        drop: By how much a file is worse than the model in the user's metric; None where the SQNR alone chooses.
    """

    convert: Callable[[Form], bytes]
    score: Callable[[bytes], float]
    form: Form
    data: bytes = b""
    trials: list[Trial] = field(default_factory=list)
    rounding: tuple[LayerRounding, ...] = ()
    drop: Callable[[bytes], float] | None = None

    def begin(self) -> None:
        """Measures the first form."""
        self.data = self.convert(self.form)
        self.trials.append(replace(self._measured("as folded", self.data), taken=True))

    def attempt(self, name: str, form: Form, data: bytes | None = None) -> None:
        """Measures another form, and goes on with it if it is better.

        Args:
            name: For the report.
            form: The form.
            data: Its file, where that is known.
        """
        made = self.convert(form) if data is None else data
        trial = self._measured(name, made)
        better = _is_better(trial, self.best)
        self.trials.append(replace(trial, taken=better))
        if better:
            self.form, self.data = form, made

    @property
    def best(self) -> Trial:
        """What the best form so far measures."""
        return [trial for trial in self.trials if trial.taken][-1]

    def _measured(self, name: str, data: bytes) -> Trial:
        return Trial(name, self.score(data), taken=False, drop=None if self.drop is None else self.drop(data))


def _is_better(one: Trial, other: Trial) -> bool:
    """Whether a form is better than the best before it; a metric that is no number is the worst."""
    drops = [math.inf if trial.drop is None or math.isnan(trial.drop) else trial.drop for trial in (one, other)]
    if drops[0] != drops[1]:
        return drops[0] < drops[1]
    return one.sqnr_db >= other.sqnr_db + MARGIN


def judged_rows(count: int) -> Array:
    """Which of some samples are kept out to judge by."""
    rows: Array = np.arange(count) % HELD_OUT == HELD_OUT - 1
    return rows


def held_out(samples: Calibration, option: str = "best=True") -> tuple[Calibration, Calibration]:
    """The samples to measure ranges on, and those to judge by: every fourth.

    Args:
        samples: All.
        option: What needs them, for the message.

    Raises:
        CalibrationError: There are too few to keep some out.
    """
    if len(samples) < FEWEST:
        raise CalibrationError(
            f"{option} judges by every {HELD_OUT}th calibration sample and needs at least {FEWEST}; found "
            f"{len(samples)}. Give more samples, or leave {option.partition('=')[0]} out."
        )
    judged = judged_rows(len(samples))
    measured, kept = (
        replace(samples, arrays=tuple(array[rows] for array in samples.arrays)) for rows in (~judged, judged)
    )
    return measured, kept
