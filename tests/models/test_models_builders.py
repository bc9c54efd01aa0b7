import subprocess
import sys

import numpy as np
import pytest

from kerasbn.errors import InvalidArgumentError
from kerasbn_models import digits_cnn, mlp

BUILDERS = {"digits_cnn": (digits_cnn, (8, 8, 1), 7), "mlp": (mlp, (784,), 1)}


def batchnorms(model):
    return [layer for layer in model.layers if type(layer).__name__ == "BatchNormalization"]


@pytest.mark.parametrize("source", ["kerasbn", "stock"])
@pytest.mark.parametrize("name", BUILDERS)
def test_builds_the_architecture(keras_flavour, name, source):
    builder, shape, count = BUILDERS[name]
    model = builder(keras_flavour.name, batchnorm=source)
    assert model.name == name
    assert isinstance(model, keras_flavour.keras.Model)
    assert model.input_shape == (None, *shape)
    assert model.output_shape == (None, 10)
    assert len(batchnorms(model)) == count


@pytest.mark.parametrize("source", ["kerasbn", "stock"])
@pytest.mark.parametrize("name", BUILDERS)
def test_batchnorms_are_of_the_asked_source_and_momentum(keras_flavour, name, source):
    model = BUILDERS[name][0](keras_flavour.name, batchnorm=source, momentum=0.75)
    stock = keras_flavour.keras.layers.BatchNormalization
    for layer in batchnorms(model):
        assert layer.momentum == 0.75
        assert (type(layer) is stock) == (source == "stock")


@pytest.mark.parametrize("name", BUILDERS)
def test_two_sources_compute_the_same(keras_flavour, name, rng):
    builder, shape, _ = BUILDERS[name]
    stock = builder(keras_flavour.name, batchnorm="stock")
    ours = builder(keras_flavour.name, batchnorm="kerasbn")
    weights = [rng.uniform(0.1, 1.0, weight.shape).astype("float32") for weight in stock.get_weights()]
    stock.set_weights(weights)
    ours.set_weights(weights)
    x = rng.normal(size=(4, *shape)).astype("float32")
    expected = stock.predict(x, verbose=0)
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(ours.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.either_keras
@pytest.mark.sweep
@pytest.mark.parametrize("name", BUILDERS)
def test_learns(keras_flavour, name, rng):
    builder, shape, _ = BUILDERS[name]
    model = builder(keras_flavour.name)
    labels = rng.integers(0, 10, 128)
    x = rng.normal(size=(128, *shape)).astype("float32") * 0.1 + labels.reshape(-1, *[1] * len(shape))
    loss = keras_flavour.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    losses = model.fit(x, labels, epochs=4, batch_size=32, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]


def test_sizes_are_parameters(keras_flavour):
    assert mlp(keras_flavour.name, inputs=20, hidden=5, classes=3).count_params() == 20 * 5 + 4 * 5 + 5 * 3 + 3
    assert digits_cnn(keras_flavour.name, filters=4, classes=3).output_shape == (None, 3)


@pytest.mark.parametrize("name", BUILDERS)
def test_unknown_choices_are_named(name):
    builder = BUILDERS[name][0]
    with pytest.raises(InvalidArgumentError, match=r"batchnorm='torch' is not known; accepted: kerasbn, stock"):
        builder(batchnorm="torch")
    with pytest.raises(InvalidArgumentError, match=r"'pytorch' is not known; accepted: keras, tf_keras"):
        builder("pytorch")


def test_importing_imports_no_keras():
    code = "import sys, kerasbn_models; print(sorted({'keras', 'tf_keras', 'tensorflow'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
