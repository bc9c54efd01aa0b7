"""Renewed statistics of a folded int8 file: each channel has the mean and variance that it has in the float file."""

import numpy as np
import pytest

from kerasbn_export import export_tflite, verify
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.export.forms import choose
from kerasbn_export.export.forms.choose import RENEWED
from kerasbn_export.export.scoring import scorer
from kerasbn_export.rounding import renew
from kerasbn_export.rounding.layers import layers_of, scale_of
from kerasbn_export.tflite.flatbuffer import content_of, dtype_name, parse, serialize

pytestmark = pytest.mark.either_keras

FACTOR = 1.06
WIDE = 127 * 2 * (FACTOR - 1)
"""Steps that a weight may be away from the float one where scales were moved."""
MADE = {}


def network(flavour, rng):
    """Convolutions behind which BatchNorms are folded, one depthwise, and a Dense."""
    layers = flavour.keras.layers
    image = flavour.keras.Input((10, 10, 3), name="image")
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, use_bias=False)(image)))
    x = layers.ReLU(6.0)(layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)))
    model = flavour.keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            numbers = [rng.uniform(0.5, 2, 8), rng.normal(size=8), rng.normal(size=8), rng.uniform(0.2, 2, 8)]
            layer.set_weights(numbers)
    model.layers[-1].bias.assign(rng.normal(size=4))  # a bias of zeros is none in the file
    return model


def pictures(rng, count):
    return rng.normal(size=(count, 10, 10, 3)).astype("float32")


@pytest.fixture
def files(keras_flavour, rng, tmp_path):
    """A model, its float and its int8 file, and samples; made once for each Keras."""
    if keras_flavour.name not in MADE:
        model, data = network(keras_flavour, rng), pictures(rng, 96)
        exact = export_tflite(model, tmp_path / "float.tflite").path.read_bytes()
        options = {"precision": "int8", "calibration": data[:64], "best": False}
        rounded = export_tflite(model, tmp_path / "int8.tflite", **options).path.read_bytes()
        samples = (Calibration((data[:64],), "array"), Calibration((data[64:],), "array"))
        MADE[keras_flavour.name] = model, exact, rounded, *samples
    return MADE[keras_flavour.name]


def damaged(content, exact, shift):
    """The file with the scales of each channel up and down by `FACTOR`, and its biases moved by some steps."""
    model = parse(content)
    for layer in layers_of(model, parse(exact)):
        kernel, bias = (model.subgraphs[0].tensors[index] for index in (layer.kernel, layer.bias))
        factors = np.where(np.arange(layer.scale.size) % 2, FACTOR, 1 / FACTOR)
        kernel.quantization.scale = (layer.scale.ravel() * factors).astype(np.float32)
        bias.quantization.scale = kernel.quantization.scale * np.float32(scale_of(model, layer.source)[0])
        buffer = model.buffers[bias.buffer]
        buffer.data = (np.frombuffer(bytes(buffer.data), np.int32) + shift).astype(np.int32).view(np.uint8)
    return serialize(model)


def test_scales_and_biases_that_were_damaged_are_mended(files, monkeypatch):
    """And nothing else changes; the scale of a bias stays that of the input times that of the weights."""
    model, exact, rounded, samples, others = files
    score = scorer(model, others)
    broken = damaged(rounded, exact, shift=200)
    assert score(broken) < score(rounded) - 3
    monkeypatch.setattr(renew, "EITHER", WIDE)  # the damage hides the float weights
    mended = renew.renewed(broken, exact, samples)
    assert mended.layers == 3
    assert score(mended.data) > score(rounded) - 0.5
    before, after = parse(broken), parse(mended.data)
    changed = {index for layer in layers_of(after, parse(exact), WIDE) for index in (layer.kernel, layer.bias)}
    assert len(changed) == 6
    for index, (old, new) in enumerate(zip(before.subgraphs[0].tensors, after.subgraphs[0].tensors, strict=True)):
        if index not in changed or dtype_name(old) == "int8":
            assert content_of(before, old) == content_of(after, new)
        if index not in changed and old.quantization is not None:
            np.testing.assert_array_equal(old.quantization.scale, new.quantization.scale)
    for layer in layers_of(after, parse(exact), WIDE):
        bias = after.subgraphs[0].tensors[layer.bias]
        wanted = layer.scale.ravel() * scale_of(after, layer.source)[0]
        np.testing.assert_allclose(bias.quantization.scale, wanted, rtol=1e-6)


def test_a_file_that_is_right_stays_as_good(files):
    model, exact, rounded, samples, others = files
    score = scorer(model, others)
    assert score(renew.renewed(rounded, exact, samples).data) > score(rounded) - 0.5


def test_renewal_is_tried_and_a_broken_one_refused(keras_flavour, rng, tmp_path, monkeypatch):
    """The ratio the wrong way round makes noise of a file; the samples kept out do not let it through."""
    model, data = network(keras_flavour, rng), pictures(rng, 64)
    options = {"precision": "int8", "calibration": data, "best": True}
    result = export_tflite(model, tmp_path / "m.tflite", **options)
    tried = {trial.form: trial for trial in result.trials}
    assert RENEWED in tried
    assert verify(model, result.path, data=data)

    def broken(content, exact, *_):
        return renew.Renewed(damaged(content, exact, shift=200), 3)

    monkeypatch.setattr(choose, "renewed", broken)
    other = export_tflite(model, tmp_path / "n.tflite", **options)
    refused = other.trials[-1]
    assert (refused.form, refused.taken) == (RENEWED, False)
    assert refused.sqnr_db < tried["as folded"].sqnr_db


def test_a_scale_that_would_move_far_stays():
    """A channel of a constant has no variance, and one whose variance is another has other causes than rounding."""
    running = renew.Running(np.full(4, 100.0), np.zeros(4), np.array([1.0, 0.0, 4.0, 1.1]))
    other = renew.Running(np.full(4, 100.0), np.zeros(4), np.array([1.0, 1.0, 1.0, 1.0]))
    np.testing.assert_allclose(renew._ratio(running, other), [1, 1, 1, np.sqrt(1.1)])
