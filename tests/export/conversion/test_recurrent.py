"""Recurrent layers: every form of them goes through fold, export and verify; a wrong one does not."""

from unittest.mock import patch

import numpy as np
import pytest
import tensorflow as tf

from kerasbn.errors import ConversionError
from kerasbn.flavour import TF_KERAS
from kerasbn_export import export_tflite, fold, verify
from kerasbn_export.devices.optional_package import TFLITE_MICRO
from kerasbn_export.verification.faults import QUANTIZED
from kerasbn_export.verification.records.outputs import Status
from kerasbn_export.verification.sides.fresh_state import _states
from kerasbn_export.verification.sides.runtimes import open_file

needs_micro = pytest.mark.skipif(TFLITE_MICRO.tool is None, reason="tflite-micro is not installed")
STEPS, FEATURES = 3, 3
SEQUENCES = {"return_sequences": True}
GROUPS = {
    "lstm": lambda k, x: [
        k.LSTM(3)(x),
        k.LSTM(3, go_backwards=True, use_bias=False, **SEQUENCES)(x),
        k.LSTM(3)(k.LSTM(3, unroll=True, **SEQUENCES)(x)),
    ],
    "gru": lambda k, x: [
        k.GRU(3, reset_after=True)(x),
        k.GRU(3, reset_after=False, go_backwards=True)(x),
        k.GRU(3)(k.GRU(3, dropout=0.3, recurrent_dropout=0.2, **SEQUENCES)(x)),
    ],
    "cells": lambda k, x: [
        k.SimpleRNN(3, activation="relu", **SEQUENCES)(x),
        k.RNN(k.LSTMCell(3))(x),
        k.RNN(k.StackedRNNCells([k.GRUCell(3), k.LSTMCell(2)]))(x),
    ],
    "both ways": lambda k, x: [
        k.Bidirectional(k.LSTM(3, **SEQUENCES), merge_mode="concat")(x),
        k.Bidirectional(k.GRU(3, **SEQUENCES), merge_mode="sum")(x),
        *(k.Bidirectional(k.SimpleRNN(3, **SEQUENCES), merge_mode=mode)(x) for mode in ("mul", "ave")),
        *k.Bidirectional(k.SimpleRNN(3), merge_mode=None)(x),
    ],
    "states": lambda k, x: [
        k.LSTM(3)(x, initial_state=k.LSTM(3, return_state=True)(x)[1:]),
        k.GRU(3)(k.Masking(0.0)(x)),
    ],
    "several calls": lambda k, x: (lambda shared: [shared(x), shared(k.Activation("tanh")(x))])(k.GRU(3)),
}  # fmt: skip


def sequences(count=6):
    return np.random.default_rng(1).normal(size=(count, STEPS, FEATURES)).astype("float32")


def randomise(model, seed=0):
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            n = int(layer.gamma.shape[0])
            gamma, (beta, mean) = rng.choice([-1, 1], n) * rng.uniform(0.5, 1.5, n), rng.normal(size=(2, n))
            layer.set_weights([gamma, beta, mean, 10 ** rng.uniform(-1, 1, n)])
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


@pytest.mark.either_keras
@pytest.mark.sweep
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


@pytest.mark.either_keras
@pytest.mark.sweep
@pytest.mark.parametrize("group", ["lstm", "cells", "both ways"])
def test_int8_files_are_unrolled_and_equal(keras_flavour, tmp_path, group):
    model = built(keras_flavour, GROUPS[group])
    result = export_tflite(model, tmp_path / "m.tflite", precision="int8", calibration=sequences(32), best=False)
    assert {"WHILE", "UNIDIRECTIONAL_SEQUENCE_LSTM"}.isdisjoint(result.ops)
    assert f"({STEPS} steps)" in result.notes[0]
    assert verify(model, result.path, data=sequences(8)).status is Status.EQUAL


def single(flavour, make):
    return built(flavour, lambda k, x: [k.Dense(2)(make(k)(x))])


@pytest.mark.either_keras
def test_conv_lstm(keras_flavour, tmp_path):
    layers = keras_flavour.keras.layers
    x = keras_flavour.keras.Input((STEPS, 4, 4, 2))
    y = layers.ConvLSTM2D(2, 3, padding="same", **SEQUENCES)(layers.BatchNormalization()(x))
    y = layers.ConvLSTM1D(2, 3)(layers.Reshape((STEPS, 16, 2))(layers.BatchNormalization()(y)))
    model = randomise(keras_flavour.keras.Model(x, layers.Dense(2)(layers.Flatten()(y))))
    data = np.random.default_rng(1).normal(size=(8, STEPS, 4, 4, 2)).astype("float32")
    result = export_tflite(model, tmp_path / "m.tflite")
    assert verify(model, result.path, data=data).status is Status.EQUAL
    result = export_tflite(model, tmp_path / "q.tflite", precision="int8", calibration=data, best=False)
    assert "WHILE" not in result.ops
    assert verify(model, result.path, data=data).status is Status.EQUAL


def test_stateful_layers_start_from_zeros_in_a_file_and_keep_their_state_in_the_model(keras_flavour, tmp_path):
    model = built(keras_flavour, lambda k, x: [k.Bidirectional(k.GRU(3, stateful=True))(x)], batch=1)
    data = sequences(3)
    fresh = np.asarray(model(data[:1]))
    assert not np.allclose(fresh, model(data[:1]), atol=1e-3), "the model has no state"
    result = export_tflite(model, tmp_path / "m.tflite")
    assert result.notes == (
        "Stateful in Keras, but every run of the file starts from zeros: Bidirectional 'bidirectional'.",
    )
    states = [np.array(state) for state in _states(model)]
    assert verify(model, result.path, data=data).status is Status.EQUAL
    assert verify(model, result.path).status is Status.EQUAL
    assert states
    assert all(np.array_equal(*pair) for pair in zip(states, _states(model), strict=True))
    assert verify(model, fold(model).model, data=data).status is Status.EQUAL


@pytest.mark.parametrize("backend", ["builtin", pytest.param("micro", marks=needs_micro)])
def test_every_run_of_a_file_starts_from_a_fresh_state(tmp_path, backend):
    model = single(TF_KERAS, lambda k: k.LSTM(3))
    result = export_tflite(model, tmp_path / "m.tflite")
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM" in result.ops
    runner = open_file(result.path.read_bytes(), "m.tflite", backend)
    one, other = sequences(2)[:1], sequences(2)[1:]
    first = runner.run([one])[0]
    runner.run([other])
    assert np.array_equal(runner.run([one])[0], first)


def test_layers_with_one_zero_state_do_not_share_it(tmp_path):
    """The converter gives the GRU the state of the LSTM."""
    model = built(TF_KERAS, lambda k, x: [k.GRU(3)(k.LSTM(3, **SEQUENCES)(x))])
    with patch("kerasbn_export.conversion.convert.mended", lambda data: data):
        stock = export_tflite(model, tmp_path / "stock.tflite")
    assert verify(model, stock.path, data=sequences()).status is Status.DIFFERS
    result = export_tflite(model, tmp_path / "m.tflite")
    assert verify(model, result.path, data=sequences()).status is Status.EQUAL


@pytest.mark.either_keras
@pytest.mark.sweep
@pytest.mark.parametrize("form", ["plain", "both ways"])
def test_the_cell_of_an_lstm_is_not_clipped(keras_flavour, form, tmp_path):
    """The converter clips the fused one at 10. With gates that stay open the cell goes to 14, and back to 0."""
    layers, keras = keras_flavour.keras.layers, keras_flavour.keras
    x = keras.Input((40, 2))
    lstm = layers.LSTM(3)
    y = lstm(x) if form == "plain" else layers.Bidirectional(lstm)(x)
    model = keras.Model(x, layers.Dense(2)(y))
    for layer in model.layers[1:]:
        layer.set_weights([_open_gates(array) for array in layer.get_weights()])
    forth = np.random.default_rng(0).uniform(0.5, 1.0, (4, 20, 2))
    data = np.concatenate([forth, -forth * np.linspace(0.9, 1.1, 4)[:, None, None]], axis=1).astype("float32")
    with patch("kerasbn_export.conversion.convert.mended", lambda data: data):
        stock = export_tflite(model, tmp_path / "stock.tflite")
    clips = "UNIDIRECTIONAL_SEQUENCE_LSTM" in stock.ops
    assert bool(verify(model, stock.path, data=data)) is not clips
    assert clips is (keras_flavour == TF_KERAS)
    result = export_tflite(model, tmp_path / "m.tflite")
    assert verify(model, result.path, data=data).status is Status.EQUAL


def _open_gates(array):
    """Weights with which an LSTM adds its input to its cell at every step; any other as it is."""
    if array.shape == (12,):
        return np.concatenate([np.full(6, 8.0), np.zeros(3), np.full(3, 4.0)])
    if array.shape == (2, 12):
        return np.concatenate([np.zeros((2, 6)), np.full((2, 3), 0.7), np.zeros((2, 3))], axis=1)
    return 0 * array if array.shape == (3, 12) else array


@pytest.mark.either_keras
def test_what_is_reversed_and_joined_keeps_its_numbers_in_int8(keras_flavour, tmp_path):
    layers, keras = keras_flavour.keras.layers, keras_flavour.keras
    x = keras.Input((STEPS, FEATURES))
    turned = (keras.ops.flip if hasattr(keras, "ops") else tf.reverse)(layers.Dense(3)(x), [1])
    model = randomise(keras.Model(x, layers.Dense(2)(layers.Concatenate()([layers.Dense(3)(x), turned]))))
    first = model.layers[1]
    first.set_weights([0.05 * array for array in first.get_weights()])
    options = {"precision": "int8", "calibration": sequences(32), "best": False}
    with patch("kerasbn_export.conversion.convert.mended", lambda data: data):
        stock = export_tflite(model, tmp_path / "stock.tflite", **options)
    result = export_tflite(model, tmp_path / "m.tflite", **options)
    assert verify(model, stock.path, data=sequences(8)).status is Status.DIFFERS
    assert verify(model, result.path, data=sequences(8)).status is Status.EQUAL


def test_a_tensor_that_is_not_shown_is_no_error(keras_flavour, tmp_path):
    """Of the parts of a split that nothing takes the interpreter has no data."""
    layers, keras = keras_flavour.keras.layers, keras_flavour.keras
    x = keras.Input((8,))
    first = (keras.ops.split if hasattr(keras, "ops") else tf.split)(layers.Dense(8)(x), 2, axis=-1)[0]
    model = randomise(keras.Model(x, layers.Dense(2)(first)))
    result = export_tflite(model, tmp_path / "m.tflite")
    assert verify(model, result.path).status is Status.EQUAL


def wrong(model, name, change):
    """Change a weight of the recurrent layer; its name."""
    layer = model.layers[-2]
    weights = layer.get_weights()
    place = [variable.name.split("/")[-1].split(":")[0] for variable in layer.weights].index(name)
    weights[place] = change(weights[place])
    layer.set_weights(weights)
    return layer.name


@pytest.mark.either_keras
@pytest.mark.sweep
@pytest.mark.parametrize(
    ("make", "weight", "change"),
    [
        (lambda k: k.LSTM(3), "recurrent_kernel", lambda w: w + 1e-2 * np.eye(*w.shape)),
        (lambda k: k.GRU(3, unroll=True), "bias", np.zeros_like),
        (lambda k: k.Bidirectional(k.SimpleRNN(3)), "kernel", lambda w: w[::-1]),
    ],
)
def test_a_wrong_recurrent_file_is_caught_and_its_layer_named(keras_flavour, tmp_path, make, weight, change):
    model = single(keras_flavour, make)
    other = keras_flavour.keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    name = wrong(other, weight, change)
    result = export_tflite(other, tmp_path / "m.tflite")
    report = verify(model, result.path, data=sequences())
    assert report.status is Status.DIFFERS
    assert name in report.first_divergence.suspects


@pytest.mark.either_keras
def test_a_loop_that_cannot_be_quantized_is_refused_by_name(keras_flavour, tmp_path):
    keras = keras_flavour.keras
    x = keras.Input((None, 4, 1))
    model = keras.Model(x, keras.layers.ConvLSTM1D(2, 3, name="endless")(x))
    data = np.random.default_rng(1).normal(size=(4, STEPS, 4, 1)).astype("float32")
    with pytest.raises(ConversionError, match=r"ConvLSTM1D 'endless'.*'dynamic', 'float16' and 'float32'"):
        export_tflite(model, tmp_path / "m.tflite", precision="int8", calibration=data)
    result = export_tflite(model, tmp_path / "m.tflite", precision="dynamic")
    assert verify(model, result.path, data=data).status is Status.EQUAL


@pytest.mark.either_keras
@pytest.mark.sweep
@pytest.mark.parametrize(
    "fault", ["quantised bias dropped", "one channels scale off by a percent", "calibrated on too little"]
)
def test_one_wrong_step_of_many_is_caught_in_int8(keras_flavour, tmp_path, fault):
    """The noise of the layer hides it: the output is as good as before."""
    model = single(keras_flavour, lambda k: k.GRU(3))
    data = sequences(32)
    result = export_tflite(model, tmp_path / "m.tflite", precision="int8", calibration=data, best=False)
    assert verify(model, result.path, data=data[:8], backend="builtin").status is Status.EQUAL
    content, tensor = next(each for each in QUANTIZED if each.name == fault).apply(result.path.read_bytes())
    assert "gru" in tensor
    (tmp_path / "wrong.tflite").write_bytes(content)
    report = verify(model, tmp_path / "wrong.tflite", data=data[:8], backend="builtin")
    assert report.status is Status.DIFFERS
    assert report.first_divergence.layer == "gru"


@pytest.mark.either_keras
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_cell_of_ones_own_with_a_batchnorm_inside(keras_flavour, tmp_path, precision):
    """The converter folds that BatchNorm into the kernel of every step, which is then no kernel of the layer."""
    layers = keras_flavour.keras.layers

    class Cell(layers.Layer):
        def __init__(self, units, **options):
            super().__init__(**options)
            self.units = self.state_size = self.output_size = units
            self.dense, self.again = layers.Dense(units), layers.Dense(units, use_bias=False)
            self.norm = layers.BatchNormalization()

        def build(self, shape):
            self.dense.build(shape)
            self.again.build((shape[0], self.units))
            self.norm.build((shape[0], self.units))
            self.built = True

        def call(self, x, states, training=None):
            h = tf.tanh(self.norm(self.dense(x), training=training) + self.again(states[0]))
            return h, [h]

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    x = keras_flavour.keras.Input((STEPS, 3))
    model = keras_flavour.keras.Model(x, layers.Dense(2)(layers.BatchNormalization()(layers.RNN(Cell(4))(x))))
    rng = np.random.default_rng(3)
    model.set_weights([rng.uniform(0.5, 1.5, w.shape) - 1.0 * (w.ndim > 1) for w in model.get_weights()])
    data = rng.normal(size=(48, STEPS, 3)).astype("float32")
    calibration = data if precision == "int8" else None
    result = export_tflite(model, tmp_path / "m.tflite", precision=precision, calibration=calibration)
    assert verify(model, result.path, data=data).status is Status.EQUAL
    cell = next(layer for layer in model.layers if hasattr(layer, "cell")).cell
    cell.norm.set_weights([2.0 * weight for weight in cell.norm.get_weights()])
    assert verify(model, result.path, data=data).status is Status.DIFFERS
