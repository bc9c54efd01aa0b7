"""The referee: in inference mode, in float32 where the model computes in less, and where rounding grows."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from kerasbn_export import export_tflite, verify
from kerasbn_export.capture import capture
from kerasbn_export.verification.appeals import growth
from kerasbn_export.verification.appeals.case import Case
from kerasbn_export.verification.appeals.growth import GROWTH, allowing_for_growth
from kerasbn_export.verification.network.network import Network
from kerasbn_export.verification.outputs.judge import CHANCE
from kerasbn_export.verification.outputs.outputs import judge_outputs
from kerasbn_export.verification.records.gates import GATES
from kerasbn_export.verification.records.layers import LayerComparison
from kerasbn_export.verification.records.outputs import Status
from kerasbn_export.verification.report import recheck
from kerasbn_export.verification.sides.keras_runner import KerasRunner
from kerasbn_export.verification.sides.ports import Port
from kerasbn_export.verification.sides.sides import Batch, Sides

pytestmark = pytest.mark.either_keras


def augmenting(flavour):
    """Layers that are active unless told otherwise, some of them within others."""
    layers = flavour.keras.layers

    class Shaking(layers.Layer):
        def call(self, x, training=True):
            return x + tf.random.normal(tf.shape(x), dtype=x.dtype) if training else x

        def compute_output_shape(self, shape):
            return shape

    class Secretive(layers.Layer):
        def __init__(self, size, **options):
            super().__init__(**options)
            self.inner = layers.Dense(size, name="inner")

        def call(self, x):
            return self.inner(x)

        def get_config(self):
            return {"name": self.name}

    image = flavour.keras.Input((8, 8, 3), name="image")
    x = layers.RandomRotation(0.2, name="turn")(image)
    x = layers.RandomZoom(0.3, name="zoom")(x)
    x = flavour.keras.Sequential([layers.RandomContrast(0.5), layers.RandomBrightness(0.5, value_range=(0, 1))])(x)
    x = layers.TimeDistributed(Shaking(), name="shake")(Shaking(name="shake_too")(x))
    x = Secretive(4, name="secretive")(layers.Conv2D(4, 3, name="conv")(x))
    return flavour.keras.Model(image, layers.GlobalAveragePooling2D(name="mean")(x))


def test_single_layers_run_in_inference_mode(keras_flavour, rng):
    """Also one that cannot be made again from its configuration, by the layer that is there."""
    model = augmenting(keras_flavour)
    x = rng.uniform(size=(2, 8, 8, 3)).astype("float32")
    graph = capture(model)
    for call in graph:
        call.kwargs.pop("training", None)
    network = Network(graph)
    assert np.allclose(network.run([x])[0], model.predict(x, verbose=0), atol=1e-6)
    assert [layer.path for layer in network.in_float32] == ["secretive"]


def half(flavour, policy, rng):
    """The network of the guide: in half precision, with a softmax in float32."""
    keras, layers = flavour.keras, flavour.keras.layers
    keras.mixed_precision.set_global_policy(policy)
    try:
        x = image = keras.Input((12, 12, 3), name="image")
        for stage in range(2):
            x = layers.Conv2D(8, 3, name=f"conv_{stage}")(x)
            x = layers.ReLU(name=f"relu_{stage}")(flavour.batch_normalization(name=f"norm_{stage}")(x))
        x = layers.Dense(5, name="scores")(layers.GlobalAveragePooling2D(name="mean")(x))
        model = keras.Model(image, layers.Activation("softmax", dtype="float32", name="softmax")(x))
    finally:
        keras.mixed_precision.set_global_policy("float32")
    model.set_weights(
        [
            rng.uniform(0.3, 1, w.shape) * rng.choice([-1, 1], w.shape) ** (w.ndim > 1) / w.shape[0] ** 0.5
            for w in model.get_weights()
        ]
    )
    return model


@pytest.mark.sweep
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_model_in_half_precision_is_the_inaccurate_side(keras_flavour, rng, tmp_path, policy):
    """And a file that errs by less than it does differs all the same."""
    model = half(keras_flavour, policy, rng)
    report = verify(model, export_tflite(model, tmp_path / "model.tflite").path)
    assert report, report.verdict
    errors = [output.referee.reference_error for output in report.outputs if output.referee]
    assert min(errors, default=0.0) > 1e-4
    kernel, bias = model.get_layer("conv_1").get_weights()
    model.get_layer("conv_1").set_weights([kernel * np.float32(1.0002), bias])
    path = export_tflite(model, tmp_path / "wrong.tflite").path
    model.get_layer("conv_1").set_weights([kernel, bias])
    report = verify(model, path, layers=False)
    assert report.exit_code == 1, report.verdict
    assert max(output.referee.candidate_error for output in report.outputs if output.referee) < 3e-4
    assert verify(model, path).first_divergence.layer == "conv_1"


class Known:
    """A side whose outputs are those of float64 and an error for each batch."""

    precision, below_float32, label, graph = "float32", False, "known", None

    def __init__(self, *errors):
        self.errors = errors
        self.inputs, self.outputs = (Port("x", (None, 4), "float32"),), (Port("y", (None, 4), "float32"),)

    def run(self, arrays):
        return [array + self.errors[int(array[0, 0] > 1)] for array in arrays]

    def run_with_scores(self, arrays):
        return self.run(arrays), [None]


RIGHT = LayerComparison("layer", "tensor", "layer", (), 1e-7, 1e-4, 140.0, 0.1, passed=True)


def grown(candidate, layer=RIGHT, reference=None):
    """The judgement where the reference errs by 1e-4 on the first samples and by 2e-5 on the others."""
    rng = np.random.default_rng(0)
    data = [rng.uniform(0.5, 1, (3, 4)), rng.uniform(0.5, 1, (3, 4))]
    data[1][:, 0] = 2.0
    batches = [Batch(scale, 3 * i, 3, lambda *_, i=i: [data[i]]) for i, scale in enumerate((1.0, 10.0))]
    sides, network = Sides(reference or Known(1e-4, 2e-5), candidate, (0,), (0,)), Known(0.0, 0.0)
    outputs = judge_outputs(sides, batches, GATES["float32"], network)
    return outputs, allowing_for_growth(Case(sides, network, batches, [layer]), outputs)


def test_where_every_layer_is_right_the_whole_may_err_by_some_times_what_float32_does():
    before, (after,) = grown(Known(-3e-4, -2e-5))
    assert before[0].status is Status.DIFFERS
    assert after.status is Status.EQUAL
    assert after.reason.startswith("every layer is right by its own inputs; rounding in float32 explains ")
    assert after.referee.explained > after.referee.candidate_error > CHANCE * after.referee.reference_error


@pytest.mark.parametrize("errors", [(-GROWTH * 1.5e-4, 0.0), (-3e-4, -2e-4)], ids=["worse", "worse elsewhere"])
def test_what_is_worse_than_that_differs(errors):
    """On any samples: those on which the two are furthest apart may be explained, and others not."""
    _, (after,) = grown(Known(*errors))
    assert after.status is Status.DIFFERS


def two_layers(flavour, inputs, outputs):
    x = flavour.keras.Input((inputs,))
    dense = flavour.keras.layers.Dense
    return flavour.keras.Model(x, dense(outputs)(dense(8)(x)))


@pytest.mark.parametrize(("most", "status"), [(2e-4, Status.EQUAL), (1e-4, Status.DIFFERS)])
def test_other_roundings_of_the_weights_may_explain_it(keras_flavour, monkeypatch, most, status):
    """The candidate is 5.9e-4 of the largest from float64 at most, the reference 1.5e-4."""
    runner = KerasRunner(two_layers(keras_flavour, 4, 4), "known")
    monkeypatch.setattr(KerasRunner, "run_with_scores", lambda _, arrays: Known(1e-4, 2e-5).run_with_scores(arrays))
    monkeypatch.setattr(KerasRunner, "run", lambda _, arrays: Known(1e-4, 2e-5).run(arrays))
    monkeypatch.setattr(growth, "_rounded_anew", lambda *_: {(0, "output"): 1.5 * most})
    _, (after,) = grown(Known(-GROWTH * 1.4e-4, 0.0), reference=runner)
    assert after.status is status


def test_weights_are_rounded_anew_in_a_copy(keras_flavour, rng):
    model = two_layers(keras_flavour, 6, 3)
    held = [weight.copy() for weight in model.get_weights()]
    data = rng.normal(size=(5, 6)).astype("float32")
    batch = Batch(1.0, 0, 5, lambda *_: [data])
    found = growth._rounded_anew(KerasRunner(model, "model"), batch, Network(capture(model)))
    assert 1e-9 < found[0, "output"] < 1e-6
    for before, after in zip(held, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_where_a_layer_is_wrong_nothing_is_explained():
    _, (after,) = grown(Known(-3e-4, -2e-5), replace(RIGHT, passed=False))
    assert after.status is Status.DIFFERS


def test_a_layer_that_errs_by_three_times_the_gate_is_caught(keras_flavour, rng, tmp_path):
    """However bad the model: its signal was far from 0 and has three digits left."""
    layers = keras_flavour.keras.layers
    image = keras_flavour.keras.Input((8, 8, 3), name="image")
    x = layers.Rescaling(1.0, offset=3000.0, name="away")(layers.Conv2D(6, 3, name="first")(image))
    x = layers.Rescaling(1.0, offset=-3000.0, name="back")(layers.ReLU(name="relu")(x))
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.ReLU(name="relu_too")(layers.Conv2D(5, 3, name="project")(x))
    model = keras_flavour.keras.Model(image, layers.Flatten(name="flat")(x))
    model.set_weights([rng.normal(0, 0.4, array.shape) for array in model.get_weights()])
    path = tmp_path / "model.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    report = verify(model, path, backend="reference")
    assert report, report.verdict
    assert recheck(report), "a report that was read again says the same"
    right = model.get_layer("project").get_weights()
    model.get_layer("project").set_weights([right[0] * np.float32(1 + 6e-5), right[1]])
    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    model.get_layer("project").set_weights(right)
    report = verify(model, path, backend="reference")
    assert report.exit_code == 1
    assert report.first_divergence.layer == "project", report.verdict
