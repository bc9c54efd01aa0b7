"""A model deeper than Python's stack folds under the recursion limit that every program starts with."""

import sys

import numpy as np
import pytest
from kerasbn_testing.judging import relative_error, run
from kerasbn_testing.statistics import data_for, randomise

from kerasbn_export.folding.fold import fold

LAYERS = 1020


def deep(keras):
    """BatchNorms that fold and as many that stay, on one path of more layers than Python has frames."""
    inputs = x = keras.Input((3,))
    for number in range(LAYERS):
        x = keras.layers.Activation("tanh" if number % 2 else "relu")(x)
        if number % 60 == 0:
            x = keras.layers.BatchNormalization()(keras.layers.Dense(3)(x))
            x = keras.layers.BatchNormalization()(keras.layers.Activation("tanh")(x))
    return keras.Model(inputs, x)


@pytest.mark.either_keras
def test_a_path_of_more_layers_than_frames(keras_flavour, rng):
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(100_000)  # Keras itself needs it to build the model
        model = deep(keras_flavour.keras)
        randomise(model, rng)
        data = data_for(model, rng)
        expected = run(model, data)
    finally:
        sys.setrecursionlimit(limit)
    result = fold(model)
    assert sys.getrecursionlimit() == limit
    assert limit < LAYERS
    assert sum(verdict.gone for verdict in result.verdicts) >= 17
    assert len(result.verdicts) == 34
    assert np.any(expected[0])
    assert relative_error(run(result.model, data), expected) <= 1e-4
