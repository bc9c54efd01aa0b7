"""Takes the condition away from one rule at a time: the judges must see that the fold is wrong."""

import numpy as np
import pytest
from kerasbn_testing.judging import assert_folds, relative_error, run
from kerasbn_testing.statistics import data_for, randomise

from kerasbn_export.algebra.affine import Affine
from kerasbn_export.folding.fold import fold
from kerasbn_export.folding.passes import activation, branches, constant_one
from kerasbn_export.folding.rules import attention, compose, embedding, homogeneous, layout, norms, recurrent, spatial


def chain(shape, *makers):
    def build(keras):
        inputs = outputs = keras.Input(shape)
        for make in makers:
            outputs = make(keras.layers)(outputs)
        return keras.Model(inputs, outputs)

    return build


def bn(axis=-1):
    return lambda layers: layers.BatchNormalization(axis=axis)


def conv(*args, **options):
    return lambda layers: layers.Conv2D(*args, **options)


def tanh(layers):
    return layers.Activation("tanh")


def zeros(layers):
    return layers.ZeroPadding2D(1)


def permute(layers):
    return layers.Permute((2, 1))


def dilated_branches(keras):
    inputs = keras.Input((6, 6, 3))
    one = keras.layers.Conv2D(4, 3, padding="same")(inputs)
    two = keras.layers.Conv2D(4, 3, padding="same", dilation_rate=2)(inputs)
    return keras.Model(inputs, keras.layers.Add()([keras.layers.BatchNormalization()(one), two]))


def active_branches(keras):
    inputs = keras.Input((6, 6, 3))
    one = keras.layers.Conv2D(4, 3, padding="same")(inputs)
    two = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    return keras.Model(inputs, keras.layers.Add()([keras.layers.BatchNormalization()(one), two]))


def bn_then_sum(keras):
    inputs = keras.Input((6, 4))
    one = keras.layers.BatchNormalization()(keras.layers.Activation("tanh")(inputs))
    return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Add()([one, keras.layers.Activation("elu")(inputs)])))


def self_attention(keras):
    inputs = keras.Input((4, 4))
    x = keras.layers.BatchNormalization(axis=1)(keras.layers.Activation("tanh")(inputs))
    return keras.Model(inputs, keras.layers.MultiHeadAttention(2, 3)(x, x))


def embedded(keras):
    inputs = keras.Input((4,), dtype="int32")
    return keras.Model(inputs, keras.layers.BatchNormalization(axis=1)(keras.layers.Embedding(9, 4)(inputs)))


def always(value):
    return lambda *_, **__: value


MODELS = {
    "maximum": chain((6, 6, 3), conv(4, 2), lambda layers: layers.MaxPooling2D(2), bn(), tanh),
    "relu": chain((6, 3), lambda layers: layers.Conv1D(4, 2), lambda layers: layers.ReLU(), bn(), tanh),
    "zeros before the image": chain((6, 6, 3), tanh, bn(), zeros, conv(4, 2)),
    "sum": bn_then_sum,
    "axes of two affines": chain((4, 4), tanh, bn(1), bn(2), tanh),
    "permuted channels": chain((4, 4), tanh, bn(2), permute, lambda layers: layers.Dense(3)),
    "features of a recurrent layer": chain((4, 4), tanh, bn(1), lambda layers: layers.LSTM(3)),
    "features of an attention": self_attention,
    "channels of a table": embedded,
    "channels of a norm": chain((4, 4), lambda layers: layers.LayerNormalization(), bn(1), tanh),
    "geometry of branches": dilated_branches,
    "activation in a branch": active_branches,
    "activation of zero": chain(
        (6, 6, 3), conv(4, 2), bn(), lambda layers: layers.ZeroPadding2D(1), lambda layers: layers.Activation("sigmoid")
    ),
}

CONDITIONS = {
    "maximum": (spatial, "keeps_order", always(True)),
    "relu": (homogeneous, "keeps_order", always(True)),
    "zeros before the image": (Affine, "keeps_zero", property(always(True))),
    "sum": (Affine, "keeps_scale", property(always(True))),
    "axes of two affines": (compose, "axes", always((1,))),
    "permuted channels": (layout, "_permuted", lambda push, value, *_: type(push)(value, push.affine, (2,))),
    "features of a recurrent layer": (recurrent, "runs_along_last", always(True)),
    "features of an attention": (attention, "runs_along_last", always(True)),
    "channels of a table": (embedding, "runs_along_last", always(True)),
    "channels of a norm": (norms, "runs_along_last", always(True)),
    "geometry of branches": (branches, "_same_geometry", always(True)),
    "activation in a branch": (branches, "has_no_activation", always(True)),
    "activation of zero": (activation, "is_fused", lambda layer: layer.kind == "Activation"),
}


@pytest.mark.either_keras
@pytest.mark.parametrize("name", CONDITIONS)
def test_a_rule_without_its_condition_is_caught(keras_flavour, rng, monkeypatch, name):
    owner, attribute, without = CONDITIONS[name]
    model = MODELS[name](keras_flavour.keras)
    randomise(model, rng)
    data = data_for(model, rng)
    assert_folds(model, data, kept=None, float64=1e-7)
    monkeypatch.setattr(owner, attribute, without)
    with pytest.raises(AssertionError, match="folding changed the function"):
        assert_folds(model, data, kept=None, float64=1e-7)


def ones_through(activation_name):
    return chain(
        (6, 6, 3), conv(4, 2), lambda layers: layers.Activation(activation_name), bn(), conv(3, 3, padding="same")
    )


def test_a_channel_of_ones_passes_a_relu(keras_flavour, rng):
    model = ones_through("relu")(keras_flavour.keras)
    randomise(model, rng)
    data = data_for(model, rng)
    result = fold(model, target="ops")
    assert result.verdicts[0].rules == ("constant-one",)
    assert result.verdicts[0].gone
    assert relative_error(run(result.model, data), run(model, data)) <= 2e-6


def test_a_channel_of_ones_does_not_pass_a_tanh(keras_flavour, rng, monkeypatch):
    model = ones_through("tanh")(keras_flavour.keras)
    randomise(model, rng)
    data = data_for(model, rng)
    assert "constant-one" not in fold(model, target="ops").verdicts[0].rules
    monkeypatch.setattr(constant_one, "_keeps_one", always(True))
    wrong = fold(model, target="ops")
    assert wrong.verdicts[0].rules == ("constant-one",)
    assert relative_error(run(wrong.model, data), run(model, data)) > 1e-3


def test_a_clone_is_made_for_speed_and_not_for_size(keras_flavour, rng):
    inputs = keras_flavour.keras.Input((5,))
    dense = keras_flavour.keras.layers.Dense(5)
    x = keras_flavour.keras.layers.BatchNormalization()(dense(inputs))
    model = keras_flavour.keras.Model(inputs, dense(keras_flavour.keras.layers.ReLU()(x)))
    randomise(model, rng)
    data = data_for(model, rng)
    fast, small = fold(model), fold(model, target="size")
    assert fast.verdicts[0].gone
    assert small.verdicts[0].reason.value == "shared"
    assert small.model.count_params() < fast.model.count_params()
    for result in (fast, small):
        assert relative_error(run(result.model, data), run(model, data)) <= 2e-6


def test_where_the_clone_is_the_same_layer_again_size_folds_too(keras_flavour, rng):
    inputs = keras_flavour.keras.Input((5,))
    dense, norm = keras_flavour.keras.layers.Dense(5), keras_flavour.keras.layers.BatchNormalization()
    model = keras_flavour.keras.Model(inputs, norm(dense(keras_flavour.keras.layers.ReLU()(norm(dense(inputs))))))
    randomise(model, rng)
    data = data_for(model, rng)
    result = fold(model, target="size")
    assert result.verdicts[0].gone
    assert result.model.count_params() == 30
    assert np.isclose(relative_error(run(result.model, data), run(model, data)), 0, atol=2e-6)
