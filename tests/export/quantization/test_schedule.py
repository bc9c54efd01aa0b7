"""The course of a training: what freezes when, and that the file is still the model."""

from itertools import pairwise

import numpy as np
import pytest
from kerasbn_testing.tuning import every_place, images, small, steps_apart, train

from kerasbn.errors import InvalidArgumentError
from kerasbn.quantized.ranges import RangeMixin
from kerasbn_export import export_tflite, quantization_schedule, quantize_aware, verify

pytestmark = pytest.mark.either_keras


def states(tuned):
    """The moving statistics and the ranges."""
    norms = [layer for layer in tuned.layers if "BatchNorm" in type(layer).__name__]
    statistics = np.concatenate([np.ravel(w) for layer in norms for w in (layer.moving_mean, layer.moving_variance)])
    ranges = np.concatenate([layer.range for layer in tuned.layers if isinstance(layer, RangeMixin)])
    return statistics, ranges, np.concatenate([np.ravel(layer.gamma) for layer in norms])


@pytest.mark.sweep
@pytest.mark.parametrize("ranges", ["ema", "learned"])
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


@pytest.mark.sweep
@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")  # Keras: fewer weights are trained
@pytest.mark.parametrize("ranges", ["ema", "learned"])
def test_frozen_ranges_are_saved_and_exported(keras_flavour, rng, tmp_path, ranges):
    """A range that no longer follows is not one that TFLite fixes."""
    x = images(rng, 16)
    tuned = quantize_aware(small(keras_flavour, rng), x, ranges=ranges)
    train(tuned, x, rng, epochs=5, callbacks=[quantization_schedule(tuned)])
    tuned.save(tmp_path / "tuned.keras")
    again = keras_flavour.keras.models.load_model(tmp_path / "tuned.keras")
    before = states_of_ranges(again)
    assert before == states_of_ranges(tuned)
    train(again, x + 3.0, rng)
    assert states_of_ranges(again) == before
    export_tflite(again, tmp_path / "m.tflite")
    assert verify(again, tmp_path / "m.tflite", data=x[:8])


def states_of_ranges(tuned):
    return [layer.range for layer in tuned.layers if isinstance(layer, RangeMixin)]


def test_without_ranges_there_is_no_course(keras_flavour, rng):
    with pytest.raises(InvalidArgumentError, match="a model of quantize_aware"):
        quantization_schedule(every_place(keras_flavour, rng))
