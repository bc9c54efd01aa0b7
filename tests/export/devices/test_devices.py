"""A device's profile sets how to export; what its tool measured is in the result, and so is that there is no tool."""

import json
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from kerasbn.errors import CalibrationError, ConversionError, InvalidArgumentError
from kerasbn_export.cli.main import run
from kerasbn_export.devices import optional_package
from kerasbn_export.devices.c_array import c_array, identifier
from kerasbn_export.devices.micro import run_micro
from kerasbn_export.devices.optional_package import TFLITE_MICRO, VELA
from kerasbn_export.devices.profiles import NAMES, find_device
from kerasbn_export.devices.vela import run_vela
from kerasbn_export.devices.xnnpack import delegation
from kerasbn_export.export.options import ExportOptions
from kerasbn_export.export.tflite import export_tflite
from kerasbn_export.tflite.file import read_tflite

pytestmark = pytest.mark.either_keras


def network(flavour, *, shape=(8, 8, 3), lone_relu=False):
    layers = flavour.keras.layers
    image = flavour.keras.Input(shape, name="image")
    x = flavour.batch_normalization(name="norm")(layers.Conv2D(6, 3, activation="relu", name="conv")(image))
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    if lone_relu:
        x = layers.ReLU(name="lone")(layers.MaxPooling2D()(x))
    model = flavour.keras.Model(image, layers.Dense(5, name="scores")(layers.Flatten()(x)))
    gamma, variance = np.array([0.5, -1, 0, 2, 1, -3]), np.array([0.01, 1, 9, 99, 0.1, 2])
    model.get_layer("norm").set_weights([gamma, np.ones(6), 9 * np.ones(6), variance])
    return model


@pytest.fixture
def data(rng):
    return rng.normal(size=(20, 8, 8, 3)).astype("float32")


needs_micro = pytest.mark.skipif(TFLITE_MICRO.tool is None, reason="tflite-micro is not installed")
needs_vela = pytest.mark.skipif(VELA.tool is None, reason="ethos-u-vela is not installed")


def test_each_name_is_known():
    assert find_device("xnnpack").ops is None
    assert "CONV_2D" in find_device("tflm").ops
    for family in (name for name in NAMES if name.startswith("ethos")):
        sizes = find_device(family).sizes
        assert find_device(family).accelerator == f"{family}-{sizes[0]}"
        assert [find_device(f"{family}-{size}").accelerator for size in sizes] == [f"{family}-{size}" for size in sizes]


@pytest.mark.parametrize("name", ["", "tpu", "ethos-u", "ethos-u55-512", "ethos-u65-32", "TFLM"])
def test_another_name_is_refused_with_the_known_ones(name):
    with pytest.raises(InvalidArgumentError, match=r"is not known; accepted: xnnpack, tflm, ethos-u55, ethos-u65"):
        find_device(name)


@pytest.mark.parametrize(
    ("asked", "precision", "ends"),
    [
        ({}, "float32", "float32"),
        ({"device": "xnnpack"}, "float32", "float32"),
        ({"device": "tflm", "calibration": "random"}, "int8", "int8"),
        ({"device": "tflm", "precision": "int16x8", "calibration": "random"}, "int16x8", "int16"),
        ({"device": "tflm", "precision": "int8", "calibration": "random", "io_dtype": "float32"}, "int8", "float32"),
        ({"device": "tflm", "precision": "float32"}, "float32", "float32"),
        ({"device": "ethos-u55", "calibration": "random"}, "int8", "int8"),
    ],
)  # fmt: skip
def test_a_profile_sets_what_was_not_asked_for(asked, precision, ends):
    options = ExportOptions(**asked)
    assert (options.precision_taken, options.conversion.ends) == (precision, ends)


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"device": "tpu"}, InvalidArgumentError, "'tpu' is not known"),
        ({"device": "tflm"}, CalibrationError, "Precision 'int8' needs calibration data"),
        ({"device": "tflm", "precision": "float16"}, InvalidArgumentError, "does not run precision 'float16'"),
        ({"device": "ethos-u65", "precision": "float32"}, InvalidArgumentError, "accepted: int8, int16x8"),
        ({"device": "tflm", "precision": "float32", "batch_size": None}, InvalidArgumentError, "one fixed batch"),
    ],
)  # fmt: skip
def test_what_the_device_cannot_do_is_refused(asked, error, message):
    with pytest.raises(error, match=message):
        ExportOptions(**asked).require_calibration()


@needs_micro
def test_the_arena_is_measured(keras_flavour, data, tmp_path):
    result = export_tflite(network(keras_flavour), tmp_path / "m.tflite", device="tflm", calibration=data)
    assert result.precision == "int8"
    assert result.device.tool == TFLITE_MICRO.tool
    arena, activations = result.device.numbers.values()
    assert 6 * 6 * 6 + 8 * 8 * 3 <= activations < arena < 20_000  # the first layer's input and output at once
    assert json.loads(json.dumps(result.to_json()))["device"]["numbers"]["arena, bytes"] == arena


@needs_micro
@pytest.mark.parametrize(("precision", "most"), [("int8", 0), ("int16x8", 1)])
def test_tflite_micro_computes_what_the_reference_kernels_compute(precision, most, keras_flavour, data, tmp_path):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    options = {"device": "tflm", "precision": precision, "calibration": data}
    path = export_tflite(network(keras_flavour), tmp_path / "m.tflite", **options).path
    dtype = read_tflite(path).inputs[0].dtype.lower()
    stored = np.random.default_rng(3).integers(-128, 128, (4, 1, 8, 8, 3)).astype(dtype)
    reference = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    reference.allocate_tensors()
    wanted = []
    for array in stored:
        reference.set_tensor(reference.get_input_details()[0]["index"], array)
        reference.invoke()
        wanted.append(reference.get_tensor(reference.get_output_details()[0]["index"]))
    found = run_micro(path.read_bytes(), [stored]).outputs[0]
    assert len(np.unique(found)) > 5
    assert np.abs(found.astype(int) - np.array(wanted, int)).max() <= most


@needs_micro
def test_what_tflite_micro_says_is_the_error(keras_flavour, tmp_path):
    """Dynamic range files mix float and int8, which it does not run, though it has every operation in them."""
    path = export_tflite(network(keras_flavour, shape=(20, 20, 3)), tmp_path / "m.tflite", precision="dynamic").path
    with pytest.raises(ConversionError, match=r"cannot run the file: Input type: FLOAT32 with filter type: INT8"):
        run_micro(path.read_bytes())


@needs_vela
def test_cycles_and_memory_of_the_accelerator_are_in_the_result(keras_flavour, data, tmp_path):
    result = export_tflite(network(keras_flavour), tmp_path / "m.tflite", device="ethos-u55", calibration=data)
    report, content = result.device, result.path.read_bytes()
    assert report.elsewhere == ()
    assert report.numbers["operators on the CPU"] == 0
    assert report.numbers["SRAM, bytes"] >= 8 * 8 * 3
    assert report.numbers["weights and commands, bytes"] > 500
    assert "ethos-u55-256 (Ethos_U55_High_End_Embedded" in report.tool
    assert run_vela(content, "ethos-u55-32").cycles > report.numbers["cycles"] > 0  # 32 multipliers against 256
    assert run_vela(content, "ethos-u85-256").system.startswith("Ethos_U85")


@needs_vela
def test_an_operator_left_on_the_cpu_is_named_with_its_layer(keras_flavour, data, tmp_path):
    """With float inputs the conversion of types is no work for the accelerator."""
    options = {"device": "ethos-u55", "calibration": data, "io_dtype": "float32"}
    report = export_tflite(network(keras_flavour), tmp_path / "m.tflite", **options).device
    assert report.numbers["operators on the CPU"] == 2
    assert sorted(name.partition(" ")[0] for name in report.elsewhere) == ["DEQUANTIZE", "QUANTIZE"]
    assert any("Dense 'scores'" in name for name in report.elsewhere)
    assert report.lines()[1].startswith("Not on ethos-u55: ")


@needs_vela
def test_what_vela_says_is_the_error():
    with pytest.raises(ConversionError, match="ethos-u-vela cannot compile the file for ethos-u55-32: "):
        run_vela(b"no model", "ethos-u55-32")


def test_xnnpack_takes_all_of_a_plain_network(keras_flavour, tmp_path):
    result = export_tflite(network(keras_flavour), tmp_path / "m.tflite", device="xnnpack")
    count = sum(result.ops.values())
    assert result.device.numbers == {"operations in XNNPACK": count, "of": count, "parts": 1}
    assert result.device.elsewhere == ()


def test_what_xnnpack_leaves_is_named_with_its_layer(keras_flavour, data, tmp_path):
    """An int8 ReLU on its own cuts the network in two."""
    model = network(keras_flavour, lone_relu=True)
    options = {"device": "xnnpack", "precision": "int8", "calibration": data}
    report = export_tflite(model, tmp_path / "m.tflite", **options).device
    found = delegation((tmp_path / "m.tflite").read_bytes())
    assert len(found.left) == report.numbers["of"] - report.numbers["operations in XNNPACK"]


@pytest.mark.parametrize(("device", "package"), [("tflm", TFLITE_MICRO), ("ethos-u55", VELA)])
def test_an_absent_tool_is_named_and_nothing_is_guessed(device, package, keras_flavour, data, tmp_path, monkeypatch):
    monkeypatch.setattr(optional_package, "find_spec", lambda _: None)
    report = export_tflite(network(keras_flavour), tmp_path / "m.tflite", device=device, calibration=data).device
    assert (report.tool, report.numbers, report.elsewhere) == (None, {}, ())
    assert f"{package.name} is not installed; python -m pip install {package.name}" in report.missing
    assert report.lines() == [f"{device}: {report.missing}"]


def test_a_package_that_is_no_package_counts_as_absent():
    assert replace(TFLITE_MICRO, name="no-such-package", module="json").tool is None


def test_an_operation_that_a_microcontroller_lacks_fails_the_export(keras_flavour, rng, tmp_path):
    volume = keras_flavour.keras.Input((4, 4, 4, 2))
    model = keras_flavour.keras.Model(volume, keras_flavour.keras.layers.Conv3D(3, 2, name="deep")(volume))
    calibration = rng.normal(size=(4, 4, 4, 4, 2))
    with pytest.raises(ConversionError, match=r"CONV_3D of Conv3D 'deep' is no operation that TFLite Micro has"):
        export_tflite(model, tmp_path / "m.tflite", device="tflm", calibration=calibration)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "made"), [("m", "m"), ("my model", "my_model"), ("3d", "_3d"), ("", "_"), ("é", "_")])
def test_a_c_name_is_made_of_any_name(name, made):
    assert identifier(name) == made


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
@pytest.mark.parametrize("language", ["c", "c++"])
def test_the_c_array_compiles_and_holds_the_file(language, tmp_path):
    content = bytes(range(256)) * 3 + b"\x00\xff"
    (tmp_path / "net.c").write_text(c_array(content, tmp_path / "net.c", {"CONV_2D": 2}, 4096))
    out = "#include <stdio.h>\n#include <stdint.h>\n"
    out += 'extern "C" {\n' if language == "c++" else ""
    out += "extern const unsigned char net[]; extern const unsigned int net_size;\n"
    out += "}\n" if language == "c++" else ""
    out += (
        "int main(void) { if ((uintptr_t)net % 16) return 1; return fwrite(net, 1, net_size, stdout) != net_size; }\n"
    )
    (tmp_path / "main.c").write_text(out)
    files = [str(tmp_path / "net.c"), str(tmp_path / "main.c")]
    standard = "-std=c11" if language == "c" else "-std=c++11"
    command = ["cc", "-x", language, standard, "-Wall", "-Wextra", "-Werror", *files, "-o", str(tmp_path / "run")]
    subprocess.run(command, check=True)
    assert subprocess.run([str(tmp_path / "run")], check=True, capture_output=True).stdout == content
    assert "Arena: 4096 bytes" in (tmp_path / "net.c").read_text()


def test_the_command_line_writes_a_c_array_and_says_what_was_measured(keras_flavour, data, tmp_path, capsys):
    network(keras_flavour).save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", data)
    options = ["--device", "tflm", "--calibration", str(tmp_path / "x.npy"), "--emit-c", str(tmp_path / "net.c")]
    assert run(["export", str(tmp_path / "m.keras"), "-o", str(tmp_path / "m.tflite"), *options]) == 0
    text, source = capsys.readouterr().out, (tmp_path / "net.c").read_text()
    assert f"net_size = {(tmp_path / 'm.tflite').stat().st_size};" in source
    assert "Operations: CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED" in source
    measured = f"tflm, by {TFLITE_MICRO.tool}: arena, bytes: " if TFLITE_MICRO.tool else "is not installed"
    assert measured in text
