"""The layer against the stock layer of its Keras: outputs, gradients, moving statistics, over the options."""

import numpy as np
import pytest

SHAPES = [
    ((16, 5), -1),
    ((8, 6, 5), -1),
    ((8, 5, 6), 1),
    ((4, 5, 3, 6), -1),
    ((4, 6, 5, 3), 1),
    ((4, 3, 6, 5), 2),
    ((2, 3, 4, 3, 5), -1),
    ((2, 5, 3, 4, 3), 1),
    ((2, 3, 5, 4, 3), 2),
]
MANY = [((1100, 16), -1), ((9, 125, 5), -1), ((5, 16, 20, 13), 1), ((5, 20, 13, 3), -1), ((3, 7, 8, 9, 16), -1)]
"""More rows than the kernel takes the statistics of itself, not a power of 2; 16 channels, which it has in bfloat16."""
TOLERANCES = [("float64", 1e-12), ("mixed_float16", 2e-3), ("mixed_bfloat16", 2e-2)]


def pair(flavour, shape, make_weights, rng, **options):
    ours = flavour.batch_normalization(**options)
    stock = flavour.keras.layers.BatchNormalization(**options)
    for layer in (ours, stock):
        layer.build(shape)
    ours.set_weights(make_weights(ours, rng))
    stock.set_weights(ours.get_weights())
    return ours, stock


def compare_steps(ours, stock, batches, compile_step, assert_close, tolerance):
    step_ours, step_stock = compile_step(ours), compile_step(stock)
    for x in batches:
        found, expected = step_ours(x), step_stock(x)
        assert_close(found.y, expected.y, tolerance)
        assert_close(found.dx, expected.dx, tolerance * 4)
        for ours_gradient, stock_gradient in zip(found.dweights, expected.dweights, strict=True):
            assert_close(ours_gradient, stock_gradient, tolerance * 4)
        for average, stock_average in zip(found.averages, expected.averages, strict=True):
            assert_close(average, stock_average, tolerance)


@pytest.mark.parametrize(("shape", "axis"), SHAPES + MANY)
def test_training_equals_stock(keras_flavour, shape, axis, rng, make_weights, make_inputs, compile_step, assert_close):
    ours, stock = pair(keras_flavour, shape, make_weights, rng, axis=axis, momentum=0.7, epsilon=2e-3)
    batches = [make_inputs(shape, rng) for _ in range(3)]
    compare_steps(ours, stock, batches, compile_step, assert_close, 5e-6)


@pytest.mark.parametrize(("shape", "axis"), [SHAPES[0], SHAPES[2], SHAPES[3], MANY[0], MANY[2]])
@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
def test_every_dtype_equals_stock(
    keras_flavour, shape, axis, dtype, tolerance, rng, make_weights, make_inputs, compile_step, assert_close
):
    # Momentum 0.75: tf_keras rounds 1 - momentum to float32, and this one it cannot change.
    ours, stock = pair(keras_flavour, shape, make_weights, rng, axis=axis, momentum=0.75, dtype=dtype)
    batches = [make_inputs(shape, rng, ours.compute_dtype) for _ in range(2)]
    compare_steps(ours, stock, batches, compile_step, assert_close, tolerance)


@pytest.mark.parametrize(("center", "scale"), [(True, False), (False, True), (False, False)])
@pytest.mark.parametrize(("shape", "axis"), [SHAPES[1], SHAPES[3]])
def test_without_gamma_or_beta(
    keras_flavour, shape, axis, center, scale, rng, make_weights, make_inputs, compile_step, assert_close
):
    options = {"axis": axis, "center": center, "scale": scale, "momentum": 0.5}
    ours, stock = pair(keras_flavour, shape, make_weights, rng, **options)
    compare_steps(ours, stock, [make_inputs(shape, rng)], compile_step, assert_close, 5e-6)


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_inference_equals_stock(keras_flavour, shape, axis, rng, make_weights, make_inputs, assert_close):
    ours, stock = pair(keras_flavour, shape, make_weights, rng, axis=axis)
    x = make_inputs(shape, rng)
    assert_close(ours(x), stock(x), 5e-6)
    assert_close(ours(x, training=False), stock(x, training=False), 5e-6)


@pytest.mark.parametrize("axis", [[1, 3], [1, 2, 3], [3], (2, 3)])
def test_several_axes_equal_stock(axis, rng, make_weights, make_inputs, compile_step, assert_close):
    from kerasbn.flavour import TF_KERAS

    ours, stock = pair(TF_KERAS, (5, 4, 3, 2), make_weights, rng, axis=axis, momentum=0.6)
    compare_steps(ours, stock, [make_inputs((5, 4, 3, 2), rng)], compile_step, assert_close, 5e-6)


@pytest.mark.parametrize("axis", [[1, 3], [1, 2, 3], [2, 3], [1, 2]])
def test_several_axes_are_one_flattened_axis(keras_flavour, axis, rng, make_weights, make_inputs, step, assert_close):
    shape = (6, 4, 3, 2)
    several = keras_flavour.batch_normalization(axis=axis, momentum=0.6, unbiased_variance=False)
    several.build(shape)
    weights = make_weights(several, rng)
    several.set_weights(weights)
    rest = [each for each in range(4) if each not in axis]
    flat = keras_flavour.batch_normalization(momentum=0.6)
    flat.build((None, weights[0].size))
    flat.set_weights([weight.reshape(-1) for weight in weights])
    x = make_inputs(shape, rng)
    moved = np.transpose(x, rest + axis)
    found, expected = step(several, x), step(flat, moved.reshape(-1, weights[0].size))
    assert_close(np.transpose(found.y, rest + axis).reshape(expected.y.shape), expected.y, 5e-6)
    for average, flat_average in zip(found.averages, expected.averages, strict=True):
        assert_close(average.reshape(-1), flat_average, 5e-6)


@pytest.mark.parametrize(("shape", "axis"), [SHAPES[2], SHAPES[4], SHAPES[6], MANY[3]])
def test_plain_operations_equal_the_kernel(
    keras_flavour, shape, axis, rng, make_weights, make_inputs, compile_step, assert_close
):
    fused = keras_flavour.batch_normalization(axis=axis, unbiased_variance=True, momentum=0.4)
    plain = keras_flavour.batch_normalization(axis=axis, unbiased_variance=True, momentum=0.4, fused=False)
    for layer in (fused, plain):
        layer.build(shape)
    plain.set_weights(make_weights(plain, rng))
    fused.set_weights(plain.get_weights())
    compare_steps(fused, plain, [make_inputs(shape, rng) for _ in range(2)], compile_step, assert_close, 5e-6)


def test_float16_statistics_are_float32(keras_flavour):
    layer = keras_flavour.batch_normalization(dtype="float16")
    layer.build((None, 3))
    assert {str(np.asarray(w).dtype) for w in layer.get_weights()} == {"float32"}


def test_comparison_sees_one_wrong_weight(keras_flavour, rng, make_weights, make_inputs, compile_step, assert_close):
    ours, stock = pair(keras_flavour, (16, 5), make_weights, rng)
    weights = ours.get_weights()
    weights[3][2] *= 1.001
    ours.set_weights(weights)
    with pytest.raises(AssertionError):
        compare_steps(ours, stock, [make_inputs((16, 5), rng)], compile_step, assert_close, 5e-6)
