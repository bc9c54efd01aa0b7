"""One scale for a whole weight: the file has it, every form of it computes the model, and a broken one is refused."""

import numpy as np
import pytest

from kerasbn.errors import ConversionError, InvalidArgumentError
from kerasbn_export import verify
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.conversion.convert import convert
from kerasbn_export.conversion.options import ConversionOptions
from kerasbn_export.export.forms.bounds import BOUND, ROOM, bounds_of
from kerasbn_export.export.forms.clipped_weights import best_scale, clipped_weights
from kerasbn_export.export.forms.equalize import equalized
from kerasbn_export.export.options import ExportOptions
from kerasbn_export.export.scoring import scorer
from kerasbn_export.export.tflite import export_tflite
from kerasbn_export.tflite.file import read_tflite
from kerasbn_export.verification.layers.moved import _taken

pytestmark = pytest.mark.either_keras

SHAPE = (12, 12, 3)


def network(flavour, rng, *, bounded=True, spread=2.0):
    """Convolutions with channels of unlike ranges, as folding leaves them."""
    layers = flavour.keras.layers
    image = flavour.keras.Input(SHAPE, name="image")
    relu = (lambda: layers.ReLU(6.0)) if bounded else layers.ReLU
    x = relu()(flavour.batch_normalization(name="norm_1")(layers.Conv2D(8, 3, name="conv")(image)))
    x = relu()(flavour.batch_normalization(name="norm_2")(layers.DepthwiseConv2D(3, name="depthwise")(x)))
    x = layers.Conv2D(8, 1, name="last")(x)
    model = flavour.keras.Model(image, layers.Dense(5, name="scores")(layers.GlobalAveragePooling2D()(x)))
    for name in ("norm_1", "norm_2"):
        gamma, beta = rng.uniform(0.5, 1.5, 8), rng.normal(0, 0.3, 8)
        model.get_layer(name).set_weights([gamma, beta, rng.normal(0, 0.1, 8), 10 ** rng.uniform(-spread, spread, 8)])
    return model


@pytest.fixture
def data(rng):
    return rng.uniform(-1, 1, (40, *SHAPE)).astype("float32")


def scales(path):
    return [tensor.scales for op in read_tflite(path).ops for tensor in op.inputs if tensor.constant and tensor.scales]


@pytest.mark.parametrize("precision", ["int8", "dynamic"])
def test_every_weight_has_one_scale_where_that_was_asked_for(precision, keras_flavour, rng, data, tmp_path):
    samples = {"calibration": data} if precision == "int8" else {}
    for weights, most in (("per-tensor", 1), ("per-channel", 8)):
        path = tmp_path / f"{weights}.tflite"
        wide = network(keras_flavour, rng) if precision == "int8" else wide_dense(keras_flavour)
        export_tflite(wide, path, precision=precision, weights=weights, best=False, **samples)
        assert max(scales(path)) == most


def wide_dense(flavour):
    """The converter leaves smaller kernels in float."""
    layers = flavour.keras.layers
    image = flavour.keras.Input((200,))
    return flavour.keras.Model(image, layers.Dense(8, name="scores")(image))


def test_a_device_that_takes_one_scale_gets_one(keras_flavour, rng, data, tmp_path):
    result = export_tflite(
        network(keras_flavour, rng), tmp_path / "m.tflite", device="npu-per-tensor", calibration=data
    )
    assert max(scales(tmp_path / "m.tflite")) == 1
    assert result.device.findings == ()
    assert {trial.form for trial in result.trials} >= {"as folded", "bias corrected", "equalized, bias corrected"}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"weights": "per-layer", "precision": "int8"}, "weights='per-layer' is not known; accepted: per-channel"),
        ({"weights": "per-tensor", "precision": "float32"}, "does not go with precision 'float32'; accepted: int8"),
        ({"weights": "per-tensor", "precision": "int16x8"}, "does not go with precision 'int16x8'"),
        ({"weights": "per-channel", "device": "stm32mp2"}, "takes one scale for a weight, and weights='per-channel'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(asked, message):
    calibration = {} if asked.get("precision") == "float32" else {"calibration": "random"}
    with pytest.raises(InvalidArgumentError, match=message):
        ExportOptions(**asked, **calibration)


def test_the_converter_fails_on_depthwise_layers_with_one_scale_in_int16x8(keras_flavour, data):
    """Why it is refused; where this passes one day, `ONE_SCALE` may have it."""
    import tensorflow as tf

    layers = keras_flavour.keras.layers
    image = keras_flavour.keras.Input(SHAPE)
    converter = tf.lite.TFLiteConverter.from_keras_model(
        keras_flavour.keras.Model(image, layers.DepthwiseConv2D(3)(image))
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8]
    converter.representative_dataset = lambda: ([row[None]] for row in data[:4])
    converter._experimental_disable_per_channel = True
    with pytest.raises(RuntimeError, match="Quantized dimension for tensor property"):
        converter.convert()


def test_a_weight_with_several_scales_breaks_the_contract(keras_flavour, rng, data, monkeypatch, tmp_path):
    from kerasbn_export.conversion import tensorflow

    monkeypatch.setattr(tensorflow, "PER_TENSOR", "nothing")  # the flag is never set
    with pytest.raises(ConversionError, match="of Conv2D 'last' has a weight with several scales, asked for was one"):
        export_tflite(
            network(keras_flavour, rng),
            tmp_path / "m.tflite",
            precision="int8",
            weights="per-tensor",
            best=False,
            calibration=data,
        )


def test_the_forms_bring_it_near_a_scale_for_each_channel(keras_flavour, rng, data, tmp_path):
    """On a network that one scale ruins, judged on data that nothing was measured on."""
    model, path = network(keras_flavour, rng, bounded=False), tmp_path / "m.tflite"
    score = scorer(model, Calibration((rng.uniform(-1, 1, (40, *SHAPE)).astype("float32"),), "array"))
    reached = {}
    for name, options in {
        "channel": {},
        "plain": {"weights": "per-tensor", "best": False},
        "ours": {"weights": "per-tensor"},
    }.items():
        export_tflite(model, path, precision="int8", calibration=data, **options)
        reached[name] = score(path.read_bytes())
    assert reached["plain"] < reached["channel"] - 1
    assert reached["ours"] > reached["channel"] - 1
    report = verify(model, path, data=data[:8])
    assert report
    assert any("layers not compared" in note for note in report.notes)


def test_scales_pass_a_relu6_and_the_model_computes_the_same(keras_flavour, rng, data):
    from kerasbn_export.folding.fold import fold

    folded = fold(network(keras_flavour, rng)).model
    assert equalized(folded).layers == ("last",)  # without samples no scale passes a bound
    done = equalized(folded, Calibration((data,), "array"))
    assert len(done.layers) >= 2
    wanted, found = (np.asarray(model(data[:32], training=False)) for model in (folded, done.model))
    assert np.abs(wanted - found).max() <= 1e-4 * np.abs(wanted).max()
    before, after = (channel_ranges(model) for model in (folded, done.model))
    assert after < before / 1.5


def channel_ranges(model):
    """How unlike the channels of the depthwise kernel are."""
    (layer,) = (layer for layer in model.layers if layer.name == "depthwise")
    kernel = np.abs(np.asarray(layer.get_weights()[0])).max(axis=(0, 1)).ravel()
    return kernel.max() / np.maximum(kernel, 1e-6).min()


def test_a_channel_that_reaches_the_bound_stays_as_it_is(keras_flavour, rng, data):
    from kerasbn_export.capture import capture

    graph = capture(network(keras_flavour, rng, spread=0.1))
    bounds = bounds_of(graph, network(keras_flavour, rng, spread=0.1), Calibration((100 * data,), "array"))
    call = next(iter(bounds.peaks))
    reached, full = bounds.least(call)
    assert bounds.peaks[call].max() == BOUND
    assert np.array_equal(full, ROOM * bounds.peaks[call] >= BOUND)
    bounds.divide(call, np.full(8, 2.0))
    assert np.allclose(bounds.least(call)[0], reached / 2)


def test_the_best_scale_of_a_weight_leaves_an_outlier_out():
    rng = np.random.default_rng(0)
    even = rng.uniform(-1, 1, 1000)
    assert best_scale(even) == pytest.approx(np.abs(even).max() / 127, rel=0.03)
    wide = np.append(rng.normal(0, 1, 100_000), 9.0)
    assert best_scale(wide) < 0.8 * 9 / 127


def test_clipping_changes_weights_and_biases_and_nothing_else(keras_flavour, rng, data):
    layers = keras_flavour.keras.layers
    image = keras_flavour.keras.Input(SHAPE)
    model = keras_flavour.keras.Model(image, layers.Conv2D(512, 3, name="wide")(image))
    kernel = rng.normal(size=(3, 3, 3, 512))
    kernel[0, 0, 0, 0] = 8  # what one scale would be coarse by
    model.get_layer("wide").set_weights([kernel, rng.normal(size=512)])
    samples = Calibration((data,), "array")
    quantized = convert(model, ConversionOptions("int8", weights="per-tensor"), calibration=samples)
    exact = convert(model)
    done = clipped_weights(quantized, exact)
    assert done.ops >= 1
    assert read_tflite(done.data).op_counts == read_tflite(quantized).op_counts
    score = scorer(model, samples)
    assert score(done.data) > score(quantized)
    assert clipped_weights(quantized, quantized).ops == 0  # its weights are no float weights


@pytest.mark.parametrize(
    ("forms", "said"),
    [
        (["as folded", "equalized", "bias corrected"], {"as folded", "equalized", "bias corrected"}),
        (["as folded", "clipped", "equalized, bias corrected"], {"equalized", "bias corrected"}),
        ([], set()),
    ],
)
def test_what_was_done_to_a_file_is_read_off_its_trials(forms, said):
    assert _taken([{"form": form, "taken": True} for form in forms] + [{"form": "in place", "taken": False}]) == said
