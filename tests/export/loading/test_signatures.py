"""SavedModels and ``.tflite`` files with several signatures: the one that is meant is converted and compared."""

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from kerasbn_testing.statistics import randomise

from kerasbn.errors import InvalidArgumentError
from kerasbn_export import export_tflite, verify
from kerasbn_export.cli.main import run
from kerasbn_export.tflite.file import read_tflite
from kerasbn_export.tflite.signature import chosen, only_signature, signature_names


class Served(tf.Module):
    """Three signatures with one name for their outputs; one takes other inputs, and a fixed batch."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    @tf.function(input_signature=[tf.TensorSpec((None, 6), tf.float32, name="x")])
    def serve(self, x):
        return {"y": self.network(x, training=False)}

    @tf.function(input_signature=[tf.TensorSpec((None, 6), tf.float32, name="x")])
    def half(self, x):
        return {"y": self.network(x, training=False) / 2}

    @tf.function(input_signature=[tf.TensorSpec((1, 4), tf.float32, name=name) for name in ("zeta", "alpha")])
    def both(self, zeta, alpha):
        return {"y": zeta - 3 * alpha, "x": alpha}


@pytest.fixture
def saved(keras_flavour, rng, tmp_path):
    """A SavedModel whose signatures share the name of an output, and the Keras model that one of them serves."""
    keras = keras_flavour.keras
    x = keras.Input((6,))
    y = keras_flavour.batch_normalization()(keras.layers.Dense(5)(x))
    model = keras.Model(x, keras.layers.Dense(3)(keras.layers.ReLU()(y)))
    randomise(model, rng)
    module, folder = Served(model), tmp_path / "saved"
    signatures = {"serving_default": module.serve, "half": module.half, "both": module.both}
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return folder, model


def names(path):
    return [signature.name for signature in read_tflite(path).signatures]


def test_serving_default_is_converted_and_compared_with_its_own_outputs(saved, rng, tmp_path, capsys):
    folder, model = saved
    out = tmp_path / "m.tflite"
    assert run(["export", str(folder), "-o", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("Equal: 1 output over")
    assert names(out) == ["serving_default"]
    x = rng.normal(size=(1, 6)).astype("float32")
    np.testing.assert_allclose(
        Interpreter(str(out)).get_signature_runner()(x=x)["y"], model.predict(x, verbose=0), 1e-4
    )
    assert verify(folder, out)
    assert verify(model, out)


@pytest.mark.either_keras
def test_another_signature_is_converted_and_compared_where_it_is_asked_for(saved, tmp_path, capsys):
    folder, model = saved
    out = tmp_path / "m.tflite"
    assert run(["export", str(folder), "-o", str(out), "--signature", "half"]) == 0
    assert names(out) == ["half"]
    assert run(["verify", str(folder), str(out), "--signature", "half"]) == 0
    assert run(["verify", str(folder), str(out)]) == 1, "the half is not what is served by default"
    assert "signature 'serving_default' of the reference was compared with 'half'" in capsys.readouterr().out
    assert not verify(model, out)


@pytest.mark.either_keras
def test_a_file_with_all_signatures_is_compared_signature_by_signature(saved, rng, tmp_path, capsys):
    folder, model = saved
    out = tmp_path / "m.tflite"
    assert run(["export", str(folder), "-o", str(out), "--signature", "*"]) == 0
    assert [line[:5] for line in capsys.readouterr().out.splitlines()[-3:]] == ["Equal"] * 3
    assert sorted(names(out)) == ["both", "half", "serving_default"]
    data = {"zeta": rng.normal(size=(3, 4)), "alpha": rng.normal(size=(3, 4))}
    report = verify(folder, out, signature="both", data=data)
    assert report
    assert report.candidate.startswith("signature 'both' of m.tflite")
    assert [match.by for match in (*report.inputs, *report.matches)] == ["name"] * 4
    for backend in ("xnnpack", "reference", "compiled"):
        assert verify(model, out, backend=backend)
        assert verify(folder, out, signature="half", backend=backend)
        assert not verify(model, out, signature="half", backend=backend)
    with pytest.raises(InvalidArgumentError, match=r"m\.tflite: has no signature 'no'; it has both, half, serving_def"):
        verify(out, model, signature="no")


@pytest.mark.either_keras
@pytest.mark.parametrize("command", ["export", "verify"])
def test_an_unknown_signature_is_one_error_that_lists_what_there_is(saved, tmp_path, command, capsys):
    folder, _ = saved
    rest = ["-o", str(tmp_path / "m.tflite")] if command == "export" else [str(folder)]
    assert run([command, str(folder), *rest, "--signature", "hlaf"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.endswith("has no signature 'hlaf'; it has both, half, serving_default.")


@pytest.mark.either_keras
def test_ranges_are_measured_for_serving_default(saved, rng, tmp_path):
    folder, _ = saved
    data = rng.normal(size=(40, 6)).astype("float32")
    path = export_tflite(folder, tmp_path / "m.tflite", precision="int8", calibration={"x": data}).path
    report = verify(folder, path, data=data)
    assert report, report.verdict
    assert report.precision == "int8"


def test_a_signature_of_what_has_none_is_refused(saved, tmp_path):
    _, model = saved
    with pytest.raises(InvalidArgumentError, match="goes with the path of a SavedModel"):
        export_tflite(model, tmp_path / "m.tflite", signature="half")
    with pytest.raises(InvalidArgumentError, match=r"signature='half' was asked for, but neither .* has signatures"):
        verify(model, model, signature="half")


def test_a_signature_of_a_savedmodel_with_layers_is_taken_as_it_is(tmp_path, rng):
    """Keras 2 writes its layers beside the signatures: they are folded unless a signature is asked for."""
    import tf_keras

    x = tf_keras.Input((6,), name="x")
    model = tf_keras.Model(x, tf_keras.layers.BatchNormalization()(tf_keras.layers.Dense(5)(x)))
    randomise(model, rng)
    model.save(tmp_path / "saved")
    assert export_tflite(tmp_path / "saved", tmp_path / "a.tflite").verdicts[0].gone
    result = export_tflite(tmp_path / "saved", tmp_path / "b.tflite", signature="serving_default")
    assert "leave it out to fold the layers" in result.unfolded
    for signature in (None, "serving_default"):
        assert verify(tmp_path / "saved", tmp_path / "b.tflite", signature=signature)


@pytest.mark.parametrize(
    ("there", "asked", "taken"),
    [
        (("b", "serving_default"), None, "serving_default"),
        (("b", "serving_default"), "b", "b"),
        (("b",), None, "b"),
        ((), None, ""),
        ((), "b", ""),
    ],
)
def test_the_signature_that_is_taken(there, asked, taken):
    assert chosen(there, asked, "m.tflite") == taken


def test_of_several_signatures_without_a_default_one_has_to_be_chosen():
    with pytest.raises(InvalidArgumentError, match="has the signatures a, b; choose one with signature="):
        chosen(("b", "a"), None, "m.tflite")


@pytest.mark.either_keras
def test_one_signature_as_a_file_of_its_own(saved, tmp_path):
    folder, _ = saved
    content = export_tflite(folder, tmp_path / "m.tflite", signature="*").path.read_bytes()
    assert set(signature_names(content, "m")) == {"both", "half", "serving_default"}
    for name, inputs in (("both", ("zeta", "alpha")), ("half", ("x",)), ("serving_default", ("x",))):
        file = read_tflite(only_signature(content, name))
        assert [signature.name for signature in file.signatures] == [name]
        assert sorted(file.input_names) == sorted(inputs)
