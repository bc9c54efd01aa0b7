"""Correct pairs of all kinds are equal, and what cannot be compared is refused."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from kerasbn.errors import InvalidArgumentError, ModelFileError, NotComparableError
from kerasbn.flavour import Flavour
from kerasbn_export.folding.fold import fold
from kerasbn_export.tflite.interpreter import BACKENDS
from kerasbn_export.verification import verify


def randomise(model, seed=1):
    """Statistics that are not the initial ones: gammas of both signs and zero, variances over decades."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            n = layer.moving_mean.shape[0]
            layer.gamma.assign(np.append(rng.normal(size=n - 1), 0.0))
            layer.beta.assign(rng.normal(size=n))
            layer.moving_mean.assign(rng.normal(size=n))
            layer.moving_variance.assign(10 ** rng.uniform(-2, 1, size=n))
        elif getattr(layer, "bias", None) is not None:
            layer.bias.assign(rng.normal(size=layer.bias.shape))
    return model


@functools.lru_cache
def two_by_three(name):
    """Two inputs and three outputs; layers with names that Keras gave."""
    keras = Flavour(name).keras
    layers = keras.layers
    image, numbers = layers.Input((12, 12, 3), name="image"), layers.Input((5,), name="numbers")
    x = layers.Conv2D(8, 3)(image)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2D(24, 3, padding="same", activation="relu")(x)
    x = layers.BatchNormalization()(x)
    x = layers.GlobalAveragePooling2D()(layers.Activation("relu6")(layers.DepthwiseConv2D(3)(x)))
    y = layers.BatchNormalization()(layers.Dense(7)(numbers))
    x = layers.Concatenate()([x, y])
    scores = layers.Dense(4, activation="softmax", name="scores")(x)
    plain = layers.Dense(4, name="plain")(x)
    chance = layers.Dense(1, activation="sigmoid", name="chance")(x)
    return randomise(keras.Model([image, numbers], [scores, plain, chance]))


def convert(model, **options):
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    for option, value in options.items():
        setattr(converter, option, value)
    return converter.convert()


@functools.lru_cache
def converted(name, precision):
    """The stock conversion; the stock converter says what it does not know, which is no concern here."""
    model = two_by_three(name)
    rng = np.random.default_rng(0)

    def samples():
        for _ in range(40):
            shapes = {"image": (1, 12, 12, 3), "numbers": (1, 5)}
            yield {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}

    options = {} if precision == "float32" else {"optimizations": [tf.lite.Optimize.DEFAULT]}
    if precision == "float16":
        options["target_spec"] = tf.lite.TargetSpec(supported_types=[tf.float16])
    if precision in ("int8", "int8-io", "int16x8"):
        options["representative_dataset"] = samples
    if precision == "int8-io":
        options |= {"inference_input_type": tf.int8, "inference_output_type": tf.int8}
    if precision == "int16x8":
        operations = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        options["target_spec"] = tf.lite.TargetSpec(supported_ops=[operations])
    return convert(model, **options)


@pytest.fixture
def model(keras_flavour):
    return two_by_three(keras_flavour.name)


@pytest.fixture
def write(tmp_path):
    def written(content, name="m.tflite"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return written


def test_a_model_equals_itself(model):
    report = verify(model, model)
    assert report
    assert (report.exit_code, report.required_tolerance) == (0, 0.0)
    assert [output.title for output in report.outputs] == [
        "scores",
        "scores, before activation",
        "plain",
        "chance",
        "chance, before activation",
    ]


def test_a_fold_equals_its_model(model):
    report = verify(model, fold(model))
    assert report, report.verdict
    assert report.required_tolerance < 1e-6
    assert all(layer.passed for layer in report.per_layer)


@pytest.mark.either_keras
@pytest.mark.sweep
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_stock_conversion_is_equal_on_every_backend(keras_flavour, model, write, backend):
    report = verify(model, write(converted(keras_flavour.name, "float32")), backend=backend)
    assert report, report.verdict
    assert report.required_tolerance < 5e-6
    assert len(report.per_layer) == 10
    assert all(layer.passed for layer in report.per_layer)
    assert report.first_divergence is None
    assert report.coverage == (10, 13)
    merged = {layer.layer: layer.merged for layer in report.per_layer}
    first = next(layer.name for layer in model.layers if "conv2d" in layer.name)
    assert len(merged[first]) == 2, "the tensor of the first convolution holds what its ReLU gave"


@pytest.mark.either_keras
@pytest.mark.sweep
@pytest.mark.filterwarnings("ignore:Statistics for quantized inputs")  # the stock converter, of float inputs
@pytest.mark.filterwarnings(r"ignore:\s*Warning. tf.lite.Interpreter is deprecated")  # it calibrates by name with it
@pytest.mark.parametrize(
    ("precision", "found"),
    [
        ("float16", "float16"),
        ("dynamic", "dynamic"),
        ("int8", "int8"),
        ("int8-io", "int8"),
        ("int16x8", "int16x8"),
    ],
)
def test_every_precision_is_found_and_judged_by_its_gate(keras_flavour, model, write, precision, found):
    report = verify(model, write(converted(keras_flavour.name, precision)), backend="builtin")
    assert report.precision == found
    assert report, report.verdict
    assert report.required_tolerance > 1e-5
    assert all(output.measurement.agreement in (None, 1.0) for output in report.outputs)
    assert not verify(model, write(converted(keras_flavour.name, precision)), tolerance=2e-5)
    if precision == "int8-io":
        assert all(output.steps < 10 for output in report.outputs if output.stage == "output")


def test_two_files_compare(keras_flavour, model, write):
    file = write(converted(keras_flavour.name, "float32"))
    report = verify(file, file)
    assert report
    assert "no float64 form" in report.notes[0]
    assert report.per_layer == ()
    assert verify(file, model)


def test_data_in_every_form(model, tmp_path, rng):
    image, numbers = rng.normal(size=(3, 12, 12, 3)), rng.normal(size=(3, 5))
    np.savez(tmp_path / "data.npz", image=image, numbers=numbers)
    for data in ([image, numbers], {"numbers": numbers, "image": image}, tmp_path / "data.npz"):
        report = verify(model, model, data=data, layers=False)
        assert report
        assert report.outputs[0].measurement.samples == 3
        assert report.seed is None


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (np.zeros((2, 5)), InvalidArgumentError, "Data for 1 input"),
        ({"image": np.zeros((2, 12, 12, 3))}, InvalidArgumentError, "Data are named image"),
        ([np.zeros((2, 5)), np.zeros((2, 5))], InvalidArgumentError, r"\(2, 5\) do not fit the input image"),
        ([np.zeros((2, 12, 12, 3)), np.zeros((3, 5))], InvalidArgumentError, "different numbers of samples"),
        ([np.zeros((0, 12, 12, 3)), np.zeros((0, 5))], NotComparableError, "comparing nothing"),
        ([np.full((2, 12, 12, 3), np.nan), np.zeros((2, 5))], InvalidArgumentError, "hold NaN"),
        ("missing.npy", ModelFileError, "no such file"),
    ],
)
def test_data_that_do_not_fit_are_refused(model, data, error, message):
    with pytest.raises(error, match=message):
        verify(model, model, data=data)


def test_no_samples_is_an_error(model):
    with pytest.raises(NotComparableError, match="comparing nothing"):
        verify(model, model, samples=0)


def test_a_missing_output_is_an_error(model, keras_flavour):
    part = keras_flavour.keras.Model(model.inputs, model.outputs[:2])
    with pytest.raises(NotComparableError, match=r"3 output\(s\).*chance.*has 2"):
        verify(model, part)


def test_shapes_that_do_not_fit_name_both_sides(keras_flavour):
    def dense(units):
        inputs = keras_flavour.keras.Input((4,), name="x")
        return keras_flavour.keras.Model(inputs, keras_flavour.keras.layers.Dense(units, name="y")(inputs))

    with pytest.raises(NotComparableError, match=r"y \(\?, 3\) float32.*y \(\?, 5\) float32"):
        verify(dense(3), dense(5))


def test_outputs_are_matched_by_shape_where_nothing_else_fits(keras_flavour):
    layers = keras_flavour.keras.layers
    x = keras_flavour.keras.Input((4,), name="x")
    a, b = layers.Dense(3, name="a")(x), layers.Dense(5, name="b")(x)
    renamed = [layers.Activation("linear", name=name)(y) for name, y in (("p", b), ("q", a))]
    report = verify(keras_flavour.keras.Model(x, [a, b]), keras_flavour.keras.Model(x, renamed))
    assert report
    assert [(match.reference, match.candidate, match.by) for match in report.matches] == [
        ("a", "q", "shape"),
        ("b", "p", "shape"),
    ]


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras 3 and h5py on numpy 2
@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_files_of_keras_models(model, tmp_path, name):
    model.save(tmp_path / name)
    assert verify(tmp_path / name, model, layers=False)


def test_files_that_are_no_models(model, write, tmp_path):
    with pytest.raises(ModelFileError, match="no such file"):
        verify(model, tmp_path / "nothing.tflite")
    with pytest.raises(ModelFileError, match=r"no \.tflite file"):
        verify(model, write(b"this is not a flatbuffer at all"))
    with pytest.raises(ModelFileError, match=r"m\.tflite: the \.tflite file is damaged"):
        verify(model, write(b"\0\0\0\0TFL3" + bytes(range(200))))
    with pytest.raises(InvalidArgumentError, match="Expected a model of Keras 3 or tf_keras"):
        verify(model, 3)


def test_an_unknown_backend_is_refused(keras_flavour, model, write):
    with pytest.raises(InvalidArgumentError, match="accepted: xnnpack, builtin, reference"):
        verify(model, write(converted(keras_flavour.name, "float32")), backend="cuda")


@pytest.mark.either_keras
@pytest.mark.parametrize("batch", [1, 3])
def test_a_fixed_batch_is_run_in_its_own_size(keras_flavour, write, batch):
    keras = keras_flavour.keras
    x = keras.Input(batch_shape=(batch, 6), name="x")
    y = keras.layers.BatchNormalization(name="bn")(keras.layers.Dense(5, name="dense")(x))
    model = randomise(keras.Model(x, y))
    report = verify(model, write(convert(model)), samples=7)
    assert report, report.verdict
    assert report.outputs[0].measurement.samples == 7
    assert report.samples == 21


def test_ids_are_valid_in_their_embedding(keras_flavour, write):
    keras = keras_flavour.keras
    ids = keras.Input((6,), dtype="int32", name="ids")
    x = keras.layers.Embedding(11, 4, name="table")(ids)
    model = keras.Model(ids, keras.layers.Dense(3, name="dense")(keras.layers.Flatten()(x)))
    assert verify(model, write(convert(model)), samples=40)


def test_dict_outputs_keep_their_keys(keras_flavour):
    keras = keras_flavour.keras
    x = keras.Input((4,), name="x")
    dense = [keras.layers.Dense(3, name=name)(x) for name in ("first", "second")]
    named = keras.Model({"x": x}, {"z": dense[0], "a": dense[1]})
    report = verify(named, keras.Model(x, [dense[0], dense[1]]))
    assert report
    assert {match.by for match in report.matches} == {"name"}


def test_a_subclassed_model(keras_flavour):
    keras = keras_flavour.keras

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(5, name="dense")
            self.bn = keras.layers.BatchNormalization(name="bn")

        def call(self, x):
            return self.bn(self.dense(x))

    net = Net()
    net(np.zeros((2, 4), np.float32))
    report = verify(net, fold(net))
    assert report, report.verdict
    assert [layer.layer for layer in report.per_layer] == ["dense"]


@pytest.mark.parametrize("saved", [False, True])
def test_a_sequential_model_that_was_never_called(keras_flavour, tmp_path, saved):
    keras = keras_flavour.keras
    model = keras.Sequential(
        [keras.layers.Input((6,)), keras.layers.Dense(5, name="dense"), keras.layers.BatchNormalization(name="bn")]
    )
    randomise(model)
    model.save(tmp_path / "sequential.keras")
    assert verify(tmp_path / "sequential.keras" if saved else model, fold(model))
