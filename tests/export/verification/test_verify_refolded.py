"""The layers of kerasbn's own files are compared with the model folded in the same way, which is proved equal first."""

import json

import numpy as np
import pytest
from kerasbn_testing.statistics import randomise

from kerasbn_export import export_tflite, verify
from kerasbn_export.capture import capture
from kerasbn_export.conversion.provenance import KEY, read_provenance
from kerasbn_export.conversion.relabel import relabel
from kerasbn_export.folding.choices import Choices
from kerasbn_export.tflite.file import read_tflite
from kerasbn_export.verification.faults import QUANTIZED
from kerasbn_export.verification.layers import refolded as module
from kerasbn_export.verification.layers.localise import Localiser
from kerasbn_export.verification.layers.refolded import refolded
from kerasbn_export.verification.network.network import Network
from kerasbn_export.verification.sides.open import open_runnable
from kerasbn_export.verification.sides.sides import Sides

pytestmark = pytest.mark.either_keras


def scaled(flavour, rng):
    """A magnitude that goes back over a ReLU, a sign and a shift that go forward, a ReLU with a companion."""
    layers, norm = flavour.keras.layers, flavour.batch_normalization
    image = flavour.keras.Input((8, 8, 3))
    x = norm(name="bn")(layers.Conv2D(4, 3, activation="relu", name="before")(image))
    x = layers.Conv2D(5, 1, name="behind")(x)
    x = layers.Conv2D(4, 1, name="fork")(layers.Add()([layers.ReLU(name="lone")(x), x]))
    model = flavour.keras.Model(image, layers.Dense(3, name="dense")(layers.GlobalAveragePooling2D()(x)))
    randomise(model, rng)
    model.get_layer("bn").gamma.assign(np.array([8.0, -0.1, 3.0, 0.5]))
    return model


@pytest.fixture
def case(keras_flavour, rng, tmp_path):
    """A model, its int8 file and samples."""
    model = scaled(keras_flavour, rng)
    data = rng.normal(size=(32, 8, 8, 3)).astype("float32")
    path = export_tflite(model, tmp_path / "m.tflite", precision="int8", calibration=data).path
    return model, path, data


def sides_of(model, path):
    reference, candidate = (open_runnable(side, backend="builtin", allow_code=False) for side in (model, path))
    return Sides(reference, candidate, (0,), (0,))


def networks(model, path, data):
    return refolded(sides_of(model, path), Network(capture(model)), [data[:1]])


def relabelled(path, **changes):
    """The file with another record of how it was made."""
    record = {**read_provenance(read_tflite(path)), **changes}
    other = path.with_name("other.tflite")
    other.write_bytes(relabel(path.read_bytes(), (), {KEY: json.dumps(record).encode()}))
    return other


def test_the_file_says_how_it_was_folded(case):
    record = read_provenance(read_tflite(case[1]))
    assert Choices(**record["folding"]) == Choices(magnitudes=True, accompany=True)


def test_its_layers_are_those_of_the_folded_model(case):
    model, path, data = case
    folded = networks(model, path, data)
    paths = [call.layer.path for call in folded.computing()]
    assert "bn" not in paths
    assert not any(name.startswith("lone_") for name in paths), "a companion has the ReLU's name"
    report = verify(model, path, data=data)
    assert report, report.verdict
    assert not any(record.moved for record in report.per_layer)
    assert all(record.passed for record in report.per_layer)
    assert {"before", "behind", "lone", "fork"} <= {record.layer for record in report.per_layer}


CHANGES = {
    "another version": {"kerasbn": "0.0.0"},
    "other weights": {"sha256": "0" * 64},
    "not folded": {"folding": None},
    "an unknown choice": {"folding": {"merge": True, "later": 1}},
}


@pytest.mark.sweep
@pytest.mark.parametrize("name", CHANGES)
def test_where_the_file_is_not_of_this_fold_the_model_stays_as_it_is(case, name):
    model, path, data = case
    assert networks(model, path, data) is not None
    assert networks(model, relabelled(path, **CHANGES[name]), data) is None


def test_a_fold_to_another_function_never_stands_for_the_model(case, monkeypatch):
    """The check above it would be no check if it took any fold for the model."""
    model, path, data = case

    def wrong(graph, _):
        for call in graph:
            if call.layer.path == "behind":
                weights = {name: array * 1.001 for name, array in call.layer.weights.items()}
                call.layer = call.layer.with_weights(weights)

    monkeypatch.setattr(module, "fold_batchnorms", wrong)
    assert networks(model, path, data) is None


def test_faults_in_a_folded_file_are_caught_on_the_right_layer(case):
    """The table of `benchmarks/fault_table.py --int8 --ours` in small."""
    model, path, data = case
    damaged, missed = path.with_name("damaged.tflite"), []
    made = {fault.name: fault.apply(path.read_bytes()) for fault in QUANTIZED}
    applied = {name: made for name, made in made.items() if made is not None}
    for name, (content, tensor) in applied.items():
        damaged.write_bytes(content)
        report = verify(model, damaged, data=data, backend="builtin")
        blamed = report.first_divergence
        if report.exit_code != 1 or blamed is None or blamed.layer not in tensor:
            missed.append((name, tensor, report.verdict))
    assert len(applied) >= 15
    assert not missed


def shifted_a_little(flavour, rng):
    """A BatchNorm of which an addition is left that is smaller than the rounding before it."""
    layers, norm = flavour.keras.layers, flavour.batch_normalization
    image = flavour.keras.Input((8, 8, 3))
    x = norm(name="bn")(layers.ReLU(name="relu")(layers.Conv2D(4, 3, name="conv")(image)))
    x = layers.Conv2D(5, 3, padding="same", name="padded")(x)
    model = flavour.keras.Model(image, layers.Dense(3, name="dense")(layers.GlobalAveragePooling2D()(x)))
    randomise(model, rng)
    ones = np.ones(4)
    model.get_layer("bn").set_weights([ones, 0.01 * ones, 0 * ones, ones])
    return model


def places(model, path, data):
    report = verify(model, path, data=data)
    assert report, report.verdict
    return {record.layer: record.position for record in report.per_layer}


def test_what_has_a_tensor_of_its_own_is_not_taken_for_merged(keras_flavour, rng, tmp_path, monkeypatch):
    """Where a shift is within rounding a tensor fits before it and behind it, and its name tells."""
    model, data = shifted_a_little(keras_flavour, rng), rng.normal(size=(32, 8, 8, 3)).astype("float32")
    result = export_tflite(model, tmp_path / "m.tflite", precision="int8", calibration=data)
    assert result.verdicts[0].action.value == "lowered"
    found = places(model, result.path, data)
    assert (found["conv"], found["bn"]) == ("relu", "bn")
    monkeypatch.setattr(Localiser, "_contradictions", lambda *_: 0)
    assert places(model, result.path, data)["conv"] == "bn"
