"""When the layer trains: the training argument, trainable, tf.function, fit."""

import numpy as np
import pytest
import tensorflow as tf

FLAGS = [True, 1, np.True_, "tensor"]
OFF = [False, 0, None, "tensor"]


def layer_of(flavour, **options):
    layer = flavour.batch_normalization(momentum=0.5, **options)
    layer.build((None, 3))
    layer.set_weights(np.array([[1.0, -2, 0], [0.5, 0, 1], [10, -20, 3], [4, 0.01, 100]]))
    return layer


def flag_of(value, on):
    return tf.constant(on) if isinstance(value, str) else value


@pytest.mark.parametrize("flag", FLAGS)
def test_training(keras_flavour, flag, rng, assert_close):
    layer, x = layer_of(keras_flavour), rng.normal(5, 2, (8, 3)).astype("float32")
    y = layer(x, training=flag_of(flag, True))
    scale = np.array([1, -2, 0]) / np.sqrt(x.var(0) + 1e-3)
    assert_close(y, (x - x.mean(0)) * scale + [0.5, 0, 1], 1e-5)
    assert_close(layer.moving_mean.numpy(), (np.array([10, -20, 3]) + x.mean(0)) / 2, 1e-6)
    assert_close(layer.moving_variance.numpy(), (np.array([4, 0.01, 100]) + x.var(0)) / 2, 1e-6)


@pytest.mark.parametrize("flag", OFF)
def test_inference(keras_flavour, flag, rng, assert_close):
    layer, x = layer_of(keras_flavour), rng.normal(5, 2, (8, 3)).astype("float32")
    before = layer.get_weights()
    y = layer(x, training=flag_of(flag, False))
    scale = np.array([1, -2, 0]) / np.sqrt(np.array([4, 0.01, 100]) + 1e-3)
    assert_close(y, (x - [10, -20, 3]) * scale + [0.5, 0, 1], 1e-5)
    for weight, weight_before in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, weight_before)


def test_training_tensor_decides_at_run_time(keras_flavour, rng, assert_close):
    layer, x = layer_of(keras_flavour), rng.normal(5, 2, (8, 3)).astype("float32")
    call = tf.function(lambda x, training: layer(x, training=training))
    trained = call(x, tf.constant(True))
    assert_close(trained, layer_of(keras_flavour)(x, training=True), 1e-6)
    after = layer.get_weights()
    assert_close(call(x, tf.constant(False)), layer(x), 1e-6)
    assert call.experimental_get_tracing_count() == 1
    for weight, weight_after in zip(layer.get_weights(), after, strict=True):
        np.testing.assert_array_equal(weight, weight_after)


@pytest.mark.parametrize("flag", [True, "tensor"])
def test_frozen_layers_infer_and_never_move(keras_flavour, flag, rng):
    layer, x = layer_of(keras_flavour), rng.normal(5, 2, (8, 3)).astype("float32")
    expected = np.asarray(layer(x))
    layer.trainable = False
    before = layer.get_weights()
    np.testing.assert_array_equal(layer(x, training=flag_of(flag, True)), expected)
    assert layer.trainable_weights == []
    for weight, weight_before in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, weight_before)


def test_fit_moves_the_averages_and_predict_uses_them(keras_flavour, rng, assert_close):
    keras = keras_flavour.keras
    x = rng.normal(5, 2, (64, 4, 4, 3)).astype("float32")
    model = keras.Sequential(
        [keras.layers.Input((4, 4, 3)), keras_flavour.batch_normalization(momentum=0.5, unbiased_variance=False)]
    )
    model.compile("sgd", "mse", steps_per_execution=2)
    model.fit(x, np.zeros_like(x), batch_size=64, epochs=40, verbose=0)
    layer = model.layers[-1]
    assert_close(layer.moving_mean.numpy(), x.mean((0, 1, 2)), 1e-5)
    assert_close(layer.moving_variance.numpy(), x.var((0, 1, 2)), 1e-5)
    scale, shift = layer.affine()
    assert_close(model.predict(x, verbose=0), x * scale + shift, 1e-4)


def test_one_trace_per_signature(keras_flavour, rng):
    layer = layer_of(keras_flavour)
    call = tf.function(lambda x: layer(x, training=True), input_signature=[tf.TensorSpec((None, 3))])
    for size in (8, 5, 1):
        call(rng.normal(size=(size, 3)).astype("float32"))
    assert call.experimental_get_tracing_count() == 1


def test_regularizers_and_constraints_apply(keras_flavour, rng):
    keras = keras_flavour.keras
    layer = keras_flavour.batch_normalization(
        gamma_regularizer=keras.regularizers.L2(0.5),
        beta_constraint=keras.constraints.NonNeg(),
        gamma_initializer=keras.initializers.Constant(3.0),
        moving_variance_initializer=keras.initializers.Constant(7.0),
    )
    model = keras.Sequential([keras.layers.Input((2,)), layer])
    model.compile(keras.optimizers.SGD(1.0), "mse")
    assert float(sum(model.losses)) == pytest.approx(0.5 * 9 * 2)
    assert layer.moving_variance.numpy().tolist() == [7, 7]
    model.fit(rng.normal(size=(8, 2)), np.full((8, 2), -100.0), verbose=0)
    assert layer.beta.numpy().min() >= 0
