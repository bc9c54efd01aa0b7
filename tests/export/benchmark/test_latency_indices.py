"""Files whose inputs are indices can be timed, whatever the table's size."""

import numpy as np
import pytest

from kerasbn_export.benchmark.latency import _input, compare_latency
from kerasbn_export.export.tflite import export_tflite


@pytest.mark.either_keras
@pytest.mark.parametrize("rows", [2, 256])
def test_an_embedding_is_timed(keras_flavour, tmp_path, rows):
    layers = keras_flavour.keras.layers
    tokens = keras_flavour.keras.Input((9,), dtype="int32", name="tokens")
    x = layers.Dense(3, name="logits")(layers.Embedding(rows, 4, name="embedding")(tokens))
    path = tmp_path / "m.tflite"
    export_tflite(keras_flavour.keras.Model(tokens, x), path)
    (found,) = compare_latency([path], rounds=2)
    assert found.milliseconds > 0


@pytest.mark.parametrize(("dtype", "low", "high"), [("int8", -128, 127), ("uint8", 0, 127), ("int16", -128, 127)])
def test_quantised_inputs_take_their_range(rng, dtype, low, high):
    values = _input({"shape": [10_000], "dtype": dtype}, rng)
    assert values.dtype == dtype
    assert low <= values.min() < low + 9
    assert high - 9 < values.max() <= high


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint32"])
def test_other_integers_may_be_indices(rng, dtype):
    values = _input({"shape": [50], "dtype": dtype}, rng)
    assert values.dtype == np.dtype(dtype)
    assert set(values) == {0, 1}
