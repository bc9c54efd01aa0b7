"""Whatever a file holds, a command ends with exit code 2 and one line that names it, and leaves nothing behind."""

import io
import json
import struct
import zipfile

import h5py
import numpy as np
import pytest
from kerasbn_testing.statistics import randomise

from kerasbn.errors import CalibrationError, InvalidArgumentError, ModelFileError, UnsafeModelError
from kerasbn_export import export_tflite, verify
from kerasbn_export.calibration.array_file import read_arrays
from kerasbn_export.cli.main import run
from kerasbn_export.loading.config_limits import DEEPEST, check_config
from kerasbn_export.tflite.file import read_tflite

pytestmark = pytest.mark.either_keras

SAMPLES = np.random.default_rng(0).normal(size=(8, 6, 6, 2)).astype("float32")


def small(flavour, rng):
    layers = flavour.keras.layers
    x = flavour.keras.Input((6, 6, 2), name="x")
    y = layers.Conv2D(3, 3, name="conv")(x)
    y = layers.ReLU(name="relu")(flavour.batch_normalization(name="norm")(y))
    y = layers.Dense(2, name="dense")(layers.GlobalAveragePooling2D(name="pool")(y))
    model = flavour.keras.Model(x, y, name="small")
    randomise(model, rng)
    return model


@pytest.fixture
def model(keras_flavour, rng, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return small(keras_flavour, rng)


def refused(line, name, capsys, folder):
    """The one line of a command that must end with exit code 2 and leave the folder as it was."""
    before = sorted(folder.rglob("*"))
    assert run(line.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert name in err
    assert sorted(folder.rglob("*")) == before
    return err


def field(data, local, central, value):
    """A zip archive with two bytes of all its headers set, as the flag for encryption or the compression method."""
    changed = bytearray(data)
    for mark, offset in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        place = data.find(mark)
        while place >= 0:
            changed[place + offset : place + offset + 2] = struct.pack("<H", value)
            place = data.find(mark, place + 4)
    return bytes(changed)


def rezipped(data, change=lambda config: config, compression=zipfile.ZIP_STORED):
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w", compression) as new:
        for member in old.namelist():
            content = old.read(member)
            if member == "config.json":
                content = json.dumps(change(json.loads(content))).encode()
            new.writestr(member, content)
    return made.getvalue()


def garbled(data):
    packed = bytearray(rezipped(data, compression=zipfile.ZIP_DEFLATED))
    place = packed.find(b"config.json") + 30
    packed[place : place + 4] = bytes(byte ^ 0x55 for byte in packed[place : place + 4])
    return bytes(packed)


def layer(config, name):
    return next(each for each in config["config"]["layers"] if each["config"]["name"] == name)


def circle(config):
    layer(config, "conv")["inbound_nodes"] = layer(config, "pool")["inbound_nodes"]
    return config


def absent_call(config):
    text = json.dumps(layer(config, "relu")["inbound_nodes"])
    layer(config, "relu")["inbound_nodes"] = json.loads(text.replace('"norm", 0, 0', '"norm", 3, 0'))
    return config


def unknown(config):
    layer(config, "relu").update(class_name="Mystery", module=None, registered_name="Mine>Mystery")
    return config


ARCHIVES = {
    "garbled": (garbled, "damaged or cut short"),
    "encrypted": (lambda data: field(data, 6, 8, 1), "is encrypted"),
    "method": (lambda data: field(data, 8, 10, 99), "compression method"),
    "class": (lambda data: rezipped(data, lambda _: {"class_name": 5}), "names no class"),
    "list": (lambda data: rezipped(data, lambda _: [1]), "names no class"),
    "layer": (
        lambda data: rezipped(data, lambda c: layer(c, "relu")),
        "describes a ReLU|cannot load it",
    ),
    "circle": (lambda data: rezipped(data, circle), "conv .* form a circle"),
    "call": (lambda data: rezipped(data, absent_call), "takes output of call 3 of layer 'norm', which has none"),
    "unknown": (lambda data: rezipped(data, unknown), "Mystery"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_a_damaged_archive(case, model, tmp_path, capsys):
    damage, said = ARCHIVES[case]
    model.save("good.keras")
    data = (tmp_path / "good.keras").read_bytes()
    (tmp_path / "bad.keras").write_bytes(damage(data))
    with pytest.raises((ModelFileError, UnsafeModelError), match=said):
        verify("bad.keras", model)
    refused("inspect bad.keras", "bad.keras", capsys, tmp_path)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize(
    "attributes",
    [
        {"model_config": 5},
        {"model_config": np.bytes_(b"\xff{")},
        {"keras_version": np.bytes_(b"\xff\xfe")},
        {"model_config": "null"},
        {"model_config": "[" * 99_999},
    ],
    ids=["number", "bytes", "version", "null", "deep"],
)
def test_a_damaged_hdf5_file(attributes, model, tmp_path, capsys):
    model.save("bad.h5")
    with h5py.File("bad.h5", "r+") as file:
        file.attrs.update(**attributes)
    refused("inspect bad.h5", "bad.h5", capsys, tmp_path)


def test_descriptions_that_are_right_pass(keras_flavour, rng):
    """Models within models, layers called twice, several inputs: the check is no stricter than both Kerases."""
    keras, layers = keras_flavour.keras, keras_flavour.keras.layers
    x, z = keras.Input((6, 6, 2), name="x"), keras.Input((6, 6, 2), name="z")
    inner, dense = small(keras_flavour, rng), layers.Dense(2, name="twice")
    both = layers.Add()([inner(x), inner(z)])
    chain = keras.Sequential(
        [keras.Input((2,)), layers.Dense(2), keras.Sequential([keras.Input((2,)), layers.Dense(2)])]
    )
    model = keras.Model([x, z], [dense(dense(both)), chain(inner(layers.ReLU()(x)))])
    outer = keras.Model([x, z], model([z, x]))
    for one in (model, outer, inner, chain):
        check_config(json.loads(one.to_json()))


def test_what_is_too_deep_is_refused_and_what_is_deep_passes():
    def nested(levels):
        config = []
        for _ in range(levels):
            config = [config]
        return config

    check_config(nested(DEEPEST - 10))
    with pytest.raises(ValueError, match=f"more than {DEEPEST} levels"):
        check_config(nested(DEEPEST + 1))


def npy(shape, tail="}"):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, {tail}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + SAMPLES.tobytes()


def saved(save, *arrays, **named):
    held = io.BytesIO()
    save(held, *arrays, **named)
    return held.getvalue()


def flipped_npz():
    data = bytearray(saved(np.savez_compressed, x=SAMPLES))
    data[200] ^= 0xFF
    return bytes(data)


ARRAYS = {
    "petabytes.npy": (npy("(4000000000000, 6, 6, 2)"), "bytes of memory"),
    "huge.npy": (npy(f"({2**70}, 2)"), "bytes of memory"),
    "unclosed.npy": (npy("(8, 6, 6, 2", ""), "cannot be read"),
    "short.npy": (npy("(80, 6, 6, 2)"), "cannot be read"),
    "empty.npy": (b"", "cannot be read"),
    "flipped.npz": (flipped_npz(), "cannot be read"),
    "encrypted.npz": (field(saved(np.savez, x=SAMPLES), 6, 8, 1), "is encrypted"),
    "complex.npy": (saved(np.save, SAMPLES * 1j), "complex64"),
    "text.npy": (saved(np.save, np.full((2, 6, 6, 2), "a")), "<U1"),
    "large.npy": (saved(np.save, SAMPLES.astype("float64") * 1e39), "which float32 cannot hold|beyond 1e"),
    "nan.npy": (saved(np.save, SAMPLES * np.nan), "NaN or infinity"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_data_that_cannot_be_read_or_used(name, tmp_path, monkeypatch, keras_flavour, rng):
    content, said = ARRAYS[name]
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(content)
    model = small(keras_flavour, rng)
    if "cannot be read" in said or "encrypted" in said or "memory" in said:
        with pytest.raises(InvalidArgumentError, match=f"{name}: .*{said}"):
            read_arrays(name)
    with pytest.raises((InvalidArgumentError, ModelFileError), match=said) as caught:
        verify(model, model, data=name)
    assert name in str(caught.value)
    with pytest.raises((InvalidArgumentError, CalibrationError)) as caught:
        export_tflite(model, "out.tflite", precision="int8", calibration=name)
    assert name in str(caught.value)
    assert not (tmp_path / "out.tflite").exists()


@pytest.mark.parametrize("scale", [1e31, 7e37])
def test_calibration_that_a_network_cannot_compute_with(scale, model):
    with pytest.raises(CalibrationError, match="beyond 1e\\+30 leaves the range of float32"):
        export_tflite(model, "out.tflite", precision="int8", calibration=SAMPLES / np.abs(SAMPLES).max() * scale)


@pytest.mark.parametrize(
    ("dtype", "given", "said"),
    [("int32", [[2**40]], "cannot hold"), ("int32", [[0.5]], "cannot hold"), ("uint8", [[300]], "cannot hold")],
)
def test_data_whose_numbers_the_input_cannot_hold(dtype, given, said, keras_flavour):
    keras = keras_flavour.keras
    x = keras.Input((1,), dtype=dtype, name="ids")
    model = keras.Model(x, keras.layers.Rescaling(0.5)(x))
    with pytest.raises(InvalidArgumentError, match=said):
        verify(model, model, data=np.array(given))
    assert verify(model, model, data=np.array([[1.0], [2.0], [3.0]])).samples == 3


@pytest.fixture
def report(model):
    return verify(model, model).to_json()


def outputs(**changed):
    return lambda held: {**held, "outputs": [{**held["outputs"][0], **changed}]}


REPORTS = {
    "null": lambda _: None,
    "list": lambda held: [held],
    "precision": lambda held: {**held, "precision": "int3"},
    "no output": lambda held: {**held, "outputs": [None]},
    "outputs": lambda held: {**held, "outputs": 5},
    "status": outputs(status="fine"),
    "gate": outputs(gate=None),
    "measurement": outputs(measurement={}),
    "notes": lambda held: {**held, "notes": "text"},
    "samples": lambda held: {**held, "samples": "8"},
}


@pytest.mark.sweep
@pytest.mark.parametrize("case", REPORTS)
def test_a_report_that_is_none(case, report, tmp_path, capsys):
    (tmp_path / "r.json").write_text(json.dumps(REPORTS[case](report)))
    refused("recheck r.json --html o.html", "r.json", capsys, tmp_path)


def test_a_report_that_is_too_deep_and_one_that_is_right(report, tmp_path, capsys):
    (tmp_path / "r.json").write_text("[" * 99_999)
    refused("recheck r.json", "r.json", capsys, tmp_path)
    (tmp_path / "r.json").write_text(json.dumps(report))
    assert run(["recheck", "r.json"]) == 0


def changed_file(data, change):
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(data))
    change(model)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def operation(**changed):
    return lambda model: vars(model.subgraphs[0].operators[0]).update(changed)


def tensor(**changed):
    return lambda model: vars(model.subgraphs[0].tensors[0]).update(changed)


FLAT = {
    "input": (operation(inputs=[0, 99, 1]), "takes or gives a tensor that there is not"),
    "output": (operation(outputs=[99]), "takes or gives a tensor that there is not"),
    "kind": (operation(opcodeIndex=9), "is of kind 9"),
    "buffer": (tensor(buffer=99), "damaged or cut short"),
    "name": (tensor(name=b"\xff\x84"), "codec can't decode"),
    "shape": (tensor(shape=[1, -6, 6, 2]), "has the shape"),
    "size": (tensor(shape=[2**20, 2**20, 2**20]), "bytes of memory"),
    "end": (lambda model: model.subgraphs[0].outputs.__setitem__(0, 99), "an input or output is tensor 99"),
    "signature": (lambda model: vars(model.signatureDefs[0]).update(subgraphIndex=4), "the subgraph of signature"),
    "circle": (
        lambda model: vars(model.subgraphs[0].operators[0]).update(inputs=[*model.subgraphs[0].outputs, 1, 2]),
        "computed at or after it",
    ),
    "nothing": (lambda model: vars(model).update(subgraphs=[]), "it has no subgraph"),
}


@pytest.mark.sweep
@pytest.mark.parametrize("case", FLAT)
def test_a_tflite_file_that_does_not_hold_together(case, model, tmp_path, capsys):
    change, said = FLAT[case]
    export_tflite(model, "good.tflite")
    data = (tmp_path / "good.tflite").read_bytes()
    read_tflite(changed_file(data, lambda _: None))
    (tmp_path / "bad.tflite").write_bytes(changed_file(data, change))
    model.save("m.keras")
    assert said in refused("inspect bad.tflite", "bad.tflite", capsys, tmp_path)
    refused("verify m.keras bad.tflite", "bad.tflite", capsys, tmp_path)


def test_names_that_are_no_text_for_a_terminal(model, tmp_path, capsys):
    """A path may hold what looks like markup, and control characters, which move no cursor."""
    folder = tmp_path / "a[/b]\x1b[31m:smile:"
    folder.mkdir(parents=True)
    model.save(folder / "m.keras")
    assert run(["inspect", str(folder / "m.keras")]) == 0
    assert run(["fold", str(folder / "m.keras"), "-o", str(folder / "f.keras")]) == 0
    out, err = capsys.readouterr()
    assert "[/b]\\x1b[31m:smile:/f.keras" in out
    assert "\x1b" not in out + err
    assert run(["inspect", str(folder / "none.keras")]) == 2
    assert "[/b]\\x1b[31m:smile:/none.keras" in capsys.readouterr().err
    long = f"{'n' * 300}.keras"
    for line in ("inspect", "export -o o.tflite", "verify m.keras", "fold -o o.keras"):
        command, *options = line.split()
        refused(" ".join([command, long, *options]), long, capsys, tmp_path)
