"""The second route in float16, dynamic, int8 and int16x8: the model, or refused by name; in int8 one more form."""

import numpy as np
import pytest

from kerasbn.errors import ConversionError, InvalidArgumentError, MissingPackageError
from kerasbn_export import quantize_aware, verify
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.conversion.convert import convert
from kerasbn_export.conversion.litert import package, quantize
from kerasbn_export.conversion.options import ConversionOptions
from kerasbn_export.conversion.provenance import read_provenance
from kerasbn_export.export.forms import quantizer
from kerasbn_export.export.tflite import export_tflite
from kerasbn_export.tflite.file import read_tflite
from kerasbn_export.tflite.flatbuffer import content_of, own_buffer, parse, serialize

SAMPLES = np.random.default_rng(3).normal(size=(16, 8, 8, 3)).astype("float32")
BOTH = ("litert_converter", "litert_quantizer")


def small(flavour):
    keras, layers = flavour.keras, flavour.keras.layers
    x = keras.Input((8, 8, 3), name="x")
    y = layers.Conv2D(16, 3, padding="same", use_bias=False, name="first")(x)
    y = layers.ReLU(name="relu")(flavour.batch_normalization(name="norm")(y))
    y = layers.DepthwiseConv2D(3, name="depthwise")(y)
    y = layers.GlobalAveragePooling2D(name="mean")(layers.Conv2D(80, 1, activation="relu", name="wide")(y))
    model = keras.Model(x, layers.Dense(20, name="scores")(y))
    rng = np.random.default_rng(7)
    model.set_weights([rng.normal(size=w.shape) * 0.4 for w in model.get_weights()])
    norm = model.get_layer("norm")
    norm.set_weights([np.abs(weight) + 0.5 for weight in norm.get_weights()])
    return model


def exported(model, path, route="litert", precision="int8", **options):
    calibration = SAMPLES if precision in ("int8", "int16x8") else None
    return export_tflite(model, path, route=route, precision=precision, calibration=calibration, **options)


def ends(path):
    signature = read_tflite(path).signatures[0]
    return signature.inputs[0].dtype, signature.outputs[0].dtype


@pytest.mark.either_keras
def test_without_the_quantizer_the_error_says_what_to_install(keras_flavour, tmp_path, monkeypatch):
    monkeypatch.setattr(package, "find_spec", lambda name: None if "quantizer" in name else object())
    monkeypatch.setattr(package, "version", lambda _: "1")
    with pytest.raises(MissingPackageError, match=r"litert-quantizer.*kerasbn\[litert\]"):
        exported(small(keras_flavour), tmp_path / "m.tflite")
    result = exported(small(keras_flavour), tmp_path / "m.tflite", "auto")
    assert "litert-quantizer is not installed" in result.notes[-1]
    assert read_provenance(read_tflite(result.path))["route"]["name"] == "tensorflow"


def test_trained_ranges_are_the_first_routes(keras_flavour, tmp_path, monkeypatch):
    monkeypatch.setattr(package, "installed", lambda *_: "here")
    layers = keras_flavour.keras.layers
    model = keras_flavour.keras.Sequential([layers.Input((4,)), layers.Dense(3)])
    tuned = quantize_aware(model, SAMPLES[:, :4, 0, 0])
    with pytest.raises(InvalidArgumentError, match=r"trained ranges.*route='tensorflow'"):
        export_tflite(tuned, tmp_path / "m.tflite", route="litert")


class TestWithThePackages:
    """What needs both packages."""

    @pytest.fixture(autouse=True)
    def _packages(self):
        for name in BOTH:
            pytest.importorskip(name)

    @pytest.mark.parametrize(
        ("precision", "dtype"),
        [("float16", "FLOAT32"), ("dynamic", "FLOAT32"), ("int8", "INT8"), ("int16x8", "FLOAT32")],
    )
    def test_the_file_is_the_model_and_names_both_packages(self, keras_flavour, tmp_path, precision, dtype):
        model = small(keras_flavour)
        result = exported(model, tmp_path / "m.tflite", precision=precision)
        assert verify(model, result.path, data=SAMPLES)
        assert ends(result.path) == (dtype, dtype)
        assert result.precision == precision
        record = read_provenance(read_tflite(result.path))["route"]
        assert record == {"name": "litert", "package": package.require(precision)}
        assert "litert-quantizer" in record["package"]

    @pytest.mark.parametrize("io_dtype", ["uint8", "float32"])
    def test_ends_have_the_type_that_was_asked_for(self, keras_flavour, tmp_path, io_dtype):
        model = small(keras_flavour)
        result = exported(model, tmp_path / "m.tflite", io_dtype=io_dtype, keep_float=["scores"])
        assert ends(result.path) == (io_dtype.upper(), io_dtype.upper())
        assert result.kept_float == ("1 FULLY_CONNECTED of Dense 'scores'",)
        assert verify(model, result.path, data=SAMPLES)

    def test_one_scale_and_16_bits_are_rules_of_the_package(self, keras_flavour, tmp_path):
        model = small(keras_flavour)
        one = exported(model, tmp_path / "m.tflite", weights="per-tensor", best=False)
        assert all(tensor.scales < 2 for op in read_tflite(one.path).ops for tensor in op.inputs)
        long = exported(model, tmp_path / "m.tflite", keep_int16=["wide"])
        assert any("CONV_2D" in op and "'wide'" in op for op in long.kept_int16)
        dense = exported(model, tmp_path / "m.tflite", per_channel_dense=False)
        kernel = next(op for op in read_tflite(dense.path).ops if op.name == "FULLY_CONNECTED").inputs[1]
        assert kernel.scales == 1

    @pytest.mark.parametrize("precision", ["int8", "int16x8"])
    def test_what_the_package_does_not_know_is_moved_in_integers(self, keras_flavour, tmp_path, precision):
        """It leaves a TILE in float, between a DEQUANTIZE and a QUANTIZE."""
        layers = keras_flavour.keras.layers
        stack = [layers.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.UpSampling2D(2), layers.Conv2D(2, 3)]
        model = keras_flavour.keras.Sequential(stack)
        result = exported(model, tmp_path / "m.tflite", precision=precision, io_dtype="float32", best=False)
        assert (result.ops["QUANTIZE"], result.ops["DEQUANTIZE"]) == (1, 1)
        assert verify(model, result.path, data=SAMPLES)

    def test_the_range_is_that_of_all_samples(self, keras_flavour):
        """The package's own moving average forgets what came first."""
        layers = keras_flavour.keras.layers
        x = keras_flavour.keras.Input((4,), name="x")
        model = keras_flavour.keras.Model(x, layers.Dense(3)(x))
        samples = np.ones((20, 4), "float32")
        samples[0], samples[1] = 50.0, -50.0
        options = ConversionOptions("int8", route="litert")
        graph = parse(convert(model, options, calibration=Calibration((samples,), "array"))).subgraphs[0]
        assert graph.tensors[graph.inputs[0]].quantization.scale == pytest.approx([100 / 255], rel=1e-3)

    def test_a_failure_of_the_package_is_named(self, keras_flavour, tmp_path, monkeypatch):
        from litert_quantizer.quantizer import Quantizer

        def fail(*_, **__):
            raise IndexError("no such tensor.\nmore")

        monkeypatch.setattr(Quantizer, "quantize", fail)
        with pytest.raises(ConversionError, match=r"litert-quantizer failed.*IndexError: no such tensor.*tensorflow"):
            exported(small(keras_flavour), tmp_path / "m.tflite")
        assert not (tmp_path / "m.tflite").exists()
        result = exported(small(keras_flavour), tmp_path / "m.tflite", "auto")
        assert "Route tensorflow: litert-quantizer failed" in result.notes[-1]

    @pytest.mark.parametrize("precision", ["dynamic", "int8"])
    def test_a_file_of_another_model_is_refused_with_its_layer(self, keras_flavour, tmp_path, monkeypatch, precision):
        real = quantize.quantized

        def wrong(data, options, programs, *rest):
            model = parse(data)
            kernel = next(tensor for tensor in model.subgraphs[0].tensors if list(tensor.shape) == [80, 1, 1, 16])
            values = np.frombuffer(content_of(model, kernel), np.float32) * -1.0
            own_buffer(model, kernel).data = values.astype(np.float32).view(np.uint8)
            return real(serialize(model), options, programs, *rest)

        monkeypatch.setattr(quantize, "quantized", wrong)
        with pytest.raises(ConversionError, match=r"litert-quantizer made a file that is not the model.*'wide'"):
            exported(small(keras_flavour), tmp_path / "m.tflite", precision=precision)
        assert not (tmp_path / "m.tflite").exists()
        result = exported(small(keras_flavour), tmp_path / "m.tflite", "auto", precision)
        assert "'wide'" in result.notes[-1]
        assert read_provenance(read_tflite(result.path))["route"]["name"] == "tensorflow"

    def test_every_form_is_measured_by_the_second_route_alone(self, keras_flavour, tmp_path):
        model = small(keras_flavour)
        result = exported(model, tmp_path / "m.tflite", best=True)
        assert result.trials[0].form == "as folded"
        assert not any("ranges" in trial.form for trial in result.trials)
        assert "bias corrected" in [trial.form for trial in result.trials]
        assert read_provenance(read_tflite(result.path))["route"]["name"] == "litert"
        assert verify(model, result.path, data=SAMPLES)

    @pytest.mark.parametrize(("values", "route"), [((30.0, 30.2), "litert"), ((30.0, 30.05), "tensorflow")])
    def test_auto_takes_the_file_that_is_better(self, keras_flavour, tmp_path, monkeypatch, values, route):
        given = iter(values)
        monkeypatch.setattr(quantizer, "scorer", lambda *_: lambda _: next(given))
        model = small(keras_flavour)
        result = exported(model, tmp_path / "m.tflite", "auto")
        assert read_provenance(read_tflite(result.path))["route"]["name"] == route
        assert f"Route {route}: litert-quantizer was tried; its file has {values[1]:.1f} dB" in result.notes[-1]
        assert [trial.form for trial in result.trials][-2:] == ["by tensorflow", quantizer.QUANTIZED]
        assert verify(model, result.path, data=SAMPLES)

    def test_best_measures_it_as_one_more_form(self, keras_flavour, tmp_path):
        result = exported(small(keras_flavour), tmp_path / "m.tflite", "auto", best=True)
        assert quantizer.QUANTIZED in [trial.form for trial in result.trials]
