"""By the second route recurrent layers are unrolled where their steps are known, and refused by name where not."""

import numpy as np
import pytest

from kerasbn.errors import ConversionError
from kerasbn_export import verify
from kerasbn_export.cli.main import run
from kerasbn_export.conversion.litert import quantize
from kerasbn_export.export.tflite import export_tflite
from kerasbn_export.tflite.flatbuffer import parse

SAMPLES = np.random.default_rng(3).normal(size=(16, 5, 4)).astype("float32")


@pytest.fixture(autouse=True)
def _packages():
    for name in ("litert_converter", "litert_quantizer"):
        pytest.importorskip(name)


def model_of(flavour, layer, steps=5):
    keras = flavour.keras
    x = keras.Input((steps, 4), name="x")
    model = keras.Model(x, keras.layers.Dense(2, name="scores")(layer(x)), name="sequence")
    rng = np.random.default_rng(2)
    model.set_weights([rng.normal(size=weight.shape) * 0.5 for weight in model.get_weights()])
    return model


LAYERS = {
    "lstm": lambda layers: layers.LSTM(3, name="cells"),
    "gru": lambda layers: layers.GRU(3, reset_after=False, name="cells"),
    "both": lambda layers: layers.Bidirectional(layers.LSTM(3), name="cells"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_known_steps_are_unrolled(keras_flavour, tmp_path, name):
    model = model_of(keras_flavour, LAYERS[name](keras_flavour.keras.layers))
    result = export_tflite(model, tmp_path / "m.tflite", route="litert")
    assert verify(model, result.path, data=SAMPLES)
    assert "WHILE" not in result.ops
    assert result.notes[0].startswith("Unrolled, since litert-converter takes no loop")
    assert "'cells' (5 steps)" in result.notes[0]


def test_lstm_in_int8(keras_flavour, tmp_path, monkeypatch):
    """Its first step reads no forget gate: that part of a SPLIT the package leaves in float, which LiteRT refuses."""
    model = model_of(keras_flavour, LAYERS["lstm"](keras_flavour.keras.layers))
    options = {"route": "litert", "precision": "int8", "calibration": SAMPLES}
    result = export_tflite(model, tmp_path / "m.tflite", **options)
    assert verify(model, result.path, data=SAMPLES)
    assert not result.float_ops_left
    monkeypatch.setattr(quantize, "_with_parts_alike", lambda data: data)
    with pytest.raises(ConversionError, match=r"LiteRT cannot prepare.*route='tensorflow'"):
        export_tflite(model, tmp_path / "other.tflite", **options)
    assert not (tmp_path / "other.tflite").exists()


def test_what_is_read_keeps_its_grid(keras_flavour, tmp_path, monkeypatch):
    seen = []
    real = quantize._with_parts_alike

    def watched(data):
        seen.append((data, real(data)))
        return seen[-1][1]

    monkeypatch.setattr(quantize, "_with_parts_alike", watched)
    model = model_of(keras_flavour, LAYERS["lstm"](keras_flavour.keras.layers))
    export_tflite(model, tmp_path / "m.tflite", route="litert", precision="int8", calibration=SAMPLES)
    before, after = (parse(data).subgraphs[0] for data in seen[0])
    read = {int(index) for op in before.operators for index in op.inputs}
    changed = {i for i, (a, b) in enumerate(zip(before.tensors, after.tensors, strict=True)) if a.type != b.type}
    assert changed
    assert not changed & read


def test_a_loop_of_the_users_own_is_refused(keras_flavour, tmp_path):
    import tensorflow as tf

    def doubled(x):
        return tf.while_loop(lambda i, _: i < tf.reduce_max(tf.cast(x, tf.int32)), lambda i, y: (i + 1, y * 2), (0, x))[
            1
        ]

    model = model_of(keras_flavour, keras_flavour.keras.layers.Lambda(doubled, output_shape=(5, 4), name="own"))
    with pytest.raises(ConversionError, match=r"takes no loop.*--route tensorflow"):
        export_tflite(model, tmp_path / "m.tflite", route="litert")
    result = export_tflite(model, tmp_path / "m.tflite", route="auto")
    assert "Route tensorflow: route='litert' takes no loop" in result.notes[-1]


def test_open_steps_are_refused_on_the_command_line(keras_flavour, tmp_path, capsys):
    model_of(keras_flavour, LAYERS["gru"](keras_flavour.keras.layers), steps=None).save(tmp_path / "m.keras")
    path = tmp_path / "m.tflite"
    assert run(["export", str(tmp_path / "m.keras"), "-o", str(path), "--route", "litert"]) == 3
    said = capsys.readouterr().err
    assert "cells" in said
    assert "--route tensorflow" in said
    assert not path.exists()
