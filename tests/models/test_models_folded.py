"""Every builder: the published counts, one result from both Kerases, any norm, and no BatchNorm left by folding."""

import inspect
import re
from functools import partial

import numpy as np
import pytest
from kerasbn_testing.statistics import data_for, randomise

import kerasbn_models
from kerasbn.errors import InvalidArgumentError
from kerasbn.flavour import KERAS, TF_KERAS
from kerasbn_export import fold

SMALL = {
    "bn_lstm": {"input_shape": (6, 5), "units": 4},
    "crnn": {"input_shape": (6, 13, 1), "filters": (4, 6), "units": 4},
    "digits_cnn": {"filters": 4},
    "ds_cnn": {"input_shape": (16, 10, 1), "filters": 8, "blocks": 2},
    "fast_scnn": {"input_shape": (64, 96, 3), "classes": 2},
    "mlp": {"inputs": 12, "hidden": 8},
    "mobilenet_v2": {"input_shape": (32, 32, 3), "alpha": 0.25, "classes": 5},
    "resnet1d": {"input_shape": (20, 2), "filters": (4, 8, 8)},
    "resnet18": {"input_shape": (32, 32, 3), "filters": 4, "classes": 5},
    "resnet18 pre": {"input_shape": (32, 32, 3), "filters": 4, "classes": 5, "order": "pre"},
    "resnet20": {"input_shape": (16, 16, 3), "filters": 4},
    "resnet20 pre": {"input_shape": (16, 16, 3), "filters": 4, "order": "pre"},
    "resnet50": {"input_shape": (32, 32, 3), "filters": 4, "blocks": (2, 2), "classes": 5},
    "resnet50 pre": {"input_shape": (32, 32, 3), "filters": 4, "blocks": (2, 2), "classes": 5, "order": "pre"},
    "tcn": {"input_shape": (24, 2), "filters": 4, "kernel_size": 3, "dilations": (1, 2)},
    "text_cnn": {"length": 12, "vocabulary": 20, "embedding": 4, "filters": 4},
    "unet": {"input_shape": (16, 24, 1), "filters": 4, "depth": 2},
}
"""Arguments of a small network of each builder."""

LEFT = {"resnet18 pre": 8, "resnet20 pre": 9, "resnet50 pre": 4, "resnet1d": 1}
"""BatchNorms that are not gone: the first of each pre-activation block and the last one; the one on a shortcut."""

PUBLISHED = {
    "mobilenet_v2": ({}, 3_504_872, 52),
    "resnet18": ({}, 11_689_512, 20),
    "resnet18 34": ({"blocks": (3, 4, 6, 3)}, 21_797_672, 36),
    "resnet50": ({}, 25_557_032, 53),
    "resnet50 101": ({"blocks": (3, 4, 23, 3)}, 44_549_160, 104),
}
"""Trainable parameters, as torchvision's documentation lists them."""


def small(name, flavour, **more):
    return getattr(kerasbn_models, name.split()[0])(flavour.name, **SMALL[name], **more)


def batchnorms(model):
    return [layer for layer in model.layers if type(layer).__name__ == "BatchNormalization"]


def numbers(model, data):
    return np.asarray(model(data, training=False), "float64")


def copy_weights(source, target):
    for layer in source.layers:
        target.get_layer(layer.name).set_weights(layer.get_weights())


def test_every_builder_is_tested():
    assert {name.split()[0] for name in SMALL} | {"yolo11"} == set(kerasbn_models.__all__)  # test_yolo11 has that one


@pytest.mark.sweep
@pytest.mark.parametrize("name", SMALL)
def test_both_kerases_give_the_same_numbers(name, rng):
    models = [small(name, flavour) for flavour in (KERAS, TF_KERAS)]
    randomise(models[0], rng)
    copy_weights(*models)
    data = data_for(models[0], rng)
    ours, other = (numbers(model, data) for model in models)
    assert np.ptp(ours) > 0
    np.testing.assert_allclose(other, ours, rtol=0, atol=1e-5 * np.abs(ours).max())


@pytest.mark.sweep
@pytest.mark.parametrize("name", SMALL)
def test_folding_leaves_what_algebra_must(keras_flavour, name, rng):
    model = small(name, keras_flavour)
    randomise(model, rng)
    folded = fold(model)
    assert len(folded.verdicts) == len(batchnorms(model))
    assert sum(verdict.reason is not None for verdict in folded.verdicts) == LEFT.get(name, 0), folded.summary()
    data = data_for(model, rng)
    expected, found = (numbers(each, data) for each in (model, folded.model))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


NORMS = {
    "stock": lambda flavour: flavour.keras.layers.BatchNormalization,
    "ghost": lambda flavour: partial(flavour.batch_normalization, virtual_batch_size=2),
    "renorm": lambda flavour: partial(flavour.batch_normalization, renorm=True),
    "layer": lambda flavour: flavour.keras.layers.LayerNormalization,
    "group": lambda flavour: partial(flavour.keras.layers.GroupNormalization, groups=1),
    "function": lambda flavour: lambda name: flavour.keras.layers.BatchNormalization(name=name, momentum=0.5),
}


def assert_norm(flavour, name, norm):
    plain, other = small(name, flavour), small(name, flavour, norm=NORMS[norm](flavour))
    kinds = {type(layer).__name__ for layer in other.layers}
    expected = {"layer": "LayerNormalization", "group": "GroupNormalization"}.get(norm, "BatchNormalization")
    assert expected in kinds
    assert ("BatchNormalization" in kinds) == (expected == "BatchNormalization")
    assert other.output_shape == plain.output_shape


@pytest.mark.sweep
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", ["mlp", "bn_lstm", "text_cnn"])
def test_any_norm_builds(keras_flavour, name, norm):
    assert_norm(keras_flavour, name, norm)


@pytest.mark.sweep
@pytest.mark.parametrize("name", SMALL)
def test_every_builder_takes_a_norm(name):
    assert_norm(KERAS, name, "group")


@pytest.mark.sweep
@pytest.mark.parametrize("norm", ["ghost", "renorm", "group"])
def test_any_norm_trains(keras_flavour, norm, rng):
    model = small("mlp", keras_flavour, norm=NORMS[norm](keras_flavour))
    loss = keras_flavour.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras_flavour.keras.optimizers.Adam(0.01), loss)
    labels = rng.integers(0, 10, 64)
    x = rng.normal(size=(64, 12)).astype("float32") + np.eye(12, dtype="float32")[labels] * 3
    losses = model.fit(x, labels, epochs=4, batch_size=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_the_momentum_reaches_every_norm_that_has_one(keras_flavour):
    stock, ours = keras_flavour.keras.layers.BatchNormalization, keras_flavour.batch_normalization
    for norm in (None, stock, partial(ours, virtual_batch_size=2)):
        found = {layer.momentum for layer in batchnorms(small("mlp", keras_flavour, norm=norm, momentum=0.7))}
        assert found == {0.7}
    set_already = small("mlp", keras_flavour, norm=partial(stock, momentum=0.3), momentum=0.7)
    assert {layer.momentum for layer in batchnorms(set_already)} == {0.3}


def test_the_momentum_reaches_a_class_whose_new_takes_anything(keras_flavour):
    """As Keras' Layer does, which an older Python than 3.11.9 asks for the arguments of every layer."""

    class Norm(keras_flavour.keras.layers.BatchNormalization):
        def __new__(cls, *args, **kwargs):
            return super().__new__(cls, *args, **kwargs)

        def __init__(self, momentum=0.99, **kwargs):
            super().__init__(momentum=momentum, **kwargs)

    found = {
        layer.momentum for layer in small("mlp", keras_flavour, norm=Norm, momentum=0.7).layers if type(layer) is Norm
    }
    assert found == {0.7}


def test_a_norm_of_the_other_keras_is_refused():
    with pytest.raises(InvalidArgumentError, match="BatchNormalization of tf_keras, and the network is of keras"):
        kerasbn_models.mlp(norm=TF_KERAS.keras.layers.BatchNormalization)
    with pytest.raises(InvalidArgumentError, match=r"norm='batch' cannot be called; accepted: a layer class"):
        kerasbn_models.unet(norm="batch")


@pytest.mark.parametrize("name", sorted({name.split()[0] for name in SMALL}))
def test_the_docstring_says_the_counts(name):
    builder = getattr(kerasbn_models, name)
    stated = re.search(r"([\d,]+) parameters and\s(\d+) BatchNorm", inspect.getdoc(builder))
    model = builder()
    assert stated.groups() == (f"{model.count_params():,}", str(len(batchnorms(model))))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_counts(name):
    arguments, parameters, norms = PUBLISHED[name]
    model = getattr(kerasbn_models, name.split()[0])(**arguments)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == parameters
    assert len(batchnorms(model)) == norms


@pytest.mark.parametrize("name", ["resnet18", "resnet20", "resnet50"])
def test_an_unknown_order_is_named(name):
    with pytest.raises(InvalidArgumentError, match=r"order='middle' is not known; accepted: post, pre"):
        getattr(kerasbn_models, name)(order="middle")


def test_fast_scnn_names_a_size_that_does_not_fit():
    with pytest.raises(InvalidArgumentError, match="multiples of 32"):
        kerasbn_models.fast_scnn(input_shape=(100, 96, 3))


def test_a_causal_tcn_sees_no_later_sample(keras_flavour, rng):
    model = small("tcn", keras_flavour)
    randomise(model, rng)
    signal = rng.normal(size=(1, 24, 2)).astype("float32")
    changed = signal.copy()
    changed[:, 15:] += 1
    before, after = (numbers(model, x)[0] for x in (signal, changed))
    np.testing.assert_array_equal(before[:15], after[:15])
    assert np.any(before[15:] != after[15:])
    assert small("tcn", keras_flavour, every_sample=False).output_shape == (None, 1)
