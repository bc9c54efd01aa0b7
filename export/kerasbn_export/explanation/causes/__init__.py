"""One function for each cause: from the evidence to a finding, or None where it is not there.

In this order they are named where they give the same: what may have caused the others comes first.
"""

from __future__ import annotations

from collections.abc import Callable

from kerasbn_export.explanation.causes.batchnorm_left import batchnorm_left
from kerasbn_export.explanation.causes.calibration_samples import calibration_samples
from kerasbn_export.explanation.causes.channel_spread import channel_spread
from kerasbn_export.explanation.causes.clipped_range import clipped_range
from kerasbn_export.explanation.causes.conversions import conversions
from kerasbn_export.explanation.causes.dynamic_file import dynamic_file
from kerasbn_export.explanation.causes.float_operation import float_operation
from kerasbn_export.explanation.causes.input_range import input_range
from kerasbn_export.explanation.causes.one_scale import one_scale
from kerasbn_export.explanation.causes.softmax_output import softmax_output
from kerasbn_export.explanation.causes.unfit_statistics import unfit_statistics
from kerasbn_export.explanation.causes.wide_activation import wide_activation
from kerasbn_export.explanation.evidence import Evidence
from kerasbn_export.explanation.records import Finding

Cause = Callable[[Evidence], Finding | None]

CAUSES: tuple[Cause, ...] = (
    unfit_statistics,
    input_range,
    calibration_samples,
    one_scale,
    channel_spread,
    clipped_range,
    wide_activation,
    softmax_output,
    batchnorm_left,
    float_operation,
    conversions,
    dynamic_file,
)
