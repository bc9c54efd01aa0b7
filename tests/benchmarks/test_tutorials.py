"""`benchmarks/tutorials.py` in small: a spread of its networks, and that a fault is a fault in its table."""

import judged_model
import numpy as np
import pytest
import tutorials
from guarded import Died
from judged_model import Step, judge_model
from tutorial_networks import NETWORKS
from tutorials import Network, build, counts, text

from kerasbn.errors import ConversionError

pytestmark = pytest.mark.either_keras

SPREAD = ("image_similarity", "dcgan_generator", "involution", "pointnet")


@pytest.mark.sweep
@pytest.mark.parametrize("name", SPREAD)
def test_a_spread_of_networks_has_no_fault_and_no_batchnorm_left(keras_flavour, name):
    folded, *others = judge_model(lambda seed: build(keras_flavour.name, name, seed), ("float32",))
    assert Network(name, steps=[folded, *others]).faults == []
    assert {step.outcome for step in (folded, *others)} == {"right"}
    gone, _, all_of_them, *_ = folded.detail.split(" ")
    assert gone == all_of_them


def test_int8_of_a_network_is_no_worse_than_stock(keras_flavour):
    steps = list(judge_model(lambda seed: build(keras_flavour.name, "simsiam", seed), ("int8",)))
    row = Network("simsiam", steps=steps)
    assert row.faults == []
    assert row.cells()[4].endswith("dB")
    assert row.against_stock.partition(" (")[0].endswith("dB")


def test_statistics_are_drawn_also_in_networks_that_are_layers(keras_flavour):
    model = build(keras_flavour.name, "siamese_contrastive", 0)
    layers = [layer for layer in model._flatten_layers() if type(layer).__name__ == "BatchNormalization"]
    assert len(layers) == 3
    assert not any(np.allclose(weight, np.round(weight)) for layer in layers for weight in layer.get_weights())


def test_there_are_networks_of_every_kind():
    assert len(NETWORKS) > 45
    assert all(build.__doc__ for build in NETWORKS.values())


def test_stock_int8_of_several_inputs_is_compared(keras_flavour):
    model = build(keras_flavour.name, "wide_deep_cross", 0)
    assert judged_model._stock_sqnr(model, 0) > 3  # None where stock fails


def test_more_operations_than_stock_are_a_fault(keras_flavour, monkeypatch):
    monkeypatch.setattr(tutorials, "stock_file", lambda _, path: tutorials.our_file(other, path))
    keras = keras_flavour.keras
    other = keras.Sequential([keras.Input((10,)), keras.layers.Dense(2)])
    steps = list(counts(build(keras_flavour.name, "dcgan_discriminator", 0)))
    assert [fault.partition(":")[0] for fault in Network("x", steps=steps).faults] == ["more operations"]


def test_a_network_that_stock_refuses_is_no_fault(keras_flavour, monkeypatch):
    def fails(*_):
        raise ConversionError("no")

    monkeypatch.setattr(tutorials, "stock_file", fails)
    *_, operations = counts(build(keras_flavour.name, "dcgan_discriminator", 0))
    assert operations.outcome == "right"
    assert operations.detail.endswith("stock fails")
    refused = [Step("float32", "refused", "no"), Step("stock float32", "refused", "no")]
    assert Network("x", steps=refused).faults == []
    assert Network("x", steps=refused[:1]).faults == ["refused, not by stock: float32: no"]
    assert "refused, stock too" in text(Network("x", steps=refused))


def test_a_process_that_dies_is_a_crash_in_the_table(monkeypatch):
    things = [("first", Died("died")), ("second", Step("folded", "right"))]
    monkeypatch.setattr(tutorials, "run_guarded", lambda *_: iter(things))
    first, second = tutorials.sweep("keras", ("float32",), ["first", "second"])
    assert first.faults == ["crash: model: died"]
    assert second.faults == []
