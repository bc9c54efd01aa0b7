"""What is drawn is what is there: counts are complete, a fit finds the scale and shift put in, an excerpt is a part."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasbn_export.verification.records.pictures import CHANNELS, PIXELS, VALUES
from kerasbn_export.verification.records.sketch import (
    channel_fit,
    channel_weights,
    error_counts,
    excerpt,
    histogram,
    picture,
)
from kerasbn_export.verification.report.layer_chart import short
from kerasbn_export.verification.report.output_charts import channel_chart, error_chart, value_chart, weight_chart
from kerasbn_export.verification.report.png import png_address
from kerasbn_export.verification.report.svg import Axis, around
from kerasbn_export.verification.report.text import times

ARRAY = np.array


def test_every_value_is_counted_once(rng):
    r = rng.normal(size=(4, 30, 5))
    c = r + rng.normal(size=r.shape)
    c[0, 0, :3] = math.nan, math.inf, -math.inf
    spread = histogram(r, c)
    assert sum(spread.reference) == sum(spread.candidate) == r.size
    assert spread.low < r.min() < r.max() < spread.high
    errors = error_counts(r, np.where(rng.random(r.shape) < 0.5, r, c), np.abs(r).max())
    assert sum(errors.counts) + errors.exact == r.size
    assert errors.exact > r.size / 3


def test_errors_are_counted_where_they_belong():
    found = error_counts(np.ones(5), np.array([1, 1 + 2e-12, 1.05, 1 + 1e-20, 1e9]), 1.0)
    assert found.exact == 2  # 1e-20 is lost in float64
    assert [i for i, count in enumerate(found.counts) if count] == [0, 21, 27]  # 0.05 lies in 10**-1.5 to 10**-1


def test_the_fit_finds_the_scale_and_shift_put_in(rng):
    r = rng.normal(size=(8, 6, 4)) * [1, 10, 0.1, 0] + [0, 5, 1, 2]
    scale, shift = ARRAY([1.0, -0.5, 1.01, 1.0]), ARRAY([0.0, 3.0, -0.25, 0.5])
    fit = channel_fit(r, scale * r + shift, 2.0)
    assert fit.index == (0, 1, 2, 3)
    assert fit.count == 4
    np.testing.assert_allclose(fit.scale[:3], scale[:3], rtol=1e-5)
    assert fit.scale[3] is None, "a channel that does not vary has no scale"
    np.testing.assert_allclose(fit.shift, shift / 2, atol=1e-5)
    np.testing.assert_allclose(fit.error, np.abs(scale * r + shift - r).max((0, 1)) / 2, rtol=1e-5)


def test_of_many_channels_the_worst_are_kept(rng):
    r = rng.normal(size=(3, CHANNELS + 50))
    c = r.copy()
    c[1, 7], c[2, -1] = math.inf, 9.0
    fit = channel_fit(r, c, 1.0)
    assert len(fit.index) == CHANNELS
    assert fit.count == CHANNELS + 50
    assert {7, CHANNELS + 49} <= set(fit.index)
    assert list(fit.index) == sorted(fit.index)
    assert fit.error[fit.index.index(7)] is None


@pytest.mark.parametrize("shape", [(), (7,), (1000,), (3, 400), (5, 6, 7), (300, 2, 300), (8, 8, 2), (2, 3, 4, 5)])
def test_a_line_is_the_part_that_it_says(shape, rng):
    sample = rng.normal(size=shape)
    at = int(rng.integers(max(sample.size, 1)))
    found = excerpt("x", sample, at)
    part = eval(f"sample{found.where}")  # noqa: S307 - an index made above
    np.testing.assert_allclose(np.ravel(part), found.values, rtol=1e-5)
    assert len(found.values) <= VALUES
    assert any(math.isclose(value, sample.reshape(-1)[at], rel_tol=1e-5) for value in found.values)
    assert (found.size, found.pixels, found.shape) == ((), "", shape)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [4, PIXELS, 3 * PIXELS + 1])
def test_a_picture_is_the_image_itself(channels, side, rng):
    sample = rng.integers(0, 256, (side, side + 1, channels)).astype("float32")
    sample[0, 0, 0], sample[-1, -1, -1] = 0, 255
    found = excerpt("x", sample, 0)
    address = png_address(*found.size, found.pixels)
    decoded = tf.io.decode_png(tf.io.decode_base64(address.partition(",")[2].translate({43: 45, 47: 95}))).numpy()
    np.testing.assert_array_equal(decoded, eval(f"sample{found.where}"))  # noqa: S307
    assert max(found.size[:2]) <= PIXELS
    assert (found.low, found.high) == (0, 255)


def test_weights_by_channel_show_the_scale_that_was_lost(rng):
    kernel = rng.normal(size=(3, 3, 5, 4))
    scale = ARRAY([1.0, 0.5, -1.0, 0.0])
    expected, found = channel_weights(kernel, kernel * scale, (-1,))
    np.testing.assert_allclose(expected, np.linalg.norm(kernel.reshape(-1, 4), axis=0), rtol=1e-5)
    np.testing.assert_allclose(found, scale * expected, atol=1e-5)
    transposed, found = channel_weights(kernel.swapaxes(2, 3), (kernel * scale).swapaxes(2, 3), (-2,))
    assert transposed == expected
    np.testing.assert_allclose(found, scale * expected, atol=1e-5)
    depthwise = channel_weights(kernel, kernel, (-2, -1))
    np.testing.assert_allclose(depthwise[0], np.linalg.norm(kernel.reshape(9, 20), axis=0), rtol=1e-5)
    assert channel_weights(ARRAY([1.0, -2.0]), ARRAY([0.0, 3.0]), (-1,)) == ((1.0, -2.0), (0.0, 3.0))
    assert channel_weights(np.zeros((2, 1)), ARRAY([[3.0], [4.0]]), (-1,)) == ((0.0,), (5.0,))


LIMITS = st.floats(-1e9, 1e9, allow_nan=False)


@settings(max_examples=300, deadline=None)
@given(LIMITS, st.floats(1e-9, 1e9), st.integers(3, 12), st.booleans())
def test_ticks_are_inside_distinct_and_what_they_say(low, width, most, whole):
    high = low + max(width, abs(low) * 1e-6, 3.0 * whole)
    axis = Axis(low, high, 10, 90, most=most, whole=whole)
    ticks = axis.ticks()
    slack = (high - low) * 1e-6
    assert all(low - slack <= value <= high + slack for value, _ in ticks)
    assert len({label for _, label in ticks}) == len(ticks) <= most + 2
    assert all(abs(float(label) - value) <= slack for value, label in ticks)
    assert not whole or all(float(label).is_integer() for _, label in ticks)
    assert len(ticks) >= 2
    assert (axis.at(low), axis.at(high)) == pytest.approx((10, 90))
    assert axis.at(high + 1) == axis.at(high)


@given(st.integers(-30, 20), st.integers(1, 40), st.integers(2, 8))
def test_decades_are_ticks_of_a_logarithmic_axis(first, count, most):
    axis = Axis(10.0**first, 10.0 ** (first + count), 0, 1, log=True, most=most)
    ticks = axis.ticks()
    assert 2 <= len(ticks) <= most + 1
    assert all(math.isclose(float(label), value, rel_tol=1e-9) for value, label in ticks)
    np.testing.assert_allclose([axis.at(value) for value, _ in ticks], np.arange(len(ticks)) * (axis.at(ticks[1][0])))


def test_small_things():
    assert around([1.0, math.inf, math.nan], at_least=(0.0, 0.5)) == (-0.06, 1.06)
    assert [times(value) for value in (1.072, 55.31, 19_612.0, math.inf)] == ["1.07x", "55.3x", "19,600x", "infinitely"]
    assert short("relu") == "relu"
    assert short("model/stage_3_convolution_with_a_long_name").startswith("model/stage_3_c"[:13])
    assert short("a" * 50 + "_77").endswith("_77")
    assert len(short("a" * 90)) == 28


@pytest.mark.parametrize("kind", ["equal", "constant", "not finite", "one number", "far off", "empty spread"])
def test_whatever_the_outputs_are_they_can_be_drawn(kind, rng):
    r = rng.normal(size=(3, 6))
    c = r.copy()
    if kind == "constant":
        r, c = np.zeros((3, 6)), np.ones((3, 6))
    elif kind == "not finite":
        c[:, 2:4] = ARRAY([math.nan, math.inf])
    elif kind == "one number":
        r, c = r[:1, :1], c[:1, :1] + 1e-3
    elif kind == "far off":
        c *= 1e30
    elif kind == "empty spread":
        r = np.full((3, 6), math.nan)
    made = picture(r, c, 0, 5, [("x", rng.normal(size=4))])
    for tolerance in (2e-5, None, 0.0):
        drawn = value_chart(made.values) + error_chart(made.errors, tolerance) + channel_chart(made.channels, tolerance)
        assert drawn.count("<svg") == 3
        assert not [word for word in ("nan", "inf", "None") if f'"{word}' in drawn]
    assert made.worst.index == 5


@pytest.mark.parametrize("weight", ["kernel", "bias"])
def test_weights_that_are_not_finite_can_be_drawn(weight):
    for expected, found in (((1.0, 0.0, None), (None, 2.0, 1.0)), ((1.0,), (1.0,)), ((None,), (None,))):
        assert "nan" not in weight_chart(expected, found, weight)
