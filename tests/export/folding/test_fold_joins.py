"""Layers that join branches: a BatchNorm behind one goes back into each branch, one before it goes on through it."""

import numpy as np
import pytest
from kerasbn_testing.judging import assert_folds
from kerasbn_testing.statistics import data_for, randomise

JOINS = {
    "Add": {"branches": 3},
    "Average": {"branches": 3},
    "Subtract": {"branches": 2},
    "Concatenate": {"branches": 3, "sizes": (5, 2, 3)},
}


@pytest.mark.either_keras
@pytest.mark.parametrize("kind", JOINS)
def test_each_branch_gets_its_part(keras_flavour, rng, kind):
    """Each branch has an input of its own: merging them into one layer is no way out."""
    keras, layers = keras_flavour.keras, keras_flavour.keras.layers
    sizes = JOINS[kind].get("sizes", (4,) * JOINS[kind]["branches"])
    inputs = [keras.Input((3,)) for _ in sizes]
    branches = [layers.Dense(size)(x) for size, x in zip(sizes, inputs, strict=True)]
    joined = getattr(layers, kind)()(branches)
    model = keras.Model(inputs, layers.BatchNormalization(name="bn")(joined))
    randomise(model, rng)
    judged = assert_folds(model, data_for(model, rng))
    assert judged.verdicts["bn"].direction == "backward"


@pytest.mark.either_keras
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("kind", ["Add", "Average", "Subtract"])
def test_the_shift_of_one_branch_goes_on_with_its_sign(keras_flavour, rng, kind, place):
    """Its scales are positive and go back through the ReLU; its shift can only go on, into the Dense behind."""
    keras, layers = keras_flavour.keras, keras_flavour.keras.layers
    inputs = [keras.Input((3,)) for _ in range(2)]
    branches = [layers.Dense(4, activation="relu")(x) for x in inputs]
    branches[place] = layers.BatchNormalization(name="bn")(branches[place])
    model = keras.Model(inputs, layers.Dense(2)(getattr(layers, kind)()(branches)))
    randomise(model, rng)
    gamma = model.get_layer("bn").gamma
    gamma.assign(np.abs(gamma.numpy()) + 0.5)
    judged = assert_folds(model, data_for(model, rng))
    assert judged.verdicts["bn"].direction == "both"
