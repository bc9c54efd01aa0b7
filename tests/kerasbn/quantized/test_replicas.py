"""A quantization-aware model under MirroredStrategy with two logical CPUs: it trains, and its file is the model."""

import subprocess
import sys

import pytest

SCRIPT = """
import numpy as np, tensorflow as tf
cpu, = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from kerasbn.flavour import Flavour
from kerasbn.quantized.ranges import RangeMixin
from kerasbn_export import export_tflite, quantize_aware, verify
keras = Flavour({flavour!r}).keras
x = np.random.default_rng(0).normal(size=(32, 6, 6, 2)).astype("float32")
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    inputs = keras.Input((6, 6, 2))
    norm = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(inputs))
    outputs = keras.layers.Dense(3)(keras.layers.Flatten()(keras.layers.ReLU()(norm)))
    tuned = quantize_aware(keras.Model(inputs, outputs), x, bn="live")
    tuned.compile("sgd", "mse")
before = [layer.range for layer in tuned.layers if isinstance(layer, RangeMixin)]
tuned.fit(x, np.zeros((32, 3)), batch_size=8, verbose=0)
after = [layer.range for layer in tuned.layers if isinstance(layer, RangeMixin)]
assert before != after
export_tflite(tuned, "m.tflite")
assert verify(tuned, "m.tflite", data=x[:8])
"""


@pytest.mark.either_keras
def test_two_replicas_train_one_model(keras_flavour, tmp_path):
    script = SCRIPT.format(flavour=keras_flavour.name)
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
