"""Breaks one condition of folding at a time: the judges must see each. A judge that passes all of these is none."""

import numpy as np
import pytest
from kerasbn_testing.judging import assert_folds
from kerasbn_testing.statistics import data_for, randomise

from kerasbn_export.algebra import affine, linear
from kerasbn_export.folding.rules import consumer, producer
from kerasbn_export.graph import batchnorm
from kerasbn_export.graph.model import Graph


def dense_relu_bn(keras):
    inputs = keras.Input((5,))
    x = keras.layers.Dense(4, activation="tanh")(inputs)
    return keras.Model(inputs, keras.layers.BatchNormalization()(x))


def shared_value(keras):
    inputs = keras.Input((5,))
    x = keras.layers.Dense(4)(inputs)
    return keras.Model(inputs, [keras.layers.BatchNormalization()(x), keras.layers.Activation("tanh")(x)])


def wrong_axis(keras):
    inputs = keras.Input((4, 4, 4))
    return keras.Model(inputs, keras.layers.BatchNormalization(axis=1)(keras.layers.Conv2D(4, 1)(inputs)))


def padded_consumer(keras):
    inputs = keras.Input((6, 6, 3))
    x = keras.layers.BatchNormalization()(keras.layers.Activation("tanh")(inputs))
    return keras.Model(inputs, keras.layers.Conv2D(4, 3, padding="same")(x))


def plain(keras):
    inputs = keras.Input((5,))
    return keras.Model(inputs, keras.layers.BatchNormalization()(keras.layers.Dense(4)(inputs)))


def depthwise(keras):
    inputs = keras.Input((6, 6, 3))
    return keras.Model(
        inputs, keras.layers.BatchNormalization()(keras.layers.DepthwiseConv2D(2, depth_multiplier=2)(inputs))
    )


def forgotten_bias(original):
    return lambda self, weights, given: original(self, {k: v for k, v in weights.items() if k != "bias"}, given)


def transposed_channels(original):
    def broken(self, weights, given):
        turned = np.arange(given.scale.size).reshape(-1, 2).T.ravel()
        return original(self, weights, affine.Affine(given.scale[turned], given.shift[turned]))

    return broken


def sees_one_use(original):
    return lambda self, value: original(self, value) or self.users(value)[0]


def without_epsilon(original):
    return lambda gamma, beta, mean, variance, epsilon: original(gamma, beta, mean, variance, 0 * epsilon)


FAULTS = {
    "activation inside": (dense_relu_bn, producer, "has_no_activation", lambda _: lambda *_: True),
    "several uses": (shared_value, Graph, "sole_user", sees_one_use),
    "axis": (wrong_axis, linear, "output_axis", lambda _: lambda *_: 1),
    "zero padding": (padded_consumer, consumer, "sees_padding", lambda _: lambda *_: False),
    "bias": (plain, linear.Linear, "fold_after", forgotten_bias),
    "depthwise channels": (depthwise, linear.Linear, "fold_after", transposed_channels),
    "epsilon": (plain, batchnorm, "batchnorm_affine", without_epsilon),
}


@pytest.mark.either_keras
@pytest.mark.parametrize("fault", FAULTS)
def test_the_judge_sees_a_missing_condition(keras_flavour, rng, monkeypatch, fault):
    build, owner, name, broken = FAULTS[fault]
    model = build(keras_flavour.keras)
    randomise(model, rng)
    data = data_for(model, rng)
    assert_folds(model, data, kept=None)
    monkeypatch.setattr(owner, name, broken(getattr(owner, name)))
    with pytest.raises(AssertionError, match="folding changed the function"):
        assert_folds(model, data, kept=None)


def test_the_judge_sees_a_model_that_was_changed(keras_flavour, rng, monkeypatch):
    model = plain(keras_flavour.keras)
    randomise(model, rng)
    original = affine.batchnorm_affine

    def spiteful(*given):
        model.layers[1].bias.assign(np.ones(4))
        return original(*given)

    monkeypatch.setattr(batchnorm, "batchnorm_affine", spiteful)
    with pytest.raises(AssertionError, match="changed the weights"):
        assert_folds(model, data_for(model, rng))


def test_the_judge_compares_no_zeros(keras_flavour, rng):
    model = plain(keras_flavour.keras)
    randomise(model, rng)
    for variable in model.weights:
        variable.assign(np.zeros(variable.shape))
    with pytest.raises(AssertionError, match="all zero"):
        assert_folds(model, data_for(model, rng))
