"""synchronized=True under MultiWorkerMirroredStrategy: two processes on loopback are one with the whole batch."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from kerasbn_testing.workers import free_ports, start

from kerasbn.flavour import KERAS, TF_KERAS

WORKER = Path(__file__).parent / "worker.py"
SECONDS = 300


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    """A run of two workers, the second of which dies at the end: what they found, how they ended, what they said."""
    folder, rng = tmp_path_factory.mktemp("workers"), np.random.default_rng(20261122)
    x = np.concatenate([rng.normal(-50, 1, (5, 6, 3)), rng.normal(80, 4, (5, 6, 3))]).astype("float32")
    target = np.sin(x[..., :2])
    np.save(folder / "x.npy", x)
    np.save(folder / "target.npy", target)
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    processes = [start(WORKER, index, addresses, folder) for index in range(2)]
    try:
        codes = [process.wait(SECONDS) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    said = [(folder / f"stderr{index}").read_text(errors="replace") for index in range(2)]
    return SimpleNamespace(folder=folder, x=x, target=target, codes=codes, said=said)


def found_by(workers, flavour):
    files = [workers.folder / f"{flavour.name}{index}.npz" for index in range(2)]
    assert all(file.exists() for file in files), "\n".join(each[-2000:] for each in workers.said)
    return [np.load(file) for file in files]


def whole_batch(flavour, x):
    layer, here = flavour.batch_normalization(momentum=0.5, fused=False), tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(here)
        y = layer(here, training=True)
        loss = tf.reduce_sum(y**3)
    return y, tape.gradient(loss, here), layer.moving_mean.numpy(), layer.moving_variance.numpy()


def one_process(flavour, shape):
    """The model of worker.py, with statistics of the whole batch because there is no other."""
    keras = flavour.keras
    keras.utils.set_random_seed(3)
    layers = [keras.layers.Dense(4), flavour.batch_normalization(momentum=0.5, fused=False), keras.layers.Dense(2)]
    return keras.Sequential([keras.layers.Input(shape), *layers])


def assert_weights(files, key, model):
    for index, weight in enumerate(model.get_weights()):
        for each in files:
            # A bias before a BatchNorm has no gradient but the rounding.
            np.testing.assert_allclose(each[f"{key}{index}"], weight, rtol=1e-5, atol=1e-7)


def test_one_step_is_that_of_one_process(keras_flavour, workers, assert_close):
    files = found_by(workers, keras_flavour)
    y, dx, mean, variance = whole_batch(keras_flavour, workers.x)
    assert_close(np.concatenate([each["y"] for each in files]), y, 1e-5)
    assert_close(np.concatenate([each["dx"] for each in files]), dx, 1e-4)
    for each in files:
        assert_close(each["mean"], mean, 1e-5)
        assert_close(each["variance"], variance, 1e-5)


def test_the_comparison_sees_statistics_of_one_worker_alone(workers, assert_close):
    y, *_ = whole_batch(KERAS, workers.x)
    apart = [whole_batch(KERAS, half)[0] for half in np.split(workers.x, 2)]
    with pytest.raises(AssertionError):
        assert_close(np.concatenate(apart), y, 0.5)


def test_a_training_loop_is_that_of_one_process(keras_flavour, workers):
    model = one_process(keras_flavour, workers.x.shape[1:])
    model.compile(keras_flavour.keras.optimizers.SGD(0.01, momentum=0.9), "mse")
    for _ in range(3):
        model.train_on_batch(workers.x, workers.target)
    assert_weights(found_by(workers, keras_flavour), "weight", model)


def test_fit_of_tf_keras_is_that_of_one_process(workers):
    model = one_process(TF_KERAS, workers.x.shape[1:])
    model.compile(TF_KERAS.keras.optimizers.SGD(0.01), "mse")
    model.fit(workers.x, workers.target, batch_size=len(workers.x), shuffle=False, epochs=2, verbose=0)
    assert_weights(found_by(workers, TF_KERAS), "fitted", model)


def test_fit_of_keras_3_does_not_know_the_strategy(workers):
    """With no BatchNorm in the model. If this fails, Keras has learned it: test it as for tf_keras."""
    assert not any(each["fits"] for each in found_by(workers, KERAS))


def test_a_worker_that_dies_ends_the_other_with_its_name(workers):
    assert workers.codes[1] == 9, workers.said[1][-2000:]
    assert workers.codes[0] == 1
    assert "CollectiveReduceV2" in workers.said[0]
    assert "/job:worker/replica:0/task:1" in workers.said[0].rpartition("Traceback")[2]
