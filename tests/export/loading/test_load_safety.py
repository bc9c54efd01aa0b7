"""Loading runs no code that a file carries or names, in any format, unless told so."""

import json
import sys
import zipfile

import h5py
import numpy as np
import pytest

from kerasbn.errors import UnsafeModelError
from kerasbn_export.loading.load import load_model
from kerasbn_export.loading.safety import find_code

MARKER = "the_file_ran_code"


@pytest.fixture(autouse=True)
def marker():
    """An attribute of `sys` that the code in the test's files sets when it is run."""
    sys.__dict__.pop(MARKER, None)
    yield lambda: hasattr(sys, MARKER)
    sys.__dict__.pop(MARKER, None)


def lambda_model(flavour, path):
    layers = flavour.keras.layers
    code = lambda x: (setattr(__import__("sys"), "the_file_ran_code", True), x)[1]  # noqa: E731 - a lambda is what is tested
    model = flavour.keras.Sequential(
        [flavour.keras.Input((2,)), layers.Lambda(code, output_shape=(2,), name="wild"), layers.Dense(1)]
    )
    model.save(path)
    sys.__dict__.pop(MARKER, None)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")  # that is what is tested
def test_a_lambda_layer_is_refused_unless_allowed(keras_flavour, suffix, tmp_path, marker):
    path = tmp_path / f"m{suffix}"
    lambda_model(keras_flavour, path)
    with pytest.raises(UnsafeModelError, match=r"layer 'wild' is a Lambda layer.*--allow-code") as caught:
        load_model(path)
    assert str(path) in str(caught.value)
    assert not marker()
    load_model(path, allow_code=True)(np.ones((1, 2), "float32"))
    assert marker(), "with allow_code the code is there and runs"


def test_a_lambda_layer_in_a_saved_model_is_refused_unless_allowed(tmp_path):
    import tf_keras

    model = tf_keras.Sequential([tf_keras.Input((2,)), tf_keras.layers.Lambda(lambda x: 2 * x, name="wild")])
    model.save(tmp_path / "m", save_format="tf")
    with pytest.raises(UnsafeModelError, match="layer 'wild' is a Lambda layer"):
        load_model(tmp_path / "m")
    assert load_model(tmp_path / "m", allow_code=True).get_layer("wild") is not None


def sequential(*layers):
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "model", "layers": list(layers)}}


def layer(class_name, module="keras.layers", registered_name=None, **config):
    config = {"name": "suspect", **config}
    return {"module": module, "class_name": class_name, "config": config, "registered_name": registered_name}


def function(name, module):
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


UNSAFE = {
    "module": (sequential(layer("Evil", module="os.path")), "os.path.Evil"),
    "function": (sequential(layer("Dense", activation=function("system", "os"))), "os.system"),
    "builtin": (sequential(layer("Dense", activation=function("eval", "builtins"))), "Python's eval"),
    "download": (sequential(layer("Dense", activation=function("get_file", "keras.utils"))), "keras.utils.get_file"),
    "lookalike": (sequential(layer("Dense", module="kerasx.layers")), "kerasx.layers.Dense"),
    "nested": (sequential(layer("TimeDistributed", layer=layer("Evil", module="evil", name="inner"))), "evil.Evil"),
    "initializer": (sequential(layer("Dense", kernel_initializer={"class_name": "__lambda__"})), "lambda"),
    "old function": (sequential(layer("Dense", activation={"function_type": "lambda"})), "lambda"),
    "file op": (sequential(layer("TFOpLambda", function="io.write_file")), "tf.io.write_file"),
    "library op": (sequential(layer("TFOpLambda", function="load_op_library")), "tf.load_op_library"),
}

SAFE = {
    "layers": sequential(layer("Dense", activation="relu", kernel_initializer=layer("Zeros", "keras.initializers"))),
    "source": sequential(layer("Functional", module="keras.src.engine.functional")),
    "ours": sequential(
        layer("BatchNormalization", module="kerasbn.keras", registered_name="kerasbn>BatchNormalization")
    ),
    "activation": sequential(layer("Dense", activation=function("gelu", "builtins"))),
    "no module": sequential({"class_name": "Dense", "config": {"name": "plain"}}),
    "math op": sequential(
        layer("TFOpLambda", function="math.add"), layer("TFOpLambda", function="compat.v1.nn.conv2d")
    ),
    "operator": sequential(layer("SlicingOpLambda", function="__operators__.getitem")),
}


@pytest.mark.parametrize("case", UNSAFE)
def test_foreign_code_is_found_with_the_name_of_its_layer(case):
    config, what = UNSAFE[case]
    (found,) = find_code(config)
    assert what in found.what
    assert found.layer == ("inner" if case == "nested" else "suspect")


@pytest.mark.parametrize("case", SAFE)
def test_the_layers_of_keras_and_kerasbn_are_not_foreign(case):
    assert list(find_code(SAFE[case])) == []


def test_a_class_that_this_process_registered_is_not_foreign():
    config = sequential(layer("Mine", module="my.layers", registered_name="my>Mine"))
    assert list(find_code(config)) != []
    assert list(find_code(config, lambda name: name == "my>Mine")) == []


@pytest.mark.parametrize("version", ["3.12.0", "2.15.0"])
def test_a_module_named_in_a_keras_file_is_not_imported(version, tmp_path, monkeypatch, marker):
    (tmp_path / "evil_module.py").write_text(f"import sys\nsys.{MARKER} = True\nclass Evil: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("config.json", json.dumps(sequential(layer("Evil", module="evil_module"))))
    with pytest.raises(UnsafeModelError, match=r"layer 'suspect' needs evil_module\.Evil"):
        load_model(tmp_path / "m.keras")
    assert not marker()


@pytest.mark.parametrize("version", ["3.12.0", "2.15.0"])
def test_a_module_named_in_an_h5_file_is_not_imported(version, tmp_path, marker):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["keras_version"] = version
        file.attrs["model_config"] = json.dumps(sequential(layer("Evil", module="evil_module")))
    with pytest.raises(UnsafeModelError, match=r"layer 'suspect' needs evil_module\.Evil"):
        load_model(tmp_path / "m.h5")
    assert not marker()
