"""Rule 13: the form of what is left goes by what is cheapest, and is the same function."""

import pytest
from kerasbn_testing.judging import assert_folds, relative_error, run
from kerasbn_testing.statistics import data_for, randomise

from kerasbn_export import export_tflite
from kerasbn_export.folding.fold import fold

pytestmark = pytest.mark.quick


def rescaled(keras, scale, offset, padding="same"):
    inputs = keras.Input((6, 5, 3))
    x = keras.layers.Rescaling(scale, offset)(inputs)
    return keras.Model(inputs, keras.layers.Conv2D(4, 3, padding=padding)(x))


def of_one_channel(keras):
    inputs = keras.Input((6, 5, 1))
    x = keras.layers.BatchNormalization(name="bn")(inputs)
    return keras.Model(inputs, keras.layers.Conv2D(4, 3, padding="same")(x))


CASES = {
    "one number for all channels": ((1 / 127.5, -1.0), {"ADD": 1, "CONV_2D": 1}),
    "a number for each": (([0.1, 0.2, 0.3], [1.0, -2.0, 3.0]), {"DEPTHWISE_CONV_2D": 1, "CONV_2D": 1}),
    "nothing is padded": ((1 / 127.5, -1.0, "valid"), {"CONV_2D": 1}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_rescaling_before_padding(keras_flavour, rng, tmp_path, case):
    arguments, ops = CASES[case]
    model = rescaled(keras_flavour.keras, *arguments)
    randomise(model, rng)
    data = data_for(model, rng)
    assert relative_error(run(fold(model).model, data), run(model, data)) < 2e-6
    assert export_tflite(model, tmp_path / "m.tflite").ops == ops


def test_a_batchnorm_of_one_channel_becomes_one_addition(keras_flavour, rng, tmp_path):
    model = of_one_channel(keras_flavour.keras)
    randomise(model, rng)
    model.get_layer("bn").gamma.assign([-1.3])
    judged = assert_folds(model, data_for(model, rng), kept=["bn"], float64=1e-7)
    assert judged.verdicts["bn"].ops_after == 1
    assert export_tflite(model, tmp_path / "m.tflite").ops == {"ADD": 1, "CONV_2D": 1}
