"""The option grid against the stock layer: outputs, gradients and averages over two steps of every case in a sample."""

import numpy as np
import pytest
import tensorflow as tf
from kerasbn_testing import option_grid as grid
from kerasbn_testing.sessions import start_anew

from kerasbn import moments, training
from kerasbn.flavour import NAMES, Flavour
from kerasbn.tensorflow import centering, choice, formula, kernel

CASES = [case for name in NAMES for case in grid.covering(name)]
# Relative to the largest element; the stock layer's renorm rounds x_hat to 16 bits.
TOLERANCES = {"float32": 2e-4, "float64": 4e-7, "mixed_float16": 1e-2, "mixed_bfloat16": 8e-2}


def options_of(case, stock):
    names = ("center", "scale", "momentum", "epsilon", "trainable", "synchronized", "dtype")
    options = {"axis": case.shape[1], **{name: getattr(case, name) for name in names}}
    if case.renorm is not None:
        options |= {"renorm": True, "renorm_clipping": case.renorm, "renorm_momentum": 0.6}
    if case.flavour == "tf_keras":
        options |= {"fused": case.fused, "virtual_batch_size": case.virtual_batch_size}
    if stock and case.flavour == "tf_keras" and case.fused is None:
        del options["fused"]
    return options


def values_for(layer, rng):
    """Gammas of both signs and a zero, large means, variances over decades; spreads that belong to variances."""
    spread, values = None, []
    for weight in layer.weights:
        name, shape = weight.name.split("/")[-1].split(":")[0], tuple(weight.shape)
        value = rng.normal(size=shape)
        if name == "gamma":
            value.flat[0] = 0
        if "mean" in name:
            value = value * 3
        if name == "moving_variance":
            spread = 10.0 ** rng.uniform(-0.5, 1.5, shape)
            value = spread**2 - layer.epsilon
        if "stddev" in name:
            value = spread if name == "moving_stddev" else rng.uniform(0.5, 3, shape)
        values.append(value)
    return values


def stepper(case, layer, mask):
    flag = tf.constant(True) if case.training == "tensor" else case.training
    extra = {"mask": mask} if case.mask else {}

    def step(x, direction):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=flag, **extra)
            loss = tf.reduce_sum(tf.cast(tf.square(y) * direction + y, "float64"))
        return y, tape.gradient(loss, [x, *(getattr(v, "_value", v) for v in layer.trainable_variables)])

    return step if case.how == "eager" else tf.function(step, jit_compile=case.how == "xla")


def inputs_of(case, layer, rng):
    """Channels that differ in mean and spread, along every axis."""
    x = rng.normal(size=case.shape[0])
    for axis, size in enumerate(x.shape):
        along = np.ones(x.ndim, int)
        along[axis] = size
        x = x * rng.uniform(0.5, 2, along) + rng.normal(size=along)
    return tf.cast(x, layer.compute_dtype)


def differences(case):
    """The largest difference of each pair of results, relative to the stock layer's largest element."""
    rng, flavour = np.random.default_rng(7), Flavour(case.flavour)
    stock = flavour.keras.layers.BatchNormalization(**options_of(case, True))
    ours = flavour.batch_normalization(**options_of(case, False))
    for layer in (stock, ours):
        layer.build(case.shape[0])
    stock.set_weights(values_for(stock, rng))
    ours.set_weights(stock.get_weights())
    mask = tf.constant(rng.random(case.shape[0][:-1]) < 0.7)
    steps = [stepper(case, layer, mask) for layer in (ours, stock)]
    found = {}
    for turn in range(2):
        x, direction = inputs_of(case, ours, rng), inputs_of(case, ours, rng)
        results = [step(x, direction) for step in steps]
        for index, (one, other) in enumerate(zip(*map(tf.nest.flatten, results), strict=True)):
            found[f"result {index} of step {turn}"] = difference(tf.cast(one, "float64"), tf.cast(other, "float64"))
    for index, (one, other) in enumerate(zip(ours.get_weights(), stock.get_weights(), strict=True)):
        found[f"weight {index}"] = difference(one, other)
    return found


def difference(found, expected):
    found, expected = np.asarray(found, "float64"), np.asarray(expected, "float64")
    assert found.shape == expected.shape
    return np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-6)


def wrong(case):
    found, tolerance = differences(case), TOLERANCES[case.dtype]
    assert len(found) >= 6
    return {name: value for name, value in found.items() if not value <= tolerance}


@pytest.mark.sweep
@pytest.mark.parametrize("case", CASES, ids=str)
def test_equals_stock(case):
    start_anew(Flavour(case.flavour))
    assert not wrong(case)


def test_the_sample_is_wide():
    for name in NAMES:
        cases = [case for case in CASES if case.flavour == name]
        assert len(cases) >= 30
        pairs = set().union(*(grid.pairs_of(case, grid.OPTIONS) for case in cases))
        assert len(pairs) > 500


def scaled(function, by, index):
    """The function with one of its results made wrong by a factor."""

    def faulty(*arguments, **keywords):
        results = list(function(*arguments, **keywords))
        results[index] = results[index] * by
        return type(results)(results)

    return faulty


FAULTS = {
    "averages move too far": (training, "moved", lambda ops, average, value, momentum, _: ops.reshape(
        ops.cast(value, average.dtype), average.shape) + ops.cast(average, average.dtype) * momentum),
    "the gradient of x": (centering.kernel, "gradient", scaled(kernel.gradient, 1.01, 0)),
    "the gradient of beta": (centering.kernel, "gradient", scaled(kernel.gradient, 1.01, 2)),
    "the variance is not the population's": (kernel, "training", lambda *a, of=kernel.training, **k: (
        (found := of(*a, **k))._replace(variance=found.variance * 1.01))),
    "the share of an element": (formula._Sums, "share", lambda *_: 0.1),
    "the sum is divided by one too many": (moments, "at_least_one", lambda _, number, __: number + 1.0),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_grid_sees_a_broken_layer(fault, monkeypatch):
    """In at least one of the first cases that train, without compiling them."""
    module, name, broken = FAULTS[fault]
    monkeypatch.setattr(module, name, broken)
    if module is kernel:  # Which is too slow for what is as small as this.
        monkeypatch.setattr(choice, "way", lambda *_: choice.Way.KERNEL)
    exact = [case for case in CASES if case.dtype in ("float32", "float64")]
    plain = [case for case in exact if case.how == "eager" and case.training is True and case.trainable]
    assert any(wrong(case) for case in plain)
