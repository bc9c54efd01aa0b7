"""Layers that stay in float inside an int8 file: those that were meant and no others, and the contract sees to it."""

import numpy as np
import pytest

from kerasbn.errors import ConversionError, InvalidArgumentError
from kerasbn.flavour import KERAS
from kerasbn_export import verify
from kerasbn_export.cli.main import run
from kerasbn_export.conversion import mixed as mixed_module
from kerasbn_export.conversion.keep_float import choices_of
from kerasbn_export.export.tflite import export_tflite
from kerasbn_export.graph.chosen import chosen
from kerasbn_export.tflite.file import read_tflite
from kerasbn_export.tflite.graph import TFLiteGraph

pytestmark = pytest.mark.either_keras


def network(flavour):
    layers = flavour.keras.layers
    image = flavour.keras.Input((10, 10, 3), name="image")
    x = flavour.batch_normalization(name="norm")(layers.Conv2D(8, 3, name="first")(image))
    x = layers.ReLU(name="bend")(x)
    x = layers.Conv2D(8, 3, activation="relu", name="second")(x)
    x = layers.Conv2D(8, 3, name="third")(x)
    model = flavour.keras.Model(image, layers.Dense(4, name="scores")(layers.Flatten(name="flat")(x)))
    rng = np.random.default_rng(1)
    model.get_layer("norm").set_weights([rng.uniform(0.5, 2, 8), *rng.normal(size=(2, 8)), rng.uniform(0.5, 2, 8)])
    return model


@pytest.fixture
def data(rng):
    return rng.normal(size=(16, 10, 10, 3)).astype("float32")


def exported(model, data, tmp_path, **options):
    return export_tflite(model, tmp_path / "m.tflite", precision="int8", calibration=data, best=False, **options)


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("kept", "in_float", "said"),
    [
        (["second"], ["CONV_2D"], ["CONV_2D of Conv2D 'second'"]),
        (["bend"], ["CONV_2D"], ["CONV_2D of ReLU 'bend'"]),
        (["scores"], ["FULLY_CONNECTED"], ["FULLY_CONNECTED of Dense 'scores'"]),
        (["Dense", "third"], ["CONV_2D", "FULLY_CONNECTED"], None),
        (["s*"], ["CONV_2D", "FULLY_CONNECTED"], None),
        (["Conv2D"], ["CONV_2D"] * 3, None),
    ],
)
def test_the_layers_that_are_meant_stay_in_float(kept, in_float, said, keras_flavour, data, tmp_path):
    model = network(keras_flavour)
    result = exported(model, data, tmp_path, keep_float=kept)
    file = read_tflite(tmp_path / "m.tflite")
    assert sorted(op.name for op in file.float_ops if op.name != "RESHAPE") == in_float
    assert said is None or [name.partition(" ")[2] for name in result.kept_float] == said
    assert result.float_layers == ()
    assert any(line.startswith("Kept in float as asked for: 1 ") for line in result.summary())
    assert (file.inputs[0].dtype, file.outputs[0].dtype) == ("INT8", "INT8")
    assert verify(model, tmp_path / "m.tflite", data=data)


KINDS = {
    "transposed": ("TRANSPOSE_CONV", lambda layers: layers.Conv2DTranspose(4, 2, strides=2, name="kept")),
    "transposed, with a ReLU": (
        "TRANSPOSE_CONV",
        lambda layers: layers.Conv2DTranspose(4, 3, padding="same", activation="relu", use_bias=False, name="kept"),
    ),
    "grouped": ("CONV_2D", lambda layers: layers.Conv2D(4, 3, groups=2, name="kept")),
    "depthwise": ("DEPTHWISE_CONV_2D", lambda layers: layers.DepthwiseConv2D(3, name="kept")),
    "merged into the next": ("CONV_2D", lambda layers: layers.Conv2D(8, 3, name="kept")),
    "beside another": ("CONV_2D", lambda layers: beside(layers, "branch", "kept")),
    "the sum of both": ("CONV_2D", lambda layers: beside(layers, "kept", "branch")),
}


def beside(layers, whole, part):
    """Two convolutions of one value, which become one."""
    return lambda x: layers.Add(name=whole)([layers.Conv2D(4, 3, padding="same")(x), layers.Conv2D(4, 1, name=part)(x)])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_layer_stays_in_float(kind, keras_flavour, rng, tmp_path):
    """Also one that is merged into another, which then stays, and one whose name the converter does not keep."""
    operation, make = KINDS[kind]
    layers = keras_flavour.keras.layers
    image = keras_flavour.keras.Input((8, 8, 4))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="before")(image)
    model = keras_flavour.keras.Model(image, layers.Conv2D(2, 1, name="behind")(make(layers)(x)))
    data = rng.normal(size=(16, 8, 8, 4)).astype("float32")
    exported(model, data, tmp_path, keep_float=["kept"])
    file = read_tflite(tmp_path / "m.tflite")
    linear = [op for op in file.ops if "CONV" in op.name]
    (kept,) = [op for op in linear if op.outputs[0].dtype == "FLOAT32"]
    assert kept.name == operation
    assert {tensor.dtype for tensor in kept.inputs} <= {"FLOAT32", "INT32"}
    assert linear[0].outputs[0].dtype == "INT8"
    assert verify(model, tmp_path / "m.tflite", data=data)


POOLED = {
    "an average": lambda layers, x: layers.AveragePooling2D(4, name="kept")(x),
    "a maximum": lambda layers, x: layers.Maximum(name="kept")([x, layers.Conv2D(4, 1, name="other")(x)]),
    "both halves": lambda layers, x: layers.Concatenate(name="kept")([x, x]),
}


@pytest.mark.parametrize("kind", POOLED)
def test_what_stays_in_float_takes_all_that_it_is_given(kind, keras_flavour, rng, tmp_path):
    """The converter gives what is pooled the range of the averages, which are 4 times as small here."""
    layers = keras_flavour.keras.layers
    image = keras_flavour.keras.Input((8, 8, 4))
    x = layers.Conv2D(4, 1, name="before")(image)
    model = keras_flavour.keras.Model(image, layers.Conv2D(2, 1, name="behind")(POOLED[kind](layers, x)))
    data = rng.normal(size=(16, 8, 8, 4)).astype("float32")
    exported(model, data, tmp_path, keep_float=["kept"])
    file = read_tflite(tmp_path / "m.tflite")
    assert "FLOOR" not in {op.name for op in file.ops}
    graph = TFLiteGraph((tmp_path / "m.tflite").read_bytes(), "m.tflite")
    before = graph.tensors[graph.operations[0].outputs[0]].quantization
    values = keras_flavour.keras.Model(image, model.get_layer("before").output).predict(data, verbose=0)
    assert before.range[0] <= values.min() + before.scale
    assert before.range[1] >= values.max() - before.scale
    assert verify(model, tmp_path / "m.tflite", data=data)


def test_of_two_that_lost_their_names_none_is_guessed(rng, tmp_path):
    """Keras 3 compiles both, and nothing in the file tells one from the other."""
    layers = KERAS.keras.layers
    image = KERAS.keras.Input((8, 8, 4))
    kept = layers.MaxPooling2D(2)(layers.Conv2D(4, 3, padding="same", groups=2, name="kept")(image))
    other = layers.MaxPooling2D(2)(layers.Conv2D(4, 3, padding="same", groups=2, name="other")(kept))
    model = KERAS.keras.Model(image, layers.Conv2D(2, 1)(other))
    data = rng.normal(size=(16, 8, 8, 4)).astype("float32")
    with pytest.raises(ConversionError, match="no operation of the file comes from kept"):
        exported(model, data, tmp_path, keep_float=["kept"])


def test_a_class_is_meant_with_its_heirs(keras_flavour):
    model = network(keras_flavour)
    layers = {layer.name: layer for layer in model.layers}
    choices = choices_of(layers, {"third": ("fourth",)})
    assert chosen("keep_float", [keras_flavour.keras.layers.Dense], choices) == ("scores",)
    assert set(chosen("keep_float", ["first", "f*", "Conv2D"], choices)) == {"first", "flat", "second", "third"}
    assert chosen("keep_float", ["fourth"], choices) == ("third",)
    with pytest.raises(
        InvalidArgumentError, match="keep_float: 'none' is no layer of the folded model; accepted: names"
    ):
        chosen("keep_float", ["none"], choices)


def test_what_cannot_be_kept_is_refused(keras_flavour, data, tmp_path):
    model = network(keras_flavour)
    with pytest.raises(InvalidArgumentError, match="'norm' is no layer of the folded model: it went into first; acc"):
        exported(model, data, tmp_path, keep_float=["norm"])
    with pytest.raises(InvalidArgumentError, match="goes with precision 'int8', not with 'int16x8'"):
        export_tflite(model, tmp_path / "m.tflite", precision="int16x8", calibration=data, keep_float=["first"])
    with pytest.raises(InvalidArgumentError, match="accepted: a sequence"):
        exported(model, data, tmp_path, keep_float="first")
    with pytest.raises(InvalidArgumentError, match="do not go with a process of its own"):
        exported(model, data, tmp_path, keep_float=["first"], isolate=True)
    assert list(tmp_path.iterdir()) == []


def test_a_layer_that_is_quantized_all_the_same_breaks_the_contract(keras_flavour, data, tmp_path, monkeypatch):
    monkeypatch.setattr(mixed_module, "nodes_to_keep", lambda *_: [])
    with pytest.raises(ConversionError, match="of Conv2D 'second' computes in whole numbers, asked for was float"):
        exported(network(keras_flavour), data, tmp_path, keep_float=["second"])


def test_a_layer_that_ruins_a_file_is_mended_by_keeping_it(keras_flavour, data, tmp_path):
    """One channel of the third layer is a thousand times as large as the others, and the last layer cancels that."""
    model = network(keras_flavour)
    kernel, bias = model.get_layer("third").get_weights()
    kernel[..., 0] *= 1000
    model.get_layer("third").set_weights([kernel, bias])
    dense, offset = model.get_layer("scores").get_weights()
    dense = dense.reshape(-1, 8, 4)
    dense[:, 0] /= 1000
    model.get_layer("scores").set_weights([dense.reshape(-1, 4), offset])
    reached = {}
    for kept in ((), ("third", "flat", "scores")):
        exported(model, data, tmp_path, keep_float=kept)
        reached[kept] = verify(model, tmp_path / "m.tflite", data=data, layers=False).outputs[0].measurement.sqnr_db
    first, second = reached.values()
    assert second > first + 10


def test_the_command_line_keeps_layers(keras_flavour, data, tmp_path, capsys):
    network(keras_flavour).save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", data)
    export = ["export", str(tmp_path / "m.keras"), "-o", str(tmp_path / "m.tflite"), "--precision", "int8"]
    kept = ["--calibration", str(tmp_path / "x.npy"), "--keep-float", "first", "--keep-float", "Dense"]
    assert run([*export, *kept]) == 0
    out = capsys.readouterr().out
    assert "Kept in float as asked for: 1 CONV_2D of ReLU 'bend', 1 FULLY_CONNECTED of Dense 'scores'." in out
    assert "The file has 2 DEQUANTIZE, 2 QUANTIZE." in out
