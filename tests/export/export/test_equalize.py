"""Cross-layer equalization changes no output, evens out the ranges, and goes only where that is exact."""

import numpy as np
import pytest

from kerasbn_export.algebra.linear_input import input_ranges
from kerasbn_export.capture import capture
from kerasbn_export.export.forms.equalize import equalize_graph, equalized


def uneven(model, rng):
    """Kernels whose channels have ranges over decades, and biases that are not zero."""
    for variable in model.weights:
        shape = tuple(variable.shape)
        numbers = rng.normal(size=shape)
        variable.assign(numbers * 10.0 ** rng.uniform(-2, 2, size=shape[-1:]) if len(shape) > 1 else numbers)
    return model


def between(layers):
    """What may stand between two linear layers, in a chain from (8, 8, 4) images."""
    return {
        "relu inside": ({"activation": "relu"}, []),
        "leaky": ({}, [layers.LeakyReLU()]),
        "pool, pad, dropout": ({}, [layers.ReLU(), layers.MaxPooling2D(), layers.Dropout(0.5), layers.ZeroPadding2D()]),
        "flatten": ({}, [layers.ReLU(), layers.Flatten()]),
        "average": ({}, [layers.ReLU(), layers.GlobalAveragePooling2D()]),
        "tanh inside": ({"activation": "tanh"}, []),
        "relu6": ({}, [layers.ReLU(6.0)]),
        "threshold": ({}, [layers.ReLU(threshold=1.0)]),
        "softmax": ({}, [layers.Softmax()]),
    }


def chain(flavour, case):
    layers = flavour.keras.layers
    options, stages = between(layers)[case]
    image = flavour.keras.Input((8, 8, 4))
    x = layers.Conv2D(6, 3, name="before", **options)(image)
    for stage in stages:
        x = stage(x)
    last = layers.Dense(3, name="behind") if len(x.shape) == 2 else layers.Conv2D(3, 2, name="behind")
    return flavour.keras.Model(image, last(x))


def outputs(model, x):
    return np.asarray(model(x, training=False), np.float64)


def ratio(ranges):
    return ranges.max() / ranges.min()


@pytest.mark.parametrize("case", ["relu inside", "leaky", "pool, pad, dropout", "flatten", "average"])
def test_it_changes_no_output_and_evens_out_the_ranges(keras_flavour, rng, case):
    model = uneven(chain(keras_flavour, case), rng)
    x = rng.normal(size=(4, 8, 8, 4)).astype("float32")
    done = equalized(model)
    assert done.layers == ("before",)
    want, found = outputs(model, x), outputs(done.model, x)
    np.testing.assert_allclose(found, want, atol=2e-5 * np.abs(want).max(), rtol=0)
    old, new = (model.get_layer("before").kernel, done.model.get_layer("before").kernel)
    before, after = (np.abs(np.asarray(kernel)).max(axis=(0, 1, 2)) for kernel in (old, new))
    assert ratio(after) < ratio(before) / 5
    if case == "relu inside":  # behind, each channel has the same range as before
        behind = done.model.get_layer("behind")
        ranges = input_ranges("Conv2D", {"groups": 1}, {"kernel": np.asarray(behind.kernel)})
        np.testing.assert_allclose(ranges, after, rtol=1e-4)


@pytest.mark.parametrize("case", ["tanh inside", "relu6", "threshold", "softmax"])
def test_it_goes_not_where_it_would_not_be_exact(keras_flavour, rng, case):
    model = uneven(chain(keras_flavour, case), rng)
    done = equalized(model)
    assert done.layers == ()
    assert done.model is model


def test_the_same_scale_through_a_tanh_would_have_been_noticed(keras_flavour, rng, monkeypatch):
    """The check of `test_it_changes_no_output` sees an equalization that is wrong."""
    monkeypatch.setattr("kerasbn_export.folding.rules.producer._passes_activation", lambda *_: True)
    model = uneven(chain(keras_flavour, "tanh inside"), rng)
    x = rng.normal(size=(4, 8, 8, 4)).astype("float32")
    done = equalized(model)
    assert done.layers == ("before",)
    want = outputs(model, x)
    assert np.abs(outputs(done.model, x) - want).max() > 1e-2 * np.abs(want).max()


def test_layers_of_every_kind_and_branches_take_part(keras_flavour, rng):
    layers = keras_flavour.keras.layers
    image = keras_flavour.keras.Input((8, 8, 4))
    x = layers.ReLU()(layers.Conv2D(8, 3, name="grouped", groups=2)(image))
    x = layers.ReLU()(layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x))
    x = layers.ReLU()(layers.SeparableConv2D(6, 3, name="separable")(x))
    x = layers.ReLU()(layers.Conv2DTranspose(5, 3, name="transposed")(x))
    y = layers.Concatenate()([layers.Conv2D(2, 1, name="one")(x), layers.Conv2D(3, 1, name="two")(x)])
    model = uneven(keras_flavour.keras.Model(image, layers.Conv2D(2, 1, name="last")(y)), rng)
    x = rng.normal(size=(2, 8, 8, 4)).astype("float32")
    done = equalized(model)
    assert set(done.layers) == {"grouped", "depthwise", "separable", "transposed", "one", "two"}
    want = outputs(model, x)
    np.testing.assert_allclose(outputs(done.model, x), want, atol=2e-5 * np.abs(want).max(), rtol=0)


def test_a_value_that_is_an_output_and_a_layer_called_twice_stay(keras_flavour, rng):
    layers = keras_flavour.keras.layers
    x = keras_flavour.keras.Input((4,))
    shown = layers.Dense(5, name="shown")(x)
    twice = layers.Dense(5, activation="relu", name="twice")
    model = uneven(keras_flavour.keras.Model(x, [shown, layers.Dense(2)(twice(twice(shown)))]), rng)
    assert equalize_graph(capture(model)) == ()


def test_channels_without_any_weight_keep_their_scale(keras_flavour, rng):
    model = uneven(chain(keras_flavour, "relu inside"), rng)
    kernel = np.asarray(model.get_layer("before").kernel).copy()
    kernel[..., 2] = 0
    model.get_layer("before").kernel.assign(kernel)
    x = rng.normal(size=(2, 8, 8, 4)).astype("float32")
    done = equalized(model)
    assert np.isfinite(outputs(done.model, x)).all()
    np.testing.assert_allclose(outputs(done.model, x), outputs(model, x), rtol=1e-3, atol=1e-3)
