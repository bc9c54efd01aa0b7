"""A BatchNorm behind a layer that joins branches goes back into each of them, with the part that is its own."""

import pytest
from kerasbn_testing.judging import assert_folds
from kerasbn_testing.statistics import data_for, randomise

JOINS = {
    "Add": {"branches": 3},
    "Average": {"branches": 3},
    "Subtract": {"branches": 2},
    "Concatenate": {"branches": 3, "sizes": (5, 2, 3)},
}


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
