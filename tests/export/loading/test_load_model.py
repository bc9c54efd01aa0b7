"""Models load with the Keras that wrote them; what is no model is refused with its name and what is accepted."""

import json
import zipfile

import h5py
import numpy as np
import pytest

from kerasbn.errors import ModelFileError
from kerasbn.flavour import flavour_of
from kerasbn_export.loading.describe import read_model_file
from kerasbn_export.loading.load import load_model


def small_model(flavour):
    layers = flavour.keras.layers
    model = flavour.keras.Sequential(
        [flavour.keras.Input((5,)), layers.Dense(3, name="dense"), flavour.batch_normalization(name="norm")]
    )
    values = np.random.default_rng(5)
    weights = [values.normal(size=weight.shape) for weight in model.get_weights()]
    weights[-1] = np.array([0.01, 1.0, 300.0])
    model.set_weights(weights)
    return model


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".hdf5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")  # that is what is tested
def test_a_saved_model_comes_back_with_its_own_keras(keras_flavour, suffix, tmp_path, rng):
    model, path = small_model(keras_flavour), tmp_path / f"model{suffix}"
    model.save(path)
    loaded = load_model(path)
    assert flavour_of(loaded).name == keras_flavour.name
    assert type(loaded.layers[-1]) is keras_flavour.batch_normalization
    x = rng.normal(size=(4, 5)).astype("float32")
    np.testing.assert_array_equal(np.asarray(loaded(x)), np.asarray(model(x)))


def test_a_saved_model_folder_of_keras_2_comes_back(tmp_path, rng):
    import tf_keras

    model = tf_keras.Sequential([tf_keras.Input((5,)), tf_keras.layers.Dense(3), tf_keras.layers.BatchNormalization()])
    tf_keras.models.save_model(model, tmp_path / "folder", save_format="tf")
    loaded = load_model(tmp_path / "folder")
    x = rng.normal(size=(4, 5)).astype("float32")
    np.testing.assert_array_equal(loaded(x).numpy(), model(x).numpy())


def test_an_h5_file_that_says_no_version_is_of_keras_2(tmp_path):
    path = tmp_path / "old.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": []})
    assert read_model_file(path).flavour.name == "tf_keras"


def exported_by_keras_3(path):
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.export(path, verbose=False)


def weights_only(path):
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = ["dense"]


def no_model_in_h5(path):
    with h5py.File(path, "w") as file:
        file["numbers"] = [1, 2]


def cut_hdf5(path):
    no_model_in_h5(path)
    path.write_bytes(path.read_bytes()[:200])


def other_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")


def cut_zip(path):
    other_zip(path)
    path.write_bytes(path.read_bytes()[:30])


def json_of_nothing(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "[]")
        archive.writestr("config.json", "{")


def config_of_nothing(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.12.0"}))
        archive.writestr("config.json", json.dumps({"class_name": "NoSuchModel", "config": {}}))


def damaged_metadata(path):
    path.mkdir()
    (path / "saved_model.pb").write_bytes(b"")
    (path / "keras_metadata.pb").write_bytes(b"no protobuf")


BAD_FILES = {
    "missing": ("m.keras", lambda _: None, "no such file or folder; a model is a .keras file"),
    "empty": ("m.keras", lambda path: path.write_bytes(b""), "it is empty; accepted: a .keras file"),
    "text": ("m.h5", lambda path: path.write_text("hello there"), "begins with b'hello th'"),
    "tflite": ("m.tflite", lambda path: path.write_bytes(b"\x1c\0\0\0TFL3"), "cannot be read back"),
    "pb file": ("saved_model.pb", lambda path: path.write_bytes(b"\x08\x01\x12"), "give the folder, not the file"),
    "zip named h5": ("m.h5", other_zip, "the content is a zip archive.* rename it to m.keras"),
    "h5 named keras": ("m.keras", no_model_in_h5, "the content is an HDF5 file.* rename it to m.h5"),
    "no suffix": ("model", other_zip, "ends in 'no suffix'; rename it to model.keras"),
    "other zip": ("m.keras", other_zip, "no Keras model: .*metadata.json"),
    "cut zip": ("m.keras", cut_zip, "the archive is damaged or cut short"),
    "bad json": ("m.keras", json_of_nothing, "the archive is damaged or cut short"),
    "bad config": ("m.keras", config_of_nothing, "keras cannot load it"),
    "weights only": ("m.h5", weights_only, "it holds weights only; save the whole model"),
    "other h5": ("m.h5", no_model_in_h5, "it has no model_config"),
    "cut h5": ("m.h5", cut_hdf5, "the HDF5 file is damaged or cut short"),
    "folder": ("m", lambda path: path.mkdir(), "a folder without saved_model.pb"),
    "exported": ("m", exported_by_keras_3, r"carries no Keras layers .* model.save\('m.keras'\)"),
    "damaged folder": ("m", damaged_metadata, "the SavedModel is damaged"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_what_is_no_model_is_refused_by_name(case, tmp_path):
    name, make, message = BAD_FILES[case]
    make(tmp_path / name)
    with pytest.raises(ModelFileError, match=message) as caught:
        load_model(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
