"""The algebra of affines, against Keras' own layer in float64 and against plain arithmetic."""

import numpy as np
import pytest

from kerasbn_export.algebra.affine import Affine, batchnorm_affine, round_to

pytestmark = pytest.mark.quick


def random_affine(rng, channels=5):
    return Affine(rng.normal(size=channels), rng.normal(size=channels))


def test_batchnorm_is_the_layer(keras_flavour, rng):
    """Variances over sixteen decades, in float64 to the last digits."""
    keras = keras_flavour.keras
    layer = keras.layers.BatchNormalization(epsilon=1e-7, dtype="float64")
    layer.build((None, 8))
    values = [rng.normal(size=8), rng.normal(size=8), 100 * rng.normal(size=8), 10.0 ** rng.uniform(-12, 4, 8)]
    layer.set_weights(values)
    x = rng.normal(size=(20, 8)) * 100
    affine = batchnorm_affine(*values, 1e-7)
    expected = np.asarray(layer(x))
    np.testing.assert_allclose(affine.scale * x + affine.shift, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


def test_missing_gamma_and_beta_are_one_and_zero(rng):
    mean, variance = rng.normal(size=4), rng.random(4)
    bare, full = (
        batchnorm_affine(None, None, mean, variance, 0.1),
        batchnorm_affine([1] * 4, [0] * 4, mean, variance, 0.1),
    )
    np.testing.assert_array_equal(bare.scale, full.scale)
    np.testing.assert_array_equal(bare.shift, full.shift)


def test_then_is_one_after_the_other(rng):
    first, second, x = random_affine(rng), random_affine(rng), rng.normal(size=(3, 5))
    both = first.then(second)
    expected = second.scale * (first.scale * x + first.shift) + second.shift
    np.testing.assert_allclose(both.scale * x + both.shift, expected, rtol=1e-13, atol=1e-14)


def test_the_halves_make_the_whole(rng):
    whole = random_affine(rng)
    for first, second in ((whole.scaling, whole.shifting), (whole.shift_before_scale, whole.scaling)):
        both = first.then(second)
        np.testing.assert_allclose(both.scale, whole.scale, rtol=1e-14)
        np.testing.assert_allclose(both.shift, whole.shift, rtol=1e-14)


@pytest.mark.parametrize(("scale", "shift"), [(0.0, 1.0), (1e-300, 1e300)])
def test_no_shift_before_a_scale_that_loses_it(scale, shift):
    assert Affine(np.array([1.0, scale]), np.array([2.0, shift])).shift_before_scale is None


def test_identity_is_exact():
    assert Affine(np.ones(3), np.zeros(3)).is_identity
    assert not Affine(np.ones(3), np.array([0, 0, 1e-300])).is_identity
    assert not Affine(np.array([1, 1, np.nextafter(1.0, 2.0)]), np.zeros(3)).is_identity


def test_rounding_flushes_what_is_subnormal_in_float32():
    numbers = np.array([1e-40, -1e-39, 1.2e-38, -0.0, 3.0])
    np.testing.assert_array_equal(round_to(numbers, np.float32), np.float32([0, 0, 1.2e-38, 0, 3]))


def test_rounding_keeps_the_small_numbers_of_float16():
    np.testing.assert_array_equal(round_to(np.array([1e-5, 6e-8]), np.float16), np.float16([1e-5, 6e-8]))


def test_an_affine_is_uniform_where_every_channel_has_the_same_two_numbers():
    assert Affine(np.full(3, 2.0), np.full(3, -1.0)).is_uniform
    assert not Affine(np.full(3, 2.0), np.array([1.0, 1.0, 2.0])).is_uniform
    assert not Affine(np.array([2.0, 1.0, 2.0]), np.ones(3)).is_uniform
