"""Rule 10 in a row: two linear layers with nothing between them become one where it is smaller, and only there."""

import pytest
from kerasbn_testing.judging import assert_folds
from kerasbn_testing.statistics import data_for, randomise

from kerasbn_export.folding.fold import fold
from kerasbn_export.folding.passes import series

IMAGE, SEQUENCE = (9, 8, 3), (12, 3)


def dense(units, **options):
    return lambda layers: layers.Dense(units, **options)


def conv(filters, size, **options):
    return lambda layers: layers.Conv2D(filters, size, **options)


def conv1d(filters, size, **options):
    return lambda layers: layers.Conv1D(filters, size, **options)


def bn(layers):
    return layers.BatchNormalization(name="bn")


def random_chain(keras, shape, makers, rng):
    inputs = outputs = keras.Input(shape)
    for make in makers:
        outputs = make(keras.layers)(outputs)
    model = keras.Model(inputs, outputs)
    randomise(model, rng)
    return model


MERGED = {
    "dense": ((6,), (dense(20), bn, dense(4))),
    "dense on rank 3": ((5, 6), (dense(20), bn, dense(4, activation="tanh"))),
    "dense without bias": ((6,), (dense(20, use_bias=False), dense(4, use_bias=False), bn)),
    "three dense": ((6,), (dense(20), bn, dense(21), dense(4))),
    "conv then pointwise": (IMAGE, (conv(16, 3, padding="same", strides=2), bn, conv(2, 1))),
    "conv then strided pointwise": (IMAGE, (conv(16, 3), bn, conv(2, 1, strides=2, padding="same"))),
    "dilated then pointwise": (IMAGE, (conv(16, (3, 2), dilation_rate=2, padding="same"), bn, conv(2, 1))),
    "pointwise then conv": (IMAGE, (conv(40, 1), bn, conv(4, 3, strides=2))),
    "pointwise then padded conv, no shift": (IMAGE, (conv(40, 1, use_bias=False), conv(4, 3, padding="same"), bn)),
    "two kernels": (IMAGE, (conv(40, 2), bn, conv(2, (3, 2), strides=2))),
    "causal then pointwise": (SEQUENCE, (conv1d(16, 3, padding="causal"), bn, conv1d(2, 1))),
    "pointwise then causal, no shift": (SEQUENCE, (conv1d(40, 1, use_bias=False), conv1d(4, 3, padding="causal"), bn)),
    "three dimensions": ((5, 5, 5, 2), (lambda k: k.Conv3D(16, 2), bn, lambda k: k.Conv3D(2, 1))),
}

APART = {
    "larger": ((6,), (dense(3), bn, dense(6))),
    "an activation between": ((6,), (dense(20, activation="tanh"), dense(4), bn)),
    "a shift and zero padding": (IMAGE, (conv(40, 1), bn, conv(4, 3, padding="same"))),
    "two kernels, the first padded": (IMAGE, (conv(40, 2, padding="same", use_bias=False), conv(2, 3), bn)),
    "two kernels, the second padded": (IMAGE, (conv(40, 2, use_bias=False), conv(2, 3, padding="same"), bn)),
    "two kernels, the first strided": (IMAGE, (conv(40, 2, strides=2), bn, conv(2, 3))),
    "two kernels, one dilated": (IMAGE, (conv(40, 2, dilation_rate=2), bn, conv(2, 2))),
    "strided pointwise first": (IMAGE, (conv(40, 1, strides=2), bn, conv(4, 3))),
    "padded, then strided pointwise": (IMAGE, (conv(40, 3, padding="same"), bn, conv(2, 1, strides=2))),
    "strides behind dilation": (IMAGE, (conv(40, 2, dilation_rate=2), bn, conv(2, 1, strides=2))),
    "groups": ((9, 8, 4), (conv(16, 3, groups=2), bn, conv(2, 1))),
}


def linear_layers(model):
    return [layer for layer in model.layers if type(layer).__name__ in series.KINDS]


@pytest.mark.sweep
@pytest.mark.parametrize("case", MERGED)
def test_two_in_a_row_become_one(keras_flavour, rng, case):
    model = random_chain(keras_flavour.keras, *MERGED[case], rng)
    judged = assert_folds(model, data_for(model, rng))
    assert len(linear_layers(judged.model)) == 1
    assert judged.model.count_params() < model.count_params()
    assert "series" in judged.verdicts["bn"].rules
    assert judged.verdicts["bn"].into == (linear_layers(model)[-1].name,)


@pytest.mark.sweep
@pytest.mark.parametrize("case", APART)
def test_they_stay_apart_where_the_condition_does_not_hold(keras_flavour, rng, case):
    model = random_chain(keras_flavour.keras, *APART[case], rng)
    judged = assert_folds(model, data_for(model, rng), kept=None)
    assert len(linear_layers(judged.model)) == 2


def test_what_is_also_seen_elsewhere_stays_apart(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((6,))
    between = keras.layers.Dense(20)(inputs)
    seen = keras.Model(inputs, [between, keras.layers.Dense(4)(between)])
    randomise(seen, rng)
    assert len(linear_layers(assert_folds(seen, data_for(seen, rng)).model)) == 2


def test_a_layer_that_is_called_twice_stays_one(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = [keras.Input((6,)), keras.Input((6,))]
    shared = keras.layers.Dense(20)
    ends = [keras.layers.Dense(3)(shared(value)) for value in inputs]
    model = keras.Model(inputs, keras.layers.Add()(ends))
    randomise(model, rng)
    assert len(linear_layers(assert_folds(model, data_for(model, rng)).model)) == 3


def test_the_user_may_keep_the_layers(keras_flavour, rng):
    model = random_chain(keras_flavour.keras, *MERGED["dense"], rng)
    assert len(linear_layers(fold(model, merge_branches=False).model)) == 2


BROKEN = {
    "a shift and zero padding": ("_pads", lambda *_: False),
    "two kernels, the first padded": ("_moves_taps", lambda *_: False),
    "two kernels, one dilated": ("_moves_taps", lambda *_: False),
    "an activation between": ("has_no_activation", lambda *_: True),
}


@pytest.mark.parametrize("case", BROKEN)
def test_without_its_condition_the_judge_sees_a_difference(keras_flavour, rng, monkeypatch, case):
    model = random_chain(keras_flavour.keras, *APART[case], rng)
    monkeypatch.setattr(series, *BROKEN[case])
    with pytest.raises((AssertionError, ValueError)):
        assert_folds(model, data_for(model, rng), kept=None)
