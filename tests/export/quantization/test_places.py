"""Where a model rounds is where its file rounds: every kind of layer between two convolutions, in both Kerases."""

import pytest

from kerasbn.errors import InvalidModelError, UnsupportedModelError
from kerasbn_export import export_tflite, quantize_aware, verify

pytestmark = pytest.mark.either_keras

ONE = {
    "max pooling": lambda k: k.layers.MaxPooling2D(2),
    "average pooling": lambda k: k.layers.AveragePooling2D(2),
    "zero padding": lambda k: k.layers.ZeroPadding2D(1),
    "cropping": lambda k: k.layers.Cropping2D(1),
    "nearest": lambda k: k.layers.UpSampling2D(2),
    "bilinear": lambda k: k.layers.UpSampling2D(2, interpolation="bilinear"),
    "resizing": lambda k: k.layers.Resizing(12, 12),
    "permute": lambda k: k.layers.Permute((2, 1, 3)),
    "reshape": lambda k: k.layers.Reshape((4, 16, 4)),
    "relu6": lambda k: k.layers.ReLU(6.0),
    "leaky relu": lambda k: k.layers.LeakyReLU(),
    "prelu": lambda k: k.layers.PReLU(shared_axes=[1, 2]),
    "sigmoid": lambda k: k.layers.Activation("sigmoid"),
    "tanh": lambda k: k.layers.Activation("tanh"),
    "softmax": lambda k: k.layers.Softmax(),
    "swish": lambda k: k.layers.Activation("swish"),
    "gelu": lambda k: k.layers.Activation("gelu"),
    "gelu inside": lambda k: k.layers.Conv2D(4, 1, activation="gelu"),
    "rescaling": lambda k: k.layers.Rescaling(0.5, 0.25),
    "dropout": lambda k: k.layers.Dropout(0.5),
    "separable": lambda k: k.layers.SeparableConv2D(4, 3, activation="swish"),
    "transposed": lambda k: k.layers.Conv2DTranspose(4, 3, padding="same"),
    "dense": lambda k: k.layers.Dense(4),
}
TWO = {
    "add": lambda k: k.layers.Add(),
    "subtract": lambda k: k.layers.Subtract(),
    "multiply": lambda k: k.layers.Multiply(),
    "average": lambda k: k.layers.Average(),
    "maximum": lambda k: k.layers.Maximum(),
    "minimum": lambda k: k.layers.Minimum(),
    "concatenate": lambda k: k.layers.Concatenate(),
}
FUNCTIONS = {
    "split and stack": lambda f, y: f.stack(f.split(y, 2, axis=-1), axis=1)[:, 0],
    "split and concatenate": lambda f, y: f.concatenate([f.split(y, 2, axis=-1)[1], y], axis=-1),
    "slice": lambda _, y: y[:, 1:5, ::2],
    "mean": lambda f, y: y * f.mean(y, (1, 2), keepdims=True),
    "sum": lambda f, y: y * f.sum(y, (1, 2), keepdims=True),
    "max and min": lambda f, y: y + f.max(y, (1, 2), keepdims=True) - f.min(y, (1, 2), keepdims=True),
    "absolute": lambda f, y: f.concatenate([f.abs(y), y], axis=-1),
    "gelu": lambda f, y: f.gelu(y, approximate=False),
}


class OfTensorFlow:
    """TensorFlow's functions by the names of Keras 3, as tf_keras takes them."""

    def __getattr__(self, name):
        import tensorflow as tf

        reductions = {name: getattr(tf, f"reduce_{name}") for name in ("mean", "sum", "max", "min")}
        return {**reductions, "concatenate": tf.concat, "gelu": tf.nn.gelu}.get(name) or getattr(tf, name)


def functions(flavour):
    return flavour.keras.ops if flavour.name == "keras" else OfTensorFlow()


def between(flavour, make):
    """A convolution, what is made of it, and a convolution."""
    layers = flavour.keras.layers
    inputs = flavour.keras.Input((10, 10, 3))
    outputs = layers.Conv2D(3, 1)(make(layers.Conv2D(4, 3, name="first")(inputs)))
    return flavour.keras.Model(inputs, outputs)


def judge(model, rng, tmp_path):
    """The trained file has no operation more than the one that is not trained, and is the model."""
    x = rng.normal(size=(16, 10, 10, 3)).astype("float32")
    tuned = quantize_aware(model, x)
    trained = export_tflite(tuned, tmp_path / "trained.tflite")
    plain = export_tflite(model, tmp_path / "plain.tflite", precision="int8", calibration=x, best=False)
    assert all(count <= plain.ops.get(name, 0) for name, count in trained.ops.items())
    assert verify(tuned, tmp_path / "trained.tflite", data=x)


@pytest.mark.sweep
@pytest.mark.parametrize("kind", ONE)
def test_a_layer_of_one_input(keras_flavour, rng, tmp_path, kind):
    judge(between(keras_flavour, ONE[kind](keras_flavour.keras)), rng, tmp_path)


@pytest.mark.sweep
@pytest.mark.parametrize("kind", TWO)
def test_a_layer_of_two_inputs(keras_flavour, rng, tmp_path, kind):
    def both(y):
        return TWO[kind](keras_flavour.keras)([y, keras_flavour.keras.layers.Conv2D(4, 1, activation="relu")(y)])

    judge(between(keras_flavour, both), rng, tmp_path)


@pytest.mark.sweep
@pytest.mark.parametrize("kind", FUNCTIONS)
def test_a_function_of_the_framework(keras_flavour, rng, tmp_path, kind):
    judge(between(keras_flavour, lambda y: FUNCTIONS[kind](functions(keras_flavour), y)), rng, tmp_path)


@pytest.mark.parametrize("name", ["elu", "selu", "softplus"])
def test_what_tflite_computes_in_float_is_refused_by_name(keras_flavour, rng, name):
    model = between(keras_flavour, keras_flavour.keras.layers.Activation(name, name="curve"))
    x = rng.normal(size=(4, 10, 10, 3)).astype("float32")
    with pytest.raises(UnsupportedModelError, match=f"'curve' .Activation, {name}..*keep_float"):
        quantize_aware(model, x)
    assert quantize_aware(model, x, keep_float="curve")


def test_gelu_has_no_16_bits(keras_flavour, rng):
    model = between(keras_flavour, keras_flavour.keras.layers.Activation("gelu", name="curve"))
    x = rng.normal(size=(4, 10, 10, 3)).astype("float32")
    with pytest.raises(UnsupportedModelError, match=r"'curve' .*no GELU or HARD_SWISH of 16 bits.*keep_float"):
        quantize_aware(model, x, precision="int16x8")


def test_a_training_that_diverged_is_refused(keras_flavour, rng, tmp_path):
    model = between(keras_flavour, keras_flavour.keras.layers.ReLU())
    tuned = quantize_aware(model, rng.normal(size=(4, 10, 10, 3)).astype("float32"))
    kernel, *rest = next(layer for layer in tuned.layers if layer.name == "first").get_weights()
    tuned.get_layer("first").set_weights([kernel * float("nan"), *rest])
    with pytest.raises(InvalidModelError, match=r"'first'.*the training diverged.*smaller learning rate"):
        export_tflite(tuned, tmp_path / "m.tflite")
