"""Each reason for a BatchNorm to stay, and the same model with the one thing changed that lets it go."""

import numpy as np
import pytest
from kerasbn_testing.judging import relative_error, run
from kerasbn_testing.statistics import data_for, randomise

from kerasbn_export.folding.fold import fold
from kerasbn_export.folding.verdict import Reason

pytestmark = pytest.mark.quick


def chain(keras, shape, *layers):
    inputs = x = keras.Input(shape)
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x)


def bn(layers, **options):
    return layers.BatchNormalization(name="bn", **options)


def training(keras, stays):
    layers = keras.layers
    inputs = keras.Input((5,))
    x = bn(layers, momentum=1.0)(layers.Dense(4)(inputs), training=stays)
    return keras.Model(inputs, layers.Activation("tanh")(x))


def not_linear(keras, stays):
    layers = keras.layers
    made = layers.Activation("tanh" if stays else "linear", name="culprit")
    return chain(keras, (5,), layers.Dense(4), made, bn(layers), layers.Activation("tanh"))


def activation(keras, stays):
    layers = keras.layers
    made = layers.Dense(4, activation="tanh" if stays else None, name="culprit")
    return chain(keras, (5,), made, bn(layers), layers.Activation("tanh"))


def several_uses(keras, stays):
    layers = keras.layers
    inputs = keras.Input((5,))
    x = layers.Dense(4, name="culprit")(inputs)
    other = layers.Activation("elu")(x if stays else inputs)
    return keras.Model(inputs, [layers.Activation("tanh")(bn(layers)(x)), other])


def shared(keras, stays):
    layers = keras.layers
    inputs = keras.Input((4,))
    one = layers.Dense(4, name="culprit")
    two = one if stays else layers.Dense(4)
    return keras.Model(inputs, two(layers.ReLU()(bn(layers)(one(inputs)))))


def axis(keras, stays):
    layers = keras.layers
    made = layers.Conv2D(4, 1, name="culprit")
    return chain(keras, (4, 4, 3), made, bn(layers, axis=1 if stays else -1), layers.Activation("tanh"))


def model_input(keras, stays):
    layers = keras.layers
    return chain(keras, (5,), bn(layers), layers.Activation("tanh") if stays else layers.Dense(3))


def model_output(keras, stays):
    layers = keras.layers
    inputs = keras.Input((5,))
    x = bn(layers)(inputs)
    return keras.Model(inputs, [layers.Dense(3)(x), x] if stays else [layers.Dense(3)(x), layers.Dense(2)(x)])


def negative_scale(keras, stays):
    layers = keras.layers
    options = {} if stays else {"scale": False}
    pool = layers.MaxPooling2D(2, name="culprit")
    return chain(keras, (6, 6, 3), layers.Conv2D(4, 2), pool, bn(layers, **options), layers.Activation("tanh"))


def zero_padding(keras, stays):
    layers = keras.layers
    return chain(
        keras, (6, 6, 3), bn(layers), layers.Conv2D(4, 3, padding="same" if stays else "valid", name="culprit")
    )


def not_affine(keras, stays):
    layers = keras.layers
    made = layers.ReLU(name="culprit") if stays else layers.Dropout(0.5)
    return chain(keras, (5,), layers.Dense(4), made, bn(layers), layers.Activation("tanh"))


def shape(keras, stays):
    layers = keras.layers
    made = layers.Reshape((-1, 2), name="culprit")
    return chain(keras, (None if stays else 6, 4), layers.Dense(4), made, bn(layers), layers.Activation("tanh"))


def overflow(keras, stays):
    layers = keras.layers
    model = chain(keras, (5,), layers.Dense(4, name="culprit"), bn(layers), layers.Activation("tanh"))
    model.culprit_size = 1e-20 if stays else 1.0
    return model


def opaque(keras, stays):
    layers = keras.layers
    if not stays:
        return chain(keras, (3, 5), layers.TimeDistributed(layers.Dense(4)), bn(layers))
    inner = chain(keras, (5,), layers.Dense(4), bn(layers), layers.ReLU())
    return chain(keras, (3, 5), layers.TimeDistributed(inner, name="culprit"))


CASES = {
    Reason.TRAINING: training,
    Reason.NOT_LINEAR: not_linear,
    Reason.ACTIVATION: activation,
    Reason.SEVERAL_USES: several_uses,
    Reason.SHARED: shared,
    Reason.AXIS: axis,
    Reason.MODEL_INPUT: model_input,
    Reason.MODEL_OUTPUT: model_output,
    Reason.NEGATIVE_SCALE: negative_scale,
    Reason.ZERO_PADDING: zero_padding,
    Reason.NOT_AFFINE: not_affine,
    Reason.SHAPE: shape,
    Reason.OVERFLOW: overflow,
    Reason.OPAQUE: opaque,
}
WITHOUT_CULPRIT = (Reason.TRAINING, Reason.MODEL_INPUT, Reason.MODEL_OUTPUT)
"""Where no other layer is to blame."""


def numbers(model, reason, rng):
    randomise(model, rng)
    if reason is Reason.OVERFLOW:  # tiny weights under a scale beyond what float32 can hold
        dense, norm = model.get_layer("culprit"), model.get_layer("bn")
        size = model.culprit_size
        dense.kernel.assign(np.asarray(dense.kernel) / size)
        norm.moving_mean.assign(np.asarray(norm.moving_mean) / size)
        norm.gamma.assign(np.full(4, 1e20 if size < 1 else 1.0))
        norm.moving_variance.assign(np.full(4, 1.0))


@pytest.mark.parametrize("reason", CASES)
def test_a_reason_to_stay(keras_flavour, rng, reason):
    model = CASES[reason](keras_flavour.keras, True)
    numbers(model, reason, rng)
    result = fold(model, target="size" if reason is Reason.SHARED else "latency")
    (verdict,) = (verdict for verdict in result.verdicts if verdict.layer.endswith("bn"))
    assert verdict.reason is reason, verdict.sentence
    assert not verdict.gone
    assert reason in WITHOUT_CULPRIT or "culprit" in verdict.sentence
    if reason is not Reason.OVERFLOW:
        data = data_for(model, rng)
        assert relative_error(run(result.model, data), run(model, data)) <= 1e-5


@pytest.mark.parametrize("reason", CASES)
def test_without_the_reason_it_goes(keras_flavour, rng, reason):
    model = CASES[reason](keras_flavour.keras, False)
    numbers(model, reason, rng)
    result = fold(model, target="size" if reason is Reason.SHARED else "latency")
    assert [verdict.reason for verdict in result.verdicts] == [None]
    assert all(verdict.gone for verdict in result.verdicts)
    data = data_for(model, rng)
    assert relative_error(run(result.model, data), run(model, data)) <= 1e-5


def test_every_reason_has_its_case():
    assert set(CASES) == set(Reason) - {Reason.COARSER}  # an export measures that: test_settle.py
