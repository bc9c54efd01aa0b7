"""Every pattern of the benchmarks' catalogue, folded and judged in both Kerases; a handful of them converted."""

import pytest
from kerasbn_testing.judging import assert_folds
from kerasbn_testing.statistics import data_for, randomise
from patterns import CATALOGUE

SINGLE_INSIDE = 5e-7
"""Rescaling, Normalization and bilinear upsampling compute in float32 also where they are asked for float64."""


@pytest.mark.parametrize("name", CATALOGUE)
def test_folds(keras_flavour, rng, name):
    model = CATALOGUE[name].build(keras_flavour.keras)
    randomise(model, rng)
    assert_folds(model, data_for(model, rng), kept=None, float64=SINGLE_INSIDE)


def test_the_catalogue_is_as_large_as_promised():
    assert len(CATALOGUE) >= 70
    assert all(0 <= pattern.least <= pattern.least_mixed for pattern in CATALOGUE.values())
