"""Branches that a ZeroPadding of their own pads merge as those that pad themselves; other paddings stay as they are."""

import pytest
from kerasbn_testing.judging import assert_folds
from kerasbn_testing.statistics import randomise

from kerasbn_export import fold


def rep_block(flavour, padding=1, size=3, strides=1, dilation=1, shape=(8, 8, 6), other_user=False):
    """What kecam's RepViT has: a padded depthwise convolution, one of a single tap, the input itself, a BatchNorm."""
    keras, layers = flavour.keras, flavour.keras.layers
    inputs = keras.Input(shape)
    x = layers.ReLU()(layers.Conv2D(6, 1)(inputs))
    padded = layers.ZeroPadding2D(padding)(x)
    wide = layers.DepthwiseConv2D(size, strides=strides, dilation_rate=dilation, use_bias=False)(padded)
    wide = layers.BatchNormalization()(wide)
    narrow = layers.DepthwiseConv2D(1, strides=strides)(x)
    branches = [wide, narrow, x] if strides == 1 else [wide, narrow]
    y = layers.BatchNormalization(name="out")(layers.Add()(branches))
    outputs = [layers.Activation("gelu")(y), padded] if other_user else layers.Activation("gelu")(y)
    return keras.Model(inputs, outputs)


def data_of(model, rng):
    return rng.normal(size=(2, *(size or 9 for size in model.input_shape[1:]))).astype("float32")


def depthwise_left(model):
    return sum(type(layer).__name__ == "DepthwiseConv2D" for layer in model.layers)


@pytest.mark.either_keras
@pytest.mark.parametrize(
    "options",
    [{}, {"padding": 2, "size": 5}, {"padding": 2, "dilation": 2}, {"padding": (1, 2), "size": (3, 5)},
     {"shape": (None, None, 6)}, {"padding": ((0, 1), (0, 1)), "size": 2}],
    ids=str,
)  # fmt: skip
def test_a_padded_block_is_one_convolution(keras_flavour, rng, options):
    model = rep_block(keras_flavour, **options)
    randomise(model, rng)
    result = fold(model)
    assert all(verdict.gone for verdict in result.verdicts)
    assert depthwise_left(result.model) == 1
    assert not any(type(layer).__name__ == "ZeroPadding2D" for layer in result.model.layers)
    assert_folds(model, data_of(model, rng))


@pytest.mark.either_keras
@pytest.mark.parametrize(
    "options",
    [{"padding": ((2, 0), (1, 1))}, {"padding": ((1, 0), (0, 1)), "size": 2}, {"strides": 2}, {"other_user": True}],
    ids=str,
)
def test_other_paddings_stay(keras_flavour, rng, options):
    """More zeros on one side, a stride, or another that takes what was padded."""
    model = rep_block(keras_flavour, **options)
    randomise(model, rng)
    assert any(type(layer).__name__ == "ZeroPadding2D" for layer in fold(model).model.layers)
    assert_folds(model, data_of(model, rng), kept=None)
