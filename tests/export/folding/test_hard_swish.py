"""A hard swish written out stays whole for the converter; any other constant folds."""

import pytest

from kerasbn_export.capture import capture
from kerasbn_export.folding.affine_calls import PRODUCTS, computes_affine
from kerasbn_export.folding.hard_swish import scales_hard_swish


def inside(layers, x):
    return layers.Multiply()([x, layers.ReLU(6.0)(x + 3.0) * (1.0 / 6.0)])


def outside(layers, x):
    return layers.Multiply()([x, layers.ReLU(6.0)(x + 3.0)]) * (1.0 / 6.0)


def gate_of_another_value(layers, x):
    return layers.Multiply()([layers.Activation("tanh")(x), layers.ReLU(6.0)(x + 3.0) * (1.0 / 6.0)])


def another_shift(layers, x):
    return layers.Multiply()([x, layers.ReLU(6.0)(x + 2.0) * (1.0 / 6.0)])


def another_bound(layers, x):
    return layers.Multiply()([x, layers.ReLU(5.0)(x + 3.0) * (1.0 / 6.0)])


@pytest.mark.parametrize(
    ("build", "expected"),
    [(inside, True), (outside, True), (gate_of_another_value, False), (another_shift, False), (another_bound, False)],
)
def test_the_factor_of_a_hard_swish(keras_flavour, build, expected):
    keras = keras_flavour.keras
    inputs = keras.Input((4, 4, 3))
    graph = capture(keras.Model(inputs, build(keras.layers, keras.layers.Conv2D(3, 1)(inputs))))
    factors = [call for call in graph if call.layer.kind in PRODUCTS and computes_affine(call)]
    assert [scales_hard_swish(graph, call) for call in factors] == [expected]
