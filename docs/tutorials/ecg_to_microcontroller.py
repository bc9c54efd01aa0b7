"""From a small network for ECGs to a file for a microcontroller.

The network finds extra beats in two seconds of a heart signal. Run it in an empty folder: ``python
ecg_to_microcontroller.py``. The arena is measured if ``pip install 'kerasbn[devices]'`` was run.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from pathlib import Path

import keras
import numpy as np
from keras import layers

from kerasbn_export import export_tflite, verify

# 1. Signals. These are drawn: a peak and a wave for each beat, at 128 numbers a second. In the second class one beat
#    comes too early, and is wider. Take your recordings in their place.

rng = np.random.default_rng(0)
TIME = np.arange(256) / 128


def beat(at, width):
    """A narrow peak, and the wave that follows it."""
    return np.exp(-(((TIME - at) / width) ** 2)) + 0.25 * np.exp(-(((TIME - at - 0.25) / 0.06) ** 2))


def signal(early):
    """Two or three beats, noise, and a slow drift of the baseline."""
    start, period = rng.uniform(0.1, 0.4), rng.uniform(0.7, 0.9)
    beats = [beat(start + n * period, 0.02) for n in range(3)]
    if early:
        beats[1] = 1.2 * beat(start + rng.uniform(0.45, 0.6) * period, 0.05)
    drift = 0.2 * np.sin(2 * np.pi * (0.3 * TIME + rng.uniform()))
    return sum(beats) + drift + rng.normal(0, 0.05, TIME.size)


labels = rng.integers(0, 2, 800)
signals = np.stack([signal(early) for early in labels])[..., None].astype("float32")
train, test = signals[:600], signals[600:]

# 2. The network: convolutions in time, each with a BatchNorm. The usual order is convolution, BatchNorm, ReLU. It folds
#    in every converter. Here the BatchNorm is behind the ReLU, as in many papers. Then it needs kerasbn.

keras.utils.set_random_seed(0)
inputs = keras.Input((256, 1), name="ecg")
x = inputs
for filters in (8, 16, 16):
    x = layers.Conv1D(filters, 5, strides=2, activation="relu")(x)
    x = layers.BatchNormalization(momentum=0.9)(x)
x = layers.GlobalAveragePooling1D()(x)
model = keras.Model(inputs, layers.Dense(2, name="scores")(x))

model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
model.fit(train, labels[:600], batch_size=32, epochs=12, verbose=0)
accuracy = model.evaluate(test, labels[600:], verbose=0, return_dict=True)["accuracy"]

# 3. Export for TFLite Micro. That means int8, a batch of 1, and only operations that TFLite Micro has.

result = export_tflite(model, "ecg.tflite", device="tflm", calibration=train[:200])
print(result)

# 4. Verify on signals that were kept out.

report = verify(model, "ecg.tflite", data=test)
print(report)
assert report, "the file does not compute what the model computes"

# 5. What the firmware needs: the array, and the bytes of the arena.

print(f"accuracy {accuracy:.3f}, flash {Path('ecg.tflite').stat().st_size:,} bytes")
assert accuracy > 0.8
