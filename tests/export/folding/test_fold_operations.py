"""Operations in the graph: a BatchNorm passes what only moves, averages or joins; random chains of it stay equal."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from kerasbn_testing.judging import assert_folds
from kerasbn_testing.random_functions import moved
from kerasbn_testing.random_graphs import Dice
from kerasbn_testing.sessions import start_anew
from kerasbn_testing.statistics import data_for, randomise
from kerasbn_testing.sweeps import random_examples

from kerasbn.flavour import KERAS, TF_KERAS
from kerasbn_export.folding.rules import moves, reduction
from kerasbn_export.folding.verdict import Reason

CI = random_examples(40)
STEPS = st.lists(st.lists(st.integers(0, 5039), min_size=4, max_size=8), min_size=1, max_size=3)


def keras3(flavour):
    return flavour.keras if flavour.name == "keras" else None


def sequence(flavour, function, *, end=None, activation="relu", steps=8):
    """Conv1D with an activation inside, BatchNorm, a function, and a Dense: the BatchNorm can only go forward."""
    layers = flavour.keras.layers
    inputs = flavour.keras.Input((steps, 4))
    x = layers.BatchNormalization(name="bn")(layers.Conv1D(6, 3, padding="same", activation=activation)(inputs))
    return flavour.keras.Model(inputs, (end or layers.Dense(3))(function(x)))


def assert_gone(model, rng, **options):
    randomise(model, rng)
    return assert_folds(model, data_for(model, rng), **options)


def functions(flavour):
    ops = getattr(flavour.keras, "ops", None)
    return {
        "last step": lambda x: x[:, -1],
        "every second": lambda x: x[:, ::2],
        "backwards": lambda x: x[:, ::-1],
        "channels": lambda x: x[:, :, 1:5],
        "new axis": lambda x: x[:, None],
        "transpose twice": lambda x: swap(ops, swap(ops, x)),
        "reshape": lambda x: ops.reshape(x, (-1, 48)) if ops else tf.reshape(x, (-1, 48)),
        "squeeze": lambda x: ops.squeeze(x[:, :1], 1) if ops else tf.squeeze(x[:, :1], 1),
        "split": lambda x: (ops.split(x, 2, axis=-1) if ops else tf.split(x, 2, axis=-1))[1],
        "unstack": lambda x: (ops.unstack(x, axis=1) if ops else tf.unstack(x, axis=1))[2],
        "stack": lambda x: ops.stack([x, x], 1) if ops else tf.stack([x, x], 1),
        "concatenate along time": lambda x: ops.concatenate([x, x], 1) if ops else tf.concat([x, x], 1),
        "flip": lambda x: ops.flip(x, -1) if ops else tf.reverse(x, [2]),
        "take": lambda x: ops.take(x, [3, 1], axis=-1) if ops else tf.gather(x, [3, 1], axis=-1),
        "repeat": lambda x: ops.repeat(x, 2, axis=-1) if ops else tf.repeat(x, 2, axis=-1),
        "reflected": lambda x: (ops or tf).pad(x, [[0, 0], [1, 1], [0, 0]], mode="reflect"),
        "mean": lambda x: ops.mean(x, axis=1) if ops else tf.reduce_mean(x, axis=1),
        "sum": lambda x: ops.sum(x, axis=-2) if ops else tf.reduce_sum(x, axis=-2),
        "two slices": lambda x: x[:, 1:] + x[:, :-1],
        "difference of slices": lambda x: x[:, 1:] - x[:, :-1],
        "twice": lambda x: x + x,
        "one and a half": lambda x: x + 0.5 * x,
        "lambda": lambda x: flavour.keras.layers.Lambda(lambda y: 2.0 * y[:, -1] + 1.0)(x),
        "cast": lambda x: (ops or tf).cast(x, "float32"),
    }


def swap(ops, x):
    return ops.transpose(x, (0, 2, 1)) if ops else tf.transpose(x, (0, 2, 1))


@pytest.mark.either_keras
def test_a_batchnorm_passes_what_moves_averages_or_joins(keras_flavour, rng):
    for name, function in functions(keras_flavour).items():
        judged = assert_gone(sequence(keras_flavour, function), rng)
        assert judged.verdicts["bn"].direction == "forward", name


def test_backward_through_a_slice_and_a_mean(keras_flavour, rng):
    """The BatchNorm behind goes back into the convolution."""
    keras, ops = keras_flavour.keras, getattr(keras_flavour.keras, "ops", None)
    inputs = keras.Input((8, 4))
    for function in (
        lambda x: x[:, -1],
        lambda x: x[:, ::2, 1:4],
        lambda x: ops.mean(x, axis=1) if ops else tf.reduce_mean(x, axis=1),
        lambda x: ops.sum(x, axis=1, keepdims=True) if ops else tf.reduce_sum(x, axis=1, keepdims=True),
        lambda x: (ops.split(x, 2, axis=-1) if ops else tf.split(x, 2, axis=-1))[0],
    ):
        x = keras.layers.BatchNormalization(name="bn")(function(keras.layers.Conv1D(6, 3)(inputs)))
        judged = assert_gone(keras.Model(inputs, keras.layers.Activation("tanh")(x)), rng)
        assert judged.verdicts["bn"].direction == "backward"


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_a_resize_of_an_image(keras_flavour, rng, interpolation):
    keras = keras_flavour.keras
    inputs = keras.Input((6, 5, 3))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 2, activation="relu")(inputs))
    for size in ((3, 7), (9, 8)):
        if keras_flavour.name == "keras":
            y = keras.ops.image.resize(x, size, interpolation=interpolation, data_format="channels_last")
        else:
            y = tf.image.resize(x, size, method=interpolation)
        assert_gone(keras.Model(inputs, keras.layers.Conv2D(2, 1)(y)), rng, float64=1e-6)
    y = keras.layers.Resizing(4, 4, interpolation=interpolation)(x)
    assert_gone(keras.Model(inputs, keras.layers.Conv2D(2, 1)(y)), rng, float64=1e-6)


def test_an_open_length_of_time(keras_flavour, rng):
    layers = keras_flavour.keras.layers
    inputs = keras_flavour.keras.Input((None, 4))
    x = layers.BatchNormalization()(layers.Conv1D(6, 3, padding="same", activation="relu")(inputs))
    for function in (lambda x: x[:, -1], lambda x: x[:, ::2], lambda x: x[:, 1:] + x[:, :-1], lambda x: x[:, None]):
        assert_gone(keras_flavour.keras.Model(inputs, layers.Dense(3)(function(x))), rng)


def stays(flavour, function, rng, reason, **options):
    judged = assert_gone(sequence(flavour, function, **options), rng, kept={"bn"}, float64=1e-7)
    assert judged.verdicts["bn"].sentence
    return judged.verdicts["bn"].reason in (reason, Reason.ACTIVATION)


def test_what_must_stay(keras_flavour, rng):
    """A shift where zeros come in; a maximum of what is turned; what two places of one element want differently."""
    ops = getattr(keras_flavour.keras, "ops", None)
    zeros = [[0, 0], [1, 1], [0, 0]]
    flat = keras_flavour.keras.layers.Flatten()
    assert stays(keras_flavour, lambda x: flat((ops or tf).pad(x, zeros)), rng, Reason.ZERO_PADDING)
    assert stays(
        keras_flavour, lambda x: ops.max(x, axis=1) if ops else tf.reduce_max(x, axis=1), rng, Reason.NEGATIVE_SCALE
    )
    assert stays(keras_flavour, lambda x: ops.mean(x, axis=-1) if ops else tf.reduce_mean(x, axis=-1), rng, Reason.AXIS)
    assert stays(keras_flavour, lambda x: x * x, rng, Reason.NOT_AFFINE)


def test_backward_one_element_at_two_places(keras_flavour, rng):
    """Each repeat of a channel is scaled otherwise: the channel itself cannot be both."""
    keras = keras_flavour.keras
    inputs = keras.Input((8, 4))
    x = keras.layers.Conv1D(3, 3)(inputs)
    doubled = keras.ops.repeat(x, 2, axis=-1) if keras_flavour.name == "keras" else tf.repeat(x, 2, axis=-1)
    outputs = keras.layers.BatchNormalization(name="bn")(doubled)
    judged = assert_gone(keras.Model(inputs, outputs), rng, kept={"bn"})
    assert judged.verdicts["bn"].reason is Reason.AXIS


def test_the_other_half_of_a_split_keeps_its_numbers(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((8, 4))
    x = keras.layers.Conv1D(6, 3)(inputs)
    first, second = keras.ops.split(x, 2, axis=-1) if keras_flavour.name == "keras" else tf.split(x, 2, axis=-1)
    outputs = [keras.layers.BatchNormalization()(first), keras.layers.Activation("tanh")(second)]
    assert_gone(keras.Model(inputs, outputs), rng)


def test_a_function_that_mixes_samples_stops_it(keras_flavour, rng):
    function = {
        "keras": lambda x: KERAS.keras.ops.roll(x, 1, axis=0),
        "tf_keras": lambda x: tf.roll(x, 1, 0),
    }[keras_flavour.name]
    assert stays(keras_flavour, function, rng, Reason.SHAPE)


def test_one_kernel_for_each_position(keras_flavour, rng):
    """A Dense across the channels becomes an EinsumDense, where that is small."""
    ops = getattr(keras_flavour.keras, "ops", None)
    judged = assert_gone(sequence(keras_flavour, lambda x: swap(ops, x)), rng)
    assert "positions" in judged.verdicts["bn"].rules
    wide = keras_flavour.keras.layers.Dense(40)
    assert_gone(sequence(keras_flavour, lambda x: swap(ops, x), end=wide), rng, kept={"bn"})


@CI
@given(STEPS)
def test_random_functions_of_keras(steps):
    random_functions(KERAS, steps)


@CI
@given(STEPS)
def test_random_functions_of_tf_keras(steps):
    random_functions(TF_KERAS, steps)


def random_functions(flavour, steps):
    """A convolution, BatchNorms, random functions, a Dense: equal, whatever became of the BatchNorms."""
    start_anew(flavour)
    layers, dice = flavour.keras.layers, Dice([sum(map(sum, steps))])
    rank4 = dice.below(2)
    inputs = flavour.keras.Input((6, 5, 4) if rank4 else (6, 4))
    conv = layers.Conv2D if rank4 else layers.Conv1D
    x = layers.BatchNormalization()(conv(4, 1, activation=("relu", None)[dice.below(2)])(inputs))
    for step in steps:
        new = moved(keras3(flavour), x, Dice(step))
        if new is not None and 0 not in new.shape[1:] and len(new.shape) > 1 and np.prod(new.shape[1:]) <= 2000:
            x = new
    if sum(steps[0]) % 2:
        x = layers.BatchNormalization()(x)
    model = flavour.keras.Model(inputs, layers.Dense(3)(x))
    rng = np.random.default_rng(len(steps))
    randomise(model, rng)
    assert_folds(model, data_for(model, rng), kept=None, float64=1e-6)


def broken(monkeypatch, flavour, rng, function, **options):
    with pytest.raises(AssertionError, match=r"folding changed the function|is off by"):
        assert_gone(sequence(flavour, function, **options), rng, kept=None)
    monkeypatch.undo()


def test_each_condition_is_needed(keras_flavour, rng, monkeypatch):
    """Without it, the folded model is another function: the judge of these tests sees it."""
    ops = getattr(keras_flavour.keras, "ops", None)
    flat = keras_flavour.keras.layers.Flatten()
    monkeypatch.setattr(reduction, "keeps_order", lambda _: True)
    broken(monkeypatch, keras_flavour, rng, lambda x: ops.max(x, axis=1) if ops else tf.reduce_max(x, axis=1))
    right = moves._positions
    monkeypatch.setattr(moves, "_positions", lambda *given: np.maximum(right(*given), 0))
    broken(
        monkeypatch, keras_flavour, rng, lambda x: flat((ops or tf).pad(x, [[0, 0], [1, 1], [0, 0]])), activation="tanh"
    )
    monkeypatch.setattr(reduction, "MEANS", ("op.mean", "op.sum"))
    monkeypatch.setattr(reduction, "SUMS", ())
    broken(monkeypatch, keras_flavour, rng, lambda x: ops.sum(x, axis=1) if ops else tf.reduce_sum(x, axis=1))
