"""What a grid cannot hold, in numbers."""

import numpy as np
import pytest

from kerasbn_export.tflite.quantization import Quantization
from kerasbn_export.verification.records.clipping import ClippingWatch

GRID = Quantization(0.1, 0, "int8")


def watched(right, found, activation="NONE", min_sqnr=15.0, grid=GRID):
    watch = ClippingWatch(grid, activation)
    for r, f in zip(right, found, strict=True):
        watch.update(r, f)
    return watch.result(min_sqnr)


@pytest.fixture
def values(rng):
    return rng.normal(scale=30.0, size=(3, 200))


def test_values_outside_are_counted(values):
    found = watched(values, GRID.restore(GRID.store(values)))
    outside = np.clip(values, -12.8, 12.7) - values
    assert found.share == pytest.approx(np.mean(np.abs(outside) > 0.2))
    assert found.sqnr_db == pytest.approx(10 * np.log10(np.sum(values**2) / np.sum(outside**2)))
    assert found.held == pytest.approx((-12.8, 12.7))
    assert found.reached == (values.min(), values.max())
    assert found.times == pytest.approx(np.abs(outside).max() / 0.2)


def test_little_noise_is_none(values):
    small = values / 10
    assert np.abs(small).max() > 8
    assert watched(1.5 * small, GRID.restore(GRID.store(1.5 * small))) is None
    assert watched(values, GRID.restore(GRID.store(values)), min_sqnr=1.0) is None
    assert watched(values, GRID.restore(GRID.store(values)), min_sqnr=None) is None


def test_values_that_were_moved_are_not_clipped(values):
    """A fold that moves a scale over the layer gives other numbers on purpose, and a range for those."""
    assert watched(values, values / 20) is None
    assert watched(values, -values / 20) is None


@pytest.mark.parametrize(("activation", "low", "high"), [("RELU", 0, np.inf), ("RELU6", 0, 6), ("RELU_N1_TO_1", -1, 1)])
def test_an_activation_in_the_operation_clips_on_purpose(values, activation, low, high):
    grid = Quantization(max(1.0, values.max() / 255) if high == np.inf else (high - low) / 255, -128, "int8")
    grid = Quantization(grid.scale, 0 if low else -128, "int8")
    found = grid.restore(grid.store(np.clip(values, low, high)))
    assert watched(values, found, activation, grid=grid) is None
    assert watched(values, found, grid=grid) is not None
