"""Calibration data made from a model's own BatchNorm statistics, where no real data are at hand.

A BatchNorm remembers the mean and the variance of what it saw in training. Inputs x are sought whose activations have
the same: with ``z = (a(x) - moving_mean) / sqrt(moving_variance + epsilon)`` for the input ``a`` of each BatchNorm,

    minimise   mean over BatchNorms and channels of   mean(z)^2 + (deviation(z) - target)^2
               + mean over samples of   weight * cross entropy of the scores with one class for each sample

over all samples and positions, ``target = sqrt(moving_variance / (moving_variance + epsilon))``, by gradient descent on
x. No BatchNorm stands behind the scores of a classifier; the cross entropy is what gives them the range that they have
for real data. Its weight differs from sample to sample, by `objective.SPREAD` up and down: the clearest of real data
have scores far beyond those of the typical, and a range that cuts these off costs more than one that is too wide.
Ranges measured on such inputs stand for those of the real data; they are no real data, and every report says so.

References:
    Cai et al. 2020, ZeroQ, section 3.1 (the statistics). Haroush et al. 2020, The Knowledge Within, sections 3.1 and
    3.2 (the statistics, and classes: its inception scheme).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from kerasbn_export.calibration.data_free.observed import observe
from kerasbn_export.calibration.samples import DATA_FREE, Calibration, checked
from kerasbn_export.ends import ModelInput

__all__ = ["SAMPLES", "data_free_calibration"]

SAMPLES = 64
"""How many samples are made."""


def data_free_calibration(
    model: Any,
    inputs: Sequence[ModelInput],
    *,
    seed: int = 0,
    value_range: tuple[float, float] | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> Calibration:
    """Samples whose activations have the mean and variance that the model's BatchNorms remember.

    Args:
        model: A trained model of either Keras with its BatchNorms in place. It is not changed.
        inputs: Its inputs.
        seed: Of the noise that the search begins with.
        value_range: Between which numbers the real inputs lie, where that is known; else any number may come.
        on_step: Called with the progress.

    Raises:
        CalibrationError: No BatchNorm can be observed, none was ever trained, an input is of whole numbers or of no
            fixed shape, or the search fails.
        UnsupportedModelError: The model cannot be read as a graph of layers.
        InvalidModelError: A BatchNorm holds numbers that mean nothing.
    """
    observed = observe(model, inputs, SAMPLES)
    from kerasbn_export.calibration.data_free.descent import descend

    arrays = descend(observed, inputs, samples=SAMPLES, seed=seed, value_range=value_range, on_step=on_step)
    made = checked(arrays, inputs, f"{DATA_FREE} from the statistics of {len(observed.targets)} BatchNorms")
    return replace(made, seed=seed)
