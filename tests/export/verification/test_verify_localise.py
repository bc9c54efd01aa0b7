"""Which value of the reference a tensor is taken for, where a layer is so wrong that none fits."""

from dataclasses import replace

import numpy as np
import pytest
from kerasbn_testing.statistics import randomise

from kerasbn_export import export_tflite, fold, verify
from kerasbn_export.capture import capture
from kerasbn_export.tflite.file import read_tflite
from kerasbn_export.verification.layers.localise import Localiser
from kerasbn_export.verification.layers.steps import steps
from kerasbn_export.verification.network.network import Network
from kerasbn_export.verification.report import recheck
from kerasbn_models import digits_cnn

pytestmark = pytest.mark.either_keras

WRONG = {3: ("kernel", 0.2), 6: ("bias", 0.2)}
"""By stage: which weight is wrong, and by how much in one of its channels."""


def chain(flavour, rng, *, fused):
    """Twelve times convolution, BatchNorm and ReLU, and the folded model with two errors.

    Args:
        fused: Whether the convolutions of the candidate apply the ReLU themselves.
    """
    layers = flavour.keras.layers
    x = image = flavour.keras.Input((12, 12, 3), name="image")
    for stage in range(12):
        x = layers.Conv2D(4, 3, padding="same", name=f"conv_{stage}")(x)
        x = layers.ReLU(name=f"relu_{stage}")(flavour.batch_normalization(name=f"norm_{stage}")(x))
    model = flavour.keras.Model(image, layers.Dense(30, name="scores")(layers.GlobalAveragePooling2D(name="mean")(x)))
    randomise(model, rng)
    folded = fold(model).model
    for stage, (weight, error) in WRONG.items():
        layer = folded.get_layer(f"conv_{stage}")
        wrong = np.array(getattr(layer, weight))
        wrong[..., 2] += error
        getattr(layer, weight).assign(wrong)
    return model, _fused(flavour, folded) if fused else folded


def _fused(flavour, model):
    layers = flavour.keras.layers
    x = image = flavour.keras.Input((12, 12, 3), name="image")
    for stage in range(12):
        x = layers.Conv2D(4, 3, padding="same", activation="relu", name=f"conv_{stage}")(x)
    x = layers.Dense(30, name="scores")(layers.GlobalAveragePooling2D(name="mean")(x))
    fused = flavour.keras.Model(image, x)
    fused.set_weights(model.get_weights())
    return fused


@pytest.mark.parametrize("fused", [False, True], ids=["relu-apart", "relu-inside"])
def test_a_wrong_kernel_is_not_taken_for_what_the_relu_gives(keras_flavour, rng, fused):
    """What a ReLU lets through can be nearer to a wrong tensor than what the layer itself gives."""
    report = verify(*chain(keras_flavour, rng, fused=fused), samples=2)
    wrong = [layer for layer in report.per_layer if not layer.passed]
    assert [layer.layer for layer in wrong] == ["conv_3", "conv_6"]
    assert [layer.position for layer in wrong] == (["relu_3", "relu_6"] if fused else ["norm_3", "norm_6"])
    assert report.first_divergence.layer == "conv_3"
    assert "1 more layer(s) err on their own account." in report.verdict
    assert "`" not in report.verdict


def test_a_known_mistake_is_named_in_plain_words(keras_flavour, rng):
    model, _ = chain(keras_flavour, rng, fused=False)
    folded = fold(model).model
    statistics = [np.asarray(array, np.float64) for array in model.get_layer("norm_4").get_weights()]
    gamma, beta, mean, variance = statistics
    folded.get_layer("conv_4").bias.assign(beta - mean * gamma / np.sqrt(variance + model.get_layer("norm_4").epsilon))
    report = verify(model, folded, samples=2)
    assert report.first_divergence.layer == "conv_4"
    assert report.verdict.endswith("; as if: The layer's own bias is forgotten: b' = t.")


def test_without_the_names_it_would_be_taken_for_that(keras_flavour, rng, monkeypatch):
    """Where no output differs they are not asked: a fold gives tensors other numbers on purpose."""
    pair = chain(keras_flavour, rng, fused=False)
    monkeypatch.setattr(Localiser, "_contradictions", lambda *_: 0)
    wrong = [layer for layer in verify(*pair, samples=2).per_layer if not layer.passed]
    assert [layer.position for layer in wrong] != ["norm_3", "norm_6"]


def trained(flavour):
    """The network of the demo with statistics as after training: the fold moves a ReLU over a Concatenate."""
    model, rng = digits_cnn(flavour.name), np.random.default_rng(3)
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            size = layer.moving_mean.shape
            gamma, beta, mean = (
                1 + 0.1 * rng.normal(size=size),
                0.1 * rng.normal(size=size),
                0.5 * rng.normal(size=size),
            )
            layer.set_weights([gamma, beta, mean, np.exp(0.5 * rng.normal(size=size))])
        else:
            layer.set_weights([_scaled(rng, array.shape) for array in layer.get_weights()])
    return model


def _scaled(rng, shape):
    return rng.normal(scale=np.prod(shape[:-1]) ** -0.5 if len(shape) > 1 else 0.1, size=shape)


def test_a_tensor_behind_moved_scales_is_taken_for_what_it_holds(keras_flavour, monkeypatch):
    """Without that the layers before it are called wrong, of a fold that is right."""
    model = trained(keras_flavour)
    folded = fold(model).model
    report = verify(model, folded, samples=2, scales=(1.0,))
    assert report, report.verdict
    moved = [layer for layer in report.per_layer if layer.moved]
    assert recheck(report, tolerance=1e-5), "what takes the scales back knows no rounding and is asked all the same"
    assert recheck(report, tolerance=1e-5).first_divergence is None
    lost = replace(report, per_layer=tuple(layer for layer in report.per_layer if layer is not moved[-1]))
    assert recheck(lost, tolerance=1e-5).exit_code == 1
    monkeypatch.setattr(Localiser, "_agreement", lambda *_: None)
    monkeypatch.setattr("kerasbn_export.verification.layers.locate.unexplained", lambda *_: set())
    assert verify(model, folded, samples=2, scales=(1.0,)).exit_code == 1


def test_an_error_before_moved_scales_is_still_seen(keras_flavour):
    model = trained(keras_flavour)
    folded = fold(model).model
    layer = folded.get_layer("branch_wide")
    kernel, bias = layer.get_weights()
    bias[3] += 0.01
    layer.set_weights([kernel, bias])
    assert verify(model, folded, samples=2, scales=(1.0,)).exit_code == 1


def test_a_product_with_what_was_made_of_it_is_one_operation(keras_flavour, tmp_path):
    """TFLite makes a HARD_SWISH of ``x * relu6(x + 3)/6``, which ends in a layer that takes two values."""
    layers = keras_flavour.keras.layers
    image = keras_flavour.keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="before")(image)
    x = layers.Multiply(name="swish")([x, layers.ReLU(6.0, name="gate")(x + 3.0) * (1 / 6)])
    model = keras_flavour.keras.Model(image, layers.Conv2D(3, 3, name="behind")(x))
    export_tflite(model, tmp_path / "m.tflite")
    assert read_tflite(tmp_path / "m.tflite").op_counts["HARD_SWISH"] == 1
    right = verify(model, tmp_path / "m.tflite")
    assert right
    assert [layer.position for layer in right.per_layer if layer.passed] == ["before", "swish", "behind"]
    kernel, bias = model.get_layer("before").get_weights()
    model.get_layer("before").set_weights([1.01 * kernel, bias])
    wrong = verify(model, tmp_path / "m.tflite")
    assert [layer.layer for layer in wrong.per_layer if not layer.passed] == ["before"]


def test_a_layer_of_two_values_is_merged_only_where_it_is_told_of(keras_flavour):
    """A sum behind a convolution is an operation of its own, unless the name of the tensor says otherwise."""
    layers = keras_flavour.keras.layers
    image = keras_flavour.keras.Input((8, 8, 3))
    side = layers.Conv2D(4, 3, name="side")(image)
    joined = layers.Add(name="joined")([layers.Conv2D(4, 3, name="conv")(image), side])
    network = Network(capture(keras_flavour.keras.Model(image, joined)))
    values = network.start([np.ones((1, 8, 8, 3), np.float32)])
    calls = {call.layer.path: call for call in network.computing()}
    for name in ("side", "conv"):
        values.update(network.evaluate(calls[name], values))
    known = {**values}
    del known[calls["side"].output]
    for told, held, last in ((("joined",), values, "joined"), ((), values, "conv"), (("joined",), known, "conv")):
        found = list(steps(network, held, calls["conv"], None, clones=False, bounded=False, told=told))
        assert found[-1].chain[-1].layer.path == last
