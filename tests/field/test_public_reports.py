"""Field tests: reports of real users, each rebuilt small, with the value that is right.

A field test is named by what failed, says where that was reported, and asserts what the reporter should have got. The
tool of the report is not always the stock converter: what one tool does wrong, another may. New reports go here when
they are reproduced, whether kerasbn had the fault or not.
"""

import numpy as np
import pytest
import tensorflow as tf
from files import leftovers
from judged_model import distance, predict, run_file
from kerasbn_testing.statistics import randomise

from kerasbn.errors import KerasBNError
from kerasbn.flavour import Flavour
from kerasbn_export import export_tflite, fold, verify
from kerasbn_export.tflite.file import read_tflite


def assert_right(model, path, inputs, *, gone=None):
    """Folded model and file give the numbers of the model, and the verifier says so; all BatchNorms are gone."""
    wanted = predict(model, inputs)
    folded = fold(model)
    assert distance(wanted, predict(folded.model, inputs)) < 2e-5
    assert sum(verdict.gone for verdict in folded.verdicts) == (len(folded.verdicts) if gone is None else gone)
    export_tflite(model, path)
    assert distance(wanted, run_file(path, inputs)) < 2e-5
    assert verify(model, path, data=inputs if len(inputs) > 1 else inputs[0], layers=False)


def images(rng, *shape):
    return [rng.normal(size=shape).astype("float32")]


@pytest.fixture
def keras(keras_flavour):
    return keras_flavour.keras


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.tflite"


def test_batchnorm_that_normalizes_with_the_batch_was_converted_to_nonsense(keras, path):
    """tensorflow/tensorflow#50502: ``training=True`` written into the model."""
    i = keras.Input((8, 8, 3))
    x = keras.layers.BatchNormalization(name="live")(keras.layers.Conv2D(4, 3)(i), training=True)
    with pytest.raises(KerasBNError, match="live"):
        export_tflite(keras.Model(i, x), path)
    assert not path.exists()


def test_softplus_was_infinite_behind_88(keras, path):
    """tensorflow/tensorflow#60892 and #120300: 95, 150 and 500 came back as infinity."""
    i = keras.Input((5,))
    normal = keras.layers.BatchNormalization(epsilon=0.0)
    model = keras.Model(i, keras.layers.Activation("softplus")(normal(i)))
    normal.set_weights([np.full(5, v, "float32") for v in (3, 1, 2, 4)])  # y = 1.5 * (x - 2) + 1
    wanted = np.array([[20, 88, 95, 150, 500]], "float32")
    export_tflite(model, path)
    np.testing.assert_allclose(run_file(path, [(wanted - 1) / 1.5 + 2])[0], wanted, rtol=1e-6)


def test_batchnorm_behind_a_pooling_was_not_convertible(keras, path, rng):
    """tensorflow/tensorflow#17321: Conv, BatchNorm, MaxPooling, BatchNorm."""
    layers = keras.layers
    i = keras.Input((9, 9, 3))
    x = layers.MaxPooling2D(3, 2, "same")(layers.BatchNormalization()(layers.Conv2D(4, 3, strides=2)(i)))
    model = keras.Model(i, layers.Conv2D(4, 2)(layers.BatchNormalization()(x)))
    randomise(model, rng)
    assert_right(model, path, images(rng, 2, 9, 9, 3))


def test_transposed_convolution_got_a_wrong_bias(keras, path, rng):
    """PINTO0309/onnx2tf#16, google-ai-edge/litert-torch#28: between the strides, BatchNorm of nothing is left."""
    i = keras.Input((2, 2, 3))
    normal = keras.layers.BatchNormalization()
    model = keras.Model(i, normal(keras.layers.Conv2DTranspose(2, 1, strides=2, use_bias=False)(i)))
    randomise(model, rng)
    inputs = images(rng, 2, 2, 2, 3)
    assert_right(model, path, inputs)
    gamma, beta, mean, variance = (np.asarray(w, "float64") for w in normal.get_weights())
    gaps = run_file(path, inputs)[0][:, 1::2, 1::2]
    wanted = np.broadcast_to(beta - mean * gamma / np.sqrt(variance + normal.epsilon), gaps.shape)
    np.testing.assert_allclose(gaps, wanted, rtol=1e-5)


@pytest.mark.sweep
@pytest.mark.parametrize("kind", ["Conv1D", "Dense"])
def test_pointwise_layer_of_sequences_kept_its_old_weights(keras, path, rng, kind):
    """fastmachinelearning/hls4ml#368: Conv1D of size 1, or Dense of rank 3, then BatchNorm."""
    layers = keras.layers
    i = keras.Input((6, 3))
    x = layers.Conv1D(5, 1)(i) if kind == "Conv1D" else layers.Dense(5)(i)
    model = keras.Model(i, layers.ReLU()(layers.BatchNormalization()(x)))
    randomise(model, rng)
    assert_right(model, path, images(rng, 3, 6, 3))
    assert leftovers(read_tflite(path)) == []


def test_depthwise_convolution_was_left_out_of_folding(keras, path, rng):
    """CODAIT/graph_def_editor#15: a depthwise kernel with a multiplier, BatchNorm behind."""
    layers = keras.layers
    i = keras.Input((6, 6, 3))
    x = layers.DepthwiseConv2D(3, depth_multiplier=3, use_bias=False)(i)
    model = keras.Model(i, layers.ReLU(6.0)(layers.BatchNormalization()(x)))
    randomise(model, rng)
    assert_right(model, path, images(rng, 3, 6, 6, 3))
    assert [op.name for op in read_tflite(path).ops] == ["DEPTHWISE_CONV_2D"]


@pytest.mark.parametrize("options", [{"scale": False}, {"center": False}, {"scale": False, "center": False}], ids=str)
def test_missing_gamma_shifted_the_other_variables(keras, rng, options):
    """google/qkeras#83: beta was taken for gamma where there is none."""
    i = keras.Input((4,))
    model = keras.Model(i, keras.layers.BatchNormalization(**options)(keras.layers.Dense(3)(i)))
    randomise(model, rng)
    folded, inputs = fold(model), images(rng, 5, 4)
    assert [verdict.gone for verdict in folded.verdicts] == [True]
    assert distance(predict(model, inputs), predict(folded.model, inputs)) < 2e-5


def test_batchnorm_reshape_lstm_gave_other_numbers(keras, path, rng):
    """tensorflow/tensorflow#26083: the three together."""
    layers = keras.layers
    i = keras.Input((2, 4, 2))
    x = layers.BatchNormalization()(layers.Conv2D(3, 3, padding="same", activation="relu")(i))
    model = keras.Model(i, layers.LSTM(3, unroll=True)(layers.Reshape((2, 12))(x)))
    randomise(model, rng)
    assert_right(model, path, images(rng, 3, 2, 4, 2))


def test_tensor_given_by_keyword_broke_the_folding(keras, rng):
    """qualcomm/aimet#3587: a layer that takes a second tensor as a keyword argument."""

    class Gated(keras.layers.Layer):
        def call(self, x, gate=None):
            return x * tf.sigmoid(gate)

    layers = keras.layers
    i = keras.Input((6, 6, 3))
    x, gate = (layers.BatchNormalization()(layers.Conv2D(4, 3)(i)) for _ in range(2))
    model = keras.Model(i, Gated()(x, gate=gate))
    randomise(model, rng)
    folded, inputs = fold(model), images(rng, 3, 6, 6, 3)
    assert [verdict.gone for verdict in folded.verdicts] == [True, True]
    assert distance(predict(model, inputs), predict(folded.model, inputs)) < 2e-5


@pytest.mark.parametrize("axis", [[3], [1]], ids=str)
def test_axis_as_a_list_was_not_understood(path, rng, axis):
    """onnx/keras-onnx#117, keras-team/keras#11980: tf_keras writes the axis as a list."""
    keras = Flavour("tf_keras").keras
    i = keras.Input((5, 5, 3))
    model = keras.Model(i, keras.layers.BatchNormalization(axis=axis)(keras.layers.Conv2D(4, 1)(i)))
    randomise(model, rng)
    assert_right(model, path, images(rng, 3, 5, 5, 3), gone=int(axis == [3]))


def test_dilated_convolution_kept_its_batchnorm(keras, path, rng):
    """tensorflow/tensorflow#50172: dilation hid the convolution from the converter's folding."""
    layers = keras.layers
    i = keras.Input((9, 9, 3))
    x = layers.Conv2D(4, 3, padding="same", dilation_rate=2, use_bias=False)(i)
    model = keras.Model(i, layers.ReLU()(layers.BatchNormalization()(x)))
    randomise(model, rng)
    assert_right(model, path, images(rng, 3, 9, 9, 3))
    assert [op.name for op in read_tflite(path).ops] == ["CONV_2D"]


def test_hard_swish_was_four_operations(keras, path, rng):
    """tensorflow/tensorflow#51819: the factors in the order that its answer gives."""
    relu6 = tf.nn.relu6 if keras.__name__ == "tf_keras" else keras.ops.relu6
    i = keras.Input((6, 6, 3))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(i))
    model = keras.Model(i, relu6(x + 3) * (1 / 6) * x)
    randomise(model, rng)
    assert_right(model, path, images(rng, 3, 6, 6, 3))
    assert [op.name for op in read_tflite(path).ops] == ["CONV_2D", "HARD_SWISH"]


def test_relu6_was_a_minimum_and_a_relu(keras, path, rng):
    """google-ai-edge/litert-torch#441: ReLU cut at 6 by a second operation."""
    ops = tf if keras.__name__ == "tf_keras" else keras.ops
    i = keras.Input((6, 6, 3))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(i))
    model = keras.Model(i, ops.minimum(keras.layers.ReLU()(x), 6.0))
    randomise(model, rng)
    assert_right(model, path, images(rng, 3, 6, 6, 3))
    assert [op.name for op in read_tflite(path).ops] == ["CONV_2D"]


def test_gammas_of_zero_and_below_folded_into_noise(keras, path, rng):
    """LeelaChessZero/lc0#779: the square root of gamma, or a division by it."""
    layers = keras.layers
    i = keras.Input((6, 6, 3))
    normal = layers.BatchNormalization()
    model = keras.Model(i, layers.MaxPooling2D()(layers.ReLU()(normal(layers.Conv2D(4, 3, use_bias=False)(i)))))
    randomise(model, rng)
    _, *others = normal.get_weights()
    normal.set_weights([np.array([0, -1.5, 1e-30, 0.7], "float32"), *others])
    assert_right(model, path, images(rng, 3, 6, 6, 3))


def test_one_convolution_with_two_batchnorms_got_the_scale_of_one(keras, rng):
    """qualcomm/aimet#3506 and its kind: what is shared is scaled once for both users."""
    layers = keras.layers
    left, right = keras.Input((6, 6, 3)), keras.Input((6, 6, 3))
    shared = layers.Conv2D(4, 3)
    model = keras.Model([left, right], [layers.BatchNormalization()(shared(side)) for side in (left, right)])
    randomise(model, rng)
    folded, inputs = fold(model), images(rng, 3, 6, 6, 3) + images(rng, 3, 6, 6, 3)
    assert distance(predict(model, inputs), predict(folded.model, inputs)) < 2e-5


def test_virtual_batch_size_moved_the_axis(rng):
    """keras-team/tf-keras#546: such a BatchNorm has axis 4 of a tensor with four."""
    keras = Flavour("tf_keras").keras
    i = keras.Input((5, 5, 3))
    model = keras.Model(i, keras.layers.BatchNormalization(virtual_batch_size=2)(keras.layers.Conv2D(4, 3)(i)))
    randomise(model, rng)
    folded, inputs = fold(model), images(rng, 4, 5, 5, 3)
    assert [verdict.gone for verdict in folded.verdicts] == [True]
    assert distance(predict(model, inputs), predict(folded.model, inputs)) < 2e-5
