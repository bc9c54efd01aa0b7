"""A channel of ones goes through pooling, cropping and upsampling on both sides of a BatchNorm, and no further."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kerasbn_testing.judging import relative_error, run
from kerasbn_testing.statistics import data_for, randomise
from kerasbn_testing.sweeps import random_examples

from kerasbn.flavour import Flavour
from kerasbn_export.folding.fold import fold
from kerasbn_export.folding.passes import constant_one

LAYERS = {
    "max": lambda k: k.MaxPooling2D(2),
    "max, same": lambda k: k.MaxPooling2D(3, strides=2, padding="same"),
    "average": lambda k: k.AveragePooling2D(2),
    "average, same": lambda k: k.AveragePooling2D(3, strides=1, padding="same"),
    "cropping": lambda k: k.Cropping2D(1),
    "nearest": lambda k: k.UpSampling2D(2),
    "bilinear": lambda k: k.UpSampling2D(2, interpolation="bilinear"),
    "dropout": lambda k: k.Dropout(0.5),
    "relu": lambda k: k.ReLU(),
    "tanh": lambda k: k.Activation("tanh"),
    "padding": lambda k: k.ZeroPadding2D(1),
}
"""By their names; the last three keep no ones, or do so before a BatchNorm alone."""
KEEPING = tuple(LAYERS)[:8]


def built(keras, before=(), behind=(), positive=True):
    """Conv, ReLU, some layers, BatchNorm, some layers, a padded Conv; with random statistics."""
    layers = keras.layers
    x = inputs = keras.Input((9, 9, 3))
    x = layers.ReLU()(layers.Conv2D(4, 2)(x))
    for name in before:
        x = LAYERS[name](layers)(x)
    norm = layers.BatchNormalization()
    x = norm(x)
    for name in behind:
        x = LAYERS[name](layers)(x)
    model = keras.Model(inputs, layers.Conv2D(3, 3, padding="same")(x))
    randomise(model, np.random.default_rng(5))
    if positive:
        norm.gamma.assign(np.abs(norm.gamma.numpy()))
    return model


def folded(model, **options):
    """Its verdict, and how far it is from the model."""
    data = data_for(model, np.random.default_rng(6))
    result = fold(model, target="ops", **options)
    return result.verdicts[0], relative_error(run(result.model, data), run(model, data))


@pytest.mark.parametrize("name", KEEPING)
def test_the_ones_pass_a_layer_before_the_batchnorm_for_any_sign(keras_flavour, name):
    verdict, error = folded(built(keras_flavour.keras, before=(name,), positive=False))
    assert (verdict.rules, verdict.gone) == (("constant-one",), True)
    assert error <= 2e-6


@pytest.mark.parametrize("name", ["max", "max, same", "dropout", "padding"])
def test_the_ones_pass_a_layer_behind_the_batchnorm(keras_flavour, name):
    verdict, error = folded(built(keras_flavour.keras, behind=(name,)))
    assert (verdict.rules[-1], verdict.gone) == ("constant-one", True)
    assert error <= 2e-6


@pytest.mark.parametrize(
    "asked",
    [
        {"behind": ("max",), "positive": False},
        {"behind": ("tanh",)},
        {"before": ("tanh",)},
        {"before": ("padding",)},
        {"behind": ("padding", "max")},
        {"behind": ("padding", "relu")},
    ],
    ids=str,
)
def test_what_keeps_no_ones_is_not_passed(keras_flavour, asked):
    verdict, error = folded(built(keras_flavour.keras, **asked))
    assert "constant-one" not in verdict.rules
    assert error <= 2e-6


def test_without_the_condition_a_padding_before_the_batchnorm_is_wrong(keras_flavour, monkeypatch):
    monkeypatch.setattr(constant_one, "_keeps_one", lambda *_: True)
    verdict, error = folded(built(keras_flavour.keras, before=("padding",)))
    assert verdict.rules == ("constant-one",)
    assert error > 1e-3


def test_without_the_condition_a_pooling_behind_a_padding_is_wrong(keras_flavour, monkeypatch):
    monkeypatch.setattr(constant_one, "_ends_in_convolution", lambda *_: True)
    verdict, error = folded(built(keras_flavour.keras, behind=("padding", "max")))
    assert "constant-one" in verdict.rules
    assert error > 1e-3


def test_other_targets_take_no_channel_of_ones(keras_flavour):
    model = built(keras_flavour.keras, before=("max",))
    assert "constant-one" not in fold(model).verdicts[0].rules


NAMES = st.lists(st.sampled_from(tuple(LAYERS)), max_size=2)


@random_examples(60)
@given(before=NAMES, behind=NAMES, positive=st.booleans(), keras=st.sampled_from(("keras", "tf_keras")))
def test_whatever_stands_around_the_numbers_stay(before, behind, positive, keras):
    model = built(Flavour(keras).keras, before, behind, positive)
    assert folded(model)[1] <= 1e-5
