"""Renorm, ghost batches, adjustment, cumulative averages: against the stock layers, or an independent computation."""

import numpy as np
import pytest
import tensorflow as tf

from kerasbn.errors import InvalidArgumentError, UnsupportedFeatureError
from kerasbn.flavour import KERAS, TF_KERAS

CLIPPINGS = [None, {"rmin": 0.5, "rmax": 1.5, "dmax": 0.3}, {"rmax": 3.0}]
RENORM_WEIGHTS = ["gamma", "beta", "moving_mean", "moving_variance", "moving_stddev", "renorm_mean", "renorm_stddev"]


def names_of(layer):
    return [weight.name.split("/")[-1].split(":")[0] for weight in layer.weights]


def moved_weights(layer, rng):
    """Random weights, positive where they are spreads; moving_variance consistent with moving_stddev."""
    values = {}
    for name, weight in zip(names_of(layer), layer.weights, strict=True):
        draw = rng.uniform(0.5, 3, weight.shape) if "std" in name else rng.normal(size=weight.shape)
        values[name] = np.asarray(draw, "float32")
    spread = values.get("moving_stddev", rng.uniform(0.5, 3, values["moving_variance"].shape))
    values["moving_variance"] = np.asarray(spread**2 - layer.epsilon, "float32")
    return list(values.values())


# The kernel is compared in float32, where a nearly constant part of a batch magnifies the rounding; the algebra in
# float64, up to the 1 - momentum that tf_keras rounds to float32.
TOLERANCES = {"float32": 5e-5, "float64": 1e-7}


def compare(ours, stock, batches, compile_step, assert_close):
    tolerance = TOLERANCES[ours.compute_dtype]
    step_ours, step_stock = compile_step(ours), compile_step(stock)
    for x in batches:
        found, expected = step_ours(x), step_stock(x)
        assert_close(found.y, expected.y, tolerance)
        assert_close(found.dx, expected.dx, tolerance * 4)
        pairs = zip(found.dweights + found.averages, expected.dweights + expected.averages, strict=True)
        for each, other in pairs:
            assert_close(each, other, tolerance * 4)


def pair(flavour, shape, rng, stock_flavour=None, **options):
    stock = (stock_flavour or flavour).keras.layers.BatchNormalization(**options)
    ours = flavour.batch_normalization(**options)
    for layer in (ours, stock):
        layer.build(shape)
    ours.set_weights(moved_weights(ours, rng))
    stock.set_weights(ours.get_weights())
    return ours, stock


@pytest.mark.sweep
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("clipping", CLIPPINGS)
@pytest.mark.parametrize(("shape", "axis"), [((8, 3), -1), ((4, 5, 6, 3), -1), ((4, 3, 6), 1), ((5, 20, 13, 3), -1)])
def test_renorm_equals_stock(keras_flavour, shape, axis, clipping, dtype, rng, make_inputs, compile_step, assert_close):
    options = {"axis": axis, "momentum": 0.6, "renorm_momentum": 0.7, "epsilon": 1e-2, "dtype": dtype}
    stock_flavour = KERAS if dtype == "float64" else keras_flavour  # tf_keras' renorm fails in float64
    ours, stock = pair(keras_flavour, shape, rng, stock_flavour, renorm=True, renorm_clipping=clipping, **options)
    assert names_of(ours) == names_of(stock) == RENORM_WEIGHTS
    compare(ours, stock, [make_inputs(shape, rng, dtype) for _ in range(2)], compile_step, assert_close)


def test_renorm_without_gamma_and_beta(keras_flavour, rng, make_inputs, compile_step, assert_close):
    ours, stock = pair(keras_flavour, (8, 3), rng, renorm=True, center=False, scale=False)
    compare(ours, stock, [make_inputs((8, 3), rng)], compile_step, assert_close)


def test_renorm_in_half_precision_is_computed_in_float32(keras_flavour, rng, make_inputs, step, assert_close):
    half = keras_flavour.batch_normalization(renorm=True, dtype="mixed_float16")
    full = keras_flavour.batch_normalization(renorm=True)
    x = make_inputs((16, 3), rng, "float16")
    assert_close(step(half, x).y, step(full, tf.cast(x, "float32")).y, 6e-4)


def test_renorm_clipping_by_schedule(keras_flavour, rng):
    """r is clipped to the schedule's value at the number of batches seen; the schedule survives its config."""
    schedule = keras_flavour.keras.optimizers.schedules.PiecewiseConstantDecay([0, 1], [1.0, 2.0, 3.0])
    clipping = {"rmin": 0.0, "rmax": schedule, "dmax": 0.0}
    layer = keras_flavour.batch_normalization(renorm=True, renorm_clipping=clipping, renorm_momentum=1.0, epsilon=0.0)
    layer = type(layer).from_config(layer.get_config())
    x = (rng.normal(size=(64, 2)) * 100).astype("float32")
    for expected in (1.0, 2.0, 3.0, 3.0):
        assert np.asarray(layer(x, training=True)).std() == pytest.approx(expected, rel=1e-4)
    assert layer.batches.numpy() == 4


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("size", [2, 4, 8])
@pytest.mark.parametrize(("shape", "axis"), [((8, 3), -1), ((8, 3, 4, 5), -1), ((8, 5, 4), 1), ((8, 3, 2), [1, 2])])
def test_ghost_batches_equal_stock(shape, axis, size, dtype, rng, make_inputs, compile_step, assert_close):
    ours, stock = pair(TF_KERAS, shape, rng, axis=axis, momentum=0.6, virtual_batch_size=size, dtype=dtype)
    compare(ours, stock, [make_inputs(shape, rng, dtype) for _ in range(2)], compile_step, assert_close)
    x = make_inputs(shape, rng, dtype)
    assert_close(ours(x), stock(x), 5e-6)


@pytest.mark.parametrize("dynamic", [True, False])
def test_ghost_batches_are_normalized_apart(keras_flavour, dynamic, rng, assert_close):
    x = rng.normal(3, 2, (12, 5, 2)).astype("float32")
    layer = keras_flavour.batch_normalization(momentum=0.0, virtual_batch_size=4, unbiased_variance=True)
    call = tf.function(lambda x: layer(x, training=True), input_signature=[tf.TensorSpec((None, 5, 2))])
    y = np.asarray((call if dynamic else layer)(x) if dynamic else layer(x, training=True))
    parts = [x[part::3] for part in range(3)]
    for part, values in enumerate(parts):
        expected = (values - values.mean((0, 1))) / np.sqrt(values.var((0, 1)) + 1e-3)
        assert_close(y[part::3], expected, 1e-5)
    variances = [values.var((0, 1), ddof=1) for values in parts]
    assert_close(np.ravel(layer.moving_variance.numpy()), np.mean(variances, 0), 1e-5)
    assert layer.affine()[0].shape == (2,)


def test_ghost_batches_refuse_what_they_cannot_split(keras_flavour, rng):
    layer = keras_flavour.batch_normalization(virtual_batch_size=4)
    with pytest.raises((InvalidArgumentError, ValueError), match="got a batch of 6"):
        layer(rng.normal(size=(6, 3)).astype("float32"), training=True)
    with pytest.raises((UnsupportedFeatureError, NotImplementedError), match="know no masks"):
        layer(rng.normal(size=(4, 3)).astype("float32"), training=True, mask=np.ones(4, bool))
    with pytest.raises(InvalidArgumentError, match="no channel axis"):
        keras_flavour.batch_normalization(virtual_batch_size=4, axis=0).build((8, 3))


def test_ghost_batches_with_renorm_equal_stock(rng, make_inputs, compile_step, assert_close):
    ours, stock = pair(TF_KERAS, (8, 3), rng, virtual_batch_size=4, renorm=True, renorm_clipping={"rmax": 2.0})
    compare(ours, stock, [make_inputs((8, 3), rng)], compile_step, assert_close)


def test_adjustment_equals_stock(rng, make_inputs, compile_step, assert_close):
    def adjustment(shape):
        return tf.linspace(0.9, 1.1, shape[-1]), tf.linspace(-0.1, 0.1, shape[-1])

    ours, stock = pair(TF_KERAS, (4, 6, 3), rng, adjustment=adjustment, momentum=0.6)
    compare(ours, stock, [make_inputs((4, 6, 3), rng)], compile_step, assert_close)
    x = make_inputs((4, 6, 3), rng)
    assert_close(ours(x), stock(x), 5e-6)


def test_momentum_none_is_the_mean_over_batches(keras_flavour, rng, assert_close):
    layer = keras_flavour.batch_normalization(momentum=None, unbiased_variance=True)
    batches = [rng.normal(5, 3, (7, 2)).astype("float32") for _ in range(5)]
    for x in batches:
        layer(x, training=True)
        layer(np.zeros((0, 2), "float32"), training=True)
    assert_close(layer.moving_mean.numpy(), np.mean([x.mean(0) for x in batches], 0), 1e-5)
    assert_close(layer.moving_variance.numpy(), np.mean([x.var(0, ddof=1) for x in batches], 0), 1e-5)
    assert layer.batches.numpy() == 5
    assert names_of(layer)[-1] == "batches"
    assert layer.get_config()["momentum"] is None


@pytest.mark.parametrize("options", [{"renorm": True}, {"momentum": None}, {"virtual_batch_size": 4}])
def test_training_as_a_tensor(keras_flavour, options, rng, assert_close):
    x = rng.normal(5, 3, (8, 2)).astype("float32")
    by_bool, by_tensor = (keras_flavour.batch_normalization(**options) for _ in range(2))
    assert_close(by_tensor(x, training=tf.constant(True)), by_bool(x, training=True), 1e-6)
    for weight, other in zip(by_tensor.get_weights(), by_bool.get_weights(), strict=True):
        np.testing.assert_allclose(weight, other, rtol=1e-6)
    assert_close(by_tensor(x, training=tf.constant(False)), by_bool(x), 1e-6)


@pytest.mark.parametrize("options", [{"renorm": True}, {"momentum": None}, {"virtual_batch_size": 4}])
def test_files(keras_flavour, options, tmp_path, rng):
    keras = keras_flavour.keras
    model = keras.Sequential([keras.layers.Input((3,)), keras_flavour.batch_normalization(**options)])
    model.compile("sgd", "mse")
    x = rng.normal(size=(8, 3)).astype("float32")
    model.fit(x, x, batch_size=8, epochs=2, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(np.asarray(loaded(x)), np.asarray(model(x)))
    assert loaded.layers[-1].get_config() == model.layers[-1].get_config()
