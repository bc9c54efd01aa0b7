"""Correct files that were called wrong, each by its kind; and what is wrong in such files is still seen."""

import numpy as np
import pytest
from kerasbn_testing.statistics import randomise

from kerasbn.errors import CalibrationError, ConversionError, NotComparableError
from kerasbn_export import export_tflite, verify
from kerasbn_export.verification.appeals.half_weights import _again, _Apart, _by_its_scores
from kerasbn_export.verification.faults.quantized import calibrated_on_too_little
from kerasbn_export.verification.records.gates import GATES
from kerasbn_export.verification.records.measure import measure
from kerasbn_export.verification.records.outputs import OutputComparison, Status

pytestmark = pytest.mark.either_keras

STEPS, IMAGE, STEEP = (6, 4), (8, 8, 3), 16


def attention(flavour):
    layers = flavour.keras.layers
    steps = flavour.keras.Input(STEPS)
    x = flavour.batch_normalization()(layers.Dense(4, activation="relu")(steps))
    x = layers.MultiHeadAttention(2, 3)(x, x)
    return flavour.keras.Model(steps, layers.Dense(5)(layers.Dense(4)(x)))


def einsum(flavour):
    layers = flavour.keras.layers
    steps = flavour.keras.Input(STEPS)
    x = layers.EinsumDense("abc,cd->abd", (None, 5), bias_axes="d")(layers.Dense(4, activation="relu")(steps))
    return flavour.keras.Model(steps, layers.Dense(5)(layers.Dense(4)(x)))


def pooled(flavour, kind):
    """Two poolings into one concatenation: TFLite wants all of it on one grid."""
    layers, pool = flavour.keras.layers, getattr(flavour.keras.layers, f"{kind}Pooling2D")
    image = flavour.keras.Input(IMAGE)
    x = layers.ReLU()(layers.Conv2D(4, 3, name="before")(image))
    x = flavour.batch_normalization(name="clipped")(x)
    x = layers.Concatenate()([pool(size, strides=1, padding="same")(x) for size in (3, 5)])
    return flavour.keras.Model(image, layers.Conv2D(3, 1)(layers.Conv2D(4, 3, activation="relu")(x)))


def exported(model, folder, rng, precision="int8"):
    randomise(model, rng)
    data = rng.uniform(-1, 1, (64, *model.input_shape[1:])).astype("float32")
    options = {"calibration": data, "best": False} if precision == "int8" else {}
    return export_tflite(model, folder / "m.tflite", precision=precision, **options).path, data[:8]


@pytest.mark.sweep
@pytest.mark.parametrize("build", [attention, einsum])
def test_a_bias_that_moves_out_of_a_layer(keras_flavour, rng, tmp_path, build):
    model = build(keras_flavour)
    path, data = exported(model, tmp_path, rng)
    report = verify(model, path, data=data)
    assert report, report.verdict
    for layer in model.layers[-3:]:  # the one that loses its bias, the one that takes it, and the one behind
        held = layer.get_weights()
        layer.set_weights([*held[:-1], np.roll(held[-1], 1) + 0.1])
        assert not verify(model, path, data=data), layer.name
        layer.set_weights(held)


@pytest.mark.sweep
@pytest.mark.parametrize("kind", ["Max", "Average"])
def test_values_that_a_later_operation_clips(keras_flavour, rng, tmp_path, kind):
    model = pooled(keras_flavour, kind)
    path, data = exported(model, tmp_path, rng)
    report = verify(model, path, data=data)
    assert report, report.verdict
    assert any("on the same grid" in note for note in report.notes) is (kind == "Average")
    content, _ = calibrated_on_too_little.apply(path.read_bytes())
    (tmp_path / "wrong.tflite").write_bytes(content)
    assert not verify(model, tmp_path / "wrong.tflite", data=data)


def test_rounding_of_weights_that_a_steep_function_makes_more_of(keras_flavour, rng, tmp_path):
    layers = keras_flavour.keras.layers
    steps = keras_flavour.keras.Input((6,))
    x = layers.Activation("exponential")(layers.Dense(6)(layers.Dense(6, activation="relu")(steps)))
    model = keras_flavour.keras.Model(steps, layers.Dense(3)(x))
    path, data = exported(model, tmp_path, rng, "float16")
    report = verify(model, path, data=STEEP * data)
    assert report, report.verdict
    assert "weights rounded to float16" in report.outputs[0].reason
    model.layers[1].set_weights([1.004 * weight for weight in model.layers[1].get_weights()])
    assert not verify(model, path, data=STEEP * data)


def test_an_activation_of_several_operations_of_which_the_first_is_merged(keras_flavour, rng, tmp_path):
    layers = keras_flavour.keras.layers
    image = keras_flavour.keras.Input(IMAGE)
    x = keras_flavour.batch_normalization()(layers.Conv2D(4, 3, activation="relu")(image))
    x = layers.Activation("hard_sigmoid")(x)
    model = keras_flavour.keras.Model(image, layers.Dense(3)(keras_flavour.batch_normalization()(x)))
    path, data = exported(model, tmp_path, rng)
    for given in (data, None):
        report = verify(model, path, data=given)
        assert report, report.verdict
    normal = model.layers[2]
    gamma, beta, *rest = normal.get_weights()
    normal.set_weights([-gamma, 1 - beta, *rest])
    assert not verify(model, path, data=data)


@pytest.mark.parametrize(
    ("exact", "rounded", "random", "status"),
    [
        (0.009, 0.001, False, Status.EQUAL),
        (0.009, 0.006, False, Status.DIFFERS),
        (0.03, 0.001, False, Status.DIFFERS),
        (0.03, 0.001, True, Status.UNPROVEN),
        (0.03, 0.006, True, Status.DIFFERS),
        (float("nan"), float("nan"), True, Status.DIFFERS),
    ],
)
def test_what_rounding_may_explain(exact, rounded, random, status):
    found = measure(np.array([[1.0, 2.0]]), np.array([[1.0, 2.1]]))
    output = OutputComparison("y", "y", "output", Status.DIFFERS, "far.", GATES["float16"], found)
    assert _again(output, [_Apart(exact, rounded)], random=random).status is status
    assert _again(output, [_Apart(exact, rounded), None], random=random).status is Status.DIFFERS


@pytest.mark.parametrize(
    ("off", "before", "status"),
    [
        (0.5, Status.EQUAL, Status.EQUAL),
        (0.5, Status.UNPROVEN, Status.UNPROVEN),
        (0.5, Status.DIFFERS, Status.DIFFERS),
        (0.51, Status.EQUAL, Status.DIFFERS),
        (float("nan"), Status.EQUAL, Status.DIFFERS),
    ],
)
def test_a_softmax_stands_as_what_goes_into_it(off, before, status):
    def record(stage, found, status):
        numbers = measure(np.zeros((1, 2)), np.array([[0.0, found]]))
        return OutputComparison("y", "y", stage, status, "why.", GATES["float16"], numbers)

    scores = record("before activation", 1.0, before)
    assert _by_its_scores(record("output", off, Status.DIFFERS), scores).status is status
    assert _by_its_scores(record("output", off, Status.DIFFERS), None).status is Status.DIFFERS


@pytest.mark.parametrize("samples", ["random", np.array([["a"] * 3] * 4, object)])
def test_text_is_refused_with_what_to_do(keras_flavour, tmp_path, samples):
    layers = keras_flavour.keras.layers
    words = keras_flavour.keras.Input((3,), dtype="string")
    ids = layers.StringLookup(vocabulary=["a", "b"], output_mode="multi_hot")(words)
    model = keras_flavour.keras.Model(words, layers.Dense(2)(ids))
    with pytest.raises(CalibrationError, match="is text"):
        export_tflite(model, tmp_path / "m.tflite", precision="int8", calibration=samples)
    with pytest.raises(NotComparableError, match="Look the words up before the model"):
        verify(model, model, data=None if isinstance(samples, str) else samples)


def test_a_layer_that_computes_another_shape_than_it_says(keras_flavour, tmp_path):
    class Cropping(keras_flavour.keras.layers.Layer):
        def call(self, x, training=False):
            return x[:, :2] if training is None else x

        def compute_output_shape(self, shape):
            return (shape[0], 2, *shape[2:])

        def compute_output_spec(self, x, **_):
            return keras_flavour.keras.KerasTensor(self.compute_output_shape(x.shape), x.dtype)

    steps = keras_flavour.keras.Input(STEPS)
    model = keras_flavour.keras.Model(steps, keras_flavour.keras.layers.Dense(2)(Cropping()(steps)))
    if keras_flavour.name == "keras":
        with pytest.raises(ConversionError, match="computes another shape than it says"):
            export_tflite(model, tmp_path / "m.tflite")
    else:
        export_tflite(model, tmp_path / "m.tflite")  # tf_keras asks the layer itself
