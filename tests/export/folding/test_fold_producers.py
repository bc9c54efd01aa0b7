"""Rule 2 on every linear layer of both Kerases: folded completely and equal to the original in float64."""

import pytest
from kerasbn_testing.judging import assert_folds
from kerasbn_testing.statistics import data_for, randomise

pytestmark = pytest.mark.quick

PRODUCERS = {
    "dense-rank2": ((5,), lambda k: k.layers.Dense(4)),
    "dense-rank3": ((3, 5), lambda k: k.layers.Dense(4)),
    "dense-rank4": ((2, 3, 5), lambda k: k.layers.Dense(4)),
    "dense-no-bias": ((5,), lambda k: k.layers.Dense(4, use_bias=False)),
    "dense-linear-by-name": ((5,), lambda k: k.layers.Dense(4, activation="linear")),
    "dense-linear-function": ((5,), lambda k: k.layers.Dense(4, activation=k.activations.linear)),
    "conv1d": ((7, 3), lambda k: k.layers.Conv1D(4, 3)),
    "conv1d-causal-dilated": ((9, 3), lambda k: k.layers.Conv1D(4, 2, padding="causal", dilation_rate=3)),
    "conv1d-same-strided": ((7, 3), lambda k: k.layers.Conv1D(4, 3, padding="same", strides=2)),
    "conv2d": ((6, 5, 3), lambda k: k.layers.Conv2D(4, (3, 2))),
    "conv2d-same-strided": ((6, 5, 3), lambda k: k.layers.Conv2D(4, 3, padding="same", strides=2)),
    "conv2d-dilated": ((7, 7, 3), lambda k: k.layers.Conv2D(4, 2, dilation_rate=2)),
    "conv2d-groups": ((5, 5, 4), lambda k: k.layers.Conv2D(6, 2, groups=2)),
    "conv2d-no-bias": ((5, 5, 3), lambda k: k.layers.Conv2D(4, 2, use_bias=False)),
    "conv2d-one-filter": ((5, 5, 3), lambda k: k.layers.Conv2D(1, 2)),
    "conv3d": ((4, 5, 4, 2), lambda k: k.layers.Conv3D(3, 2)),
    "conv3d-same": ((4, 5, 4, 2), lambda k: k.layers.Conv3D(3, (2, 3, 1), padding="same")),
    "depthwise1d": ((7, 3), lambda k: k.layers.DepthwiseConv1D(3)),
    "depthwise1d-multiplier": ((7, 3), lambda k: k.layers.DepthwiseConv1D(3, depth_multiplier=2, use_bias=False)),
    "depthwise2d": ((6, 5, 3), lambda k: k.layers.DepthwiseConv2D(3)),
    "depthwise2d-multiplier": ((6, 5, 3), lambda k: k.layers.DepthwiseConv2D(2, depth_multiplier=3, padding="same")),
    "separable1d": ((7, 3), lambda k: k.layers.SeparableConv1D(5, 3)),
    "separable1d-multiplier": ((7, 3), lambda k: k.layers.SeparableConv1D(5, 3, depth_multiplier=2, use_bias=False)),
    "separable2d": ((6, 5, 3), lambda k: k.layers.SeparableConv2D(5, 3)),
    "separable2d-multiplier": ((6, 5, 3), lambda k: k.layers.SeparableConv2D(5, 2, depth_multiplier=2, padding="same")),
    "conv1d-transpose": ((5, 3), lambda k: k.layers.Conv1DTranspose(4, 3, strides=2)),
    "conv2d-transpose": ((4, 5, 3), lambda k: k.layers.Conv2DTranspose(6, 3, strides=2, padding="same")),
    "conv2d-transpose-no-bias": ((4, 5, 3), lambda k: k.layers.Conv2DTranspose(2, 3, use_bias=False)),
    "conv2d-transpose-square": ((4, 5, 3), lambda k: k.layers.Conv2DTranspose(3, 3, strides=3)),
    "conv3d-transpose": ((3, 4, 3, 2), lambda k: k.layers.Conv3DTranspose(3, 2, strides=2)),
    "einsum": ((3, 5), lambda k: k.layers.EinsumDense("abc,cd->abd", output_shape=(None, 4), bias_axes="d")),
    "einsum-no-bias": ((3, 5), lambda k: k.layers.EinsumDense("abc,cd->abd", output_shape=(None, 4))),
    "einsum-ellipsis": ((3, 5), lambda k: k.layers.EinsumDense("...x,xy->...y", output_shape=(4,), bias_axes="y")),
    "einsum-heads": (
        (3, 5), lambda k: k.layers.EinsumDense("abc,cde->abde", output_shape=(None, 2, 4), bias_axes="de"),
    ),
    "einsum-heads-bias-of-one": (
        (3, 5), lambda k: k.layers.EinsumDense("abc,cde->abde", output_shape=(None, 2, 4), bias_axes="d"),
    ),
    "einsum-two-to-one": (
        (3, 2, 5), lambda k: k.layers.EinsumDense("abcd,cde->abe", output_shape=(None, 4), bias_axes="e"),
    ),
    "einsum-by-position": ((3, 5), lambda k: k.layers.EinsumDense("abc,bcd->abd", output_shape=(3, 4), bias_axes="bd")),
}  # fmt: skip


@pytest.mark.sweep
@pytest.mark.parametrize("case", PRODUCERS, ids=str)
def test_a_batchnorm_after_a_linear_layer_is_folded(keras_flavour, rng, case):
    keras = keras_flavour.keras
    shape, layer = PRODUCERS[case]
    inputs = keras.Input(shape)
    model = keras.Model(inputs, keras.layers.BatchNormalization(name="bn")(layer(keras)(inputs)))
    randomise(model, rng)
    judged = assert_folds(model, data_for(model, rng))
    assert judged.verdicts["bn"].rules == ("backward",)
    assert judged.verdicts["bn"].into == (model.layers[1].name,)


OPTIONS = {
    "no-scale": {"scale": False},
    "no-center": {"center": False},
    "neither": {"scale": False, "center": False},
    "epsilon": {"epsilon": 0.5},
    "tiny-epsilon": {"epsilon": 1e-9},
    "axis-3": {"axis": 3},
    "momentum": {"momentum": 0.1},
}


@pytest.mark.either_keras
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("own", [False, True], ids=["stock", "kerasbn"])
def test_every_option_of_the_layer_is_folded(keras_flavour, rng, own, options):
    keras = keras_flavour.keras
    layer = keras_flavour.batch_normalization if own else keras.layers.BatchNormalization
    model = keras.Sequential([keras.Input((6, 5, 3)), keras.layers.Conv2D(4, 3), layer(**options)])
    randomise(model, rng)
    assert_folds(model, data_for(model, rng))


def test_axis_as_a_list_of_one(keras_flavour, rng):
    """Saved by old tf_keras as [3]; Keras 3 takes no list in its constructor and cannot have one."""
    keras = keras_flavour.keras
    layer = keras_flavour.batch_normalization(axis=[3])
    model = keras.Sequential([keras.Input((6, 5, 3)), keras.layers.Conv2D(4, 3), layer])
    randomise(model, rng)
    assert_folds(model, data_for(model, rng))


@pytest.mark.parametrize("own", [False, True], ids=["stock", "kerasbn"])
def test_several_axes(keras_flavour, rng, own):
    """Two channel axes: EinsumDense takes them in, a convolution cannot."""
    keras = keras_flavour.keras
    layer = keras_flavour.batch_normalization if own else keras.layers.BatchNormalization
    if not own and keras_flavour.name == "keras":
        with pytest.raises(TypeError, match="list"):
            layer(axis=[2, 3])
        return
    inputs = keras.Input((3, 5))
    heads = keras.layers.EinsumDense("abc,cde->abde", output_shape=(3, 2, 4), bias_axes="e")(inputs)
    outputs = layer(axis=[2, 3], name="two")(heads)
    model = keras.Model(inputs, layer(axis=[1, 3], name="other")(outputs))
    randomise(model, rng)
    judged = assert_folds(model, data_for(model, rng), kept=["other"])
    assert judged.verdicts["other"].reason in ("axis", "model-output")


def test_axis_that_is_not_the_channels_stays(keras_flavour, rng):
    keras = keras_flavour.keras
    layers = [keras.layers.Conv2D(5, 2, padding="same"), keras.layers.BatchNormalization(axis=1, name="bn")]
    model = keras.Sequential([keras.Input((6, 5, 3)), *layers])
    randomise(model, rng)
    judged = assert_folds(model, data_for(model, rng), kept=["bn"])
    assert judged.verdicts["bn"].reason in ("axis", "model-output")


def test_statistics_over_sixteen_decades(keras_flavour, rng):
    """Variances from 1e-12 to 1e4: the algebra stays exact, and float32 gets what it can hold."""
    keras = keras_flavour.keras
    model = keras.Sequential(
        [keras.Input((6, 5, 3)), keras.layers.Conv2D(24, 3), keras.layers.BatchNormalization(epsilon=1e-7)]
    )
    randomise(model, rng, wild=True)
    assert_folds(model, data_for(model, rng), float32=1e-4, original=1e-1)


@pytest.mark.parametrize("variance", [0.0, 1.2e-36])
def test_variance_of_a_dead_channel(keras_flavour, rng, variance):
    keras = keras_flavour.keras
    bn = keras.layers.BatchNormalization()
    model = keras.Sequential([keras.Input((6, 5, 3)), keras.layers.Conv2D(2, 3), bn])
    randomise(model, rng)
    bn.moving_variance.assign([variance, 2.0])
    assert_folds(model, data_for(model, rng))
