"""Parallel linear branches of every kind become one layer, in both Kerases; what cannot stays as it is."""

import numpy as np
import pytest
from kerasbn_testing.eager import evaluate
from kerasbn_testing.judging import assert_folds, in_float64, relative_error
from kerasbn_testing.statistics import data_for, randomise

from kerasbn_export.capture import capture
from kerasbn_export.folding.fold import plan


def summed(keras, shape, *makers, merge="Add"):
    """The branches of one input in a sum; each maker takes the layers and gives the layers of its branch."""
    inputs = keras.Input(shape)
    outputs = []
    for make in makers:
        x = inputs
        for layer in make(keras.layers):
            x = layer(x)
        outputs.append(x)
    return keras.Model(inputs, getattr(keras.layers, merge)()(outputs))


def depthwise(size, norm=True, dims=2, **options):
    def make(layers):
        layer = getattr(layers, f"DepthwiseConv{dims}D")(size, use_bias=not norm, **{"padding": "same", **options})
        return [layer, layers.BatchNormalization()] if norm else [layer]

    return make


def convolution(dims, filters, size, norm=True, **options):
    def make(layers):
        layer = getattr(layers, f"Conv{dims}D")(filters, size, use_bias=not norm, **{"padding": "same", **options})
        return [layer, layers.BatchNormalization()] if norm else [layer]

    return make


def norm(layers):
    return [layers.BatchNormalization()]


def itself(_):
    return []


def dense(units):
    return lambda layers: [layers.Dense(units), layers.BatchNormalization()]


def scaled(layers):
    return [layers.Rescaling(0.5, 0.25)]


IMAGE, ODD, SEQUENCE, ANY = (8, 8, 6), (7, 9, 6), (9, 6), (None, None, 6)

ONE = {
    "RepViT": (IMAGE, depthwise(3), depthwise(1, norm=False), itself),
    "MobileOne": (IMAGE, depthwise(3), depthwise(3), depthwise(1), norm),
    "MobileOne at the start of a stage": (IMAGE, depthwise(3, strides=2), depthwise(1, strides=2)),
    "strided, odd sizes": (ODD, depthwise(3, strides=2), depthwise(1, strides=2)),
    "RepLK": (IMAGE, depthwise(7), depthwise(3)),
    "UniRepLK, dilated small kernels": (IMAGE, depthwise(7), depthwise(3, dilation_rate=2), depthwise(3), norm),
    "dilated alike": (IMAGE, depthwise(3, dilation_rate=2), depthwise(1, norm=False), norm),
    "multiplier": (IMAGE, depthwise(3, depth_multiplier=2), depthwise(1, depth_multiplier=2)),
    "DepthwiseConv1D": (SEQUENCE, depthwise(5, dims=1), depthwise(1, dims=1), norm),
    "depthwise and a convolution of as many groups": (IMAGE, convolution(2, 12, 3, groups=6),
                                                      depthwise(1, depth_multiplier=2)),
    "any size": (ANY, depthwise(7), depthwise(3), norm),
    "any size, strided alike": (ANY, depthwise(3, strides=2), depthwise(3, strides=2)),
    "any size, valid": (ANY, depthwise(3, padding="valid"), depthwise(3, padding="valid")),
    "causal": (SEQUENCE, convolution(1, 6, 3, padding="causal"), convolution(1, 6, 2, padding="causal"), norm),
    "causal, dilated": (SEQUENCE, convolution(1, 6, 3, padding="causal", dilation_rate=2), dense(6), itself),
    "causal, grouped, strided": (SEQUENCE, convolution(1, 4, 3, padding="causal", groups=2, strides=2),
                                 convolution(1, 4, 1, groups=2, strides=2)),
    "Conv2D and Dense": (IMAGE, convolution(2, 5, 3), dense(5)),
    "Conv3D": ((4, 4, 4, 4), convolution(3, 4, 3), convolution(3, 4, (1, 3, 1)), norm),
    "ACNet": (IMAGE, convolution(2, 6, 3), convolution(2, 6, (1, 3)), convolution(2, 6, (3, 1))),
    "an affine that is no BatchNorm": (IMAGE, depthwise(3), scaled),
    "one row, which any valid kernel leaves": ((1, 9, 6), depthwise((1, 3)), depthwise(1, padding="valid")),
}  # fmt: skip

SEVERAL = {
    "taps of no common kernel": (IMAGE, depthwise((3, 1)), depthwise((1, 3))),
    "taps between the taps": (IMAGE, depthwise(3, dilation_rate=3), depthwise(3, dilation_rate=2)),
    "a kernel of even size": (IMAGE, depthwise(4, dilation_rate=2), depthwise(2)),
    "other groups": (IMAGE, depthwise(3), convolution(2, 6, 1)),
    "any size, strided": (ANY, depthwise(3, strides=2), depthwise(1, strides=2)),
    "multiplier and the value": ((8, 8, 1), depthwise(3, depth_multiplier=4), norm),
    "broadcast": ((3, 3, 6), depthwise(3, padding="valid"), depthwise(1)),
    "causal and same": (SEQUENCE, convolution(1, 6, 3, padding="causal"), convolution(1, 6, 3, padding="same")),
    "an activation": (IMAGE, depthwise(3), depthwise(1, norm=False, activation="relu")),
}  # fmt: skip


def kinds(planned):
    return [call.layer.kind for call in planned.graph if call.layer.kind != "InputLayer"]


@pytest.mark.sweep
@pytest.mark.parametrize("name", ONE)
def test_branches_become_one_layer(keras_flavour, rng, name):
    model = summed(keras_flavour.keras, *ONE[name])
    randomise(model, rng)
    planned = plan(model)
    assert len(kinds(planned)) == 1, kinds(planned)
    assert all(verdict.gone for verdict in planned.verdicts)
    assert_folds(model, data_for(model, rng, size=8))


@pytest.mark.parametrize("merge", ["Subtract", "Average"])
def test_differences_and_averages_too(keras_flavour, rng, merge):
    model = summed(keras_flavour.keras, IMAGE, depthwise(3), depthwise(1), merge=merge)
    randomise(model, rng)
    assert kinds(plan(model)) == ["DepthwiseConv2D"]
    assert_folds(model, data_for(model, rng))


@pytest.mark.sweep
@pytest.mark.parametrize("name", SEVERAL)
def test_branches_that_are_no_one_layer_stay(keras_flavour, rng, name):
    shape, *makers = SEVERAL[name]
    model = summed(keras_flavour.keras, shape, *makers)
    randomise(model, rng)
    assert any(kind == "Add" for kind in kinds(plan(model)))
    assert_folds(model, data_for(model, rng, size=8), kept=None)


def drawn(rng):
    """A random sum of convolutions of one family, sizes, strides, dilations and paddings at random."""
    dims, multiplier, strides = rng.integers(1, 3), int(rng.integers(1, 3)), int(rng.choice([1, 1, 2]))
    dilation = int(rng.integers(1, 4)) if strides == 1 else 1
    paddings = ["same", "causal"] if dims == 1 else ["same"]
    padding = str(rng.choice([*paddings, "valid"]))
    whole = (dims == 1 and rng.random() < 0.5) or padding == "causal"
    makers = []
    for _ in range(rng.integers(2, 4)):
        size = int(rng.integers(1, 6)) if padding != "valid" or not makers else 1
        options = {"strides": strides, "padding": padding if size > 1 else "valid"}
        options["dilation_rate"] = int(rng.choice([1, dilation]))
        if whole:
            makers.append(convolution(dims, 4 * multiplier, size, norm=rng.random() < 0.7, groups=2, **options))
        else:
            options |= {"depth_multiplier": multiplier, "dims": dims}
            makers.append(depthwise(size, norm=rng.random() < 0.7, **options))
    if padding == "valid":
        makers = makers[:1] * 2
    if strides == 1 and multiplier == 1 and padding != "valid" and rng.random() < 0.6:
        makers.append(norm if rng.random() < 0.5 else itself)
    sizes = [int(n) for n in rng.integers(14, 18, dims)] if rng.random() < 0.8 or strides > 1 else [None] * dims
    return (*sizes, 4), makers


@pytest.mark.either_keras
@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(4))
def test_random_branches(keras_flavour, seed):
    rng = np.random.default_rng(seed)
    merged = 0
    for _ in range(12):
        shape, makers = drawn(rng)
        model = summed(keras_flavour.keras, shape, *makers)
        randomise(model, rng)
        planned, data = plan(model), in_float64(data_for(model, rng, size=15))
        merged += "Add" not in kinds(planned)
        reference = evaluate(capture(model), data, "float64")
        assert relative_error(evaluate(planned.graph, data, "float64"), reference) <= 5e-7, (
            seed,
            shape,
            kinds(planned),
        )
    assert merged >= 4
