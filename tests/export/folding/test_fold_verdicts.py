"""Numbers that mean nothing are refused by name; the summary of a model says what its BatchNorms hold."""

import json

import numpy as np
import pytest
from kerasbn_testing.judging import assert_folds
from kerasbn_testing.statistics import data_for, randomise

from kerasbn.errors import InvalidModelError, NotFoldedError
from kerasbn_export.folding.fold import fold, plan
from kerasbn_export.folding.inspection import inspect_model

pytestmark = pytest.mark.quick


def conv_bn(keras, activation=None, **options):
    inputs = keras.Input((6, 5, 3))
    x = keras.layers.Conv2D(4, 3, activation=activation, name="conv")(inputs)
    return keras.Model(inputs, keras.layers.BatchNormalization(name="bn", **options)(x))


BROKEN = {
    "moving_variance": [(np.nan, "nan"), (np.inf, "inf"), (-0.5, "-0.5")],
    "moving_mean": [(np.nan, "nan"), (-np.inf, "-inf")],
    "gamma": [(np.nan, "nan")],
    "beta": [(np.inf, "inf")],
}


@pytest.mark.parametrize(("weight", "number", "text"), [(w, *case) for w, cases in BROKEN.items() for case in cases])
def test_a_number_that_means_nothing_is_refused(keras_flavour, rng, weight, number, text):
    model = conv_bn(keras_flavour.keras)
    randomise(model, rng)
    variable = getattr(model.layers[-1], weight)
    values = np.array(variable)
    values[2] = number
    variable.assign(values)
    for ask in (fold, plan, inspect_model):
        with pytest.raises(InvalidModelError, match=rf"'bn': {weight} of channel 2 is {text}, which .*1 of 4 channels"):
            ask(model)


def test_a_variance_just_above_minus_epsilon_is_a_number(keras_flavour, rng):
    model = conv_bn(keras_flavour.keras, epsilon=0.1)
    randomise(model, rng)
    model.layers[-1].moving_variance.assign([-0.05, 1.0, 2.0, 3.0])
    assert_folds(model, data_for(model, rng))


def test_weights_that_would_overflow_stay(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((5,))
    x = keras.layers.Dense(4, dtype="float16")(inputs)
    model = keras.Model(inputs, keras.layers.BatchNormalization(name="bn", dtype="float16", epsilon=1e-9)(x))
    randomise(model, rng)
    assert plan(model).verdicts[0].gone
    model.layers[-1].moving_variance.assign(np.full(4, 1e-9))
    model.layers[-1].gamma.assign(np.full(4, 60.0))
    (verdict,) = plan(model).verdicts
    assert not verdict.gone
    assert verdict.reason in ("overflow", "model-output")


def test_strict_refuses_to_leave_one(keras_flavour, rng):
    keras = keras_flavour.keras
    model = conv_bn(keras, activation="tanh")
    randomise(model, rng)
    with pytest.raises(NotFoldedError, match=r"1 of 1 BatchNorms of .* cannot be folded: bn: "):
        fold(model, strict=True)
    assert fold(conv_bn(keras), strict=True).verdicts[0].gone


def test_an_activation_inside_is_the_reason(keras_flavour, rng):
    model = conv_bn(keras_flavour.keras, activation="tanh")
    randomise(model, rng)
    (verdict,) = plan(model).verdicts
    assert not verdict.gone
    assert "conv" in verdict.sentence
    assert "tanh" in verdict.sentence


def test_the_summary(keras_flavour, rng):
    model = conv_bn(keras_flavour.keras)
    randomise(model, rng)
    bn = model.layers[-1]
    bn.gamma.assign([0.0, -2.0, -0.0, 3.0])
    bn.moving_mean.assign([30.0, 0.0, 0.0, 0.0])
    bn.moving_variance.assign([9.0 - 1e-3, 0.5, 1.0, 16.0])
    (summary,) = inspect_model(model)
    assert (summary.layer, summary.class_name, summary.channels) == ("bn", "BatchNormalization", 4)
    assert (summary.input_shape, summary.axis) == ((None, 4, 3, 4), (3,))
    assert (summary.gamma_min, summary.gamma_max, summary.zero_gammas, summary.negative_gammas) == (-2.0, 3.0, 2, 1)
    assert (summary.variance_min, summary.variance_max) == (0.5, 16.0)
    assert summary.mean_over_sigma_max == pytest.approx(10.0, rel=1e-6)
    assert summary.verdict.gone
    loaded = json.loads(json.dumps(summary.to_json()))
    assert loaded["verdict"]["into"] == ["conv"]


def test_the_summary_without_gamma_and_of_no_batchnorm(keras_flavour, rng):
    keras = keras_flavour.keras
    model = conv_bn(keras, scale=False, center=False)
    randomise(model, rng)
    (summary,) = inspect_model(model)
    assert (summary.gamma_min, summary.gamma_max, summary.zero_gammas) == (1.0, 1.0, 0)
    assert inspect_model(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])) == []
