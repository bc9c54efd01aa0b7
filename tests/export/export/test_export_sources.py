"""What can be exported: SavedModels without layers, models that cannot be traced, sizes that stay open."""

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from kerasbn.errors import InvalidArgumentError, ModelFileError, NotFoldedError, UnsafeModelError, UnsupportedModelError
from kerasbn_export.cli.main import run
from kerasbn_export.conversion.provenance import read_provenance
from kerasbn_export.export.tflite import export_tflite
from kerasbn_export.loading.load import load_source
from kerasbn_export.tflite.file import read_tflite
from kerasbn_export.verification import verify


class TwoWays(tf.Module):
    """Two signatures on one variable; the names of the ends are in no order."""

    def __init__(self):
        super().__init__()
        self.weights = tf.Variable(np.random.default_rng(1).normal(size=(3, 4)).astype("float32"))

    @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32, name="x")])
    def encode(self, x):
        return {"z": tf.nn.relu(x @ self.weights), "a": 2 * x}

    @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32, name="code")])
    def decode(self, code):
        return {"x": code @ tf.transpose(self.weights)}


@pytest.fixture(scope="module")
def two_ways(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "two"
    module = TwoWays()
    tf.saved_model.save(module, str(folder), signatures={"encode": module.encode, "decode": module.decode})
    return folder


def run_signature(path, name, **inputs):
    return Interpreter(model_path=str(path)).get_signature_runner(name)(**inputs)


def test_every_signature_of_a_savedmodel_is_in_the_file(two_ways, tmp_path, rng):
    result = export_tflite(two_ways, tmp_path / "m.tflite")
    assert "carries no Keras layers" in result.unfolded
    assert result.verdicts == ()
    file = read_tflite(result.path)
    assert {signature.name for signature in file.signatures} == {"encode", "decode"}
    assert [tensor.shape for signature in file.signatures for tensor in signature.inputs] == [(1, 4), (1, 3)]
    x, module = rng.normal(size=(1, 3)).astype("float32"), TwoWays()
    found = run_signature(result.path, "encode", x=x)
    for name, want in module.encode(x).items():
        np.testing.assert_allclose(found[name], want, atol=1e-6)
    code = np.asarray(found["z"])
    np.testing.assert_allclose(
        run_signature(result.path, "decode", code=code)["x"], module.decode(code)["x"], atol=1e-5
    )


def test_one_signature_can_be_chosen_and_quantized(two_ways, tmp_path, rng):
    data = {"x": rng.normal(size=(20, 3))}
    result = export_tflite(two_ways, tmp_path / "m.tflite", signature="encode", precision="int8", calibration=data)
    file = read_tflite(result.path)
    assert [signature.name for signature in file.signatures] == ["encode"]
    assert {tensor.dtype for tensor in file.inputs + file.outputs} == {"INT8"}
    made = read_provenance(file)
    assert (made["keras"], made["verdicts"], made["calibration_samples"]) == ("SavedModel", None, 20)
    assert len(made["sha256"]) == 64


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"signature": "predict"}, InvalidArgumentError, "has no signature 'predict'; it has decode, encode"),
        ({"precision": "int8", "calibration": "random"}, InvalidArgumentError, "choose one with signature=; found dec"),
        ({"strict": True}, NotFoldedError, "cannot be folded: the SavedModel carries no Keras layers"),
    ],
)
def test_what_a_savedmodel_cannot_do_is_refused(options, error, message, two_ways, tmp_path):
    with pytest.raises(error, match=message):
        export_tflite(two_ways, tmp_path / "m.tflite", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_savedmodel_without_signature_is_refused(tmp_path):
    tf.saved_model.save(TwoWays(), str(tmp_path / "none"), signatures={})
    with pytest.raises(ModelFileError, match="has no signature, so nothing in it says what to convert"):
        export_tflite(tmp_path / "none", tmp_path / "m.tflite")


def test_a_graph_that_reads_files_is_loaded_only_if_allowed(tmp_path):
    module = tf.Module()
    module.read = tf.function(lambda x: {"y": x + tf.strings.to_number(tf.io.read_file("secret"))})
    serve = module.read.get_concrete_function(tf.TensorSpec((1,), tf.float32, name="x"))
    tf.saved_model.save(module, str(tmp_path / "reads"), signatures=serve)
    with pytest.raises(UnsafeModelError, match="holds the operation ReadFile"):
        load_source(tmp_path / "reads")
    assert load_source(tmp_path / "reads", allow_code=True)[0].inputs[0].name == "x"


def test_a_signature_of_a_keras_file_is_refused(keras_flavour, tmp_path):
    x = keras_flavour.keras.Input((3,))
    keras_flavour.keras.Model(x, keras_flavour.keras.layers.Dense(2)(x)).save(tmp_path / "m.keras")
    with pytest.raises(InvalidArgumentError, match="is a Keras model, which has no signatures"):
        export_tflite(tmp_path / "m.keras", tmp_path / "m.tflite", signature="encode")


def test_what_keras_exports_is_converted_as_it_is(keras_flavour, tmp_path, capsys):
    """`model.export` writes a SavedModel without layers: the BatchNorm can still be folded by the converter alone."""
    keras = keras_flavour.keras
    x = keras.Input((6, 6, 3), name="image")
    y = keras_flavour.batch_normalization(name="norm")(keras.layers.Conv2D(4, 3, activation="relu")(x))
    model = keras.Model(x, y)
    model.get_layer("norm").set_weights([np.array([-1, 0.5, 0, 2]), np.ones(4), np.ones(4), np.array([0.01, 1, 9, 99])])
    model.export(str(tmp_path / "exported"))
    out = tmp_path / "m.tflite"
    assert run(["export", str(tmp_path / "exported"), "-o", str(out)]) == 0
    text = capsys.readouterr().out
    assert "Not folded: the SavedModel carries no Keras layers" in text
    assert text.splitlines()[-1].startswith("Equal: 1 output over")
    assert len(read_tflite(out).affine_ops) == 2
    image = np.random.default_rng(0).normal(size=(1, 6, 6, 3)).astype("float32")
    found = next(iter(run_signature(out, "serving_default", **{read_tflite(out).input_names[0]: image}).values()))
    np.testing.assert_allclose(found, model(image), atol=1e-4)


def test_the_command_line_verifies_every_signature(two_ways, tmp_path, capsys):
    assert run(["export", str(two_ways), "-o", str(tmp_path / "m.tflite")]) == 0
    assert [line[:5] for line in capsys.readouterr().out.splitlines()[-2:]] == ["Equal", "Equal"]


def wilful(flavour, built=True):
    """A model whose `call` needs concrete sizes, so that no symbolic tensor passes it."""

    class Wilful(flavour.keras.Model):
        def __init__(self):
            super().__init__(name="wilful")
            self.conv = flavour.keras.layers.Conv2D(4, 3, activation="relu")
            self.norm = flavour.batch_normalization()

        def call(self, x):
            if "KerasTensor" in type(x).__name__:
                raise TypeError("not on symbols")
            return {"scores": self.norm(self.conv(x)), "mean": tf.reduce_mean(x, [1, 2])}

    model = Wilful()
    if built:
        model(np.zeros((2, 6, 6, 3), "float32"))
        model.norm.set_weights([np.array([-1, 0.5, 0, 2]), np.ones(4), np.ones(4), np.array([0.01, 1, 9, 99])])
    return model


def test_a_model_that_cannot_be_traced_is_converted_as_it_is_and_the_result_says_so(keras_flavour, tmp_path, rng):
    model = wilful(keras_flavour)
    result = export_tflite(model, tmp_path / "m.tflite")
    assert "cannot be traced" in result.unfolded
    file = read_tflite(result.path)
    assert file.output_names == ("mean", "scores")
    assert file.inputs[0].shape == (1, 6, 6, 3)
    image = rng.normal(size=(1, 6, 6, 3)).astype("float32")
    found = run_signature(result.path, "serving_default", **{file.input_names[0]: image})
    for name, want in model(image).items():
        np.testing.assert_allclose(found[name], want, atol=1e-4 * np.abs(want).max())
    assert verify(model, result.path)  # as a whole: layers are not known
    model.conv.set_weights([weight * 1.01 for weight in model.conv.get_weights()])
    assert verify(model, result.path).exit_code == 1
    with pytest.raises(NotFoldedError, match=r"cannot be folded: .*cannot be traced"):
        export_tflite(model, tmp_path / "n.tflite", strict=True)


def test_a_model_that_was_never_built_is_refused(keras_flavour, tmp_path):
    with pytest.raises(UnsupportedModelError, match="it was never called"):
        export_tflite(wilful(keras_flavour, built=False), tmp_path / "m.tflite")


def subclassed(flavour):
    class Net(flavour.keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = flavour.keras.layers.Conv2D(4, 3, name="conv")
            self.norm = flavour.batch_normalization(name="norm")

        def call(self, x):
            return self.norm(self.conv(x))

    model = Net()
    model(np.zeros((1, 8, 8, 3), "float32"))
    model.norm.set_weights([np.array([-1, 0.5, 0, 2]), np.ones(4), np.ones(4), np.array([0.01, 1, 9, 99])])
    return model


def test_a_subclassed_model_that_can_be_traced_is_folded(keras_flavour, tmp_path):
    model = subclassed(keras_flavour)
    result = export_tflite(model, tmp_path / "m.tflite")
    assert (result.unfolded, [verdict.gone for verdict in result.verdicts]) == ("", [True])
    assert verify(model, result.path)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_sizes_that_the_model_leaves_open_stay_open(precision, keras_flavour, tmp_path, rng):
    keras = keras_flavour.keras
    x = keras.Input((None, None, 3), name="image")
    y = keras_flavour.batch_normalization(name="norm")(keras.layers.Conv2D(4, 3)(x))
    y = keras.layers.ReLU()(keras.layers.DepthwiseConv2D(3, padding="same")(y))
    model = keras.Model(x, y)
    model.get_layer("norm").set_weights([np.array([-1, 0.5, 0, 2]), np.ones(4), np.ones(4), np.array([0.01, 1, 9, 99])])
    calibration = rng.normal(size=(8, 10, 10, 3)).astype("float32") if precision == "int8" else None
    result = export_tflite(model, tmp_path / "m.tflite", precision=precision, calibration=calibration, batch_size=None)
    assert read_tflite(result.path).inputs[0].shape == (-1, -1, -1, 3)
    for size in (7, 12):
        assert verify(model, result.path, data=rng.normal(size=(3, size, size, 3)).astype("float32"))
