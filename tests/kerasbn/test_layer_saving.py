"""Every way a layer leaves memory and comes back: files, pickles, clones, configs, weights."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from kerasbn.flavour import TF_KERAS

OPTIONS = {
    "axis": -1,
    "momentum": 0.8,
    "epsilon": 2e-3,
    "center": True,
    "scale": True,
    "fused": False,
    "synchronized": True,
    "unbiased_variance": True,
    "renorm_momentum": 0.9,
    "name": "bn",
}


def model_of(flavour, make_weights, rng, **options):
    keras = flavour.keras
    layer = flavour.batch_normalization(
        gamma_regularizer=keras.regularizers.L2(0.1), beta_constraint=keras.constraints.NonNeg(), **options
    )
    model = keras.Sequential([keras.layers.Input((4, 4, 3)), keras.layers.Conv2D(5, 3), layer])
    layer.set_weights(make_weights(layer, rng))
    return model


def assert_same_model(found, expected, x):
    np.testing.assert_array_equal(np.asarray(found(x)), np.asarray(expected(x)))
    config, expected_config = found.layers[-1].get_config(), expected.layers[-1].get_config()
    assert type(found.layers[-1]) is type(expected.layers[-1])
    assert config == expected_config


@pytest.fixture
def images(rng):
    return rng.normal(size=(2, 4, 4, 3)).astype("float32")


FILES = [
    (".keras", {}),
    (".keras", OPTIONS),
    (".keras", {"axis": [1, 3]}),
    (".h5", {}),
    (".h5", OPTIONS),
]


@pytest.mark.parametrize(("suffix", "options"), FILES)
def test_files(keras_flavour, suffix, options, tmp_path, images, make_weights, rng):
    model = model_of(keras_flavour, make_weights, rng, **options)
    if suffix == ".h5" and keras_flavour.name == "tf_keras":
        with pytest.warns(UserWarning, match="HDF5"):
            model.save(tmp_path / f"model{suffix}")
    else:
        model.save(tmp_path / f"model{suffix}")
    assert_same_model(keras_flavour.keras.models.load_model(tmp_path / f"model{suffix}"), model, images)


def test_saved_model_of_tf_keras(tmp_path, images, make_weights, rng):
    model = model_of(TF_KERAS, make_weights, rng)
    model.save(tmp_path / "model")
    assert_same_model(TF_KERAS.keras.models.load_model(tmp_path / "model"), model, images)
    served = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"]
    (found,) = served(tf.constant(images)).values()
    np.testing.assert_allclose(found, model(images), rtol=1e-5, atol=1e-5)


def test_export(keras_flavour, tmp_path, images, make_weights, rng, capsys):
    model = model_of(keras_flavour, make_weights, rng)
    model.export(tmp_path / "model")
    capsys.readouterr()
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    found = loaded.serve(images)
    np.testing.assert_allclose(found, np.asarray(model(images)), rtol=1e-5, atol=1e-5)


def test_pickle(keras_flavour, images, make_weights, rng):
    model = model_of(keras_flavour, make_weights, rng, **OPTIONS)
    assert_same_model(pickle.loads(pickle.dumps(model)), model, images)  # noqa: S301 - our own bytes


def test_clone(keras_flavour, images, make_weights, rng):
    model = model_of(keras_flavour, make_weights, rng, **OPTIONS)
    clone = keras_flavour.keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert_same_model(clone, model, images)
    assert clone.layers[-1].gamma is not model.layers[-1].gamma


def test_config_holds_every_argument(keras_flavour):
    layer = keras_flavour.batch_normalization(**OPTIONS)
    config = layer.get_config()
    assert {key: config[key] for key in OPTIONS} == OPTIONS
    assert type(layer).from_config(config).get_config() == config


def test_a_file_loads_where_only_the_layer_was_imported(keras_flavour, tmp_path, images, make_weights, rng):
    model = model_of(keras_flavour, make_weights, rng)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", images)
    np.save(tmp_path / "y.npy", np.asarray(model(images)))
    code = (
        f"import kerasbn.{keras_flavour.name}, numpy as np, {keras_flavour.name} as k;"
        "m = k.models.load_model('model.keras'); y = np.asarray(m(np.load('x.npy')));"
        "assert np.allclose(y, np.load('y.npy'), rtol=1e-5, atol=1e-5)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)


@pytest.mark.parametrize("suffix", [".weights.h5"])
def test_weights_files_are_the_stock_layers(keras_flavour, suffix, tmp_path, images, make_weights, rng):
    ours = model_of(keras_flavour, make_weights, rng)
    keras = keras_flavour.keras
    stock = keras.Sequential(
        [keras.layers.Input((4, 4, 3)), keras.layers.Conv2D(5, 3), keras.layers.BatchNormalization()]
    )
    ours.save_weights(tmp_path / f"ours{suffix}")
    stock.load_weights(tmp_path / f"ours{suffix}")
    np.testing.assert_allclose(np.asarray(stock(images)), np.asarray(ours(images)), rtol=1e-5, atol=1e-5)
    stock.layers[-1].set_weights(make_weights(ours.layers[-1], rng))
    stock.save_weights(tmp_path / f"stock{suffix}")
    ours.load_weights(tmp_path / f"stock{suffix}")
    np.testing.assert_allclose(np.asarray(stock(images)), np.asarray(ours(images)), rtol=1e-5, atol=1e-5)


def test_weights_are_in_the_stock_order(keras_flavour):
    layer = keras_flavour.batch_normalization()
    layer.build((None, 3))
    names = [weight.name.split("/")[-1].split(":")[0] for weight in layer.weights]
    assert names == ["gamma", "beta", "moving_mean", "moving_variance"]


def test_several_axes_in_h5(keras_flavour, tmp_path, images, make_weights, rng, recwarn):
    """Keras 3 drops a list of axes from the config as it reads an .h5: that fails by the shape of the weights."""
    model = model_of(keras_flavour, make_weights, rng, axis=[1, 3])
    model.save(tmp_path / "model.h5")
    recwarn.clear()
    if keras_flavour.name == "tf_keras":
        assert_same_model(keras_flavour.keras.models.load_model(tmp_path / "model.h5"), model, images)
    else:
        with pytest.raises(ValueError, match="Shape mismatch"):
            keras_flavour.keras.models.load_model(tmp_path / "model.h5")


def test_inside_wrappers(keras_flavour, tmp_path, images, make_weights, rng):
    """tf_keras' wrappers look their layer up by class name alone, and must be told which class that is."""
    keras, ours = keras_flavour.keras, keras_flavour.batch_normalization
    model = keras.Sequential(
        [keras.layers.Input((4, 4, 3)), keras.layers.TimeDistributed(ours(unbiased_variance=True))]
    )
    model.set_weights(make_weights(model.layers[-1].layer, rng))
    model.save(tmp_path / "model.keras")
    told = {"BatchNormalization": ours} if keras_flavour.name == "tf_keras" else None
    loaded = keras.models.load_model(tmp_path / "model.keras", custom_objects=told)
    assert type(loaded.layers[-1].layer) is ours
    np.testing.assert_array_equal(np.asarray(loaded(images)), np.asarray(model(images)))
