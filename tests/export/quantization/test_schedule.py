"""The course of a training: what freezes when, and that the file is still the model."""

from itertools import pairwise

import numpy as np
import pytest
from kerasbn_testing.tuning import every_place, images, steps_apart, train

from kerasbn.errors import InvalidArgumentError
from kerasbn.quantized.ranges import RangeMixin
from kerasbn_export import export_tflite, quantization_schedule, quantize_aware


def states(tuned):
    """The moving statistics and the ranges."""
    norms = [layer for layer in tuned.layers if "BatchNorm" in type(layer).__name__]
    statistics = np.concatenate([np.ravel(w) for layer in norms for w in (layer.moving_mean, layer.moving_variance)])
    ranges = np.concatenate([layer.range for layer in tuned.layers if isinstance(layer, RangeMixin)])
    return statistics, ranges, np.concatenate([np.ravel(layer.gamma) for layer in norms])


@pytest.mark.parametrize("ranges", [pytest.param("ema", marks=pytest.mark.sweep), "learned"])
def test_statistics_freeze_then_ranges_and_gamma_goes_on(keras_flavour, rng, tmp_path, ranges):
    x = images(rng)
    tuned = quantize_aware(every_place(keras_flavour, rng), x, bn="live", ranges=ranges)
    seen = []
    recorder = keras_flavour.keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: seen.append(states(tuned)))
    train(tuned, x, rng, epochs=5, callbacks=[quantization_schedule(tuned, x), recorder])
    statistics, ends, gammas = zip(*seen, strict=True)
    moved = [[not np.array_equal(a, b) for a, b in pairwise(each)] for each in (statistics, ends, gammas)]
    assert moved[0] == [True, True, False, False]  # frozen in the middle of the third epoch
    assert moved[1] == [True, True, True, False]  # frozen as the fifth begins
    assert moved[2] == [True, True, True, True]
    export_tflite(tuned, tmp_path / "m.tflite")
    assert steps_apart(tmp_path / "m.tflite", tuned, x) <= 1


def test_without_ranges_there_is_no_course(keras_flavour, rng):
    with pytest.raises(InvalidArgumentError, match="a model of quantize_aware"):
        quantization_schedule(every_place(keras_flavour, rng))
