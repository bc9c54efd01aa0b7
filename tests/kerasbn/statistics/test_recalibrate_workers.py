"""recalibrate on two workers on loopback, each with its own part of the data: the numbers of one process."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kerasbn import recalibrate

WORKER = Path(__file__).parent / "recalibrate_worker.py"
SECONDS = 240


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def start(index, addresses, folder):
    cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    environment = {**os.environ, "TF_CONFIG": json.dumps(cluster), "PYTHONPATH": os.pathsep.join(sys.path)}
    with (folder / f"stderr{index}").open("wb") as log:
        command = [sys.executable, str(WORKER), str(index)]
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where two workers have left what they found."""
    folder = tmp_path_factory.mktemp("workers")
    x = np.random.default_rng(2).normal(size=(320, 8, 8, 3)) * [1, 5, 0.1] + [0, 30, -2]
    np.save(folder / "x.npy", x.astype("float32"))
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    processes = [start(index, addresses, folder) for index in range(2)]
    try:
        codes = [process.wait(SECONDS) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    said = [(folder / f"stderr{index}").read_text(errors="replace")[-2000:] for index in range(2)]
    assert codes == [0, 0], "\n".join(said)
    return folder


def one_process(flavour):
    """The model of the workers."""
    layers = flavour.keras.layers
    flavour.keras.utils.set_random_seed(3)
    first, last = layers.BatchNormalization(), flavour.batch_normalization(unbiased_variance=False)
    parts = [first, layers.Conv2D(4, 3), last, layers.Flatten(), layers.Dense(2)]
    return flavour.keras.Sequential([layers.Input((8, 8, 3)), *parts])


def test_two_workers_have_the_statistics_of_one(keras_flavour, folder):
    model = one_process(keras_flavour)
    recalibrate(model, np.load(folder / "x.npy"))
    for index in range(2):
        found = np.load(folder / f"{keras_flavour.name}{index}.npz")
        assert found["samples"] == 320
        for number, weight in enumerate(model.get_weights()):
            np.testing.assert_allclose(found[f"w{number}"], weight, rtol=2e-6, atol=1e-6)


def test_a_fault_of_one_worker_leaves_both_as_they_were(keras_flavour, folder):
    first, second = (np.load(folder / f"{keras_flavour.name}{index}.npz") for index in range(2))
    assert "Another worker failed" in str(first["said"])
    assert "NaN" in str(second["said"])
    assert first["same"]
    assert second["same"]
