from types import SimpleNamespace

import numpy as np
import pytest

from kerasbn.errors import InvalidArgumentError
from kerasbn_export.benchmark import latency
from kerasbn_export.benchmark.latency import compare_latency


class Clock:
    """Time that only moves when a model runs."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def models(monkeypatch):
    """Stand-ins for interpreters: `fast` takes 1 ms, `slow` 3 ms, on a machine that slows down; `quick` 2 us."""
    clock = Clock()
    seconds = {"fast": 1e-3, "slow": 3e-3, "quick": 2e-6}
    order, opened = [], []

    class Runner:
        def __init__(self, path, *_):
            self.path = path
            opened.append(path)

        def seconds(self, repeats):
            order.append(self.path)
            clock.now += (load := 1.0 + clock.now) * repeats * seconds[self.path]
            return load * repeats * seconds[self.path]

    monkeypatch.setattr(latency, "_Runner", Runner)
    monkeypatch.setattr(latency, "open_interpreter", lambda *_, **__: None)
    return SimpleNamespace(order=order, opened=opened)


@pytest.mark.usefixtures("models")
def test_ratio_is_to_the_first():
    fast, slow = compare_latency(["fast", "slow"], rounds=40)
    assert (fast.path, fast.ratio, fast.spread) == ("fast", 1.0, (1.0, 1.0))
    assert slow.ratio == pytest.approx(3.0, rel=0.05)
    assert slow.spread[0] <= slow.ratio <= slow.spread[1]
    assert slow.milliseconds > 2 * fast.milliseconds


def test_models_take_turns_and_turns_at_being_first(models):
    compare_latency(["fast", "slow"], rounds=4)
    assert models.order[-8:] == ["fast", "slow", "slow", "fast"] * 2


@pytest.mark.parametrize(("rounds", "openings"), [(1, 1), (3, 3), (4, 4), (40, 4)])
def test_files_are_opened_anew_and_turn_at_being_first(models, rounds, openings):
    """What a model takes depends on where it comes to lie."""
    fast, _ = compare_latency(["fast", "slow"], rounds=rounds)
    assert models.opened == (["fast", "slow", "slow", "fast"] * 2)[: 2 * openings]
    assert len(models.order) == 2 * rounds + 2 * latency.TRIES
    assert fast.ratio == 1.0


@pytest.mark.parametrize(("paths", "openings"), [(["quick", "quick"], 40), (["quick", "slow"], 4)])
def test_quick_files_are_opened_anew_for_every_round(models, paths, openings):
    """Their time depends on where they lie more than on what they do."""
    compare_latency(paths, rounds=40)
    assert len(models.opened) == 2 * openings


def test_a_slow_first_run_does_not_make_rounds_short(monkeypatch):
    """A file of many operations takes four times as long where it was not run just before."""
    asked = []

    class Runner:
        def __init__(self, *_):
            self.runs = 0

        def seconds(self, repeats):
            self.runs, cold = self.runs + repeats, self.runs == 0
            asked.append(repeats)
            return repeats * (4e-3 if cold else 1e-3)

    monkeypatch.setattr(latency, "_Runner", Runner)
    monkeypatch.setattr(latency, "open_interpreter", lambda *_, **__: None)
    compare_latency(["one"], rounds=2)
    assert asked[latency.TRIES :] == [4, 4]


@pytest.mark.parametrize(("paths", "rounds"), [([], 5), (["fast", "slow"], 0)])
def test_nothing_to_compare_is_an_error(paths, rounds):
    with pytest.raises(InvalidArgumentError, match="found 0 files" if rounds else "rounds=0; accepted"):
        compare_latency(paths, rounds=rounds)


@pytest.mark.either_keras
def test_runs_real_files(tmp_path, keras_flavour):
    import tensorflow as tf

    keras = keras_flavour.keras
    paths = []
    for units in (1, 400):
        vector = keras.Input((300,))
        hidden = keras.layers.Dense(units, activation="relu")(vector)
        paths.append(tmp_path / f"{units}.tflite")
        model = keras.Model(vector, keras.layers.Dense(3)(hidden))
        paths[-1].write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    small, large = compare_latency(paths, rounds=3)
    assert small.ratio == 1.0
    assert np.isfinite(large.ratio)
    assert large.ratio > 0


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8", "int32", "bool"])
def test_inputs_are_made_for_every_dtype(dtype, rng):
    made = latency._input({"shape": (50, 3), "dtype": np.dtype(dtype).type}, rng)
    assert made.dtype == dtype
    assert made.shape == (50, 3)
    assert len(np.unique(made)) > 1
