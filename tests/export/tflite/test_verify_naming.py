"""Which layer a tensor's name tells of."""

from dataclasses import replace

import numpy as np
import pytest

from kerasbn_export import export_tflite, verify
from kerasbn_export.graph.model import Call, new_layer
from kerasbn_export.tflite.layer_names import Provenance
from kerasbn_export.verification.faults.file import File
from kerasbn_export.verification.layers.divergence import _may_be_moved
from kerasbn_export.verification.records.layers import LayerComparison

pytestmark = pytest.mark.either_keras

KERAS_3 = ["net_1/bn_1/add", "net_1/add_1", "net_1/dense_1/MatMul;net_1/dense_1/BiasAdd", "net_1/lstm_1/cell_1/add"]


@pytest.mark.parametrize(
    ("tensor", "layers"),
    [
        ("net_1/bn_1/add", ("bn",)),  # an operation inside the layer, not the layer of that name
        ("net_1/add_1", ("add",)),
        ("net_1/dense_1/MatMul;net_1/bn_1/add", ("dense", "bn")),
        ("net_1/lstm_1/cell_1/add", ("lstm",)),
        ("net_1/inner_1/conv_1/Conv2D", ("inner/conv",)),
        ("StatefulPartitionedCall:0", ()),
    ],
)
def test_the_outermost_layer_is_meant(tensor, layers):
    provenance = Provenance(["bn", "add", "dense", "lstm", "inner/conv"], [*KERAS_3, tensor])
    assert provenance.layers(tensor) == layers


def test_a_model_may_have_the_name_of_a_layer():
    names = ["add/dense/MatMul", "add/add/add", "add/relu/Relu"]
    assert Provenance(["dense", "add", "relu"], names).layers("add/dense/MatMul") == ("dense",)


def test_without_a_model_in_front_the_first_word_is_the_layer():
    names = ["bn/add", "dense/MatMul", "relu/Relu", "add"]
    assert Provenance(["bn", "dense", "relu", "add"], names).layers("bn/add") == ("bn",)


@pytest.mark.parametrize("fault", ["bias", "pool"])
def test_faults_beside_an_addition_in_the_graph_are_seen_in_int8(keras_flavour, rng, tmp_path, fault):
    """The tensor of the lone ADD of a BatchNorm was taken for that of ``y + 1``, and what was wrong for moved."""
    layers = keras_flavour.keras.layers
    x = keras_flavour.keras.Input((8, 8, 3))
    y = layers.BatchNormalization(name="bn", scale=False)(layers.ReLU()(layers.Conv2D(6, 3, name="first")(x)))
    y = layers.MaxPooling2D(name="pool")(layers.Conv2D(6, 3, padding="same", name="second")(y))
    y = layers.ReLU()(y * 0.5 + 1.0)
    model = keras_flavour.keras.Model(x, layers.Dense(3, name="last")(layers.Flatten()(y)))
    norm = model.get_layer("bn")
    norm.set_weights([rng.normal(size=6), rng.normal(size=6), rng.uniform(0.5, 2.0, 6)])
    data = (3 * rng.normal(size=(64, 1, 1, 3)) + rng.normal(size=(64, 8, 8, 3))).astype("float32")
    path = export_tflite(model, tmp_path / "m.tflite", precision="int8", calibration=data, best=False).path
    assert verify(model, path, data=data[:8], backend="builtin")
    file = File(path.read_bytes())
    if fault == "bias":
        node = file.linear()[1]
        file.store(node.bias, np.roll(file.stored(node.bias), 1))
    else:
        node = next(node for node in file.nodes if node.kind == "MAX_POOL_2D")
        node.output.quantization.scale = [1.1 * float(node.output.quantization.scale[0])]
    path.write_bytes(file.content())
    report = verify(model, path, data=data[:8], backend="builtin")
    assert report.exit_code == 1
    assert report.first_divergence.layer == ("second" if fault == "bias" else "pool"), report.verdict


@pytest.mark.parametrize(
    ("kind", "rounding", "moved"),
    [
        ("MaxPooling2D", 9.0, False),
        ("GlobalMaxPooling1D", 9.0, False),
        ("MaxPooling2D", None, True),
        ("ReLU", 9.0, True),
    ],
)
def test_only_an_error_of_a_maximum_beyond_rounding_is_never_moved(kind, rounding, moved):
    call = Call(new_layer(kind, "it", {}), (), {}, [])
    record = LayerComparison("it", "t", "it", (), 0.1, 0.1, 20.0, rounding, passed=False)
    assert _may_be_moved(call, record) is moved
    assert not _may_be_moved(call, replace(record, passed=True))
