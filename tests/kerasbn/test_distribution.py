"""synchronized=True under MirroredStrategy with two logical CPUs: as one process with the whole batch."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

SCRIPT = """
import numpy as np, tensorflow as tf
cpu, = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from kerasbn.flavour import Flavour
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
x, mask = np.load("x.npy"), np.load("mask.npy")

def parts(a):
    return strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(np.split(a, 2)[context.replica_id_in_sync_group]))

def run(synchronized, masked):
    with strategy.scope():
        layer = Flavour({flavour!r}).batch_normalization(synchronized=synchronized, momentum=0.5)
        layer.build((None, *x.shape[1:]))
    @tf.function
    def step(x, mask):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True, mask=mask if masked else None)
            loss = tf.reduce_sum(y ** 3)
        return y, tape.gradient(loss, x)
    join = lambda value: np.concatenate([np.asarray(each) for each in strategy.experimental_local_results(value)])
    y, dx = map(join, strategy.run(step, args=(parts(x), parts(mask))))
    return dict(y=y, dx=dx, mean=layer.moving_mean.numpy(), variance=layer.moving_variance.numpy())

cases = dict(synchronized=(True, False), masked=(True, True), alone=(False, False))
found = {{case: run(*flags) for case, flags in cases.items()}}
np.savez("found.npz", **{{f"{{case}} {{key}}": array for case in found for key, array in found[case].items()}})
"""


def whole_batch(flavour, x, mask):
    layer, here = flavour.batch_normalization(momentum=0.5, fused=False), tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(here)
        y = layer(here, training=True, mask=mask)
        loss = tf.reduce_sum(y**3)
    return {
        "y": y,
        "dx": tape.gradient(loss, here),
        "mean": layer.moving_mean.numpy(),
        "variance": layer.moving_variance.numpy(),
    }


@pytest.mark.either_keras
def test_two_replicas(keras_flavour, tmp_path, rng, assert_close):
    x = np.concatenate([rng.normal(-50, 1, (5, 6, 3)), rng.normal(80, 4, (5, 6, 3))]).astype("float32")
    mask = rng.random((10, 6)) < 0.7
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "mask.npy", mask)
    script = SCRIPT.format(flavour=keras_flavour.name)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, timeout=240, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = np.load(tmp_path / "found.npz")
    for case, whole in (
        ("synchronized", whole_batch(keras_flavour, x, None)),
        ("masked", whole_batch(keras_flavour, x, mask)),
    ):
        for key, expected in whole.items():
            assert_close(found[f"{case} {key}"], expected, 1e-4 if key == "dx" else 1e-5)
    apart = [whole_batch(keras_flavour, half, None)["y"] for half in np.split(x, 2)]
    assert_close(found["alone y"], np.concatenate(apart), 1e-5)
