"""Inputs at the edge: empty, one element, constant, and means far larger than the spread."""

import numpy as np
import pytest
import tensorflow as tf

from kerasbn.tensorflow import sums

RANKS = [
    ((0, 3), -1), ((0, 5, 3), -1), ((0, 3, 5), 1), ((0, 4, 5, 3), -1), ((0, 2, 3, 4, 3), -1), ((0, 40, 40, 3), -1),
]  # fmt: skip


def built(flavour, shape, **options):
    layer = flavour.batch_normalization(momentum=0.5, **options)
    layer.build((None, *shape[1:]))
    layer.set_weights(np.array([[1.0, -2, 0], [0.5, 0, 1], [10, -20, 3], [4, 0.01, 100]]))
    return layer


@pytest.mark.parametrize("fused", [None, False])
@pytest.mark.parametrize(("shape", "axis"), RANKS)
def test_empty_batches_move_nothing(keras_flavour, shape, axis, fused):
    layer = built(keras_flavour, shape, axis=axis, fused=fused)
    before = layer.get_weights()
    dynamic = tf.function(lambda x: layer(x, training=True), input_signature=[tf.TensorSpec((None, *shape[1:]))])
    for call in (dynamic, lambda x: layer(x, training=True)):
        assert tuple(call(tf.zeros(shape)).shape) == shape
    for weight, weight_before in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, weight_before)


@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize("fused", [None, False])
def test_a_batch_of_one_has_variance_zero(keras_flavour, fused, unbiased, assert_close):
    layer = built(keras_flavour, (1, 3), fused=fused, unbiased_variance=unbiased)
    y = layer(tf.constant([[7.0, -1, 2]]), training=True)
    assert_close(y, [[0.5, 0, 1]], 1e-6)
    assert_close(layer.moving_mean.numpy(), [8.5, -10.5, 2.5], 1e-6)
    assert_close(layer.moving_variance.numpy(), [2, 0.005, 50], 1e-6)


@pytest.mark.parametrize("fused", [None, False])
def test_constant_inputs_give_beta(keras_flavour, fused, assert_close, step):
    layer = built(keras_flavour, (4, 5, 3), fused=fused)
    found = step(layer, tf.fill((4, 5, 3), 123.0))
    assert_close(found.y, np.broadcast_to([0.5, 0, 1], (4, 5, 3)), 1e-6)
    assert np.isfinite(found.dx).all()


def relative_error(layer, x, exact, jit_compile):
    tf.function(lambda x: layer(x, training=True), jit_compile=jit_compile)(x)
    return np.abs(layer.moving_variance.numpy() / exact - 1).max()


@pytest.mark.sweep
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("ratio", [1e2, 1e4])
@pytest.mark.parametrize(("shape", "axis"), [((4096, 3), -1), ((64, 3, 64), 1), ((16, 16, 16, 3), -1)])
def test_variance_under_large_means(keras_flavour, shape, axis, ratio, jit_compile, rng, assert_close):
    """Never worse than the stock layer beyond 3e-6, the rounding of a sum; never worse than 1e-5."""
    x = (rng.normal(size=shape) + ratio).astype("float32")
    axes = tuple(each for each in range(len(shape)) if each != axis % len(shape))
    ours = keras_flavour.batch_normalization(axis=axis, momentum=0.0, unbiased_variance=False)
    stock = keras_flavour.keras.layers.BatchNormalization(axis=axis, momentum=0.0)
    ddof = 1 if keras_flavour.name == "tf_keras" and len(shape) == 4 else 0
    wide = x.astype("float64")
    error = relative_error(ours, x, wide.var(axes), jit_compile)
    assert error <= 1e-5
    assert error <= max(relative_error(stock, x, wide.var(axes, ddof=ddof), jit_compile), 3e-6)
    exact = (wide - wide.mean(axes, keepdims=True)) / np.sqrt(wide.var(axes, keepdims=True) + 1e-3)
    assert_close(ours(x, training=True), exact, 1e-4)


@pytest.mark.parametrize("ratio", [0, 2, 5.5, 7, 1e2, 1e4])
@pytest.mark.parametrize(("rows", "channels"), [(1025, 700), (20_011, 5), (30_000, 1)])
def test_statistics_of_many_rows(rows, channels, ratio, rng):
    """On both sides of where the mean is taken off, and with rows that are left over: within 4e-6 of float64."""
    x = (rng.normal(size=(rows, channels)) * rng.uniform(0.1, 9, channels)).astype("float32")
    x += (x.std(0) * ratio * rng.choice([-1, 1], channels)).astype("float32")
    wide = x.astype("float64")
    dynamic = tf.function(lambda x: sums.centered(x, 0.0), input_signature=[tf.TensorSpec((None, channels))])
    for call in (dynamic, lambda x: sums.centered(x, 0.0)):
        found = call(tf.constant(x))
        assert np.abs(found.variance / wide.var(0) - 1).max() <= 4e-6
        assert (np.abs(found.mean - wide.mean(0)) <= 1e-6 * np.abs(wide.mean(0)) + 1e-6 * x.std(0)).all()
        assert (np.abs(found.rest - found.x.numpy().mean(0, "float64")) <= 1e-6 * x.std(0)).all()
        assert np.array_equal(found.x, x) == (ratio < sums.FAR)


@pytest.mark.parametrize("value", [1e25, -1e35])
def test_squares_that_are_no_numbers(keras_flavour, value):
    """The sum of the squares of many rows is infinite; that of what differs from the mean is not."""
    layer = built(keras_flavour, (2000, 3))
    y = layer(tf.fill((2000, 3), value), training=True)
    np.testing.assert_allclose(np.asarray(y), np.broadcast_to([0.5, 0, 1], (2000, 3)), atol=1e-5)
    np.testing.assert_allclose(layer.moving_variance.numpy(), [2, 0.005, 50], rtol=1e-6)


def test_gradients_under_large_means(keras_flavour, rng, step, assert_close):
    """The shift that keeps the variance exact is no part of the gradient."""
    x = rng.normal(size=(64, 3))
    near, far = keras_flavour.batch_normalization(), keras_flavour.batch_normalization()
    expected = step(near, tf.constant(np.round(x * 64) / 64, "float32"))
    found = step(far, tf.constant(np.round(x * 64) / 64 + 4096, "float32"))
    assert_close(found.y, expected.y, 1e-5)
    assert_close(found.dx, expected.dx, 1e-5)


def test_the_stock_layer_fails_that_test_in_xla(rng):
    """Why the kernel is given centred inputs under XLA; if this fails, XLA has learned to do it."""
    from kerasbn.flavour import TF_KERAS

    x = (rng.normal(size=(16, 16, 16, 3)) + 1e4).astype("float32")
    stock = TF_KERAS.keras.layers.BatchNormalization(momentum=0.0)
    assert relative_error(stock, x, x.astype("float64").var((0, 1, 2), ddof=1), True) > 0.5


def test_fewer_rows_than_are_summed_side_by_side(rng):
    """In a batch of open size; the sum of no squares is 0."""
    call = tf.function(lambda x: sums.centered(x, 0.0), input_signature=[tf.TensorSpec((None, 3))])
    for rows in (1600, 7):
        x = rng.normal(size=(rows, 3)).astype("float32")
        for _ in range(3):
            np.testing.assert_allclose(call(tf.constant(x)).variance, x.astype("float64").var(0), rtol=4e-6)
    assert not np.asarray(sums._squares(tf.zeros((0, 3)))).any()
