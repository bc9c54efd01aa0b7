"""For weights in int8 the magnitude of a scale goes backward before anything goes forward."""

from dataclasses import replace

import numpy as np
import pytest
from kerasbn_testing.eager import evaluate
from kerasbn_testing.judging import in_float64, relative_error, run
from kerasbn_testing.statistics import data_for, randomise

from kerasbn.errors import InvalidArgumentError
from kerasbn_export import export_tflite, fold
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.capture import capture
from kerasbn_export.export.scoring import scorer
from kerasbn_export.folding.choices import QUANTIZED, choices
from kerasbn_export.folding.fold import plan


def activated(flavour, *, inside=False, activation="relu", behind=None):
    """A convolution, an activation, a BatchNorm and a convolution."""
    layers = flavour.keras.layers
    image = flavour.keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, activation=activation if inside else None, name="before")(image)
    x = x if inside else layers.Activation(activation)(x)
    x = flavour.batch_normalization(name="bn")(x)
    return flavour.keras.Model(image, (behind or layers.Conv2D)(4, 2, name="behind")(x))


def statistics(model, rng, *, scale=None):
    """Random numbers; with ``scale`` that of the BatchNorm."""
    randomise(model, rng)
    norm = model.get_layer("bn")
    if scale is not None:
        norm.gamma.assign(np.asarray(scale) * np.sqrt(np.asarray(norm.moving_variance) + norm.epsilon))
    return model


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("precision", QUANTIZED)
def test_it_goes_into_the_layer_before_and_the_sign_into_the_one_behind(keras_flavour, rng, inside, precision):
    scale = np.array([2.0, -3.0, 0.25, -1e-3, 40.0, 0.0])
    model = statistics(activated(keras_flavour, inside=inside), rng, scale=scale)
    folded = fold(model, precision=precision)
    (verdict,) = folded.verdicts
    assert (verdict.direction, verdict.into) == ("both", ("before", "behind"))
    assert "magnitude" in verdict.rules
    before, after = (np.asarray(m.get_layer("before").get_weights()[0]) for m in (model, folded.model))
    np.testing.assert_allclose(after, before * np.abs(scale), rtol=1e-5, atol=1e-7)
    before, after = (np.asarray(m.get_layer("behind").get_weights()[0]) for m in (model, folded.model))
    np.testing.assert_array_equal(after, before * np.where(scale < 0, -1, 1)[:, None])
    data = data_for(model, rng)
    assert relative_error(run(folded.model, data), run(model, data)) < 1e-5


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_weights_in_float_go_forward_whole(keras_flavour, rng, precision):
    model = statistics(activated(keras_flavour), rng)
    (verdict,) = fold(model, precision=precision).verdicts
    assert (verdict.direction, verdict.into) == ("forward", ("behind",))


@pytest.mark.parametrize(("activation", "way"), [("relu", "both"), ("tanh", "forward")])
def test_only_what_is_homogeneous_lets_it_pass(keras_flavour, rng, activation, way):
    model = statistics(activated(keras_flavour, activation=activation), rng)
    planned = plan(model, precision="int8")
    assert planned.verdicts[0].direction == way
    data = in_float64(data_for(model, rng))
    exact = evaluate(capture(model), data, "float64")
    assert relative_error(evaluate(planned.graph, data, "float64"), exact) < 1e-12


def test_what_is_left_of_a_batchnorm_is_one_operation(keras_flavour, rng):
    """Before zero padding the shift has no way forward: the magnitude is gone all the same."""

    def padded(*arguments, **options):
        return keras_flavour.keras.layers.Conv2D(*arguments, padding="same", **options)

    model = statistics(activated(keras_flavour, behind=padded), rng, scale=[2.0, 3.0, 0.25, 1e-3, 40.0, 1.5])
    (verdict,) = fold(model, precision="int8").verdicts
    assert verdict.action.value == "lowered"
    assert verdict.ops_after == 1
    assert verdict.into == ("before",)
    data = data_for(model, rng)
    assert relative_error(run(fold(model, precision="int8").model, data), run(model, data)) < 1e-5


def test_a_magnitude_of_one_is_no_magnitude(keras_flavour, rng):
    model = statistics(activated(keras_flavour), rng, scale=[1.0, -1.0, 1.0, 1.0, -1.0, 1.0])
    norm = model.get_layer("bn")
    norm.epsilon = 0.0
    norm.moving_variance.assign(np.ones(6))
    norm.gamma.assign([1.0, -1.0, 1.0, 1.0, -1.0, 1.0])
    (verdict,) = fold(model, precision="int8").verdicts
    assert verdict.direction == "forward"
    assert "magnitude" not in verdict.rules


def uneven(flavour, rng):
    """Three Conv-ReLU-BatchNorm with statistics of their signals, whose channels differ by a factor of ten."""
    layers = flavour.keras.layers
    image = flavour.keras.Input((12, 12, 4))
    data = rng.normal(size=(32, 12, 12, 4)).astype("float32")
    x, signal = image, data
    for _ in range(3):
        conv, norm = layers.Conv2D(12, 1, activation="relu"), flavour.batch_normalization()
        x = norm(conv(x))
        kernel, bias = conv.get_weights()
        conv.set_weights([kernel * 10 ** rng.uniform(-1, 1, 12), bias])
        signal = np.asarray(conv(signal))
        norm.gamma.assign(rng.uniform(0.5, 1.5, 12) * np.where(np.arange(12) % 4 == 1, -1, 1))
        norm.beta.assign(rng.normal(size=12))
        norm.moving_mean.assign(signal.mean((0, 1, 2)))
        norm.moving_variance.assign(signal.var((0, 1, 2)))
        signal = np.asarray(norm(signal, training=False))
    x = layers.Dense(5)(layers.GlobalAveragePooling2D()(layers.Conv2D(8, 1)(x)))
    return flavour.keras.Model(image, x), data


@pytest.mark.either_keras
def test_it_is_worth_decibels_where_channels_are_uneven(keras_flavour, rng, tmp_path, monkeypatch):
    model, data = uneven(keras_flavour, rng)
    score = scorer(model, Calibration((data[16:],), "array"))
    options = {"precision": "int8", "calibration": data[:16]}
    kept = export_tflite(model, tmp_path / "kept.tflite", fold=False, **options)
    ours = export_tflite(model, tmp_path / "ours.tflite", **options)
    forms = [replace(form, magnitudes=False) for form in choices("latency", precision="int8")]
    monkeypatch.setattr("kerasbn_export.folding.fold.choices", lambda *_, **__: forms)
    forward = export_tflite(model, tmp_path / "forward.tflite", best=False, **options)
    assert sum(ours.ops.values()) == sum(forward.ops.values()) < sum(kept.ops.values())
    best, unfolded, worse = (score(result.path.read_bytes()) for result in (ours, kept, forward))
    assert best > unfolded + 3
    assert best > worse + 6


def test_a_precision_that_is_none_is_refused(keras_flavour):
    with pytest.raises(InvalidArgumentError, match="precision='in8' is not known; accepted: float32, float16, dynamic"):
        fold(activated(keras_flavour), precision="in8")
