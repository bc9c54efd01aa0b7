"""A layer of several operations in an int8 file: its own operations, run again, say whether its noise is right."""

import every_layer
import numpy as np
import pytest
from judged_model import draw

from kerasbn_export import export_tflite, verify
from kerasbn_export.tflite.graph import TFLiteGraph
from kerasbn_export.verification.faults.file import File
from kerasbn_export.verification.layers.float_piece import FloatPieces
from kerasbn_export.verification.layers.localise import Localiser
from kerasbn_export.verification.layers.own_operations import _Operations
from kerasbn_export.verification.sides.tflite_runner import TFLiteRunner


def normalizing(flavour, rng, *, offset=0.0):
    """What the normalization gives hardly reaches the output, which is nearly constant: no output can tell."""
    keras, layers = flavour.keras, flavour.keras.layers
    x = keras.Input((6, 8))
    y = layers.LayerNormalization(name="norm")(layers.Dense(8, name="first")(x))
    model = keras.Model(x, layers.Dense(3, name="last")(y))
    model.get_layer("first").set_weights([(0.15 if offset else 1.0) * rng.normal(size=(8, 8)), np.full(8, offset)])
    model.get_layer("norm").set_weights([rng.uniform(0.5, 1.5, 8), rng.normal(size=8)])
    model.get_layer("last").set_weights(
        [(1e-4 if offset else 0.05) * rng.normal(size=(8, 3)), np.array([5.0, 6.0, 7.0])]
    )
    return model


def exported(model, folder, data):
    return export_tflite(model, folder / "m.tflite", precision="int8", calibration=data, best=False).path


def norm_of(report):
    (record,) = [record for record in report.per_layer if record.layer == "norm"]
    return record


@pytest.fixture
def data(rng):
    return rng.normal(size=(64, 6, 8)).astype("float32")


def test_noise_that_its_own_grids_make_convicts_no_layer(keras_flavour, tmp_path, rng, data):
    """Numbers around 30 that differ by 0.15 have few steps between them; the output varies by less than one."""
    model = normalizing(keras_flavour, rng, offset=30.0)
    report = verify(model, exported(model, tmp_path, data), data=data[:8])
    assert report.exit_code == 2, str(report)
    assert report.first_divergence is None
    record = norm_of(report)
    assert record.passed
    assert record.local_sqnr_db < 15
    assert 0.0 < record.rounding < 1.0


def test_the_right_file_is_equal(keras_flavour, tmp_path, rng, data):
    model = normalizing(keras_flavour, rng)
    report = verify(model, exported(model, tmp_path, data), data=data[:8])
    assert report, str(report)
    assert norm_of(report).local_sqnr_db > 25


def of_norm(file):
    return [node for node in file.nodes if "/norm" in node.output_name]


def narrow(file):
    """The range of what an operation inside gives is a quarter of what it needs."""
    node = next(node for node in reversed(of_norm(file)) if node.kind == "MUL")
    node.output.quantization.scale = [float(node.output.quantization.scale[0]) / 4]


def swollen(file):
    """Epsilon is 200."""
    node = next(node for node in of_norm(file) if node.kind == "ADD")
    epsilon = next(tensor for tensor in node.inputs if file.is_constant(tensor, "int8"))
    (stored,) = np.ravel(file.stored(epsilon)).astype(float) - float(epsilon.quantization.zeroPoint[0])
    epsilon.quantization.scale = [200.0 / stored]


@pytest.mark.parametrize("damage", [narrow, swollen])
def test_what_is_wrong_inside_is_seen_where_every_output_passes(keras_flavour, tmp_path, rng, data, damage):
    model = normalizing(keras_flavour, rng)
    file = File(exported(model, tmp_path, data).read_bytes())
    damage(file)
    path = tmp_path / "wrong.tflite"
    path.write_bytes(file.content())
    report = verify(model, path, data=data[:8])
    assert all(report.outputs)
    assert report.exit_code == 1, str(report)
    assert report.first_divergence.layer == "norm"
    assert norm_of(report).rounding > 1.0


def test_random_inputs_prove_nothing_of_its_grids(keras_flavour, tmp_path, rng, data):
    """They lead a network to values that it never has; constants are wrong whatever goes in."""
    model = normalizing(keras_flavour, rng)
    path = exported(model, tmp_path, 0.2 * data)
    assert verify(model, path).exit_code != 1
    file = File(path.read_bytes())
    swollen(file)
    path.write_bytes(file.content())
    assert verify(model, path).exit_code == 1


@pytest.mark.parametrize("found", [None, np.nan])
def test_what_cannot_be_run_in_float_is_not_known(keras_flavour, tmp_path, rng, data, monkeypatch, found):
    """A divisor that is rounded to 0 gives no number."""
    made = None if found is None else np.full((1, 6, 8), found, np.float32)
    monkeypatch.setattr(FloatPieces, "computed", lambda *_, **__: made)
    model = normalizing(keras_flavour, rng, offset=30.0)
    report = verify(model, exported(model, tmp_path, data), data=data[:8])
    assert report.exit_code == 2, str(report)
    assert norm_of(report).rounding is None
    assert not norm_of(report).passed


@pytest.mark.parametrize(("shown", "exit_code"), [(1, 2), (2, 1)])
def test_more_than_one_sample_has_to_show_a_wrong_grid(
    keras_flavour, tmp_path, rng, data, monkeypatch, shown, exit_code
):
    model = normalizing(keras_flavour, rng, offset=30.0)
    path = exported(model, tmp_path, data)
    ratios = iter([5.0] * shown + [0.1] * 8)
    monkeypatch.setattr(_Operations, "_ratio", lambda *_: next(ratios))
    assert verify(model, path, data=data[:8]).exit_code == exit_code


class TestMiddle:
    """Random inputs clip what a GroupNormalization gives. The differences inside it are nearer to the right values."""

    @pytest.fixture
    def report(self, keras_flavour, tmp_path):
        model = every_layer.build(keras_flavour.name, "GroupNormalization", "relu", 0)
        path = tmp_path / "m.tflite"
        export_tflite(model, path, precision="int8", calibration=draw(model, 128, 2))
        return lambda: verify(model, path)

    def test_a_tensor_from_the_middle_of_a_layer_is_no_evidence(self, report):
        assert report().exit_code != 1

    def test_it_would_be_taken_for_the_layer(self, report, monkeypatch):
        monkeypatch.setattr(Localiser, "goes_on", lambda *_: False)
        assert report().exit_code == 1


class TestPieces:
    @pytest.fixture
    def file(self, keras_flavour, tmp_path, rng, data):
        model = normalizing(keras_flavour, rng)
        return exported(model, tmp_path, data).read_bytes()

    def test_rounded_to_its_grids_a_file_computes_what_it_gives(self, file, data):
        runner = TFLiteRunner(file, "m.tflite", "builtin")
        (source,), (end,) = runner.graph.inputs, runner.graph.outputs
        x = runner.restore(source, runner.stored([data[:1]], 1)[source])
        found = FloatPieces(file).computed(end, {source: x}, rounded=True)
        (expected,) = runner.run([data[:1]])
        assert np.max(np.abs(found - expected)) <= 1.5 * runner.graph.step(end)
        exact = FloatPieces(file).computed(end, {source: x}, rounded=False)
        assert 0 < np.max(np.abs(exact - expected)) <= 4 * runner.graph.step(end)

    def test_too_little_is_given(self, file):
        graph = TFLiteGraph(file, "m.tflite")
        assert FloatPieces(file).computed(graph.outputs[0], {}, rounded=False) is None

    def test_a_constant_without_real_numbers(self, file, data, monkeypatch):
        monkeypatch.setattr(TFLiteGraph, "constant", lambda *_: None)
        graph = TFLiteGraph(file, "m.tflite")
        assert FloatPieces(file).computed(graph.outputs[0], {graph.inputs[0]: data[:1]}, rounded=False) is None
