"""Devices are data: every profile is whole and has its sources, a bad one is one clear error, and files are checked."""

import json

import numpy as np
import pytest

from kerasbn.errors import ConversionError, InvalidArgumentError, OutputError
from kerasbn_export.cli.main import run
from kerasbn_export.devices.check import ProfileCheck
from kerasbn_export.devices.profiles import NAMES, find_device
from kerasbn_export.devices.profiles.read import CHECKS, FACTS
from kerasbn_export.devices.ways_out import OTHERWISE, WAYS_OUT
from kerasbn_export.export.options import ExportOptions
from kerasbn_export.export.tflite import export_tflite
from kerasbn_export.tflite.file import read_tflite

pytestmark = pytest.mark.either_keras

PLAIN = 'name = "my-npu"\nprecisions = ["int8"]\n'


def profile(tmp_path, text):
    path = tmp_path / "my_npu.toml"
    path.write_text(text, "utf-8")
    return str(path)


def network(flavour, *, channels=6):
    layers = flavour.keras.layers
    image = flavour.keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(channels, 3, name="conv")(image)
    x = flavour.batch_normalization(name="norm")(x)
    x = layers.LeakyReLU(name="leak")(x)
    x = layers.Dense(5, name="scores")(layers.Flatten()(x))
    return flavour.keras.Model(image, layers.Softmax(name="chances")(x))


@pytest.fixture
def data(rng):
    return rng.normal(size=(12, 8, 8, 3)).astype("float32")


@pytest.mark.parametrize("name", NAMES)
def test_each_fact_of_a_profile_has_its_source(name):
    device = find_device(name)
    assert device.name == name
    assert device.title
    own = {"others", "measured_by", "io_dtypes"}  # what kerasbn does, and no fact of the device
    known = {fact for fact in FACTS if getattr(device, fact) not in (None, (), {})} - own - {"sources"}
    if name == "npu-per-tensor":  # of no maker: what one asks for by naming it
        known = {"weights"}
    assert known <= set(device.sources)
    assert all(source.startswith(("https://", "measured by kerasbn")) for source in device.sources.values())


def test_the_names_are_the_files():
    from pathlib import Path

    from kerasbn_export.devices import profiles

    assert sorted(path.stem for path in Path(profiles.__file__).parent.glob("*.toml")) == sorted(NAMES)


def test_what_is_not_known_is_not_claimed():
    device = find_device("mediatek-mdla")
    assert device.runs("CONV_2D", "int8") is None
    assert find_device("edge-tpu").runs("CONV_2D", "int8") is True
    assert find_device("edge-tpu").runs("LEAKY_RELU", "int8") is False
    assert find_device("cmsis-nn").runs("PAD", "int8") is True
    assert find_device("cmsis-nn").runs("PAD", "int16x8") is False


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = x", "is no TOML: "),
        ("", "key 'name' is missing; accepted: a name"),
        ('name = "x"', "key 'precisions' is missing; accepted: a list, each of it one of float32"),
        (PLAIN + "wieghts = 1", "key 'wieghts' is not known; accepted: name, title, precisions, weights"),
        (PLAIN + 'weights = "per-layer"', "weights = 'per-layer'; accepted: per-channel, per-tensor"),
        (PLAIN + 'fixed_batch = "yes"', "fixed_batch = 'yes'; accepted: true, false"),
        (PLAIN + "channels = 0", "channels = 0; accepted: a whole number at least 1"),
        (PLAIN + "channels = true", "channels = True; accepted: a whole number"),
        (PLAIN + 'others = "gpu"', "others = 'gpu'; accepted: tflite, tflm, refused"),
        (PLAIN + 'others = "refused"', "operations must name some"),
        (PLAIN + 'measured_by = "ethos-u-vela"', "needs sizes"),
        (PLAIN + "operations = 3", "operations = 3; accepted: a table with the keys any, float32"),
        (PLAIN + '[operations]\nint8 = ["CONV2D"]', "operations.int8 = 'CONV2D'; accepted: the names of TFLite's"),
        (PLAIN + '[operations]\nint7 = ["CONV_2D"]', "operations = 'int7'; accepted: the keys any, float32"),
        (PLAIN + "[memory]\nfile_bytes = 1.5", "memory.file_bytes = 1.5; accepted: a whole number"),
        (PLAIN + '[io_dtypes]\nint8 = "int16"', "io_dtypes.int8 = 'int16'; accepted: int8, uint8, float32"),
        (PLAIN + '[activations]\nint8 = "even"', "activations.int8 = 'even'; accepted: symmetric, asymmetric"),
        (PLAIN + '[sources]\ntitle = "x"', "sources = 'title'; accepted: the keys precisions"),
        ('name = "a b"\nprecisions = ["int8"]', "name = 'a b'; accepted: a name of letters"),
        ('name = "x"\nprecisions = ["int9"]', "precisions = 'int9'; accepted: float32"),
        ('name = "x"\nprecisions = []', r"precisions = \[\]; accepted: a list"),
    ],
)  # fmt: skip
def test_a_bad_profile_is_one_clear_error(text, message, tmp_path):
    path = profile(tmp_path, text)
    with pytest.raises(InvalidArgumentError, match=message) as error:
        find_device(path)
    assert str(error.value).startswith(f"{path}: ")


def test_a_profile_that_is_no_file_is_one_clear_error(tmp_path):
    with pytest.raises(InvalidArgumentError, match="there is no such device profile"):
        find_device(str(tmp_path / "none.toml"))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidArgumentError, match="is no TOML"):
        find_device(str(tmp_path / "binary.toml"))
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(InvalidArgumentError, match="cannot be read"):
        find_device(str(tmp_path / "folder.toml"))


def test_every_key_that_is_checked_is_described():
    from kerasbn_export.devices import profiles

    assert [key for key in CHECKS if f"``{key}``" not in profiles.__doc__] == []


def test_a_profile_of_ones_own_sets_what_was_not_asked_for(tmp_path):
    text = PLAIN + 'fixed_batch = true\n[io_dtypes]\nint8 = "uint8"'
    options = ExportOptions(device=profile(tmp_path, text), calibration="random")
    assert (options.precision_taken, options.conversion.ends, options.device_name) == ("int8", "uint8", "my-npu")
    with pytest.raises(InvalidArgumentError, match="one fixed batch"):
        ExportOptions(device=profile(tmp_path, text), calibration="random", batch_size=None)
    with pytest.raises(InvalidArgumentError, match="Device 'my-npu' does not run precision 'float32'"):
        ExportOptions(device=profile(tmp_path, text), precision="float32")


def test_what_falls_back_is_named_with_its_layer_and_a_way_out(keras_flavour, data, tmp_path):
    result = export_tflite(network(keras_flavour), tmp_path / "m.tflite", device="edge-tpu", calibration=data)
    (finding,) = result.device.findings
    assert finding.what == "LEAKY_RELU of LeakyReLU 'leak'"
    assert "edge-tpu does not have LEAKY_RELU; it runs on the CPU" in finding.why
    assert "ReLU" in finding.way_out
    assert result.device.lines()[0] == "edge-tpu: nothing measures for it here; compile it with edgetpu_compiler."
    assert str(finding) in result.device.lines()[1]
    assert json.loads(json.dumps(result.to_json()))["device"]["findings"][0]["what"] == finding.what


def test_a_file_that_fits_has_no_findings(keras_flavour, data, tmp_path):
    ops = '[operations]\nint8 = ["CONV_2D", "LEAKY_RELU", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]\n'
    text = PLAIN + f"channels = 6\n{ops}[memory]\nfile_bytes = 100_000\narena_bytes = 100_000"
    path = profile(tmp_path, text)
    assert (
        export_tflite(network(keras_flavour), tmp_path / "m.tflite", device=path, calibration=data).device.findings
        == ()
    )


def test_memory_channels_and_ranges_are_checked(keras_flavour, data, tmp_path):
    text = PLAIN + 'channels = 4\n[memory]\nfile_bytes = 1000\narena_bytes = 300\n[activations]\nint8 = "symmetric"'
    path = profile(tmp_path, text)
    found = export_tflite(network(keras_flavour), tmp_path / "m.tflite", device=path, calibration=data).device.findings
    said = [str(finding) for finding in found]
    assert any(text.startswith("The file and its weights: need ") and "has 1,000" in text for text in said)
    assert any(text.startswith("The activations: need ") and "has 300" in text for text in said)
    assert any("Conv2D 'conv'" in text and "no multiple of 4" in text for text in said)
    assert any("takes symmetric ranges in int8" in text for text in said)


def test_what_computes_in_float_is_named(keras_flavour, rng, tmp_path):
    layers = keras_flavour.keras.layers
    volume = keras_flavour.keras.Input((4, 4, 4, 2))
    model = keras_flavour.keras.Model(volume, layers.Conv3D(3, 2, name="deep")(volume))
    path = tmp_path / "m.tflite"
    export_tflite(model, path, precision="int8", calibration=rng.normal(size=(8, 4, 4, 4, 2)).astype("float32"))
    file = read_tflite(path)
    found = ProfileCheck(find_device("stm32n6"), file, lambda op: op.name).findings()
    assert ["CONV_3D" in finding.what and "computes in float" in finding.why for finding in found] == [True]
    assert ProfileCheck(find_device("tflm"), file, lambda op: op.name).findings() == ()  # it runs float32 as well


def test_a_scale_for_each_channel_is_found_where_one_is_taken(keras_flavour, data, tmp_path):
    path = tmp_path / "m.tflite"
    export_tflite(network(keras_flavour), path, precision="int8", calibration=data)
    found = ProfileCheck(find_device("npu-per-tensor"), read_tflite(path), lambda op: op.name).findings()
    assert [finding.what for finding in found] == ["CONV_2D, FULLY_CONNECTED"]
    assert ProfileCheck(find_device("stm32n6"), read_tflite(path), lambda op: op.name).findings() == ()


def test_a_lone_activation_is_found_where_it_is_slow(keras_flavour, data, tmp_path):
    layers = keras_flavour.keras.layers
    image = keras_flavour.keras.Input((8, 8, 3))
    model = keras_flavour.keras.Model(image, layers.ReLU(name="lone")(layers.Reshape((4, 8, 6))(image)))
    path = tmp_path / "m.tflite"
    export_tflite(model, path, precision="int8", calibration=data, fold=False)
    found = ProfileCheck(find_device("xnnpack"), read_tflite(path), lambda op: op.name).findings()
    assert [(finding.what, "stands alone" in finding.why) for finding in found] == [("RELU", True)]
    assert ProfileCheck(find_device("edge-tpu"), read_tflite(path), lambda op: op.name).findings() == ()


def test_float16_weights_that_are_made_float32_are_no_work_for_a_gpu(keras_flavour, tmp_path):
    result = export_tflite(network(keras_flavour, channels=8), tmp_path / "m.tflite", device="gpu")
    assert result.precision == "float16"
    assert [finding.what for finding in result.device.findings] == ["LEAKY_RELU of LeakyReLU 'leak'"]


def test_an_operation_that_a_device_refuses_fails_the_export(keras_flavour, data, tmp_path):
    text = PLAIN + 'others = "refused"\n[operations]\nany = ["CONV_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]'
    with pytest.raises(ConversionError, match="LEAKY_RELU of LeakyReLU 'leak' is no operation that my-npu has"):
        export_tflite(network(keras_flavour), tmp_path / "m.tflite", device=profile(tmp_path, text), calibration=data)
    assert not (tmp_path / "m.tflite").exists()


def test_ways_out_are_sentences_for_operations_of_the_schema():
    from kerasbn_export.tflite.flatbuffer import enumeration

    assert set(WAYS_OUT) <= set(enumeration("BuiltinOperator").values())
    assert not any(text.endswith(".") for text in (*WAYS_OUT.values(), OTHERWISE))


def test_the_profile_is_not_overwritten(keras_flavour, data, tmp_path):
    path = profile(tmp_path, PLAIN)
    with pytest.raises(OutputError):
        export_tflite(network(keras_flavour), path, device=path, calibration=data)
    assert "my-npu" in (tmp_path / "my_npu.toml").read_text()


def test_the_command_lists_and_shows_devices(tmp_path, capsys):
    assert run(["devices"]) == 0
    listed = capsys.readouterr().out
    assert [name for name in NAMES if name not in listed] == []
    assert run(["devices", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [device["name"] for device in record["devices"]] == list(NAMES)
    assert run(["devices", "edge-tpu"]) == 0
    assert "https://coral.ai/docs/edgetpu/models-intro/" in capsys.readouterr().out
    assert run(["devices", profile(tmp_path, PLAIN), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["devices"][0]["precisions"] == ["int8"]
    assert run(["devices", "tpu"]) == 2
    assert "Device 'tpu' is not known; accepted: xnnpack" in capsys.readouterr().err


def test_the_command_line_exports_for_a_profile_of_ones_own(keras_flavour, data, tmp_path, capsys):
    network(keras_flavour).save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", data)
    path = profile(tmp_path, PLAIN + '[operations]\nint8 = ["CONV_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]')
    options = ["--device", path, "--calibration", str(tmp_path / "x.npy")]
    assert run(["export", str(tmp_path / "m.keras"), "-o", str(tmp_path / "m.tflite"), *options]) == 0
    assert "my-npu, by its profile: LEAKY_RELU of LeakyReLU 'leak'" in capsys.readouterr().out
    assert run(["inspect", str(tmp_path / "m.tflite")]) == 0
    assert "for my-npu from" in capsys.readouterr().out
