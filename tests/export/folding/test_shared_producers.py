"""A linear layer whose output a BatchNorm and others see: where it pays the BatchNorm goes, else it says why not."""

import numpy as np
import pytest
from kerasbn_testing.eager import evaluate
from kerasbn_testing.judging import assert_folds, in_float64, relative_error
from kerasbn_testing.statistics import data_for, randomise

from kerasbn_export import export_tflite, fold, verify
from kerasbn_export.algebra.affine import Affine
from kerasbn_export.capture import capture
from kerasbn_export.folding import choices
from kerasbn_export.folding.fold import plan
from kerasbn_export.folding.passes import release
from kerasbn_export.folding.rules import inverse
from kerasbn_export.folding.verdict import Reason
from kerasbn_export.tflite.file import read_ops, read_tflite


def forked(keras, shape, producer, behind, other, rng):
    """The producer, BatchNorm and ``behind``, and ``other`` on the producer's output."""
    layers = keras.layers
    inputs = keras.Input(shape)
    shared = producer(layers)(inputs)
    model = keras.Model(inputs, [behind(layers)(layers.BatchNormalization()(shared)), other(layers)(shared)])
    randomise(model, rng)
    positive(model, rng)
    return model


def positive(model, rng):
    """Gammas of both signs, none of them zero, and betas not much larger: what an inverse asks for."""
    for variable in model.weights:
        if variable.name.rpartition("/")[2].partition(":")[0] == "gamma":
            variable.assign((rng.choice([-1, 1], variable.shape) * rng.uniform(0.5, 2, variable.shape)).astype("f4"))


def conv(*args, **options):
    return lambda layers: layers.Conv2D(*args, **options)


def dense(*args, **options):
    return lambda layers: layers.Dense(*args, **options)


def activation(name):
    return lambda layers: layers.Activation(name)


IMAGE = (6, 6, 3)
RELEASED = {
    "1x1 behind 3x3": (IMAGE, conv(6, 3, use_bias=False), activation("relu"), conv(4, 1)),
    "3x3 behind 1x1": (IMAGE, conv(6, 1), activation("relu"), conv(2, 3, padding="valid")),
    "Dense": ((5,), dense(8), activation("relu"), dense(3, activation="tanh")),
    "Dense over a sequence": ((4, 5), dense(8), activation("relu"), dense(3)),
    "Conv1D": ((9, 3), lambda layers: layers.Conv1D(6, 3, padding="causal"), activation("relu"),
               lambda layers: layers.Conv1D(4, 1)),
}  # fmt: skip
UNDONE = {
    "sigmoid": (IMAGE, conv(6, 3), activation("sigmoid"), conv(40, 1)),
    "depthwise": (IMAGE, conv(6, 3), activation("tanh"), lambda layers: layers.DepthwiseConv2D(2)),
    "Dense": ((64,), dense(48), activation("tanh"), dense(60)),
}
STAY = {
    "padding": (IMAGE, conv(6, 3), activation("relu"), conv(4, 3, padding="same")),
    "large": ((24, 24, 16), conv(6, 3), activation("relu"), conv(16, 1)),
    "not linear": (IMAGE, conv(6, 3), activation("relu"), activation("tanh")),
    "an activation inside": (IMAGE, conv(6, 3, activation="tanh"), activation("relu"), conv(4, 1)),
}


@pytest.mark.either_keras
@pytest.mark.parametrize("name", RELEASED)
def test_the_producer_is_left_to_its_batchnorm(keras_flavour, rng, name):
    model = forked(keras_flavour.keras, *RELEASED[name], rng)
    judged = assert_folds(model, data_for(model, rng))
    assert {verdict.direction for verdict in judged.verdicts.values()} == {"backward"}


@pytest.mark.parametrize("name", UNDONE)
def test_the_others_take_the_inverse(keras_flavour, rng, name):
    model = forked(keras_flavour.keras, *UNDONE[name], rng)
    judged = assert_folds(model, data_for(model, rng))
    assert {verdict.direction for verdict in judged.verdicts.values()} == {"both"}


@pytest.mark.either_keras
@pytest.mark.parametrize("name", STAY)
def test_what_pays_nothing_stays(keras_flavour, rng, name):
    model = forked(keras_flavour.keras, *STAY[name], rng)
    judged = assert_folds(model, data_for(model, rng), kept=None)
    (verdict,) = judged.verdicts.values()
    assert not verdict.gone
    assert verdict.reason in (Reason.SEVERAL_USES, Reason.ACTIVATION)


@pytest.mark.either_keras
def test_one_operation_fewer_in_a_file_that_is_no_larger(keras_flavour, rng, tmp_path):
    model = forked(keras_flavour.keras, *RELEASED["1x1 behind 3x3"], rng)
    ours, before = tmp_path / "ours.tflite", tmp_path / "before.tflite"
    export_tflite(model, ours)
    assert read_ops(ours) == {"CONV_2D": 2}
    assert verify(model, ours)
    export_tflite(model, before, fold=False)
    assert network_bytes(ours) <= network_bytes(before)


def network_bytes(path):
    """The size of a file without what it tells of itself."""
    file = read_tflite(path)
    return file.size - sum(len(blob) for blob in file.metadata.values())


@pytest.mark.either_keras
def test_random_forks(keras_flavour, rng):
    gone = 0
    for _ in range(16):
        shape = (int(rng.integers(6, 9)), int(rng.integers(6, 9)), int(rng.integers(1, 4)))
        sizes = [int(size) for size in rng.choice([1, 2, 3], 2)]
        paddings = [str(padding) for padding in rng.choice(["same", "valid"], 2)]
        strides = int(rng.choice([1, 1, 2]))
        behind = activation(str(rng.choice(["relu", "tanh"])))
        producer = conv(int(rng.integers(2, 9)), sizes[0], padding=paddings[0], strides=strides)
        model = forked(keras_flavour.keras, shape, producer, behind,
                       conv(int(rng.integers(1, 9)), sizes[1], padding=paddings[1]), rng)  # fmt: skip
        planned, data = plan(model), in_float64(data_for(model, rng))
        gone += all(verdict.gone for verdict in planned.verdicts)
        reference = evaluate(capture(model), data, "float64")
        assert relative_error(evaluate(planned.graph, data, "float64"), reference) <= 5e-7
    assert gone >= 4


def with_numbers(keras_flavour, rng, gamma, beta):
    model = forked(keras_flavour.keras, *UNDONE["sigmoid"], rng)
    norm = next(layer for layer in model.layers if "batch" in layer.name)
    norm.gamma.assign([gamma, *[1.0] * 5])
    norm.beta.assign([beta, *[0.0] * 5])
    return model


def test_a_scale_of_zero_has_no_inverse(keras_flavour, rng, monkeypatch):
    model = with_numbers(keras_flavour, rng, 0.0, 0.0)
    assert fold(model).verdicts[0].reason is Reason.SEVERAL_USES
    assert_folds(model, data_for(model, rng), kept=None)
    wrong = Affine(np.ones(6), np.zeros(6))
    monkeypatch.setattr(Affine, "inverse", property(lambda _: wrong))
    with pytest.raises(AssertionError, match="folding changed the function"):
        assert_folds(model, data_for(model, rng), kept=None)


def test_an_inverse_that_loses_digits_is_not_used(keras_flavour, rng, monkeypatch):
    model = with_numbers(keras_flavour, rng, 1e-5, 10.0)
    assert not fold(model).verdicts[0].gone
    assert assert_folds(model, data_for(model, rng), kept=None).error32 <= 2e-6
    monkeypatch.setattr(inverse, "_is_gentle", lambda _: True)
    with pytest.raises(AssertionError, match="the folded model in float32 is off"):
        assert_folds(model, data_for(model, rng), kept=None)


def test_an_output_of_the_model_is_not_changed(keras_flavour, rng):
    layers = keras_flavour.keras.layers
    inputs = keras_flavour.keras.Input(IMAGE)
    shared = layers.Conv2D(4, 1)(inputs)
    x = layers.Activation("tanh")(layers.BatchNormalization()(shared))
    model = keras_flavour.keras.Model(inputs, [x, shared, layers.Conv2D(3, 1)(shared)])
    randomise(model, rng)
    positive(model, rng)
    assert not fold(model).verdicts[0].gone
    assert_folds(model, data_for(model, rng), kept=None)


def test_without_its_price_every_producer_would_be_left(keras_flavour, rng, monkeypatch):
    model = forked(keras_flavour.keras, *STAY["large"], rng)
    assert not plan(model).verdicts[0].gone
    monkeypatch.setattr(release, "pays", lambda *_: True)
    assert plan(model).verdicts[0].gone


@pytest.mark.parametrize(
    ("numbers", "channels", "positions", "pays"),
    [
        (0, 8, 1000, True), (84, 6, 36, True), (84, 6, 10_000, False), (40, 8, None, True), (41, 8, None, False),
        (117, 8, 4, False), (116, 8, 4, True), (-5, 1, None, True),
    ],
)  # fmt: skip
def test_the_price(numbers, channels, positions, pays):
    assert choices.pays(numbers, channels, positions) is pays
