"""What the tests of the layer share: trained-looking weights, and one training step as numpy."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf


def weights_for(layer, rng):
    """Weights that no step leaves untouched: gammas of both signs and zero, variances over decades."""
    shape = layer.moving_mean.shape
    gamma = rng.normal(size=shape)
    gamma.flat[0] = 0
    values = [gamma] if layer.scale else []
    values += [rng.normal(size=shape)] if layer.center else []
    return [*values, rng.normal(size=shape) * 10, 10.0 ** rng.uniform(-3, 3, shape)]


def inputs_for(shape, rng, dtype="float32"):
    """Inputs whose channels differ in mean and spread, along every axis."""
    x = rng.normal(size=shape)
    for axis, size in enumerate(shape[1:], 1):
        by_index = [1] * len(shape)
        by_index[axis] = size
        x = x * rng.uniform(0.5, 2, by_index) + rng.normal(size=by_index) * 3
    return tf.cast(x, dtype)


def stepper(layer, jit_compile=False):
    """One step in training mode: outputs, gradients of a loss without symmetries, weights afterwards."""

    @tf.function(jit_compile=jit_compile)
    def step(x, direction, **arguments):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True, **arguments)
            loss = tf.reduce_sum(tf.cast(tf.square(y) * direction + y, "float64"))
        variables = [getattr(v, "_value", v) for v in layer.trainable_variables]
        return y, tape.gradient(loss, [x, *variables])

    def run(x, **arguments):
        direction = tf.cast(np.random.default_rng(5).normal(size=x.shape), x.dtype)
        y, (dx, *dweights) = step(x, direction, **{key: tf.constant(value) for key, value in arguments.items()})
        averages = [weight.numpy() for weight in layer.non_trainable_variables]
        return SimpleNamespace(
            y=as_float64(y),
            dx=as_float64(dx),
            dweights=[as_float64(each) for each in dweights],
            averages=[as_float64(each) for each in averages],
        )

    return run


def as_float64(tensor):
    return np.asarray(tf.cast(tensor, "float64"))


@pytest.fixture
def make_weights():
    return weights_for


@pytest.fixture
def make_inputs():
    return inputs_for


@pytest.fixture
def step():
    return lambda layer, x, **arguments: stepper(layer)(x, **arguments)


@pytest.fixture
def compile_step():
    return stepper


@pytest.fixture
def assert_close():
    def check(found, expected, tolerance):
        """Relative to the largest expected value: |found - expected| <= tolerance * max|expected|."""
        found, expected = np.asarray(found, "float64"), np.asarray(expected, "float64")
        assert found.shape == expected.shape
        assert np.isfinite(found).all()
        if expected.size:
            assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()

    return check
