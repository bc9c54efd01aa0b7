"""The gradient of a learned range: that of rounding inside it, and 1 for what is outside."""

import numpy as np
import pytest
import tensorflow as tf

from kerasbn.quantized.classes import RANGE, layers_of

LOW, HIGH, LEVELS = -1.0, 3.0, 255


def learned(flavour, **options):
    layer = layers_of(flavour)[RANGE](low=LOW, high=HIGH, learned=True, **options)
    layer.build(())
    return layer


def ends_of(layer):
    """The ends as tensors that a tape can watch, which the layer then takes."""
    ends = [tf.convert_to_tensor(end) for end in (layer.low, layer.high)]
    layer._ends = lambda: tuple(ends)
    return ends


def gradients(layer, x, *, training=True):
    """The numbers on the grid, and the sum of their gradients by x, low and high."""
    x = tf.constant(x, tf.float32)
    ends = ends_of(layer)
    with tf.GradientTape() as tape:
        tape.watch([x, *ends])
        y = layer.call(x, training=training)
    return y.numpy(), [np.asarray(found) for found in tape.gradient(y, [x, *ends])]


def test_rounding_inside_and_one_outside(keras_flavour, rng):
    step = (HIGH - LOW) / LEVELS
    inside = rng.uniform(LOW, HIGH, 50)
    given, (by_x, by_low, by_high) = gradients(learned(keras_flavour), inside)
    moved = ((given - inside) / step).sum()
    np.testing.assert_allclose(by_x, 1)
    np.testing.assert_allclose([by_low, by_high], [-moved / LEVELS, moved / LEVELS], atol=1e-3)
    _, (by_x, by_low, by_high) = gradients(learned(keras_flavour), [HIGH + 1, HIGH + 2])
    np.testing.assert_allclose(by_x, 0)
    assert (by_low, by_high) == (pytest.approx(0, abs=0.01), pytest.approx(2, abs=0.01))
    _, (_, by_low, by_high) = gradients(learned(keras_flavour), [LOW - 1])
    assert (by_low, by_high) == (pytest.approx(1, abs=0.01), pytest.approx(0, abs=0.01))


def test_a_range_that_is_too_wide_becomes_narrower(keras_flavour, rng):
    x = tf.constant(rng.uniform(-0.02, 0.02, (64, 8)).astype("float32"))
    layer = learned(keras_flavour)
    ends = ends_of(layer)
    with tf.GradientTape() as tape:
        tape.watch(ends)
        loss = tf.reduce_sum(tf.math.squared_difference(layer(x, training=True), x))
    by_low, by_high = tape.gradient(loss, ends)
    assert by_high - by_low > 0


def test_the_numbers_are_those_of_inference(keras_flavour, rng):
    layer, x = learned(keras_flavour), tf.constant(rng.normal(size=(100, 7)) * 3, tf.float32)
    np.testing.assert_array_equal(layer(x, training=True), layer(x, training=False))
