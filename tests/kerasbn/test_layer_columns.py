"""Channels first in 16 bits or with a mask: as they lie, a channel in many columns, against a layer in float64."""

import numpy as np
import pytest
import tensorflow as tf

from kerasbn.tensorflow import centering, masking

SHAPES = [((32, 5, 100), 1), ((9, 4, 600), 1), ((37, 3, 9, 11), 1), ((3, 5, 6, 80), 2), ((8, 4, 3, 9, 11), 1)]
RENORM = {"renorm": True, "renorm_clipping": {"rmin": 0.5, "rmax": 2.0, "dmax": 1.0}}
ROUNDING = {"float32": 5e-6, "mixed_float16": 2e-3, "mixed_bfloat16": 2e-2}
NARROW = ["mixed_float16", "mixed_bfloat16"]


def judged(flavour, shape, axis, dtype, offset, masked, options, rng, make_weights, make_inputs, step, assert_close):
    """One step in 16 bits and in float64, on the same numbers."""
    options = {"axis": axis, "momentum": 0.75, "unbiased_variance": False, **options}
    narrow = flavour.batch_normalization(dtype=dtype, **options)
    exact = flavour.batch_normalization(dtype="float64", **options)
    x = make_inputs(shape, rng) + offset * rng.choice([-1, 1], [s if i == axis else 1 for i, s in enumerate(shape)])
    x = tf.cast(x, narrow.compute_dtype)
    for layer in (narrow, exact):
        layer.build((None, *shape[1:]))
    if not options.get("renorm"):
        exact.set_weights(make_weights(exact, rng))
    narrow.set_weights(exact.get_weights())
    mask = {"mask": rng.random(shape[:-1]) < 0.7} if masked else {}
    found, expected = step(narrow, x, **mask), step(exact, tf.cast(x, "float64"), **mask)
    rounding = ROUNDING[dtype]
    assert_close(found.y, expected.y, rounding)
    assert_close(found.dx, expected.dx, 4 * rounding)
    for gradient, wanted in zip(found.dweights, expected.dweights, strict=True):
        assert_close(gradient, wanted, 4 * rounding)
    for average, wanted in zip(found.averages, expected.averages, strict=True):
        assert_close(average, wanted, 1e-5)


@pytest.fixture
def judge(keras_flavour, rng, make_weights, make_inputs, step, assert_close):
    def check(shape, axis, dtype="mixed_float16", offset=0, masked=False, **options):
        fixtures = rng, make_weights, make_inputs, step, assert_close
        judged(keras_flavour, shape, axis, dtype, offset, masked, options, *fixtures)

    return check


@pytest.fixture
def widths(monkeypatch):
    """How many columns a channel had, each time that it was asked for."""
    seen = []
    original = centering._of_many

    def listening(x, epsilon, width=1):
        seen.append(width)
        return original(x, epsilon, width)

    monkeypatch.setattr(centering, "_of_many", listening)
    return seen


@pytest.mark.sweep
@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_outputs_gradients_and_averages(judge, shape, axis, dtype, widths):
    judge(shape, axis, dtype)
    assert widths[0] == np.prod(shape[axis + 1 :]), "not taken as they lie: nothing of this file was tested"


@pytest.mark.parametrize("offset", [20, 200])
def test_means_that_are_far(judge, offset):
    judge(*SHAPES[0], offset=offset)


@pytest.mark.sweep
@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize(("shape", "axis"), [SHAPES[0], SHAPES[3]])
def test_masks(judge, shape, axis, dtype, monkeypatch):
    widths, original = [], masking._of_each
    monkeypatch.setattr(masking, "_of_each", lambda x, mask, width: widths.append(width) or original(x, mask, width))
    judge(shape, axis, dtype, masked=True)
    assert widths == [np.prod(shape[axis + 1 :])]


@pytest.mark.parametrize(("size", "width"), [(4, 1), (16, 300)])
def test_ghost_batches(judge, size, width, widths):
    """Parts of 4 are transposed, those of 16 are not."""
    judge((32, 5, 300), 1, virtual_batch_size=size)
    assert widths[0] == width


def test_renorm(judge, widths):
    judge(*SHAPES[0], **RENORM)
    assert widths[0] == 100


@pytest.mark.parametrize(("shape", "axis", "dtype"), [
    ((32, 5, 100), 1, "float32"), ((1, 5, 2000), 1, "mixed_float16"), ((3, 5, 100), 1, "mixed_float16"),
    ((2000, 5), 1, "mixed_float16"), ((32, 16, 100), 1, "mixed_bfloat16"),
])  # fmt: skip
def test_what_is_transposed_or_lies_right(keras_flavour, shape, axis, dtype, widths):
    layer = keras_flavour.batch_normalization(axis=axis, dtype=dtype)
    layer(tf.ones(shape, layer.compute_dtype), training=True)
    assert set(widths) <= {1}


def test_batches_of_open_size(keras_flavour, rng, make_inputs, assert_close):
    """None of them is empty, or one is: then no average moves."""
    layer = keras_flavour.batch_normalization(axis=1, dtype="mixed_float16", momentum=0.5, unbiased_variance=False)
    layer.build((None, 4, 90))
    step = tf.function(lambda x: layer(x, training=True), input_signature=[tf.TensorSpec((None, 4, 90), "float16")])
    x = make_inputs((21, 4, 90), rng, "float16")
    wide = np.asarray(x, "float64")
    step(x)
    assert_close(layer.moving_mean.numpy(), wide.mean((0, 2)) / 2, 1e-5)
    assert_close(layer.moving_variance.numpy(), (wide.var((0, 2)) + 1) / 2, 1e-5)
    before = layer.get_weights()
    assert tuple(step(tf.zeros((0, 4, 90), "float16")).shape) == (0, 4, 90)
    for weight, wanted in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, wanted)
