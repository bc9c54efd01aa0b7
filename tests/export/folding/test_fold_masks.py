"""Where a mask ends: a product with a constant ends it, and folding the product must not let it reach further."""

import pytest
from kerasbn_testing.judging import assert_folds
from kerasbn_testing.statistics import randomise

STEPS = {
    "a product": lambda _layers: lambda x: x * 2.0,
    "a sum": lambda _layers: lambda x: x + 1.5,
    "a rescaling": lambda layers: layers.Rescaling(2.0, 1.0),
    "a normalization": lambda layers: layers.Normalization(mean=[0.5, 1, 2, 3], variance=[2.0, 3, 1, 2]),
    "a norm": lambda layers: layers.BatchNormalization(),
    "a convolution and itself": lambda layers: lambda x: layers.Add()([layers.Conv1D(4, 1)(x), x]),
    "two convolutions": lambda layers: lambda x: layers.Add()([layers.Conv1D(4, 1)(x), layers.Conv1D(4, 1)(x)]),
    "two dense": lambda layers: lambda x: layers.Add()([layers.Dense(4)(x), layers.Dense(4)(x)]),
    "a relu of two": lambda layers: lambda x: layers.ReLU()(layers.Concatenate()([layers.Dense(4)(x), x])),
}


@pytest.mark.sweep
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("step", STEPS)
# Keras 3 says so of a nested model, and of a convolution; in a nested model it hands the mask on all the same.
@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask:UserWarning")
def test_a_mask_reaches_what_it_reached(keras_flavour, rng, step, nested):
    keras = keras_flavour.keras
    inputs = keras.Input((6,), dtype="int32")
    x = embedded = keras.layers.Embedding(7, 4, mask_zero=True)(inputs)
    if nested:
        x = keras.Input((6, 4))
    hidden = keras.layers.BatchNormalization()(STEPS[step](keras.layers)(x))
    outputs = keras.layers.LSTM(3)(hidden)
    if nested:
        outputs = keras.Model(x, outputs)(embedded)
    model = keras.Model(inputs, outputs)
    randomise(model, rng)
    assert_folds(model, rng.integers(0, 3, (4, 6)).astype("int32"), kept=None)
