"""recalibrate on two workers on loopback, each with its own part of the data: the numbers of one process."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from kerasbn_testing.workers import free_ports, start

from kerasbn import recalibrate
from kerasbn.errors import InvalidArgumentError
from kerasbn.statistics import renewal

WORKER = Path(__file__).parent / "recalibrate_worker.py"
SECONDS = 480


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where two workers have left what they found."""
    folder = tmp_path_factory.mktemp("workers")
    x = np.random.default_rng(2).normal(size=(320, 8, 8, 3)) * [1, 5, 0.1] + [0, 30, -2]
    np.save(folder / "x.npy", x.astype("float32"))
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    processes = [start(WORKER, index, addresses, folder) for index in range(2)]
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


@pytest.mark.either_keras
def test_two_workers_have_the_statistics_of_one(keras_flavour, folder):
    model = one_process(keras_flavour)
    for name, exact in (("w", False), ("exact", True)):
        recalibrate(model, np.load(folder / "x.npy"), exact=exact)
        for index in range(2):
            found = np.load(folder / f"{keras_flavour.name}{index}.npz")
            assert found["samples"].tolist() == [320, 320]
            for number, weight in enumerate(model.get_weights()):
                np.testing.assert_allclose(found[f"{name}{number}"], weight, rtol=2e-6, atol=1e-6)


def test_exact_statistics_of_two_workers_are_others_than_after_one_pass(keras_flavour, folder):
    """The comparison above sees the second pass."""
    found = np.load(folder / f"{keras_flavour.name}0.npz")
    names = [name.removeprefix("exact") for name in found if name.startswith("exact")]
    assert any(np.abs(found[f"exact{name}"] - found[f"w{name}"]).max() > 1e-4 for name in names)


def test_workers_that_see_other_depths_all_stop(monkeypatch):
    depths = SimpleNamespace(rows=lambda values: np.array([values, [0.0]]))
    measurement = SimpleNamespace(recorder=None, workers=depths)
    monkeypatch.setattr(renewal, "levels", lambda _: [[], []])
    with pytest.raises(InvalidArgumentError, match="at 2, 0 depths"):
        renewal._Renewal(measurement, None, "population", 0)._levels()


def test_a_fault_of_one_worker_leaves_both_as_they_were(keras_flavour, folder):
    first, second = (np.load(folder / f"{keras_flavour.name}{index}.npz") for index in range(2))
    assert "Another worker failed" in str(first["said"])
    assert "NaN" in str(second["said"])
    assert first["same"]
    assert second["same"]
