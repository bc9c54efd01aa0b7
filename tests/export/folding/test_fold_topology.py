"""How layers hang together: nesting, sharing, several inputs and outputs. The fold is equal and keeps the interface."""

import numpy as np
import pytest
from kerasbn_testing.judging import assert_folds
from kerasbn_testing.statistics import data_for, randomise


def folds(model, rng, **options):
    randomise(model, rng)
    return assert_folds(model, data_for(model, rng), **options)


def dense_bn(keras, units=4, name=None):
    """A nested functional model of Dense and BatchNorm, its layers always named the same."""
    inputs = keras.Input((units,))
    hidden = keras.layers.Dense(units, name="dense")(inputs)
    return keras.Model(inputs, keras.layers.BatchNormalization(name="bn")(hidden), name=name)


def test_sequential(keras_flavour, rng):
    keras = keras_flavour.keras
    layers = [keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.ReLU(), keras.layers.Dense(3)]
    folds(keras.Sequential([keras.Input((5,)), *layers], name="seq"), rng)


def test_sequential_built_by_its_first_call(keras_flavour, rng):
    keras = keras_flavour.keras
    model = keras.Sequential([keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.Dense(3)])
    model(np.ones((2, 5), "float32"))
    randomise(model, rng)
    assert_folds(model, rng.normal(size=(2, 5)).astype("float32"))


def test_nested_twice_with_the_same_names(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((4,))
    first, second = dense_bn(keras, name="first"), dense_bn(keras, name="second")
    deep_inputs = keras.Input((4,))
    between = keras.layers.Activation("tanh")  # or all of it would become one Dense
    deep = keras.Model(deep_inputs, dense_bn(keras, name="inner")(between(second(deep_inputs))), name="deep")
    outputs = keras.layers.Dense(2, name="dense")(between(deep(between(first(inputs)))))
    judged = folds(keras.Model(inputs, outputs), rng)
    assert list(judged.verdicts) == ["first/bn", "deep/second/bn", "deep/inner/bn"]
    assert judged.verdicts["deep/inner/bn"].into == ("deep/inner/dense",)


def test_nested_model_called_twice(keras_flavour, rng):
    keras = keras_flavour.keras
    shared = dense_bn(keras, name="shared")
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    model = keras.Model([a, b], keras.layers.Subtract()([shared(a), shared(shared(b))]))
    judged = folds(model, rng)
    assert judged.verdicts["shared/bn"].ops_before == 6
    assert sum(layer.name.startswith("dense") for layer in judged.model.layers) == 1


def test_nested_sequential_without_input(keras_flavour, rng):
    keras = keras_flavour.keras
    inner = keras.Sequential([keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.ReLU()])
    inputs = keras.Input((5,))
    folds(keras.Model(inputs, keras.layers.Dense(2)(inner(inputs))), rng)


def test_nested_model_is_the_first_and_the_last(keras_flavour, rng):
    keras = keras_flavour.keras
    folds(keras.Sequential([keras.Input((4,)), dense_bn(keras, name="one"), dense_bn(keras, name="two")]), rng)


def test_output_of_a_nested_model_named_as_a_layer_inside(keras_flavour, rng):
    keras = keras_flavour.keras
    inner_inputs = keras.Input((4,))
    hidden = keras.layers.Dense(4, name="head")(inner_inputs)
    head = keras.Model(
        inner_inputs, keras.layers.ReLU(name="relu")(keras.layers.BatchNormalization()(hidden)), name="head"
    )
    inputs = keras.Input((4,))
    folds(keras.Model(inputs, head(inputs)), rng)


def test_inner_input_named_as_an_outer_layer(keras_flavour, rng):
    keras = keras_flavour.keras
    inner_inputs = keras.Input((4,), name="x")
    inner = keras.Model(inner_inputs, keras.layers.BatchNormalization(name="out")(keras.layers.Dense(4)(inner_inputs)))
    inputs = keras.Input((4,), name="x")
    folds(keras.Model(inputs, keras.layers.Dense(2, name="out")(inner(inputs))), rng)


def test_several_inputs_and_outputs(keras_flavour, rng):
    keras = keras_flavour.keras
    a, b = keras.Input((4,), name="b_first"), keras.Input((5,), name="a_second")
    left = keras.layers.BatchNormalization(name="z")(keras.layers.Dense(3)(a))
    right = keras.layers.BatchNormalization(name="y")(keras.layers.Dense(3)(b))
    both = keras.layers.Concatenate(name="x")([left, right])
    folds(keras.Model([a, b], [both, left, right]), rng)


def test_dict_inputs_and_outputs(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = {"zeta": keras.Input((4,), name="zeta"), "alpha": keras.Input((5,), name="alpha")}
    left = keras.layers.BatchNormalization()(keras.layers.Dense(3)(inputs["zeta"]))
    right = keras.layers.BatchNormalization()(keras.layers.Dense(2)(inputs["alpha"]))
    judged = folds(keras.Model(inputs, {"second": left, "first": right, "both": [left, (right,)]}), rng)
    outputs = judged.model(data_for(judged.model, rng))
    assert outputs["second"].shape[-1] == 3
    assert outputs["first"].shape[-1] == 2


def test_nested_model_with_dict_inputs_called_with_a_dict(keras_flavour, rng):
    keras = keras_flavour.keras
    inner_inputs = {"b": keras.Input((4,), name="b"), "a": keras.Input((5,), name="a")}
    left = keras.layers.BatchNormalization()(keras.layers.Dense(3)(inner_inputs["b"]))
    inner = keras.Model(inner_inputs, {"l": left, "k": keras.layers.Dense(3)(inner_inputs["a"])}, name="inner")
    x, y = keras.Input((4,)), keras.Input((5,))
    result = inner({"a": y, "b": x})
    folds(keras.Model([x, y], keras.layers.Subtract()([result["l"], result["k"]])), rng)


def test_nested_model_with_listed_inputs_in_another_order(keras_flavour, rng):
    keras = keras_flavour.keras
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    left = keras.layers.BatchNormalization()(keras.layers.Dense(3)(a))
    inner = keras.Model([b, a], [left, keras.layers.Dense(3)(b)], name="inner")
    x, y = keras.Input((4,)), keras.Input((4,))
    folds(keras.Model([x, y], keras.layers.Subtract()(inner([y, x]))), rng)


def test_one_convolution_under_two_batchnorms(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((4,))
    shared = keras.layers.Dense(3, name="shared")(inputs)
    branches = [keras.layers.BatchNormalization(name=f"bn{i}")(shared) for i in range(2)]
    folds(keras.Model(inputs, keras.layers.Subtract()(branches)), rng, kept=None)


def test_one_convolution_called_twice_under_two_batchnorms(keras_flavour, rng):
    """The layer is cloned: each call needs other weights."""
    keras = keras_flavour.keras
    a, b = keras.Input((4,)), keras.Input((4,))
    shared = keras.layers.Dense(3, name="shared")
    branches = [keras.layers.BatchNormalization(name=f"bn{i}")(shared(x)) for i, x in enumerate([a, b])]
    judged = folds(keras.Model([a, b], keras.layers.Subtract()(branches)), rng)
    assert judged.verdicts["bn0"].into == ("shared",)


def test_one_convolution_called_twice_under_one_batchnorm_and_none(keras_flavour, rng):
    keras = keras_flavour.keras
    a, b = keras.Input((4,)), keras.Input((4,))
    shared = keras.layers.Dense(3)
    normalised = keras.layers.BatchNormalization()(shared(a))
    folds(keras.Model([a, b], [normalised, shared(b)]), rng)


def test_one_batchnorm_after_several_layers(keras_flavour, rng):
    keras = keras_flavour.keras
    a, b = keras.Input((4,)), keras.Input((5,))
    bn = keras.layers.BatchNormalization(name="bn")
    judged = folds(keras.Model([a, b], keras.layers.Subtract()([bn(keras.layers.Dense(3)(x)) for x in (a, b)])), rng)
    assert len(judged.verdicts["bn"].into) == 2


def test_one_layer_and_one_batchnorm_shared_at_every_call(keras_flavour, rng):
    keras = keras_flavour.keras
    a, b = keras.Input((4,)), keras.Input((4,))
    dense, bn = keras.layers.Dense(3, name="dense"), keras.layers.BatchNormalization()
    judged = folds(keras.Model([a, b], keras.layers.Subtract()([bn(dense(a)), bn(dense(b))])), rng)
    assert [layer.name for layer in judged.model.layers if layer.weights] == ["dense"]


def test_one_batchnorm_called_twice_in_a_row(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((4,))
    bn = keras.layers.BatchNormalization()
    folds(keras.Model(inputs, bn(bn(keras.layers.Dense(4)(inputs)))), rng)


def test_one_shared_batchnorm_with_a_way_at_one_call_only(keras_flavour, rng):
    keras = keras_flavour.keras
    a, b = keras.Input((4,)), keras.Input((3,))
    bn = keras.layers.BatchNormalization(name="bn")
    model = keras.Model([a, b], [bn(keras.layers.Dense(3)(a)), bn(b)])
    judged = folds(model, rng, kept=["bn"])
    assert judged.verdicts["bn"].reason in ("model-input", "model-output")


def test_output_of_the_producer_is_an_output_of_the_model(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(3, name="dense")(inputs)
    folds(keras.Model(inputs, [keras.layers.BatchNormalization(name="bn")(hidden), hidden]), rng, kept=None)


def test_batchnorm_output_is_used_and_is_an_output(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((4,))
    normalised = keras.layers.BatchNormalization(name="bn")(keras.layers.Dense(3)(inputs))
    folds(keras.Model(inputs, [normalised, keras.layers.ReLU(name="relu")(normalised), normalised]), rng)


def test_batchnorm_alone_in_a_model(keras_flavour, rng):
    keras = keras_flavour.keras
    judged = folds(keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization(name="bn")]), rng, kept=["bn"])
    assert judged.verdicts["bn"].reason in ("model-input", "model-output")


def test_batchnorm_first(keras_flavour, rng):
    keras = keras_flavour.keras
    layers = [keras.layers.BatchNormalization(name="bn"), keras.layers.ReLU(), keras.layers.Dense(3)]
    folds(keras.Sequential([keras.Input((4,)), *layers]), rng, kept=None)


def test_unused_input(keras_flavour, rng):
    keras = keras_flavour.keras
    used, unused = keras.Input((4,), name="used"), keras.Input((3,), name="unused")
    model = keras.Model([unused, used], keras.layers.BatchNormalization()(keras.layers.Dense(3)(used)))
    folds(model, rng)


def test_an_input_that_is_an_output(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((4,), name="through")
    folds(keras.Model(inputs, [inputs, keras.layers.BatchNormalization()(keras.layers.Dense(3)(inputs))]), rng)


def test_a_model_cut_out_of_another(keras_flavour, rng):
    """Its input is the output of a layer, and its layers have calls that are not its own."""
    keras = keras_flavour.keras
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(5, name="before")(inputs)
    outputs = keras.layers.BatchNormalization()(keras.layers.Dense(3, name="inside")(hidden))
    keras.Model(inputs, keras.layers.ReLU()(outputs))
    folds(keras.Model(hidden, outputs), rng)


def test_layers_that_are_used_in_another_model_too(keras_flavour, rng):
    keras = keras_flavour.keras
    dense = keras.layers.Dense(3)
    other = keras.Input((4,))
    keras.Model(other, keras.layers.ReLU()(dense(other)))
    inputs = keras.Input((4,))
    folds(keras.Model(inputs, keras.layers.BatchNormalization()(dense(inputs))), rng)


def test_a_branch_that_no_output_needs(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(3)(inputs)
    keras.layers.ReLU()(hidden)
    judged = folds(keras.Model(inputs, keras.layers.BatchNormalization()(hidden)), rng)
    assert len(judged.verdicts) == 1


def test_batchnorms_in_a_row(keras_flavour, rng):
    keras = keras_flavour.keras
    layers = [keras.layers.BatchNormalization(name=f"bn{i}") for i in range(3)]
    judged = folds(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), *layers]), rng)
    assert all(verdict.action == "folded" for verdict in judged.verdicts.values())


def test_batchnorms_in_a_row_with_nothing_around_become_one(keras_flavour, rng):
    keras = keras_flavour.keras
    layers = [keras.layers.BatchNormalization(name=f"bn{i}") for i in range(3)]
    judged = folds(keras.Sequential([keras.Input((4,)), *layers]), rng, kept=None)
    assert sorted(verdict.action.value for verdict in judged.verdicts.values()) == ["kept", "merged", "merged"]


def test_layers_that_do_nothing_at_inference_let_it_pass(keras_flavour, rng):
    keras = keras_flavour.keras
    between = [keras.layers.Dropout(0.5), keras.layers.GaussianNoise(1.0), keras.layers.Activation("linear")]
    layers = [keras.layers.Dense(3, name="dense"), *between, keras.layers.BatchNormalization(name="bn")]
    judged = folds(keras.Sequential([keras.Input((4,)), *layers]), rng)
    assert judged.verdicts["bn"].into == ("dense",)


def test_a_model_without_batchnorm(keras_flavour, rng):
    keras = keras_flavour.keras
    assert folds(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]), rng).verdicts == {}


@pytest.mark.either_keras
def test_many_batchnorms(keras_flavour, rng):
    keras = keras_flavour.keras
    values = hidden = keras.Input((4,))
    for _ in range(30):
        hidden = keras.layers.BatchNormalization()(keras.layers.Dense(4, use_bias=False)(hidden))
        hidden = keras.layers.Activation("tanh")(hidden)
    judged = folds(keras.Model(values, hidden), rng, original=1e-1, float32=1e-1, float64=1e-6)
    assert len(judged.verdicts) == 30
