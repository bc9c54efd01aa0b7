"""Under XLA the layer has formulas of its own: every option in every layout, against plain operations in float64."""

import numpy as np
import pytest
import tensorflow as tf

from kerasbn.tensorflow import compiled

LAYOUTS = [((24, 5), -1), ((8, 5, 7), 1), ((4, 3, 7, 5), -1), ((4, 3, 5, 7), 2)]
RENORM = {"renorm": True, "renorm_clipping": {"rmin": 0.5, "rmax": 2.0, "dmax": 1.0}}
OPTIONS = {"plain": {}, "mask": {}, "renorm": RENORM, "ghost batches": {"virtual_batch_size": 2}}


def compare(flavour, shape, axis, option, rng, make_weights, make_inputs, compile_step, assert_close):
    options = {"axis": axis, "momentum": 0.75, "unbiased_variance": False, **OPTIONS[option]}
    ours = flavour.batch_normalization(**options)
    exact = flavour.batch_normalization(dtype="float64", fused=False, **options)
    for layer in (ours, exact):
        layer.build((None, *shape[1:]))
    if option != "renorm":
        exact.set_weights(make_weights(exact, rng))
    ours.set_weights(exact.get_weights())
    x = make_inputs(shape, rng)
    mask = {"mask": rng.random(shape[:-1]) < 0.7} if option == "mask" else {}
    found = compile_step(ours, jit_compile=True)(x, **mask)
    expected = compile_step(exact)(tf.cast(x, "float64"), **mask)
    assert_close(found.y, expected.y, 5e-6)
    assert_close(found.dx, expected.dx, 2e-5)
    for each, wanted in zip(found.dweights, expected.dweights, strict=True):
        assert_close(each, wanted, 2e-5)
    for each, wanted in zip(found.averages, expected.averages, strict=True):
        assert_close(each, wanted, 1e-5)


@pytest.mark.sweep
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize(("shape", "axis"), LAYOUTS)
def test_options_and_layouts(
    keras_flavour, shape, axis, option, rng, make_weights, make_inputs, compile_step, assert_close, monkeypatch
):
    seen, original = [], compiled.training
    monkeypatch.setattr(compiled, "training", lambda *a, **k: seen.append(1) or original(*a, **k))
    fixtures = rng, make_weights, make_inputs, compile_step, assert_close
    compare(keras_flavour, shape, axis, option, *fixtures)
    few = option == "ghost batches" and np.prod(shape) // 5 * 2 // shape[0] < 16
    assert bool(seen) != few, "not what was to be tested"


def test_comparison_sees_a_wrong_gradient(
    keras_flavour, rng, make_weights, make_inputs, compile_step, assert_close, monkeypatch
):
    original = compiled._moments

    def one_too_many(x, axes, mask):
        mean, variance, count = original(x, axes, mask)
        return mean, variance, count + 1

    monkeypatch.setattr(compiled, "_moments", one_too_many)
    with pytest.raises(AssertionError):
        compare(keras_flavour, (24, 5), -1, "plain", rng, make_weights, make_inputs, compile_step, assert_close)
