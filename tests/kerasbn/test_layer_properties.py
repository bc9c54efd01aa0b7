"""Properties over random shapes, axes and options: the definition in float64, and finite differences."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def cases(draw):
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=2, max_size=5)))
    rank = len(shape)
    axes = draw(st.lists(st.integers(-rank, rank - 1), min_size=1, max_size=2, unique_by=lambda each: each % rank))
    return shape, axes, draw(st.booleans()), draw(st.booleans()), draw(st.integers(0, 2**32 - 1))


def defined(x, axes, epsilon):
    """The definition, in numpy."""
    over = tuple(each for each in range(x.ndim) if each not in {axis % x.ndim for axis in axes})
    return (x - x.mean(over, keepdims=True)) / np.sqrt(x.var(over, keepdims=True) + epsilon)


@QUICK
@given(case=cases())
def test_training_is_the_definition(keras_flavour, case):
    shape, axes, center, scale, seed = case
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape) * 3 + 5
    layer = keras_flavour.batch_normalization(axis=axes, center=center, scale=scale, dtype="float64", momentum=0.0)
    layer.build(shape)
    layer.set_weights([rng.normal(size=weight.shape) for weight in layer.get_weights()])
    wide = [size if each in {axis % len(shape) for axis in axes} else 1 for each, size in enumerate(shape)]
    expected = defined(x, axes, 1e-3)
    expected = expected * layer.gamma.numpy().reshape(wide) if scale else expected
    expected = expected + layer.beta.numpy().reshape(wide) if center else expected
    np.testing.assert_allclose(np.asarray(layer(x, training=True)), expected, rtol=1e-9, atol=1e-9)
    scale_by, shift = (each.reshape(wide) for each in layer.affine())
    np.testing.assert_allclose(np.asarray(layer(x)), x * scale_by + shift, rtol=1e-9, atol=1e-6)


@QUICK
@given(case=cases())
def test_the_kernel_is_the_definition(keras_flavour, case):
    shape, axes, _, _, seed = case
    x = (np.random.default_rng(seed).normal(size=shape) * 3 + 5).astype("float32")
    y = keras_flavour.batch_normalization(axis=axes)(x, training=True)
    np.testing.assert_allclose(np.asarray(y), defined(x.astype("float64"), axes, 1e-3), rtol=1e-3, atol=1e-3)


OPTIONS = [
    ({}, (6, 3)),
    ({"axis": 1}, (3, 2, 4)),
    ({"axis": [1, 3]}, (3, 2, 2, 2)),
    ({"virtual_batch_size": 3}, (6, 2)),
    ({"mask": True}, (4, 3, 2)),
    ({"training": False}, (4, 3)),
]


@pytest.mark.parametrize(("options", "shape"), OPTIONS)
def test_gradients_are_finite_differences(keras_flavour, options, shape, rng):
    options = dict(options)
    call = {"training": options.pop("training", True)}
    call |= {"mask": rng.random(shape[:-1]) < 0.7} if options.pop("mask", False) else {}
    layer = keras_flavour.batch_normalization(dtype="float64", **options)
    layer.build(shape)
    layer.set_weights([rng.uniform(0.5, 2, weight.shape) for weight in layer.get_weights()])
    direction, x = rng.normal(size=shape), rng.normal(size=shape)

    def loss(x):
        return tf.reduce_sum(tf.sin(layer(x, **call)) * direction)

    here = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(here)
        value = loss(here)
    gradient = np.asarray(tape.gradient(value, here))
    for index in np.ndindex(*shape):
        step = np.zeros(shape)
        step[index] = 1e-5
        difference = (loss(tf.constant(x + step)) - loss(tf.constant(x - step))) / 2e-5
        assert gradient[index] == pytest.approx(float(difference), rel=1e-5, abs=1e-8)
