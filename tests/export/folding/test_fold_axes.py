"""BatchNorms along several axes, and tf_keras' ghost batches, which tell their axis one too high."""

import pytest
from kerasbn_testing.judging import assert_folds, in_float64, relative_error, run
from kerasbn_testing.statistics import data_for, randomise

from kerasbn.flavour import TF_KERAS
from kerasbn_export.capture import capture
from kerasbn_export.emit.emit import emit
from kerasbn_export.folding.fold import fold

BEHIND = {
    "flatten": lambda layers: [layers.Flatten(), layers.Dense(3)],
    "permute": lambda layers: [layers.Permute((2, 3, 1)), layers.Flatten(), layers.Dense(3)],
    "reshape": lambda layers: [layers.Reshape((60,)), layers.Dense(2)],
}


@pytest.mark.parametrize("behind", BEHIND)
def test_several_axes_move_with_the_elements(keras_flavour, rng, behind):
    keras = keras_flavour.keras
    inputs = keras.Input((4, 5, 3))
    x = keras_flavour.batch_normalization(axis=[1, -1])(keras.layers.Activation("tanh")(inputs))
    for layer in BEHIND[behind](keras.layers):
        x = layer(x)
    model = keras.Model(inputs, x)
    randomise(model, rng)
    assert_folds(model, data_for(model, rng))


def test_two_along_the_same_axes_become_one(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((4, 5, 3))
    x = keras.layers.Activation("tanh")(inputs)
    for name in ("first", "second"):
        x = keras_flavour.batch_normalization(axis=[1, 3], name=name)(x)
    model = keras.Model(inputs, keras.layers.Activation("tanh")(x))
    randomise(model, rng)
    judged = assert_folds(model, data_for(model, rng), kept=["second"])
    assert judged.verdicts["first"].action == "merged"


def test_several_axes_inside_a_time_distributed(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((2, 4, 5, 3))
    x = keras.layers.TimeDistributed(keras_flavour.batch_normalization(axis=[1, 3]))(inputs)
    model = keras.Model(inputs, keras.layers.Activation("tanh")(x))
    randomise(model, rng)
    assert_folds(model, data_for(model, rng), kept=None)


def ghost(axis, **options):
    return TF_KERAS.keras.layers.BatchNormalization(axis=axis, virtual_batch_size=1, name="ghost", **options)


def around(layer, before, behind=()):
    keras = TF_KERAS.keras
    inputs = x = keras.Input((4, 5, 3))
    for each in (*before, layer, *behind):
        x = each(x)
    return keras.Model(inputs, x)


@pytest.mark.parametrize("axis", [-1, 1, [-1, 1]])
@pytest.mark.parametrize("way", ["backward", "forward", "merged", "kept", "time"])
def test_ghost_batches_of_tf_keras(rng, axis, way):
    layers = TF_KERAS.keras.layers
    tanh = layers.Activation("tanh")
    model = {
        "backward": lambda: around(ghost(axis), [layers.EinsumDense("abcd,bde->abce", (4, 5, 3))]),
        "forward": lambda: around(ghost(axis), [tanh], [layers.Flatten(), layers.Dense(2)]),
        "merged": lambda: around(ghost(axis), [tanh], [layers.BatchNormalization(axis=axis), layers.ReLU(6.0)]),
        "kept": lambda: around(ghost(axis), [tanh], [layers.ReLU(6.0)]),
        "time": lambda: around(layers.TimeDistributed(ghost(-1)), [tanh], [layers.ReLU(6.0)]),
    }[way]()
    randomise(model, rng)
    assert_folds(model, data_for(model, rng), kept=None)


def test_ghost_batches_in_training_mode_stay(rng):
    keras = TF_KERAS.keras
    inputs = keras.Input((4,), batch_size=4)
    model = keras.Model(inputs, ghost(-1, momentum=1.0)(keras.layers.Dense(3)(inputs), training=True))
    randomise(model, rng)
    data = data_for(model, rng)
    result = fold(model)
    assert result.verdicts[0].reason == "training"
    assert relative_error(run(result.model, data), run(model, data)) <= 1e-6


def test_ghost_batches_in_a_wrapper_that_stays_closed(rng):
    keras = TF_KERAS.keras
    inputs = keras.Input((4, 3))
    layer = keras.layers.TimeDistributed(ghost(-1))
    model = keras.Model(inputs, layer(inputs, mask=keras.layers.Masking().compute_mask(inputs)))
    randomise(model, rng)
    data = data_for(model, rng)
    reference = run(emit(capture(model), dtype="float64"), in_float64(data))
    assert relative_error(run(model, data), reference) <= 1e-5


def test_a_graph_is_emitted_as_often_as_one_likes(keras_flavour, rng):
    """Reading a configuration takes entries out of it: of a copy."""
    layers = keras_flavour.keras.layers
    inputs = keras_flavour.keras.Input((5, 4))
    x = layers.RNN([layers.GRUCell(2), layers.SimpleRNNCell(3)])(inputs)
    model = keras_flavour.keras.Model(inputs, x)
    data = data_for(model, rng)
    graph = capture(model)
    first, second = (run(emit(graph, dtype="float64"), in_float64(data)) for _ in range(2))
    assert relative_error(first, second) == 0
    assert relative_error(run(model, data), first) <= 1e-5
