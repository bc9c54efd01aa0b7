"""The row of `benchmarks/statistics_proof.py` that another library answers: torch's ``update_bn``, where torch is."""

import numpy as np
import pytest
import statistics_proof


def test_recalibrate_is_torchs_update_bn(keras_flavour):
    pytest.importorskip("torch", reason="update_bn is a function of torch")
    row, right = statistics_proof.torch_row(keras_flavour)
    assert right
    assert row[:2] == ("torch's update_bn", "mode='batch'")
    assert float(row[2]) < 1e-5


def test_other_batches_are_not_torchs(keras_flavour, monkeypatch):
    """The comparison sees a network that is renewed by half of the data."""
    pytest.importorskip("torch", reason="update_bn is a function of torch")
    whole = statistics_proof.recalibrate
    monkeypatch.setattr(statistics_proof, "recalibrate", lambda model, x, mode: whole(model, x[:256], mode=mode))
    row, right = statistics_proof.torch_row(keras_flavour)
    assert not right
    assert float(row[2]) > 1e-3


def test_the_row_is_there_where_torch_is(keras_flavour, monkeypatch):
    monkeypatch.setattr(statistics_proof, "torch_row", lambda flavour: ("torch", flavour))
    monkeypatch.setattr(statistics_proof, "recalibrate", lambda model, x: _renewed(model, x))
    for spec, rows in ((None, 3), (object(), 4)):
        monkeypatch.setattr(statistics_proof.importlib.util, "find_spec", lambda _, spec=spec: spec)
        assert len(list(statistics_proof.numpy_section(keras_flavour, None))) == rows


def _renewed(model, x):
    layer, axes = model.layers[-1], tuple(range(x.ndim - 1))
    layer.moving_mean.assign(np.mean(x, axes))
    layer.moving_variance.assign(np.var(x, axes))
