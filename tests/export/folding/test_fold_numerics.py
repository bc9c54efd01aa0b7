"""The folded model in float32 errs no more than the unfolded one, both against float64."""

import numpy as np
import pytest
from kerasbn_testing.judging import in_float64, relative_error, run
from kerasbn_testing.statistics import data_for, randomise

from kerasbn_export.capture import capture
from kerasbn_export.emit.emit import emit
from kerasbn_export.folding.fold import fold

ROUNDING = 8 * 2.0**-24
"""What a sum of 72 products, the most that is summed here, may lose in float32 however it is written."""


def backward(keras):
    inputs = keras.Input((6, 6, 3))
    return keras.Model(inputs, keras.layers.BatchNormalization(epsilon=1e-12)(keras.layers.Conv2D(8, 3)(inputs)))


def forward(keras):
    inputs = keras.Input((6, 6, 8))
    return keras.Model(inputs, keras.layers.Conv2D(4, 3)(keras.layers.BatchNormalization(epsilon=1e-12)(inputs)))


def zero_gammas(bn, rng):
    bn.gamma.assign(np.where(np.arange(8) % 2, 0.0, rng.normal(size=8)))


def dead_channels(bn, rng):
    """A channel that training never saw alive: its variance is below all that float32 can add epsilon to."""
    bn.moving_variance.assign(np.where(np.arange(8) % 4, rng.uniform(0.5, 2, 8), 1e-36))
    bn.gamma.assign(np.where(np.arange(8) % 4, rng.normal(size=8), 1e-6))


def far_means(bn, rng):
    """``|mean|/sigma`` of ten thousand."""
    sigma = rng.uniform(0.01, 0.1, 8)
    bn.moving_variance.assign(sigma**2)
    bn.moving_mean.assign(1e4 * sigma * np.sign(rng.normal(size=8)))


@pytest.mark.either_keras
@pytest.mark.parametrize("build", [backward, forward])
@pytest.mark.parametrize("case", [zero_gammas, dead_channels, far_means])
def test_the_error_of_float32_is_at_most_the_original_one(keras_flavour, rng, build, case):
    model = build(keras_flavour.keras)
    randomise(model, rng)
    case(next(layer for layer in model.layers if hasattr(layer, "moving_mean")), rng)
    data = data_for(model, rng, batch=8)
    folded = fold(model)
    assert all(verdict.gone for verdict in folded.verdicts)
    reference = run(emit(capture(model), dtype="float64"), in_float64(data))
    before = relative_error(run(model, data), reference)
    assert relative_error(run(folded.model, data), reference) <= max(before, ROUNDING)


@pytest.mark.parametrize("build", [backward, forward])
def test_what_would_be_subnormal_is_zero(keras_flavour, rng, build):
    model = build(keras_flavour.keras)
    randomise(model, rng)
    bn = next(layer for layer in model.layers if hasattr(layer, "moving_mean"))
    bn.gamma.assign(np.where(np.arange(8) % 2, 1e-39, 1.0))
    bn.beta.assign(np.full(8, 1e-40))
    bn.moving_mean.assign(np.zeros(8))
    weights = [np.abs(np.asarray(weight)) for weight in fold(model).model.weights]
    tiny = np.finfo(np.float32).tiny
    assert all(np.all((weight == 0) | (weight >= tiny)) for weight in weights)
    assert sum(int(np.sum(weight == 0)) for weight in weights) > 0
