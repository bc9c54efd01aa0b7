"""A layer is what it computes, not what it is called or where its axis was counted."""

import pytest
from kerasbn_testing.judging import assert_folds, relative_error, run
from kerasbn_testing.statistics import data_for, randomise

from kerasbn.flavour import TF_KERAS
from kerasbn_export.folding.fold import fold


def relu(x):
    """A function of the user's that has the name of one of Keras'."""
    return x * x + 1.0


def test_a_function_named_relu_lets_no_scale_pass(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((6, 6, 3))
    x = keras.layers.Activation(relu)(keras.layers.Conv2D(4, 2)(inputs))
    model = keras.Model(inputs, keras.layers.BatchNormalization(center=False)(x))
    randomise(model, rng)
    bn = model.layers[-1]
    bn.gamma.assign([0.5, 1.5, 2.0, 3.0])
    bn.moving_mean.assign([0.0] * 4)
    assert_folds(model, data_for(model, rng), kept=None, float64=1e-7)


def test_a_function_named_relu_stays_behind_a_concatenation(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((6, 6, 3))
    x = keras.layers.ZeroPadding2D(1)(keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 2)(inputs)))
    model = keras.Model(inputs, keras.layers.Activation(relu)(x))
    randomise(model, rng)
    assert_folds(model, data_for(model, rng))


def test_a_softmax_over_positions_inside_a_time_distributed(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((3, 4, 5))
    x = keras.layers.TimeDistributed(keras.layers.Softmax(axis=1))(inputs)
    x = keras.layers.TimeDistributed(keras.layers.BatchNormalization())(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    randomise(model, rng)
    assert_folds(model, data_for(model, rng))


def test_a_layer_of_one_rank_inside_a_time_distributed(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((3, 4, 5, 2))
    x = keras.layers.TimeDistributed(keras.layers.SpatialDropout2D(0.5))(keras.layers.Dense(3)(inputs))
    model = keras.Model(inputs, keras.layers.BatchNormalization()(x))
    randomise(model, rng)
    assert_folds(model, data_for(model, rng))


def middle(x):
    """Differences to the first step along axis 1."""
    return x - x[:, :1]


def test_a_function_of_an_axis_inside_a_time_distributed(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((3, 4, 5))
    x = keras.layers.TimeDistributed(keras.layers.Activation(middle))(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.BatchNormalization()(x)))
    randomise(model, rng)
    data = data_for(model, rng)
    expected, folded = run(model, data), fold(model).model
    assert relative_error(run(folded, data), expected) <= 2e-5


@pytest.mark.parametrize("options", [{"momentum": None}, {"renorm": True}, {"renorm": True, "momentum": None}])
def test_two_of_our_layers_with_more_weights_become_one(keras_flavour, rng, options):
    keras, layer = keras_flavour.keras, keras_flavour.batch_normalization
    inputs = keras.Input((4,))
    x = layer(**options)(layer(**options)(keras.layers.Activation("tanh")(inputs)))
    model = keras.Model(inputs, keras.layers.Activation("tanh")(x))
    for bn in model.layers[2:4]:
        bn.moving_mean.assign(rng.normal(size=4))
        bn.moving_variance.assign(rng.uniform(0.5, 2, size=4))
    result = fold(model)
    assert [verdict.action.value for verdict in result.verdicts] == ["merged", "kept"]
    data = data_for(model, rng)
    assert relative_error(run(result.model, data), run(model, data)) <= 2e-6


def test_the_synchronized_layer_of_keras_2_folds(rng):
    keras = TF_KERAS.keras
    inputs = keras.Input((4,))
    sync = keras.layers.experimental.SyncBatchNormalization(name="sync")
    model = keras.Model(inputs, sync(keras.layers.Dense(3)(inputs)))
    randomise(model, rng)
    assert set(assert_folds(model, data_for(model, rng)).verdicts) == {"sync"}


def test_gamma_and_beta_go_on_into_what_was_lowered(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.LayerNormalization()(inputs)
    outputs = [
        keras.layers.Activation("tanh")(keras.layers.BatchNormalization(name=name)(x)) for name in ("one", "two")
    ]
    model = keras.Model(inputs, outputs)
    randomise(model, rng)
    model.layers[1].gamma.assign(rng.normal(size=3))
    judged = assert_folds(model, data_for(model, rng), kept={"one", "two"}, float64=1e-7)
    assert {verdict.action.value for verdict in judged.verdicts.values()} == {"lowered"}
    norm = next(layer for layer in judged.model.layers if type(layer).__name__ == "LayerNormalization")
    assert not norm.weights
