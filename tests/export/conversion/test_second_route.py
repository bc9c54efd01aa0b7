"""The second route makes the model's file, with TFLite's own operations, and never another one without a word."""

import re

import numpy as np
import pytest

from kerasbn.errors import ConversionError, InvalidArgumentError, MissingPackageError
from kerasbn_export import verify
from kerasbn_export.cli.main import run
from kerasbn_export.conversion import tensorflow
from kerasbn_export.conversion.litert import package, respell
from kerasbn_export.conversion.provenance import read_provenance
from kerasbn_export.export import objection, routed
from kerasbn_export.export.tflite import export_tflite
from kerasbn_export.tflite.file import read_tflite
from kerasbn_export.tflite.graph import TFLiteGraph


def through(flavour, shape, *layers):
    """A model of layers in a row, none with weights at their initial values."""
    x = y = flavour.keras.Input(shape, name="x")
    for layer in layers:
        y = layer(y)
    model = flavour.keras.Model(x, y, name="row")
    rng = np.random.default_rng(7)
    model.set_weights([np.abs(rng.normal(size=w.shape)) * 0.3 + 0.05 for w in model.get_weights()])
    return model


def small(flavour):
    layers = flavour.keras.layers
    return through(
        flavour,
        (12, 12, 3),
        layers.Conv2D(4, 3, activation="relu", name="conv"),
        flavour.batch_normalization(name="norm"),
        layers.Conv2D(5, 3, name="last"),
        layers.GlobalAveragePooling2D(name="mean"),
        layers.Dense(3, activation="softmax", name="scores"),
    )


def up(flavour):
    return flavour.keras.layers.Conv2DTranspose(4, 3, strides=2, padding="same", name="up")


def bilinear(flavour):
    return flavour.keras.layers.UpSampling2D(2, interpolation="bilinear", name="smooth")


def one_row(flavour):
    """A squeeze and excitation before its activation: the package gave the Dense another rank."""
    layers = flavour.keras.layers
    pool, dense = layers.GlobalAveragePooling2D(keepdims=True), layers.Dense(5)
    return lambda x: dense(pool(x))


def many_dimensions(flavour):
    """A maximum with 0 TFLite has for five dimensions, a ReLU for any number."""
    shape, bend = flavour.keras.layers.Reshape((2, 6, 6, 2, 4)), flavour.keras.layers.ReLU()
    return lambda x: bend(shape(x))


SPELLED = {
    "up": (up, {"TRANSPOSE_CONV": 1}),
    "bilinear": (bilinear, {"RESIZE_BILINEAR": 1}),
    "dilated": (lambda f: f.keras.layers.Conv2D(4, 3, padding="same", dilation_rate=2), {"CONV_2D": 1}),
    "atrous depthwise": (lambda f: f.keras.layers.DepthwiseConv2D(3, dilation_rate=3), {"DEPTHWISE_CONV_2D": 1}),
    "pooling": (lambda f: f.keras.layers.AveragePooling2D(3, 2, padding="same"), {"AVERAGE_POOL_2D": 1}),
    "gelu": (lambda f: f.keras.layers.Activation("gelu"), {"GELU": 1}),
    "prelu": (lambda f: f.keras.layers.PReLU(shared_axes=[1, 2]), {"PRELU": 1}),
    "leaky": (lambda f: f.keras.layers.LeakyReLU(), {"LEAKY_RELU": 1}),
    "elu": (lambda f: f.keras.layers.ELU(), {"ELU": 1}),
    "groups": (lambda f: f.keras.layers.GroupNormalization(2), None),
    "one row": (one_row, {"MEAN": 1, "FULLY_CONNECTED": 1}),
    "many dimensions": (many_dimensions, {"RESHAPE": 1, "RELU": 1}),
}
"""Layers, and their operations where these are none but TFLite's own."""


def test_without_the_package_the_error_says_what_to_install(keras_flavour, tmp_path, monkeypatch):
    monkeypatch.setattr(package, "find_spec", lambda _: None)
    with pytest.raises(MissingPackageError, match=r"litert-converter.*kerasbn\[litert\]"):
        export_tflite(small(keras_flavour), tmp_path / "m.tflite", route="litert")
    assert not (tmp_path / "m.tflite").exists()
    result = export_tflite(small(keras_flavour), tmp_path / "m.tflite", route="auto")
    assert "litert-converter is not installed" in result.notes[0]
    assert read_provenance(read_tflite(result.path))["route"]["name"] == "tensorflow"


@pytest.mark.parametrize(
    "options",
    [
        {"route": "mlir"},
        {"route": "litert", "select_ops": True},
        {"route": "litert", "precision": "int8", "calibration": "random", "ranges": "mse"},
        {"route": "litert", "precision": "int8", "calibration": "random", "auto_precision": 40.0},
    ],
)
def test_what_the_route_does_not_take_is_refused(keras_flavour, options, tmp_path):
    with pytest.raises(InvalidArgumentError, match="route"):
        export_tflite(small(keras_flavour), tmp_path / "m.tflite", **options)


def test_a_tensorflow_without_its_converter_is_one_error(keras_flavour, tmp_path, monkeypatch):
    monkeypatch.setattr(tensorflow, "available", lambda: False)
    with pytest.raises(ConversionError, match=r"no tf\.lite.*route='litert'"):
        export_tflite(small(keras_flavour), tmp_path / "m.tflite")


class TestWithThePackage:
    """What needs ``litert-converter``."""

    @pytest.fixture(autouse=True)
    def _package(self):
        pytest.importorskip("litert_converter")

    @pytest.mark.parametrize("make", ["UpSampling1D", "UpSampling2D", "RepeatVector"])
    def test_what_repeats_values_is_no_broadcast(self, keras_flavour, tmp_path, make):
        """LiteRT's BROADCAST_TO takes ten times as long as its TILE."""
        layers = keras_flavour.keras.layers
        shape = {"UpSampling1D": (8, 3), "UpSampling2D": (6, 6, 3), "RepeatVector": (3,)}[make]
        options = {"n": 4} if make == "RepeatVector" else {"size": 2}
        model = through(keras_flavour, shape, layers.Dense(3), getattr(layers, make)(**options), layers.Dense(2))
        result = export_tflite(model, tmp_path / "m.tflite", route="litert")
        assert "BROADCAST_TO" not in result.ops
        assert verify(model, tmp_path / "m.tflite")

    @pytest.mark.parametrize("route", ["litert", "auto"])
    def test_the_file_is_the_model_and_says_its_route(self, keras_flavour, tmp_path, route):
        model = small(keras_flavour)
        result = export_tflite(model, tmp_path / "m.tflite", route=route)
        first = export_tflite(model, tmp_path / "first.tflite")
        assert verify(model, result.path)
        assert result.ops == first.ops
        record = read_provenance(read_tflite(result.path))["route"]
        assert record == {"name": "litert", "package": package.installed()}

    @pytest.mark.parametrize("name", SPELLED)
    def test_layers_are_the_operations_that_tflite_has_for_them(self, keras_flavour, tmp_path, name):
        layer, ops = SPELLED[name]
        model = through(keras_flavour, (12, 12, 4), layer(keras_flavour))
        result = export_tflite(model, tmp_path / "m.tflite", route="litert")
        assert ops is None or result.ops == ops
        assert verify(model, result.path)

    def test_a_constant_that_layers_share_is_no_layers(self, keras_flavour, tmp_path):
        """All activations begin at one 0: a tensor named after each of them would tell of none."""
        layers = keras_flavour.keras.layers
        convs = [layers.Conv2D(4, 3, name=f"conv_{i}") for i in range(3)]
        bends = [layers.ReLU(6.0, name="bend_0"), layers.ReLU(name="bend_1"), layers.ReLU(6.0, name="bend_2")]
        model = through(
            keras_flavour, (12, 12, 3), *(layer for pair in zip(convs, bends, strict=True) for layer in pair)
        )
        result = export_tflite(model, tmp_path / "m.tflite", route="litert")
        graph = TFLiteGraph(result.path.read_bytes(), "m.tflite")
        for number, index in enumerate(graph.dependent[:-1]):
            told = set(re.findall(r"(?:conv|bend)_\d(?=_|/|;)", graph.tensors[index].name))
            assert told == {f"conv_{number}", f"bend_{number}"}

    @pytest.mark.parametrize(
        "options", [{"strides": 2, "padding": "same"}, {"use_bias": False}, {"activation": "relu"}]
    )
    def test_a_convolution_of_one_channel_is_no_depthwise_one(self, keras_flavour, tmp_path, options):
        model = through(keras_flavour, (12, 11, 1), keras_flavour.keras.layers.Conv2D(6, 3, name="conv", **options))
        result = export_tflite(model, tmp_path / "m.tflite", route="auto")
        assert result.ops == {"CONV_2D": 1}
        assert result.notes[-1].startswith("Route litert")

    @pytest.mark.parametrize(("layer", "name"), [(up, "up"), (bilinear, "smooth")])
    def test_a_wrong_file_is_refused_with_its_layer(self, keras_flavour, tmp_path, monkeypatch, layer, name):
        """Spelled by XLA, both become another layer without a word."""
        monkeypatch.setattr(respell, "SPELLINGS", {})
        first = keras_flavour.keras.layers.Conv2D(4, 3, activation="relu", name="conv")
        model = through(keras_flavour, (12, 12, 3), first, layer(keras_flavour))
        with pytest.raises(ConversionError, match=rf"not the model.*'{name}'.*route='tensorflow'"):
            export_tflite(model, tmp_path / "m.tflite", route="litert")
        assert not (tmp_path / "m.tflite").exists()
        result = export_tflite(model, tmp_path / "m.tflite", route="auto")
        assert f"'{name}'" in result.notes[0]
        assert verify(model, result.path)

    def test_the_check_sees_a_wrong_weight(self, keras_flavour, tmp_path, monkeypatch):
        """A file of another model is no file of this one."""
        other = export_tflite(
            through(keras_flavour, (4,), keras_flavour.keras.layers.Dense(3, name="d")), tmp_path / "a"
        )
        wrong = other.path.read_bytes()
        model = through(keras_flavour, (4,), keras_flavour.keras.layers.Dense(3, name="d"))
        model.layers[-1].set_weights([weight * 1.001 for weight in model.layers[-1].get_weights()])
        monkeypatch.setattr(routed, "converted", lambda *_: wrong)
        with pytest.raises(ConversionError, match=r"not the model.*'d'"):
            export_tflite(model, tmp_path / "m.tflite", route="litert")

    def test_auto_takes_no_file_with_another_operation(self, keras_flavour, tmp_path, monkeypatch):
        spellings = {kind: spelling for kind, spelling in respell.SPELLINGS.items() if kind != "AvgPool"}
        monkeypatch.setattr(respell, "SPELLINGS", spellings)
        model = through(keras_flavour, (12, 12, 4), SPELLED["pooling"][0](keras_flavour))
        result = export_tflite(model, tmp_path / "m.tflite", route="auto")
        assert result.ops == {"AVERAGE_POOL_2D": 1}
        assert "STABLEHLO_REDUCE_WINDOW more" in result.notes[0]

    def test_auto_without_the_first_route_takes_the_second_alone(self, keras_flavour, tmp_path, monkeypatch):
        for module in (tensorflow, routed):
            monkeypatch.setattr(module, "available", lambda: False)
        result = export_tflite(small(keras_flavour), tmp_path / "m.tflite", route="auto")
        assert read_provenance(read_tflite(result.path))["route"]["name"] == "litert"
        assert "no tf.lite" in result.notes[0]

    def test_what_looks_like_gelu_is_none(self, keras_flavour, tmp_path):
        """``0.5 y erfc(-x / sqrt(2))`` with another y, and with another factor."""
        import tensorflow as tf

        def alike(x):
            a, b = x[..., :2], x[..., 2:]
            return 0.5 * a * tf.math.erfc(-b * 0.70710677) + 0.5 * a * tf.math.erfc(-a * 0.7)

        keras = keras_flavour.keras
        x = keras.Input((4,), name="x")
        model = keras.Model(x, keras.layers.Lambda(alike, output_shape=(2,))(x))
        result = export_tflite(model, tmp_path / "m.tflite", route="litert")
        assert "GELU" not in result.ops
        assert verify(model, result.path)

    def test_what_needs_the_numbers_beforehand_is_refused(self, keras_flavour, tmp_path):
        """XLA would compute it of the zeros that it is traced with, and the file would take no input."""
        layers = keras_flavour.keras.layers
        ids = keras_flavour.keras.Input((6,), dtype="int32")
        model = keras_flavour.keras.Model(ids, layers.CategoryEncoding(4, output_mode="count")(ids))
        with pytest.raises(ConversionError, match="depends on the numbers that it is given"):
            export_tflite(model, tmp_path / "m.tflite", route="litert")

    def test_an_open_shape_is_refused(self, keras_flavour, tmp_path):
        model = through(keras_flavour, (None, 4), keras_flavour.keras.layers.Dense(3))
        with pytest.raises(ConversionError, match=r"takes no open shape, and input 'x'.*--route tensorflow"):
            export_tflite(model, tmp_path / "m.tflite", route="litert")
        result = export_tflite(model, tmp_path / "m.tflite", route="auto")
        assert "Route tensorflow: route='litert' takes no" in result.notes[-1]

    def test_inputs_and_outputs_keep_names_and_order(self, keras_flavour, tmp_path):
        keras, layers = keras_flavour.keras, keras_flavour.keras.layers
        zeta, alpha = keras.Input((5,), name="zeta"), keras.Input((4,), name="alpha")
        ends = [layers.Dense(3, name="wide")(alpha), layers.Dense(2, name="narrow")(zeta)]
        model = keras.Model([zeta, alpha], ends)
        file = read_tflite(export_tflite(model, tmp_path / "m.tflite", route="litert").path)
        assert file.input_names == ("zeta", "alpha")
        assert file.output_names == ("wide", "narrow")
        assert verify(model, tmp_path / "m.tflite")

    def test_the_command_line_says_the_route(self, keras_flavour, tmp_path, capsys):
        small(keras_flavour).save(tmp_path / "m.keras")
        assert run(["export", str(tmp_path / "m.keras"), "-o", str(tmp_path / "m.tflite"), "--route", "auto"]) == 0
        assert "Route litert" in capsys.readouterr().out


@pytest.mark.either_keras
def test_the_objection_to_a_right_file_is_empty(keras_flavour, tmp_path):
    model = small(keras_flavour)
    path = export_tflite(model, tmp_path / "m.tflite").path
    options = routed.ExportOptions()
    assert objection.objection(objection_input(model, options), options, path.read_bytes()) == ""


def objection_input(model, options):
    from kerasbn_export.export.prepared import prepare

    return prepare(model, options)
