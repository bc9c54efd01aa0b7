"""Layers and options that folding must carry through unharmed: masks, functions, state, precision, training flags."""

import numpy as np
import pytest
import tensorflow as tf
from kerasbn_testing.judging import assert_folds, relative_error, run
from kerasbn_testing.statistics import data_for, randomise

from kerasbn.errors import UnsupportedModelError
from kerasbn_export.folding.fold import fold, plan


def folds(model, rng, data=None, **options):
    randomise(model, rng)
    return assert_folds(model, data_for(model, rng) if data is None else data, **options)


def dense_bn(keras, x, units=4):
    return keras.layers.BatchNormalization()(keras.layers.Dense(units)(x))


def tokens(rng, *shape):
    return rng.integers(0, 3, shape).astype("int32")


@pytest.mark.either_keras
def test_a_mask_from_an_embedding_reaches_the_lstm(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((6,), dtype="int32")
    hidden = keras.layers.BatchNormalization()(keras.layers.Embedding(7, 3, mask_zero=True)(inputs))
    folds(keras.Model(inputs, keras.layers.LSTM(3)(hidden)), rng, tokens(rng, 4, 6), kept=None)


@pytest.mark.parametrize("nested", [False, True])
# Keras 3 says so of a nested model, and hands the mask on all the same.
@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask:UserWarning")
def test_a_mask_that_changes_a_mean(keras_flavour, rng, nested):
    """The mean of what is not masked: a shift that goes through it, or a zero that is no longer one, would show."""
    keras = keras_flavour.keras
    inputs = keras.Input((6,), dtype="int32")
    x = embedded = keras.layers.Embedding(7, 3, mask_zero=True)(inputs)
    if nested:
        x = keras.Input((6, 3))
    mean = keras.layers.GlobalAveragePooling1D()(keras.layers.BatchNormalization()(keras.layers.ReLU()(x)))
    outputs = keras.layers.Dense(3)(keras.layers.BatchNormalization()(mean))
    if nested:
        outputs = keras.Model(x, outputs)(embedded)
    folds(keras.Model(inputs, outputs), rng, tokens(rng, 4, 6) + np.eye(4, 6, dtype="int32"), kept=None)


def test_masking_layer(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((6, 3))
    hidden = keras.layers.BatchNormalization()(keras.layers.Masking()(inputs))
    model = keras.Model(inputs, keras.layers.GRU(3)(hidden))
    data = rng.normal(size=(4, 6, 3)).astype("float32")
    data[:, 4:] = 0
    folds(model, rng, data, kept=None)


# Keras 3 says so of a nested model, and hands the mask on all the same.
@pytest.mark.either_keras
@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask:UserWarning")
def test_a_mask_that_enters_a_nested_model(keras_flavour, rng):
    keras = keras_flavour.keras
    inner_inputs = keras.Input((6, 3))
    normalised = keras.layers.BatchNormalization()(inner_inputs)
    inner = keras.Model(inner_inputs, keras.layers.LSTM(3, return_sequences=True)(normalised))
    inputs = keras.Input((6,), dtype="int32")
    hidden = inner(keras.layers.Embedding(7, 3, mask_zero=True)(inputs))
    folds(keras.Model(inputs, keras.layers.GRU(2)(hidden)), rng, tokens(rng, 4, 6), kept=None)


@pytest.mark.either_keras
def test_an_explicit_mask(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs, mask = keras.Input((6, 3)), keras.Input((6,), dtype="bool")
    hidden = keras.layers.LSTM(3)(keras.layers.BatchNormalization()(inputs), mask=mask)
    data = [rng.normal(size=(4, 6, 3)).astype("float32"), rng.random((4, 6)) < 0.6]
    folds(keras.Model([inputs, mask], dense_bn(keras, hidden)), rng, data, kept=None)


@pytest.mark.either_keras
@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask:UserWarning")  # as above
def test_an_explicit_mask_for_a_nested_model(keras_flavour, rng):
    keras = keras_flavour.keras
    inner_inputs = keras.Input((6, 3))
    inner = keras.Model(inner_inputs, keras.layers.LSTM(3)(dense_bn(keras, inner_inputs)), name="inner")
    inputs, mask = keras.Input((6, 3)), keras.Input((6,), dtype="bool")
    data = [rng.normal(size=(4, 6, 3)).astype("float32"), rng.random((4, 6)) < 0.6]
    folds(keras.Model([inputs, mask], inner(inputs, mask=mask)), rng, data, kept=None)


def test_attention_with_keyword_tensors(keras_flavour, rng):
    keras = keras_flavour.keras
    a, b = keras.Input((4, 5)), keras.Input((6, 5))
    query, value = dense_bn(keras, a), dense_bn(keras, b)
    attended = keras.layers.MultiHeadAttention(2, 3)(query=query, value=value, key=keras.layers.Dense(4)(b))
    folds(keras.Model([a, b], keras.layers.BatchNormalization()(attended)), rng, kept=None)


def test_functions_of_the_framework(keras_flavour, rng):
    keras = keras_flavour.keras
    a, b = keras.Input((4, 5)), keras.Input((4, 5))
    x, y = dense_bn(keras, a), dense_bn(keras, b)
    if keras_flavour.name == "keras":
        ops = keras.ops
        joined = ops.concatenate([x, ops.multiply(y, 2.0)], axis=-1)
        result = ops.where(joined[:, 1:, ::2] > 0, joined[:, 1:, ::2], 0.1) + ops.mean(x, axis=1, keepdims=True)
        result = ops.einsum("abc,adc->abd", result, y)
    else:
        joined = tf.concat([x, tf.multiply(y, 2.0)], axis=-1)
        result = tf.where(joined[:, 1:, ::2] > 0, joined[:, 1:, ::2], 0.1) + tf.reduce_mean(x, axis=1, keepdims=True)
        result = tf.einsum("abc,adc->abd", result, y)
    folds(keras.Model([a, b], result), rng, kept=None)


def test_operators_and_constants(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((5,))
    x = dense_bn(keras, inputs)
    folds(keras.Model(inputs, 1 - (x * np.arange(4.0, dtype="float32") - 3) / 2 + x**2), rng, kept=None)


def test_a_slice_that_depends_on_a_tensor(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((None, 5))
    x = dense_bn(keras, inputs)
    if keras_flavour.name == "keras":
        x = keras.layers.Lambda(lambda t: t[:, : tf.shape(t)[1] // 2], output_shape=(None, 4))(x)
    else:
        x = x[:, : tf.shape(x)[1] // 2]
    folds(keras.Model(inputs, x), rng)


def test_lambda_with_arguments_and_mask(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((5,))
    layer = keras.layers.Lambda(lambda x, power: x**power, arguments={"power": 2}, output_shape=(4,))
    folds(keras.Model(inputs, dense_bn(keras, layer(dense_bn(keras, inputs)))), rng)


def test_bidirectional_and_cells(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((5, 3))
    x = keras.layers.Bidirectional(keras.layers.LSTM(2, return_sequences=True))(dense_bn(keras, inputs))
    cells = [keras.layers.LSTMCell(3), keras.layers.GRUCell(4)]
    x = keras.layers.RNN(keras.layers.StackedRNNCells(cells), return_sequences=True)(
        keras.layers.BatchNormalization()(x)
    )
    folds(keras.Model(inputs, keras.layers.TimeDistributed(keras.layers.Dense(2))(x)), rng, kept=None)


def test_states_of_an_rnn_are_outputs(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((5, 3))
    sequence, *states = keras.layers.LSTM(2, return_sequences=True, return_state=True)(dense_bn(keras, inputs))
    again = keras.layers.LSTM(2)(sequence, initial_state=states)
    folds(keras.Model(inputs, [again, *states]), rng)


def test_a_stateful_rnn_starts_afresh(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input(batch_shape=(2, 5, 3))
    lstm = keras.layers.LSTM(2, stateful=True)
    model = keras.Model(inputs, dense_bn(keras, lstm(inputs)))
    randomise(model, rng)
    folded = fold(model).model
    data = rng.normal(size=(2, 5, 3)).astype("float32")
    for _ in range(2):  # the second run depends on the state that the first one left
        assert relative_error(run(folded, data), run(model, data)) < 1e-4


def test_time_distributed_batchnorm(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((3, 5, 4))
    x = keras.layers.TimeDistributed(keras.layers.Conv1D(3, 2))(inputs)
    folds(keras.Model(inputs, keras.layers.TimeDistributed(keras.layers.BatchNormalization())(x)), rng, kept=None)


def test_adapted_normalization(keras_flavour, rng):
    keras = keras_flavour.keras
    layer = keras.layers.Normalization()
    layer.adapt(rng.normal(5.0, 3.0, size=(50, 4)).astype("float32"))
    inputs = keras.Input((4,))
    model = keras.Model(inputs, dense_bn(keras, layer(inputs)))
    for inner in model.layers[2:]:
        randomise(inner, rng)
    assert_folds(model, data_for(model, rng))


def test_adapted_discretization(keras_flavour, rng):
    keras = keras_flavour.keras
    layer = keras.layers.Discretization(num_bins=4)
    layer.adapt(rng.normal(size=(100, 1)).astype("float32"))
    inputs = keras.Input((3,))
    folds(keras.Model(inputs, dense_bn(keras, keras.layers.Embedding(4, 3)(layer(inputs)))), rng)


LOOKUPS = {
    "IntegerLookup": (np.array([7, 7, 9, 4]), "int64", np.array([[7], [9], [4], [5]])),
    "StringLookup": (np.array(["b", "b", "a", "c"]), "string", np.array([["a"], ["b"], ["c"], ["z"]])),
}


@pytest.mark.parametrize("name", LOOKUPS)
def test_adapted_lookup(keras_flavour, rng, name):
    """Its table is no weight; in Keras 3 an adapted one is not in get_config() either."""
    keras = keras_flavour.keras
    vocabulary, dtype, data = LOOKUPS[name]
    layer = getattr(keras.layers, name)(output_mode="one_hot")
    layer.adapt(vocabulary)
    inputs = keras.Input((1,), dtype=dtype)
    model = keras.Model(inputs, dense_bn(keras, layer(inputs)))
    randomise(model, rng)
    assert relative_error(run(fold(model).model, tf.constant(data)), run(model, tf.constant(data))) < 1e-5


def test_adapted_text_vectorization(keras_flavour, rng):
    keras = keras_flavour.keras
    layer = keras.layers.TextVectorization(output_sequence_length=3)
    layer.adapt(np.array(["a b c", "b c", "c"]))
    inputs = keras.Input((1,), dtype="string")
    model = keras.Model(inputs, dense_bn(keras, keras.layers.Embedding(9, 3)(layer(inputs))))
    randomise(model, rng)
    data = tf.constant([["a c z"], ["b"]])
    assert relative_error(run(fold(model).model, data), run(model, data)) < 1e-5


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "float64"])
def test_precisions(keras_flavour, rng, policy):
    keras = keras_flavour.keras
    half = policy.endswith("16")
    inputs = keras.Input((6, 5, 3), dtype=None if half else policy)
    x = keras.layers.Conv2D(4, 3, dtype=policy)(inputs)
    x = keras.layers.ReLU(dtype=policy)(keras.layers.BatchNormalization(dtype=policy)(x))
    x = keras.layers.BatchNormalization(dtype=policy)(keras.layers.Conv2D(4, 2, dtype=policy)(x))
    bound = {"mixed_bfloat16": 0.1, "mixed_float16": 0.02, "float16": 0.02, "float64": 1e-12}[policy]
    judged = folds(keras.Model(inputs, x), rng, float32=bound, original=bound)
    if policy == "mixed_float16":
        single = fold(keras.Model(inputs, x), dtype="float32").model
        assert {layer.compute_dtype for layer in single.layers} == {"float32"}
        assert judged.model.layers[1].compute_dtype == "float16"


def test_small_weights_in_float16_are_not_flushed(keras_flavour, rng):
    """Half precision has no kernel that subnormals slow down, and weights of 1e-5 are subnormal in it."""
    keras = keras_flavour.keras
    inputs = keras.Input((5,), dtype="float16")
    bn = keras.layers.BatchNormalization(dtype="float16", center=False)
    model = keras.Model(inputs, bn(keras.layers.Dense(4, dtype="float16", use_bias=False)(inputs)))
    randomise(model, rng)
    bn.gamma.assign(np.full(4, 1e-4))
    bn.moving_mean.assign(np.zeros(4))
    bn.moving_variance.assign(np.full(4, 9.0))
    assert_folds(model, data_for(model, rng), float32=0.05, original=0.05)


def test_called_with_training_true_stays(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((5,))
    x = keras.layers.BatchNormalization(name="bn")(keras.layers.Dense(4)(inputs), training=True)
    model = keras.Model(inputs, x)
    randomise(model, rng)
    (verdict,) = plan(model).verdicts
    assert verdict.reason == "training"
    data = rng.normal(size=(8, 5)).astype("float32")
    means = np.array(model.layers[-1].moving_mean)
    folded = fold(model).model
    assert relative_error(run(folded, data), run(model, data)) < 1e-4
    assert not np.array_equal(means, np.array(folded.layers[-1].moving_mean)), "it is in training mode still"


def test_called_with_training_true_but_frozen_folds(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((5,))
    bn = keras.layers.BatchNormalization(name="bn", trainable=False)
    folds(keras.Model(inputs, bn(keras.layers.Dense(4)(inputs), training=True)), rng)


@pytest.mark.parametrize("by_position", [False, True])
def test_nested_called_with_training_true_stays(keras_flavour, rng, by_position):
    keras = keras_flavour.keras
    if by_position and keras_flavour.name == "keras":
        return  # Keras 3 takes the flag of a nested model by name only
    inner_inputs = keras.Input((5,))
    inner = keras.Model(inner_inputs, dense_bn(keras, inner_inputs), name="inner")
    inputs = keras.Input((5,))
    model = keras.Model(inputs, inner(inputs, True) if by_position else inner(inputs, training=True))
    randomise(model, rng)
    data = rng.normal(size=(8, 5)).astype("float32")
    result = fold(model)
    assert result.verdicts[0].reason == "training"
    assert relative_error(run(result.model, data), run(model, data)) < 1e-4


def test_nested_called_with_training_false(keras_flavour, rng):
    """Keras 3 lets the nested model's flag win over the layer's own, tf_keras the layer's."""
    keras = keras_flavour.keras
    inner_inputs = keras.Input((5,))
    x = keras.layers.BatchNormalization()(keras.layers.Dense(4)(inner_inputs), training=True)
    inner = keras.Model(inner_inputs, x, name="inner")
    inputs = keras.Input((5,))
    model = keras.Model(inputs, inner(inputs, training=False))
    randomise(model, rng)
    data = rng.normal(size=(8, 5)).astype("float32")
    result = fold(model)
    assert result.verdicts[0].gone is (keras_flavour.name == "keras")
    assert relative_error(run(result.model, data), run(model, data)) < 1e-4


def test_a_training_flag_that_is_a_tensor(keras_flavour):
    keras = keras_flavour.keras
    if keras_flavour.name == "keras":
        return  # Keras 3 takes no tensor there
    inputs, flag = keras.Input((5,)), keras.Input((), batch_size=1, dtype="bool")
    x = keras.layers.BatchNormalization(name="bn")(keras.layers.Dense(4)(inputs), training=flag)
    (verdict,) = plan(keras.Model([inputs, flag], x)).verdicts
    assert verdict.reason == "training"


def test_dropout_in_training_mode_stays_in_training_mode(keras_flavour, rng):
    """Monte Carlo dropout: a BatchNorm behind it may still fold through it or not, the dropout goes on dropping."""
    keras = keras_flavour.keras
    inputs = keras.Input((5,))
    x = keras.layers.Dropout(0.5)(keras.layers.Dense(40)(inputs), training=True)
    model = keras.Model(inputs, keras.layers.BatchNormalization()(x))
    randomise(model, rng)
    folded = fold(model).model
    data = rng.normal(size=(1, 5)).astype("float32")
    assert not np.array_equal(run(folded, data)[0], run(folded, data)[0])


def test_frozen_layers(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((5,))
    x = keras.layers.BatchNormalization(trainable=False)(keras.layers.Dense(4, trainable=False)(inputs))
    model = keras.Model(inputs, dense_bn(keras, x))
    model.layers[1].trainable = False
    folds(model, rng)


def test_a_custom_activation_that_is_not_registered(keras_flavour, rng):
    keras = keras_flavour.keras

    def odd(x):
        return x * 2 - 1

    inputs = keras.Input((5,))
    x = keras.layers.Dense(4, activation=odd)(dense_bn(keras, inputs))
    folds(keras.Model(inputs, keras.layers.BatchNormalization()(x)), rng, kept=None)


def test_a_function_of_the_user_called_linear_is_an_activation(keras_flavour, rng):
    keras = keras_flavour.keras

    def linear(x):
        return abs(x)

    inputs = keras.Input((5,))
    x = keras.layers.BatchNormalization(name="bn")(keras.layers.Dense(4, activation=linear, name="d")(inputs))
    model = keras.Model(inputs, x)
    randomise(model, rng)
    folded = fold(model).model
    data = data_for(model, rng)
    assert relative_error(run(folded, data), run(model, data)) < 1e-4


def test_a_function_of_the_user_called_relu_is_no_relu(keras_flavour, rng):
    keras = keras_flavour.keras

    def relu(x):
        return x * x + 1

    inputs = keras.Input((5,))
    x = keras.layers.Activation(relu)(keras.layers.BatchNormalization()(keras.layers.ReLU()(inputs)))
    x = keras.layers.BatchNormalization()(keras.layers.Dense(4, activation=relu)(x))
    folds(keras.Model(inputs, keras.layers.Dense(3)(x)), rng, kept=None)


def test_a_subclass_of_a_stock_layer_is_not_taken_for_it(keras_flavour, rng):
    keras = keras_flavour.keras

    class Loud(keras.layers.Dense):
        def call(self, inputs):
            return abs(super().call(inputs))

    inputs = keras.Input((5,))
    folds(keras.Model(inputs, keras.layers.BatchNormalization(name="bn")(Loud(4)(inputs))), rng, kept=["bn"])


def test_a_subclass_of_batchnorm_is_reported_and_left(keras_flavour, rng):
    keras = keras_flavour.keras

    class Mine(keras.layers.BatchNormalization):
        def call(self, inputs, **options):
            return super().call(inputs, **options) + 1

    inputs = keras.Input((5,))
    model = keras.Model(inputs, Mine(name="mine")(keras.layers.Dense(4)(inputs)))
    judged = folds(model, rng, kept=["mine"])
    assert judged.verdicts["mine"].reason == "opaque"


def test_a_custom_layer_without_config_is_copied(keras_flavour, rng):
    keras = keras_flavour.keras

    class Scaled(keras.layers.Layer):
        def __init__(self, factors, **kwargs):
            super().__init__(**kwargs)
            self.factors = factors

        def call(self, inputs):
            return inputs * self.factors.first

        def get_config(self):
            return super().get_config()

    class Factors:
        first = 3.0

    inputs = keras.Input((5,))
    model = keras.Model(inputs, Scaled(Factors(), name="scaled")(dense_bn(keras, inputs)))
    randomise(model, rng)
    data = data_for(model, rng)
    expected, folded = run(model, data), fold(model).model
    assert relative_error(run(folded, data), expected) <= 2e-5


def test_an_attribute_that_was_set_after_construction(keras_flavour, rng):
    """No configuration has it: it is carried over."""
    keras = keras_flavour.keras

    class Scaled(keras.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.factor = 1.0

        def call(self, inputs):
            return inputs * self.factor

    inputs = keras.Input((5,))
    layer = Scaled(name="scaled")
    layer.factor = 3.0
    folds(keras.Model(inputs, layer(dense_bn(keras, inputs))), rng)


def test_a_custom_layer_with_weights_and_config(keras_flavour, rng):
    keras = keras_flavour.keras

    class Gain(keras.layers.Layer):
        def __init__(self, start, **kwargs):
            super().__init__(**kwargs)
            self.start = start

        def build(self, input_shape):
            self.gain = self.add_weight(name="gain", shape=(input_shape[-1],), initializer="ones")

        def call(self, inputs):
            return inputs * self.gain + self.start

        def get_config(self):
            return {**super().get_config(), "start": self.start}

    inputs = keras.Input((5,))
    folds(keras.Model(inputs, Gain(2.0)(dense_bn(keras, inputs))), rng)


def test_weights_tied_between_two_layers(keras_flavour, rng):
    keras = keras_flavour.keras

    class Tied(keras.layers.Layer):
        def __init__(self, other, **kwargs):
            super().__init__(**kwargs)
            self.other = other

        def call(self, inputs):
            kernel = self.other.kernel
            transposed = keras.ops.transpose(kernel) if hasattr(keras, "ops") else tf.transpose(kernel)
            return keras.ops.matmul(inputs, transposed) if hasattr(keras, "ops") else tf.matmul(inputs, transposed)

    inputs = keras.Input((5,))
    dense = keras.layers.Dense(5, name="dense")
    x = keras.layers.BatchNormalization(name="bn")(dense(inputs))
    model = keras.Model(inputs, Tied(dense, name="tied")(x))
    randomise(model, rng)
    data = data_for(model, rng)
    expected, folded = run(model, data), fold(model).model  # its copy keeps the kernel as it was before the fold
    assert relative_error(run(folded, data), expected) <= 2e-5


def test_a_model_with_added_losses(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((5,))
    dense = keras.layers.Dense(4, kernel_regularizer="l2", activity_regularizer="l1")
    model = keras.Model(inputs, keras.layers.BatchNormalization()(dense(inputs)))
    if keras_flavour.name == "tf_keras":
        model.add_loss(tf.reduce_mean(model.layers[1].output))
    folds(model, rng)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_model_loaded_from_a_file(keras_flavour, rng, tmp_path, suffix):
    keras = keras_flavour.keras
    inputs = keras.Input((6, 5, 3))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(inputs))
    model = keras.Model(inputs, dense_bn(keras, keras.layers.Flatten()(x)))
    randomise(model, rng)
    if suffix == ".keras":
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    else:  # Keras warns of the format when it writes it; what matters here is the reading
        config, weights = model.get_config(), model.get_weights()
        loaded = keras.Model.from_config(config)
        loaded.set_weights(weights)
    assert_folds(loaded, data_for(loaded, rng))


def test_the_folded_model_folds_to_itself_and_can_be_saved(keras_flavour, rng, tmp_path):
    keras = keras_flavour.keras
    inputs = keras.Input((5,))
    folded = folds(keras.Model(inputs, [dense_bn(keras, inputs)]), rng).model
    folded.save(tmp_path / "folded.keras")
    loaded = keras.models.load_model(tmp_path / "folded.keras", compile=False)
    data = data_for(loaded, rng)
    assert relative_error(run(loaded, data), run(folded, data)) == 0
    assert fold(folded).verdicts == ()


def test_outputs_that_are_no_floats(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs, integers = keras.Input((5,)), keras.Input((3,), dtype="int32")
    x = dense_bn(keras, inputs)
    best = keras.ops.argmax(x, axis=-1) if keras_flavour.name == "keras" else tf.argmax(x, axis=-1)
    positive = x > 0
    folds(keras.Model([inputs, integers], {"best": best, "positive": positive, "same": integers, "x": x}), rng)


def test_unknown_sizes(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((None, None, 3))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, padding="same")(inputs))
    folds(keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x)), rng)


def test_a_fixed_batch_size(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((5,))
    model = keras.Model(inputs, dense_bn(keras, inputs))
    randomise(model, rng)
    assert tuple(fold(model, batch_size=1).model.inputs[0].shape) == (1, 5)
    assert tuple(fold(model).model.inputs[0].shape) == (None, 5)


def test_an_optional_input(keras_flavour, rng):
    keras = keras_flavour.keras
    if keras_flavour.name == "tf_keras":
        return  # has none
    inputs, maybe = keras.Input((5,), name="a"), keras.Input((4,), name="b", optional=True)

    class Plus(keras.layers.Layer):
        def call(self, x, y=None):
            return x if y is None else x + y

        def compute_output_shape(self, x_shape, y_shape=None):  # noqa: ARG002 - Keras calls it so
            return x_shape

    model = keras.Model([inputs, maybe], Plus()(dense_bn(keras, inputs), maybe))
    randomise(model, rng)
    folded = fold(model).model
    a, b = rng.normal(size=(2, 5)).astype("float32"), rng.normal(size=(2, 4)).astype("float32")
    for data in ([a, b], [a, None]):
        assert relative_error(run(folded, data), run(model, data)) < 1e-4


def test_quantized_and_adapted_dense(keras_flavour, rng):
    keras = keras_flavour.keras
    if keras_flavour.name == "tf_keras":
        return  # has neither
    for change in (lambda layer: layer.enable_lora(2), lambda layer: layer.quantize("int8")):
        inputs = keras.Input((5,))
        dense = keras.layers.Dense(4)
        model = keras.Model(inputs, keras.layers.BatchNormalization(name="bn")(dense(inputs)))
        randomise(model, rng)
        change(dense)
        data = data_for(model, rng)
        result = fold(model)
        assert relative_error(run(result.model, data), run(model, data)) < 1e-4


def test_ragged_input(keras_flavour, rng):
    keras = keras_flavour.keras
    if keras_flavour.name == "keras":
        return  # its functional models take ragged tensors only into layers that make them dense
    inputs = keras.Input((None, 3), ragged=True)
    model = keras.Model(inputs, keras.layers.BatchNormalization()(keras.layers.LSTM(3)(inputs)))
    randomise(model, rng)
    rows = [rng.normal(size=(n, 3)).astype("float32") for n in (2, 4)]
    data = tf.ragged.constant([row.tolist() for row in rows], ragged_rank=1, inner_shape=(3,))
    try:
        folded = fold(model).model
    except UnsupportedModelError:
        return
    assert relative_error(run(folded, data), run(model, data)) < 1e-4
