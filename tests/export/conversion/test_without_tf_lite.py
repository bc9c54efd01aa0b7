"""Whoever has no ``tf.lite`` gets the second route alone: in a process of its own, in which nothing can import it."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys
import tensorflow as tf

HIDDEN = ("tensorflow.lite", "tensorflow._api.v2.lite")

class Hidden:
    def find_spec(self, name, *_):
        if name.startswith(HIDDEN):
            raise ModuleNotFoundError(name)

for name in [name for name in sys.modules if name.startswith(HIDDEN)]:
    sys.modules[name] = None
sys.meta_path.insert(0, Hidden())
if hasattr(tf, "lite"):
    del tf.lite

import numpy as np
from kerasbn.errors import KerasBNError
from kerasbn.flavour import Flavour
from kerasbn_export import export_tflite, verify

flavour, path = Flavour(sys.argv[1]), sys.argv[2]
layers = flavour.keras.layers
x = flavour.keras.Input((8, 8, 3), name="x")
y = flavour.batch_normalization(name="norm")(layers.Conv2D(8, 3, activation="relu", name="conv")(x))
model = flavour.keras.Model(x, layers.Dense(4, name="scores")(layers.GlobalAveragePooling2D()(y)))
samples = np.random.default_rng(0).normal(size=(16, 8, 8, 3)).astype("float32")
ranges = {"precision": "int8", "calibration": samples}
for options in ({}, {"route": "auto"}, {"route": "auto", **ranges}, {"route": "auto", "ranges": "mse", **ranges}):
    try:
        result = export_tflite(model, path, **options)
        print("made", bool(verify(model, path, data=samples)), *result.notes)
    except KerasBNError as error:
        print(type(error).__name__, error)
"""


def test_the_second_route_is_taken_alone(keras_flavour, tmp_path):
    for name in ("litert_converter", "litert_quantizer"):
        pytest.importorskip(name)
    command = [sys.executable, "-c", SCRIPT, keras_flavour.name, str(tmp_path / "m.tflite")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, auto, int8, ranges = done.stdout.splitlines()[-4:]
    assert first.startswith("ConversionError This TensorFlow has no tf.lite")
    assert "--route litert" in first
    assert auto == int8 == "made True Route litert: this TensorFlow has no tf.lite."
    assert ranges.startswith("InvalidArgumentError ranges='mse'")
