"""Which way an input is normalized, and that every way is the definition in float64."""

import numpy as np
import pytest
import tensorflow as tf

from kerasbn.layout import Layout
from kerasbn.tensorflow import centering, choice, formula, fused, kernel
from kerasbn.tensorflow.choice import Way, way

RENORM = {"renorm": True, "renorm_clipping": {"rmin": 0.5, "rmax": 2.0, "dmax": 1.0}}
SHAPES = [
    ((64, 5), -1), ((900, 16), -1), ((9, 5, 40), 1), ((4, 6, 7, 3), -1), ((2, 30, 40, 8), -1), ((3, 5, 8, 9), 2),
    ((40, 6, 50), 1), ((5, 9), 0), ((150, 1), -1), ((4, 6, 7, 3), [2, 3]), ((4, 6, 7, 3), [1, 2]),
]  # fmt: skip
TAKEN = [
    # shape, axis, with oneDNN, without
    ((64, 10), -1, Way.FORMULA, Way.FORMULA),
    ((None, 10), -1, Way.FORMULA, Way.FORMULA),
    ((8, 16, 10), 1, Way.FORMULA, Way.FORMULA),
    ((2000, 16), -1, Way.FORMULA, Way.FORMULA),
    ((600, 2000), -1, Way.KERNEL, Way.FORMULA),
    ((4000, 64), -1, Way.SUMS, Way.FORMULA),
    ((4, 7, 7, 1024), -1, Way.KERNEL, Way.FORMULA),
    ((1, 112, 112, 16), -1, Way.KERNEL, Way.FORMULA),
    ((32, 56, 56, 64), -1, Way.SUMS, Way.SUMS),
    ((None, 56, 56, 64), -1, Way.SUMS, Way.SUMS),
    ((2, 1000000), -1, Way.FORMULA, Way.FORMULA),
    ((100000, 1), -1, Way.FORMULA, Way.FORMULA),
    ((32, 64, 1000), 1, Way.FORMULA, Way.FORMULA),
    ((32, 64, 56, 56), 1, Way.SUMS, Way.FORMULA),
    ((8, 3, 224, 224), 1, Way.FORMULA, Way.FORMULA),
    ((20000, 16, 8), 1, Way.SUMS, Way.SUMS),
]  # fmt: skip


def layout_of(shape, axis):
    return Layout.of(axis, shape, "layer")


@pytest.mark.parametrize(("shape", "axis", "with_onednn", "without"), TAKEN)
def test_which_way_is_taken(shape, axis, with_onednn, without):
    layout = layout_of(shape, axis)
    assert (way(shape, layout, True), way(shape, layout, False)) == (with_onednn, without)


@pytest.mark.parametrize("onednn", [True, False])
def test_none_adds_more_than_is_exact(onednn):
    """A prime number of rows has no parts to add; what is not added in parts nor in pairs is left to sums."""
    for shape, axis in [((100_003, 3), -1), ((99_999, 2, 3), -1), ((99_999, 3, 2), 1)]:
        assert way(shape, layout_of(shape, axis), onednn) is Way.SUMS
    assert choice.parts((100_000, 3), layout_of((100_000, 3), -1)) == 250
    assert way((100_000, 3), layout_of((100_000, 3), -1), False) is Way.FORMULA


@pytest.fixture
def taken(monkeypatch):
    """Sends all inputs one way; tells how often each is gone."""
    seen, by_formula, by_kernel, by_sums = [], formula.training, centering._run, centering._of_many

    def listening(name, original):
        return lambda *a, **k: seen.append(name) or original(*a, **k)

    monkeypatch.setattr(formula, "training", listening(Way.FORMULA, by_formula))
    monkeypatch.setattr(centering, "_run", listening(Way.KERNEL, by_kernel))
    monkeypatch.setattr(centering, "_of_many", listening(Way.SUMS, by_sums))

    def take(which):
        monkeypatch.setattr(choice, "way", lambda *_: which)
        return seen

    return take


def compare(flavour, shape, axis, options, dynamic, offset, rng, make_weights, make_inputs, assert_close):
    """One step in float32 and one in float64, by plain operations, on the same numbers."""
    options = {"axis": axis, "momentum": 0.75, "unbiased_variance": False, **options}
    ours = flavour.batch_normalization(**options)
    exact = flavour.batch_normalization(dtype="float64", fused=False, **options)
    for layer in (ours, exact):
        layer.build(shape if axis == 0 else (None, *shape[1:]))
    if not options.get("renorm"):
        exact.set_weights(make_weights(exact, rng))
    ours.set_weights(exact.get_weights())
    x = make_inputs(shape, rng) + offset
    direction = tf.constant(rng.normal(size=shape), "float32")
    found, expected = (stepped(layer, x, direction, dynamic) for layer in (ours, exact))
    for one, other, tolerance in zip(found, expected, (5e-6, 2e-5, *[2e-5] * 2, *[1e-5] * 5), strict=False):
        assert_close(one, other, tolerance * max(1, offset / 10))
    assert len(found) == len(expected) >= 6


def stepped(layer, x, direction, dynamic):
    """Outputs, gradients and averages."""
    shape = [None if dynamic else size for size in x.shape[:1]] + list(x.shape[1:])
    variables = [getattr(variable, "_value", variable) for variable in layer.trainable_variables]
    spec = tf.TensorSpec(shape, layer.compute_dtype)

    @tf.function(input_signature=[spec, spec])
    def step(x, direction):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        return [y, *tape.gradient(y, [x, *variables], output_gradients=direction)]

    results = step(tf.cast(x, layer.compute_dtype), tf.cast(direction, layer.compute_dtype))
    return [np.asarray(each, "float64") for each in (*results, *layer.get_weights()[2:])]


@pytest.fixture
def judge(keras_flavour, rng, make_weights, make_inputs, assert_close):
    def check(shape, axis, options=(), dynamic=False, offset=0):
        fixtures = rng, make_weights, make_inputs, assert_close
        compare(keras_flavour, shape, axis, dict(options), dynamic, offset, *fixtures)

    return check


@pytest.mark.sweep
@pytest.mark.parametrize("which", Way)
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_every_way_is_the_definition(judge, taken, shape, axis, which):
    seen = taken(which)
    judge(shape, axis)
    assert which in seen


@pytest.mark.sweep
@pytest.mark.parametrize("which", Way)
@pytest.mark.parametrize(("shape", "axis"), [SHAPES[0], SHAPES[2]])
def test_every_way_with_an_unknown_batch_and_renorm(judge, taken, shape, axis, which):
    seen = taken(which)
    judge(shape, axis, dynamic=True)
    judge(shape, axis, RENORM)
    assert which in seen


@pytest.mark.parametrize("which", Way)
@pytest.mark.parametrize(("shape", "axis"), [SHAPES[1], SHAPES[2]])
def test_every_way_with_means_that_are_far(judge, taken, shape, axis, which):
    taken(which)
    judge(shape, axis, offset=1000)


@pytest.mark.parametrize("which", Way)
@pytest.mark.parametrize(("shape", "axis"), [((0, 3), -1), ((0, 3, 5), 1), ((0, 4, 5, 3), -1)])
def test_no_way_moves_an_average_for_an_empty_batch(keras_flavour, taken, shape, axis, which):
    taken(which)
    layer = keras_flavour.batch_normalization(axis=axis)
    layer.build((None, *shape[1:]))
    before = layer.get_weights()
    for dynamic in (True, False):
        _, dx, *rest = stepped(layer, tf.zeros(shape), tf.zeros(shape), dynamic)
        assert dx.shape == shape
        assert all(np.isfinite(each).all() for each in rest)
    for weight, wanted in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, wanted)


@pytest.mark.parametrize("fault", ["share", "total", "mean"])
def test_the_comparison_sees_a_broken_formula(judge, taken, monkeypatch, fault):
    taken(Way.FORMULA)
    original = getattr(formula._Sums, fault)
    monkeypatch.setattr(formula._Sums, fault, lambda self, x: original(self, x) * 1.01)
    with pytest.raises(AssertionError):
        judge((64, 5), -1)


def test_layers_of_16_bits_and_of_graphics_cards_are_left_to_the_kernel(monkeypatch):
    layout = layout_of((64, 10), -1)
    assert fused._way(tf.ones((64, 10), "bfloat16"), tf.ones((64, 10), "bfloat16"), layout) is Way.KERNEL
    assert fused._way(tf.ones((64, 10), "float16"), tf.ones((64, 10)), layout) is Way.KERNEL
    assert fused._way(tf.ones((64, 10)), tf.ones((64, 10)), layout) is way((64, 10), layout, kernel.onednn())
    monkeypatch.setattr(kernel, "on_gpu", lambda: True)
    assert fused._way(tf.ones((64, 10)), tf.ones((64, 10)), layout) is Way.KERNEL
