"""Recurrent layers: every form of them goes through fold, export and verify; a wrong one does not."""

import numpy as np
import pytest

from kerasbn.errors import ConversionError
from kerasbn_export import export_tflite, fold, verify
from kerasbn_export.verification.records import Status

STEPS, FEATURES = 4, 3
SEQUENCES = {"return_sequences": True}
GROUPS = {
    "lstm": lambda L, x: [
        L.LSTM(3)(x),
        L.LSTM(3, go_backwards=True, use_bias=False, **SEQUENCES)(x),
        L.LSTM(3)(L.LSTM(3, unroll=True, **SEQUENCES)(x)),
    ],
    "gru": lambda L, x: [
        L.GRU(3, reset_after=True)(x),
        L.GRU(3, reset_after=False, go_backwards=True)(x),
        L.GRU(3)(L.GRU(3, dropout=0.3, recurrent_dropout=0.2, **SEQUENCES)(x)),
    ],
    "cells": lambda L, x: [
        L.SimpleRNN(3, activation="relu", **SEQUENCES)(x),
        L.RNN(L.LSTMCell(3))(x),
        L.RNN(L.StackedRNNCells([L.GRUCell(3), L.LSTMCell(2)]))(x),
    ],
    "both ways": lambda L, x: [
        *(L.Bidirectional(L.LSTM(3, **SEQUENCES), merge_mode=mode)(x) for mode in ("concat", "sum", "mul", "ave")),
        *L.Bidirectional(L.GRU(3), merge_mode=None)(x),
    ],
    "states": lambda L, x: [
        L.LSTM(3)(x, initial_state=L.LSTM(3, return_state=True)(x)[1:]),
        L.GRU(3)(L.Masking(0.0)(x)),
    ],
    "several calls": lambda L, x: (lambda shared: [shared(x), shared(L.Activation("tanh")(x))])(L.GRU(3)),
}  # fmt: skip


def sequences(count=6):
    return np.random.default_rng(1).normal(size=(count, STEPS, FEATURES)).astype("float32")


def randomise(model, seed=0):
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            n = int(layer.gamma.shape[0])
            layer.set_weights([rng.choice([-1, 1], n) * rng.uniform(0.5, 1.5, n), *rng.normal(size=(2, n)), 10 ** rng.uniform(-1, 1, n)])  # fmt: skip
        else:
            layer.set_weights([rng.normal(scale=0.6, size=array.shape) for array in layer.get_weights()])
    return model


def built(flavour, body, *, batch=None):
    """A convolution and a BatchNorm, which goes forward into what the body makes of it; an output for each."""
    layers = flavour.keras.layers
    x = flavour.keras.Input(batch_shape=(batch, STEPS, FEATURES), name="x")
    y = layers.BatchNormalization()(layers.Conv1D(FEATURES, 2, padding="causal")(x))
    return randomise(flavour.keras.Model(x, body(layers, y)))


def flat(values):
    return values if isinstance(values, list) else [values]


@pytest.mark.parametrize("group", GROUPS)
def test_float_files_are_equal(keras_flavour, tmp_path, group):
    model = built(keras_flavour, GROUPS[group])
    folded = fold(model)
    for exact, found in zip(flat(model(sequences())), flat(folded.model(sequences())), strict=True):
        assert np.allclose(exact, found, atol=1e-5)
    assert all(verdict.gone for verdict in folded.verdicts)
    result = export_tflite(model, tmp_path / "m.tflite")
    assert result.notes == ()
    for data in (sequences(), None):
        assert verify(model, result.path, data=data).status is Status.EQUAL


@pytest.mark.parametrize("group", GROUPS)
def test_int8_files_are_unrolled_and_equal(keras_flavour, tmp_path, group):
    model = built(keras_flavour, GROUPS[group])
    result = export_tflite(model, tmp_path / "m.tflite", precision="int8", calibration=sequences(32), best=False)
    assert {"WHILE", "UNIDIRECTIONAL_SEQUENCE_LSTM"}.isdisjoint(result.ops)
    assert f"({STEPS} steps)" in result.notes[0]
    report = verify(model, result.path, data=sequences(8))
    assert report.status is Status.EQUAL
    assert min(output.measurement.sqnr_db for output in report.outputs) > 20.0
