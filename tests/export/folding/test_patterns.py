"""Every pattern of the benchmarks' catalogue, folded and judged in both Kerases; a handful of them converted."""

import numpy as np
import pytest
from files import leftovers, our_file
from kerasbn_testing.judging import assert_folds
from kerasbn_testing.statistics import data_for, randomise
from patterns import CATALOGUE, give_numbers

from kerasbn_export import verify
from kerasbn_export.algebra.affine import Affine
from kerasbn_export.tflite.file import read_tflite

SINGLE_INSIDE = 5e-7
"""Rescaling, Normalization and bilinear upsampling compute in float32 also where they are asked for float64."""


@pytest.mark.sweep
@pytest.mark.parametrize("name", CATALOGUE)
def test_folds(keras_flavour, rng, name):
    model = CATALOGUE[name].build(keras_flavour.keras)
    randomise(model, rng)
    assert_folds(model, data_for(model, rng), kept=None, float64=SINGLE_INSIDE)


def test_the_catalogue_is_as_large_as_promised():
    assert len(CATALOGUE) >= 70
    assert all(0 <= pattern.least <= pattern.least_mixed for pattern in CATALOGUE.values())


LEFT = {"conv2d, BN, relu": 0, "conv2d relu, BN, conv2d valid": 0, "input, BN, relu, conv2d": 1, "BN alone, rank 3": 2}


@pytest.mark.either_keras
@pytest.mark.parametrize("name", LEFT)
def test_leaves_in_the_file_what_algebra_leaves(keras_flavour, tmp_path, name):
    model = give_numbers(CATALOGUE[name].build(keras_flavour.keras))
    path = our_file(model, tmp_path / "ours.tflite")
    assert len(leftovers(read_tflite(path))) == LEFT[name] == CATALOGUE[name].least_mixed
    assert verify(model, path, layers=False)


def test_leftovers_are_seen_where_nothing_is_folded(keras_flavour, tmp_path):
    model = give_numbers(CATALOGUE["conv2d relu, BN, conv2d valid"].build(keras_flavour.keras))
    path = our_file(model, tmp_path / "unfolded.tflite", fold=False)
    assert [op.name for op in leftovers(read_tflite(path))] == ["MUL", "ADD"]


def test_a_fold_that_drops_the_shift_is_seen(keras_flavour, rng, monkeypatch):
    keep = Affine.__init__
    monkeypatch.setattr(Affine, "__init__", lambda self, scale, shift: keep(self, scale, 0 * np.asarray(shift)))
    model = CATALOGUE["conv2d relu, BN, conv2d valid"].build(keras_flavour.keras)
    randomise(model, rng)
    with pytest.raises(AssertionError):
        assert_folds(model, data_for(model, rng), kept=None, float64=SINGLE_INSIDE)
