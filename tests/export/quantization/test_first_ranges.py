"""The ranges that a tuned model begins with."""

import numpy as np
from kerasbn_testing.tuning import images, small

from kerasbn_export import quantize_aware
from kerasbn_export.quantization.first_ranges import ranges_of


def first(model, x, ranges):
    tuned = quantize_aware(model, x, ranges=ranges)
    return [layer.range for layer in ranges_of(tuned) if not layer.fixed]


def test_those_that_follow_hold_everything(keras_flavour, rng):
    model, x = small(keras_flavour, rng), images(rng)
    np.testing.assert_allclose(first(model, x, "ema")[0], (x.min(), x.max()), rtol=1e-6)


def test_learned_ones_are_those_of_the_least_squared_error(keras_flavour, rng):
    model = small(keras_flavour, rng)
    x = rng.normal(size=(512, 8, 8, 3)).astype("float32")
    x.reshape(-1)[::20_000] = 12
    low, high = first(model, x, "learned")[0]
    assert high < 0.97 * x.max()
    step = (x.max() - x.min()) / 255
    lost = (np.clip(x, low, high) - x) ** 2 + ((high - low) / 255) ** 2 / 12
    assert lost.mean() < step**2 / 12


def test_learned_ones_of_16_bits_hold_everything(keras_flavour, rng):
    model, x = small(keras_flavour, rng), images(rng)
    tuned = quantize_aware(model, x, ranges="learned", precision="int16x8")
    assert ranges_of(tuned)[0].range[1] >= np.abs(x).max() * 0.9999
