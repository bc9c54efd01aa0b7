"""A SPLIT that the converter leaves in float by chance: the converter is asked again."""

import pytest
import tensorflow as tf

from kerasbn_export import export_tflite
from kerasbn_export.conversion import splits
from kerasbn_export.conversion.splits import TRIES, asked_again, splits_in_float
from kerasbn_export.tflite.file import read_tflite


def answers(monkeypatch, *left):
    """A converter whose files have so many SPLITs in float, the last one ever after; and what was asked."""
    asked = []

    def make():
        asked.append(left[min(len(asked), len(left) - 1)])
        return bytes([asked[-1], len(asked)])

    monkeypatch.setattr(splits, "splits_in_float", lambda content: content[0])
    return make, asked


@pytest.mark.parametrize(
    ("left", "count", "taken"),
    [((0, 1), 1, 0), ((1, 1, 0), 3, 0), ((3, 2, 4), TRIES, 2)],
)
def test_it_is_asked_until_there_is_none(monkeypatch, left, count, taken):
    make, asked = answers(monkeypatch, *left)
    assert asked_again(make)[0] == taken
    assert len(asked) == count


@pytest.mark.either_keras
def test_no_file_of_a_loop_has_one(keras_flavour, rng, tmp_path):
    """Nothing reads the forget gate of the first step."""
    inputs = keras_flavour.keras.Input((4, 3))
    layers = keras_flavour.keras.layers
    model = keras_flavour.keras.Model(inputs, layers.Dense(2)(layers.LSTM(3)(inputs)))
    data = rng.normal(size=(16, 4, 3)).astype("float32")
    for _ in range(3):
        result = export_tflite(model, tmp_path / "m.tflite", precision="int8", calibration=data, best=False)
        assert "SPLIT" in {op.name for op in read_tflite(tmp_path / "m.tflite").ops}
        assert "SPLIT" not in result.float_ops_left
        assert splits_in_float((tmp_path / "m.tflite").read_bytes()) == 0


def test_splits_of_a_float_file_are_counted():
    @tf.function(input_signature=[tf.TensorSpec((1, 4))])
    def halves(x):
        first, last = tf.split(x, 2, axis=1)
        return first * 2.0 + tf.nn.relu(last)

    converter = tf.lite.TFLiteConverter.from_concrete_functions([halves.get_concrete_function()])
    assert splits_in_float(converter.convert()) == 1
