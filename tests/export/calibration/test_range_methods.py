"""The formulas of ranges against brute force, on histograms made by hand."""

import numpy as np
import pytest

from kerasbn_export.calibration.ranges.entropy import THRESHOLDS, entropy_range
from kerasbn_export.calibration.ranges.histogram import BINS, Counting, Histogram
from kerasbn_export.calibration.ranges.methods import METHODS, methods_for
from kerasbn_export.calibration.ranges.percentile import SHARE, percentile_range
from kerasbn_export.calibration.ranges.squared_error import FRACTIONS, squared_error_range

CASES = {
    "two sides": (-2.0, 6.0, [1, 0, 9, 40, 80, 30, 12, 3, 0, 1, 0, 0, 0, 0, 0, 1], 7),
    "one side": (0.0, 4.0, [90, 70, 50, 30, 10, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1], 200),
    "below zero": (-8.0, 0.0, [1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 10, 30, 60, 90, 100], 0),
    "flat": (-1.0, 1.0, [10] * 16, 0),
    "a constant": (0.0, 3.0, [0] * 15 + [50], 0),
    "zeros alone": (0.0, 1.0, [0] * 16, 50),
    "two heaps": (0.0, 16.0, [50, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 50], 3),
}


def histogram(low, high, counts, zeros):
    return Histogram(low, high, np.array(counts, np.int64), zeros)


@pytest.fixture(params=CASES)
def case(request):
    return histogram(*CASES[request.param])


def counted(values, expected=None):
    counting = Counting(np.ptp(values) if expected is None else expected)
    counting.add(values)
    return counting


def test_values_are_counted_as_numpy_counts_them(rng):
    values = rng.normal(size=(5, 7, 9)).astype("float32")
    values[:, :3] = 0
    counting = Counting(8.0)
    for part in values:
        counting.add(part)
    made = counting.histogram
    exact = np.histogram(values[values != 0], made.edges)[0]
    assert made.zeros == 5 * 3 * 9
    assert np.abs(made.counts - exact).sum() <= 2  # a value at an end may fall to either side
    assert (counting.smallest, counting.largest) == (values.min(), values.max())
    assert 0.0 in made.edges


@pytest.mark.parametrize("sign", [1, -1])
def test_bins_get_wider_where_values_lie_beyond(sign, rng):
    parts = [sign * rng.normal(size=999) * scale for scale in (1, 3, 40, 0.1)]
    counting = Counting(0.5)
    for part in parts:
        counting.add(part)
    made, whole = counting.histogram, np.concatenate(parts)
    assert BINS / 2 - 2 <= len(made.counts) <= BINS
    assert made.counts.sum() == whole.size
    assert made.low <= counting.smallest == whole.min() <= whole.max() == counting.largest <= made.high
    assert np.abs(made.counts - np.histogram(whole, made.edges)[0]).sum() <= 4
    assert np.min(np.abs(made.edges)) <= 1e-9 * made.high


def test_what_is_not_finite_is_in_no_bin():
    counting = counted(np.array([np.nan, -np.inf, np.inf, 1.0, -2.0, 0.0]), 3.0)
    assert (counting.smallest, counting.largest, counting.histogram.counts.sum()) == (-2.0, 1.0, 2)
    assert counting.histogram.zeros == 1


def brute_percentile(made):
    edges, total = made.edges, made.counts.sum()
    bins = list(zip(edges[:-1], edges[1:], made.counts, strict=True))
    if not total:
        return made.low, made.high
    highs = [edge for edge in edges if sum(n for _, top, n in bins if top <= edge) >= SHARE * total]
    lows = [edge for edge in edges if sum(n for base, _, n in bins if base >= edge) >= SHARE * total]
    return min(0.0, max(lows)), max(0.0, min(highs))


def test_percentile_is_the_narrowest_that_holds_so_many(case):
    assert percentile_range(case, 255) == pytest.approx(brute_percentile(case))


@pytest.mark.parametrize(("outliers", "cut"), [(1, True), (3, False)])
def test_one_in_ten_thousand_is_cut_off_and_three_are_not(outliers, cut):
    counts = np.zeros(100, np.int64)
    counts[:10], counts[-1] = 2000, outliers
    low, high = percentile_range(Histogram(0.0, 100.0, counts), 255)
    assert (low, high) == (0.0, 10.0 if cut else 100.0)


def brute_squared_error(made, steps, low, high):
    error, step = 0.0, (high - low) / steps
    for centre, count in zip(made.centres, made.counts, strict=True):
        beyond = max(low - centre, centre - high, 0.0)
        error += count * (beyond**2 if beyond else step**2 / 12)
    return error


@pytest.mark.parametrize("steps", [7, 255])
def test_squared_error_is_the_least_of_all_pairs(case, steps):
    found = squared_error_range(case, steps)
    ends = [[end * fraction for fraction in FRACTIONS[:48]] if end else [0.0] for end in (case.low, case.high)]
    least = min(brute_squared_error(case, steps, low, high) for low in ends[0] for high in ends[1])
    assert found[0] in case.low * FRACTIONS
    assert found[1] in case.high * FRACTIONS
    assert brute_squared_error(case, steps, *found) <= least * (1 + 1e-9) + 1e-12


def noise(values, low, high, steps):
    step = (high - low) / steps
    zero = np.round(-low / step)
    stored = np.clip(np.round(values / step) + zero, 0, steps)
    return float(np.mean((values - (stored - zero) * step) ** 2))


@pytest.mark.parametrize("draw", ["laplace", "normal", "relu", "student"])
def test_squared_error_gives_the_least_noise_that_real_rounding_has(draw, rng):
    values = {
        "laplace": rng.laplace(size=50_000),
        "normal": rng.normal(size=50_000),
        "relu": np.maximum(rng.laplace(size=50_000), 0),
        "student": np.clip(rng.standard_t(3, size=50_000), -40, 60),
    }[draw]
    made = counted(values).histogram
    found = noise(values, *squared_error_range(made, 255), 255)
    others = [noise(values, made.low * a, made.high * b, 255) for a in FRACTIONS[:60:4] for b in FRACTIONS[:60:4]]
    assert found <= 1.03 * min(others)
    assert found <= noise(values, made.low, made.high, 255) * (0.98 if draw in ("normal", "student") else 1)


def brute_entropy(made, steps):
    edges, best, found = made.edges, np.inf, (made.low, made.high)
    for threshold in THRESHOLDS * max(-made.low, made.high):
        window = [b for b in range(16) if edges[b + 1] > -threshold and edges[b] < threshold]
        if len(window) < steps:
            break
        inside = [float(made.counts[b]) for b in window]
        p = list(inside)
        p[0] += sum(made.counts[: window[0]])
        p[-1] += sum(made.counts[window[-1] + 1 :])
        q = [0.0] * len(p)
        for step in range(steps):
            mine = [i for i in range(len(p)) if i * steps // len(p) == step]
            there = [i for i in mine if p[i] > 0]
            for i in there:
                q[i] = sum(inside[j] for j in mine) / len(there)
        if not sum(p) or any(a and not b for a, b in zip(p, q, strict=True)):
            continue
        terms = [a / sum(p) * np.log(a / sum(p) / (b / sum(q))) for a, b in zip(p, q, strict=True) if a]
        if sum(terms) < best - 1e-15:
            best, found = sum(terms), (min(0.0, edges[window[0]]), max(0.0, edges[window[-1] + 1]))
    return found


@pytest.mark.parametrize("steps", [2, 4, 7])
def test_entropy_is_the_least_of_all_windows(case, steps):
    assert entropy_range(case, steps) == pytest.approx(brute_entropy(case, steps))


def test_entropy_cuts_off_a_far_outlier(rng):
    values = np.concatenate([rng.normal(size=100_000), [25.0]])
    made = counted(values).histogram
    low, high = entropy_range(made, 255)
    assert -4.0 < low < -3.0
    assert 3.0 < high < 4.0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("steps", [15, 255, 32767])
def test_a_range_is_never_wider_and_holds_zero(method, steps, case):
    low, high = METHODS[method](case, steps)
    assert case.low <= low <= 0 <= high <= case.high
    assert low < high


def test_a_tensor_of_rare_values_keeps_them():
    counts = np.zeros(100, np.int64)
    counts[40:90] = 1
    assert percentile_range(Histogram(0.0, 100.0, counts, zeros=10**7), 255) == (0.0, 90.0)


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_keeps_its_range(method):
    assert METHODS[method](histogram(*CASES["a constant"]), 255) == (0.0, 3.0)


def test_entropy_has_no_meaning_where_the_grid_is_finer_than_the_bins():
    assert methods_for("int8") == ("minmax", "percentile", "mse", "entropy")
    assert methods_for("int16x8") == ("minmax", "percentile", "mse")
