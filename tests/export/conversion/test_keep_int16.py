"""Layers whose activations have 16 bits inside an int8 file: those that were meant, and the numbers are theirs."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import tensorflow as tf

from kerasbn.errors import ConversionError, InvalidArgumentError
from kerasbn_export import export_tflite, verify
from kerasbn_export.cli.main import run
from kerasbn_export.conversion import mixed as mixed_module
from kerasbn_export.devices.profiles import find_device
from kerasbn_export.export import objection
from kerasbn_export.tflite.file import read_tflite
from kerasbn_export.tflite.flatbuffer import op_name, parse, schema, serialize
from kerasbn_export.tflite.graph import TFLiteGraph
from kerasbn_export.verification.layers import locate as locate_module

pytestmark = pytest.mark.either_keras


def network(flavour, seed=1):
    """Convolutions, a depthwise one, a sum, a concatenation, pooling and a softmax."""
    layers = flavour.keras.layers
    image = flavour.keras.Input((10, 10, 3), name="image")
    x = flavour.batch_normalization(name="norm")(layers.Conv2D(8, 3, padding="same", name="first")(image))
    x = layers.ReLU(name="bend")(x)
    side = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Add(name="sum")([x, layers.Conv2D(8, 1, activation="tanh", name="second")(side)])
    x = layers.Concatenate(name="both")([x, side])
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(layers.Conv2D(8, 3, activation="relu6", name="third")(x))
    model = flavour.keras.Model(image, layers.Softmax(name="classes")(layers.Dense(4, name="scores")(x)))
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        layer.set_weights([rng.normal(0, 0.3, weight.shape) for weight in layer.get_weights()])
    model.get_layer("norm").set_weights([rng.uniform(0.5, 2, 8), *rng.normal(size=(2, 8)), rng.uniform(0.5, 2, 8)])
    return model


@pytest.fixture
def data(rng):
    return rng.normal(size=(24, 10, 10, 3)).astype("float32")


def exported(model, data, tmp_path, **options):
    return export_tflite(model, tmp_path / "m.tflite", precision="int8", calibration=data, best=False, **options)


def long_ops(path):
    return sorted(op.name for op in read_tflite(path).ops if op.long and op.name != "QUANTIZE")


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("kept", "long"),
    [
        (["second"], ["CONV_2D"]),
        (["bend"], ["CONV_2D"]),
        (["sum"], ["ADD"]),
        (["both"], ["CONCATENATION"]),
        (["depthwise", "pool"], ["DEPTHWISE_CONV_2D", "MAX_POOL_2D"]),
        (["Conv2D"], ["CONV_2D", "CONV_2D", "CONV_2D", "TANH"]),
        (["scores", "classes"], ["FULLY_CONNECTED", "SOFTMAX"]),
    ],
)
@pytest.mark.parametrize("ends", ["int8", "float32"])
def test_the_layers_that_are_meant_have_16_bits(kept, long, ends, keras_flavour, data, tmp_path):
    model = network(keras_flavour)
    result = exported(model, data, tmp_path, keep_int16=kept, io_dtype=ends)
    file = read_tflite(tmp_path / "m.tflite")
    found = long_ops(tmp_path / "m.tflite")
    assert found == long if kept != ["second"] else set(found) >= set(long)
    assert len(result.kept_int16) == len(set(result.kept_int16)) > 0
    assert any(line.startswith("Kept in int16 as asked for: 1 ") for line in result.summary())
    assert (file.inputs[0].dtype, file.outputs[0].dtype) == (ends.upper(), ends.upper())
    assert verify(model, tmp_path / "m.tflite", data=data)


KINDS = {
    "sigmoid": lambda layers: layers.Activation("sigmoid", name="kept"),
    "tanh": lambda layers: layers.Activation("tanh", name="kept"),
    "with a sigmoid": lambda layers: layers.Conv2D(4, 3, activation="sigmoid", name="kept"),
    "transposed": lambda layers: layers.Conv2DTranspose(4, 2, strides=2, name="kept"),
    "grouped": lambda layers: layers.Conv2D(4, 3, groups=2, name="kept"),
    "softplus": lambda layers: layers.Activation("softplus", name="kept"),
    "maximum": lambda layers: lambda x: layers.Maximum(name="kept")([x, layers.Conv2D(4, 1)(x)]),
}


def between(flavour, rng, make):
    """A layer between two convolutions; and samples."""
    layers = flavour.keras.layers
    image = flavour.keras.Input((8, 8, 4))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="before")(image)
    model = flavour.keras.Model(image, layers.Conv2D(2, 1, name="behind")(make(layers)(x)))
    return model, rng.normal(size=(16, 8, 8, 4)).astype("float32")


@pytest.mark.sweep
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_layer_has_16_bits(kind, keras_flavour, rng, tmp_path):
    """A sigmoid has the grid that TFLite fixes; of a maximum the grid of 16 bits is no grid of what it is given."""
    model, data = between(keras_flavour, rng, KINDS[kind])
    exported(model, data, tmp_path, keep_int16=["kept"])
    assert long_ops(tmp_path / "m.tflite")
    report = verify(model, tmp_path / "m.tflite", data=data)
    assert report, str(report)


SEQUENCES = {
    "LSTM": lambda layers: layers.LSTM(5, return_sequences=True, unroll=True, name="kept"),
    "GRU": lambda layers: layers.GRU(5, return_sequences=True, unroll=True, name="kept"),
    "attention": lambda layers: lambda x: layers.MultiHeadAttention(2, 4, name="kept")(x, x),
    "sum with a constant": lambda layers: layers.Activation("softsign", name="kept"),
}


@pytest.mark.sweep
@pytest.mark.parametrize("kind", SEQUENCES)
def test_constants_beside_16_bits_have_them_too(kind, keras_flavour, rng, tmp_path):
    """``1 - z`` of a GRU, the scores of an attention over the root of their size: LiteRT takes no 8 bits with 16."""
    layers = keras_flavour.keras.layers
    given = keras_flavour.keras.Input((6, 8))
    x = layers.Dense(8, name="before")(given)
    model = keras_flavour.keras.Model(given, layers.Dense(3, name="behind")(SEQUENCES[kind](layers)(x)))
    for layer in model.layers:  # a bias of zeros is left out
        layer.set_weights([weight + rng.normal(0, 0.1, weight.shape) for weight in layer.get_weights()])
    data = rng.normal(size=(16, 6, 8)).astype("float32")
    exported(model, data, tmp_path, keep_int16=["kept"])
    graph = TFLiteGraph((tmp_path / "m.tflite").read_bytes(), "m.tflite")
    sums = [op for op in graph.operations if op.name in ("ADD", "SUB", "MUL")]
    assert all(len({graph.tensors[i].dtype for i in op.inputs}) == 1 for op in sums)
    assert long_ops(tmp_path / "m.tflite")
    report = verify(model, tmp_path / "m.tflite", data=data)
    assert report, str(report)


def test_other_layers_need_no_16_bits(keras_flavour, rng, tmp_path):
    """TFLite has no SELU of 16 bits, and the head may have them all the same."""
    layers = keras_flavour.keras.layers
    model, data = between(keras_flavour, rng, lambda layers: layers.Activation("selu", name="middle"))
    exported(model, data, tmp_path, keep_int16=["behind"])
    assert long_ops(tmp_path / "m.tflite") == ["CONV_2D"]
    assert verify(model, tmp_path / "m.tflite", data=data)
    normed, data = between(keras_flavour, rng, lambda _: layers.LayerNormalization(name="middle"))
    exported(normed, data, tmp_path, keep_int16=["before", "behind"])
    assert long_ops(tmp_path / "m.tflite") == ["CONV_2D", "CONV_2D"]
    assert verify(normed, tmp_path / "m.tflite", data=data)


def test_whole_numbers_on_the_way_keep_their_type(keras_flavour, rng, tmp_path):
    """What an embedding computes of the ids has no grid, and is no other number in the file of 16 bits."""
    layers = keras_flavour.keras.layers
    ids = keras_flavour.keras.Input((6,), dtype="int32")
    x = layers.Embedding(20, 8, name="kept")(ids)
    model = keras_flavour.keras.Model(ids, layers.Dense(3)(x))
    data = rng.integers(0, 20, size=(16, 6)).astype("int32")
    exported(model, data, tmp_path, keep_int16=["kept"])
    assert long_ops(tmp_path / "m.tflite") == ["GATHER"]
    assert verify(model, tmp_path / "m.tflite", data=data)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda layers: layers.Activation("selu", name="kept"), "the converter cannot make these layers in 16 bits"),
        (
            lambda layers: layers.Activation(tf.nn.log_softmax, name="kept"),
            "prepare LOG_SOFTMAX .*failed to invoke",
        ),
    ],
)
def test_what_has_no_16_bits_is_refused_with_what_to_do(make, said, keras_flavour, rng, tmp_path):
    model, data = between(keras_flavour, rng, make)
    with pytest.raises(ConversionError, match=f"{said}.*Use keep_float"):
        exported(model, data, tmp_path, keep_int16=["kept"])
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_litert_dies_of_is_an_error(keras_flavour, rng, tmp_path, monkeypatch):
    model, data = between(keras_flavour, rng, KINDS["tanh"])
    monkeypatch.setattr(objection, "RUN_ONCE", "import os; os.abort()")
    with pytest.raises(ConversionError, match=r"does not run: LiteRT dies of it \(SIGABRT\)\. Use keep_float"):
        exported(model, data, tmp_path, keep_int16=["kept"])
    with pytest.raises(ConversionError, match=r"SIGABRT.*Use precision 'int8'"):
        export_tflite(model, tmp_path / "m.tflite", precision="int16x8", calibration=data)
    exported(model, data, tmp_path)  # of 8 bits alone no file was seen to be such a one


def test_a_tensor_between_two_of_them_keeps_its_bits(keras_flavour, data, tmp_path):
    exported(network(keras_flavour), data, tmp_path, keep_int16=["both", "pool", "third"])
    names = [(op.name, op.outputs[0].dtype) for op in read_tflite(tmp_path / "m.tflite").ops]
    long = [name for name, dtype in names if dtype == "INT16" and name != "QUANTIZE"]
    assert long == ["CONCATENATION", "MAX_POOL_2D", "CONV_2D"]
    place = names.index(("CONCATENATION", "INT16"))
    assert [name for name, _ in names[place : place + 4]] == [*long, "QUANTIZE"]


def test_nothing_else_changes(keras_flavour, data, tmp_path):
    """The operations that were not named have the scales and the weights of the plain file."""
    model, stored = network(keras_flavour), []
    for kept in ([], ["third"]):
        exported(model, data, tmp_path, keep_int16=kept)
        graph = parse((tmp_path / "m.tflite").read_bytes()).subgraphs[0]
        short = [t for t in graph.tensors if t.type == schema().TensorType.INT8 and t.quantization.scale is not None]
        stored.append({(t.name, tuple(t.quantization.scale), tuple(t.quantization.zeroPoint)) for t in short})
    assert stored[0] <= stored[1]


def test_more_layers_of_16_bits_mean_less_noise(keras_flavour, data, tmp_path):
    model, reached = network(keras_flavour), []
    for kept in ([], ["first", "bend", "depthwise", "second", "sum"], ["*"]):
        exported(model, data, tmp_path, keep_int16=kept, io_dtype="float32")
        report = verify(model, tmp_path / "m.tflite", data=data, layers=False)
        reached.append(report.outputs[0].measurement.sqnr_db)
    assert all(b > a for a, b in pairwise(reached)), reached


def spoil_depthwise(path, wrong):
    """The same file, with a depthwise kernel of 16-bit activations that is 1.3 times too large."""
    changed = parse(path.read_bytes())
    graph = changed.subgraphs[0]
    depthwise = next(op for op in graph.operators if op_name(changed, op) == "DEPTHWISE_CONV_2D")
    assert graph.tensors[depthwise.outputs[0]].type == schema().TensorType.INT16
    grid = graph.tensors[depthwise.inputs[1]].quantization
    grid.scale = [1.3 * scale for scale in grid.scale]
    wrong.write_bytes(serialize(changed))


def test_a_wrong_scale_of_16_bits_is_found(keras_flavour, data, tmp_path):
    model = network(keras_flavour)
    exported(model, data, tmp_path, keep_int16=["depthwise", "second", "sum"])
    spoil_depthwise(tmp_path / "m.tflite", tmp_path / "wrong.tflite")
    assert not verify(model, tmp_path / "wrong.tflite", data=data)


def test_what_cannot_be_kept_is_refused(keras_flavour, data, tmp_path):
    model = network(keras_flavour)
    with pytest.raises(InvalidArgumentError, match="keep_int16: 'norm' is no layer of the folded model"):
        exported(model, data, tmp_path, keep_int16=["norm"])
    with pytest.raises(InvalidArgumentError, match="keep_float and keep_int16 both name third"):
        exported(model, data, tmp_path, keep_int16=["third"], keep_float=["th*"])
    with pytest.raises(InvalidArgumentError, match="keep_int16 goes with precision 'int8', not with 'float32'"):
        export_tflite(model, tmp_path / "m.tflite", keep_int16=["first"])
    with pytest.raises(InvalidArgumentError, match="no kernel from 16 bits to uint8"):
        exported(model, data, tmp_path, keep_int16=["first"], io_dtype="uint8")
    assert list(tmp_path.iterdir()) == []


def test_a_layer_that_has_8_bits_all_the_same_breaks_the_contract(keras_flavour, data, tmp_path, monkeypatch):
    monkeypatch.setattr(mixed_module, "with_int16", lambda short, *_, **__: short)
    with pytest.raises(ConversionError, match="of Conv2D 'third' has activations of int8, asked for was int16"):
        exported(network(keras_flavour), data, tmp_path, keep_int16=["third"])


def test_float_and_16_bits_in_one_file(keras_flavour, data, tmp_path, capsys):
    network(keras_flavour).save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", data)
    export = ["export", str(tmp_path / "m.keras"), "-o", str(tmp_path / "m.tflite"), "--precision", "int8"]
    kept = ["--calibration", str(tmp_path / "x.npy"), "--keep-float", "third", "--keep-int16", "depthwise"]
    assert run([*export, *kept]) == 0
    out = capsys.readouterr().out
    assert "Kept in float as asked for: 1 CONV_2D of Conv2D 'third'." in out
    assert "Kept in int16 as asked for: 1 DEPTHWISE_CONV_2D of DepthwiseConv2D 'depthwise'." in out
    assert [op.name for op in read_tflite(tmp_path / "m.tflite").float_ops if op.name != "DEQUANTIZE"] == ["CONV_2D"]


@pytest.mark.parametrize("device", ["edge-tpu", "xnnpack", "ethos-u55"])
def test_a_device_without_16_bits_says_so(device, keras_flavour, data, tmp_path):
    for kept in ([], ["third"]):
        result = exported(network(keras_flavour), data, tmp_path, keep_int16=kept, device=device)
        said = "CONV_2D of Conv2D 'third': has activations of 16 bits"
        assert read_tflite(tmp_path / "m.tflite").precision == "int8"
        assert any(said in line for line in result.device.lines()) == bool(
            kept and "int16x8" not in find_device(device).precisions
        )


def test_only_a_change_of_width_is_looked_through(keras_flavour, data, tmp_path, monkeypatch):
    """From 8 bits to 16 nothing is lost. Between two grids of 8 bits half a step is."""
    model = network(keras_flavour)
    exported(model, data, tmp_path, keep_int16=["third"])
    graph = TFLiteGraph((tmp_path / "m.tflite").read_bytes(), "m.tflite")
    widening = next(op for op in graph.operations if op.name == "QUANTIZE")
    assert graph.beyond(widening.outputs[0])[0] != widening.outputs[0]
    as_wide = [replace(tensor, dtype="int8") if tensor.dtype == "int16" else tensor for tensor in graph.tensors]
    monkeypatch.setattr(graph, "tensors", as_wide)
    assert graph.beyond(widening.outputs[0])[0] == widening.outputs[0]


def test_without_looking_through_a_wrong_kernel_is_not_seen(keras_flavour, data, tmp_path, monkeypatch):
    monkeypatch.setattr(TFLiteGraph, "_puts_on_a_grid", lambda *_: False)
    model = network(keras_flavour)
    exported(model, data, tmp_path, keep_int16=["depthwise", "second", "sum"])
    spoil_depthwise(tmp_path / "m.tflite", tmp_path / "wrong.tflite")
    monkeypatch.setattr(locate_module, "by_operations", lambda *given: given[-1])  # which runs them all again
    assert verify(model, tmp_path / "wrong.tflite", data=data)
