"""YOLO11: published counts, ultralytics' names and shapes, folding, both Kerases, and the heads."""

import functools
import hashlib

import numpy as np
import pytest
from kerasbn_testing.statistics import randomise

from kerasbn.errors import InvalidArgumentError, ModelFileError
from kerasbn.flavour import KERAS, TF_KERAS
from kerasbn_export import fold
from kerasbn_models.yolo11 import (
    anchor_points,
    decode,
    load_ultralytics,
    size_of,
    ultralytics_shapes,
    with_head,
    yolo11,
)

# Parameters, BatchNorms and, of ultralytics 8.4.190's state_dict, the entries and the SHA-256 of the sorted lines
# "name shape" without num_batches_tracked.
SIZES = {
    "n": (2_624_080, 81, 499, "f70b16db56dabadb1b4ee9b3275bce66ad6275b080e6b78063554c9f894016b4"),
    "s": (9_458_752, 81, 499, "a59c6d6d4add2f1852d25aa30dac8e3f55dcb696aa705ab8db14820196e50176"),
    "m": (20_114_688, 106, 649, "983054fef8acf1d172ddbfa6fe8764c16b1d4652c3e40fbebb15326157b941e7"),
    "l": (25_372_160, 167, 1015, "5fbf718c5bfe08299a7abf8de1e23c1b24e765bb49dccb5ee0d61958af933259"),
    "x": (56_966_176, 167, 1015, "788ae1ac854ca789278eaa8558906b6076e3e8c8e1e86d28498016a3d5aa5c0b"),
}


NOT_SMALLEST = [pytest.param(size, marks=pytest.mark.sweep) for size in SIZES if size != "n"]


def numbers(model, image):
    """What a detector gives for images."""
    outputs = model(image, training=False)
    return {k: v.numpy() for k, v in outputs.items()} if isinstance(outputs, dict) else outputs.numpy()


def norms(model):
    return [layer for layer in model.layers if type(layer).__name__ == "BatchNormalization"]


def small(flavour, **options):
    return yolo11("n", 3, (64, 96), flavour=flavour.name, **options)


def state_dict_of(model):
    """What ultralytics would have saved for this model, written without its loader's code."""
    state = {}
    for layer in model.layers:
        kind, values = type(layer).__name__, layer.get_weights()
        if kind == "BatchNormalization":
            parts = ("weight", "bias", "running_mean", "running_var")
            state.update({f"{layer.name}.{part}": value for part, value in zip(parts, values, strict=True)})
            state[f"{layer.name}.num_batches_tracked"] = np.array(7)
        elif values:
            kernel = np.einsum("hwcm->cmhw" if kind == "DepthwiseConv2D" else "hwio->oihw", values[0])
            state[f"{layer.name}.weight"] = kernel
            state.update({f"{layer.name}.bias": value for value in values[1:]})
    return state


@pytest.mark.parametrize("size", ["n", *NOT_SMALLEST])
def test_counts_names_and_shapes_are_those_of_ultralytics(size):
    parameters, count, entries, digest = SIZES[size]
    model = yolo11(size)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) + 16 == parameters
    assert f"{parameters:,}" in yolo11.__doc__
    assert len(norms(model)) == count
    shapes = dict(ultralytics_shapes(model))
    assert len(shapes) + count == entries  # one num_batches_tracked for each BatchNorm
    lines = sorted(f"{name} {shape}" for name, shape in shapes.items())
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == digest
    assert {norm.epsilon for norm in norms(model)} == {1e-3}
    assert {norm.momentum for norm in norms(model)} == {0.97}
    state = {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}
    assert size_of(state) == size


def test_depthwise_convolutions_are_depthwise_layers():
    layers = untouched().layers
    assert [type(layer).__name__ for layer in layers].count("DepthwiseConv2D") == 7
    assert all(getattr(layer, "groups", 1) == 1 for layer in layers)


def test_both_kerases_give_the_same_numbers(rng):
    ours, other = small(KERAS), small(TF_KERAS)
    randomise(ours, rng)
    load_ultralytics(other, state_dict_of(ours))
    load_ultralytics(ours, state_dict_of(ours))  # the bins of the distances, which random numbers have replaced
    image = rng.random((2, 64, 96, 3)).astype("float32")
    first, second = numbers(ours, image), numbers(other, image)
    assert first["boxes"].shape == (2, 126, 4)
    assert first["scores"].shape == (2, 126, 3)
    for name in ("boxes", "scores"):
        assert np.ptp(first[name]) > 0
        np.testing.assert_allclose(second[name], first[name], rtol=0, atol=1e-5 * np.abs(first[name]).max())


@pytest.mark.either_keras
def test_folding_leaves_none_and_a_saved_detector_loads(keras_flavour, rng, tmp_path):
    model = small(keras_flavour)
    randomise(model, rng)
    folded = fold(model)
    assert len(folded.verdicts) == 81
    assert not norms(folded.model)
    assert all(verdict.reason is None for verdict in folded.verdicts)
    image = rng.random((2, 64, 96, 3)).astype("float32")
    before, after = numbers(model, image), numbers(folded.model, image)
    for name, expected in before.items():
        np.testing.assert_allclose(after[name], expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    model.save(tmp_path / "yolo.keras")
    loaded = keras_flavour.keras.models.load_model(tmp_path / "yolo.keras")
    for mine, theirs in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.sweep
@pytest.mark.parametrize("size", ["m", "x"])
def test_folding_leaves_none_at_any_size(size):
    assert all(verdict.reason is None for verdict in fold(yolo11(size, input_size=64)).verdicts)


@pytest.mark.either_keras
def test_heads_share_their_network(keras_flavour, rng):
    raw = small(keras_flavour, head="raw")
    assert raw.output_shape == (None, 126, 67)
    boxes, distances = with_head(raw, "boxes"), with_head(raw, "distances")
    image = rng.random((1, 64, 96, 3)).astype("float32")
    found, reach = numbers(boxes, image), numbers(distances, image)
    np.testing.assert_allclose(decode(reach["distances"], (64, 96)), found["boxes"], atol=1e-4)
    np.testing.assert_array_equal(found["scores"], reach["scores"])
    raw.get_layer("model.0.conv").set_weights([0 * raw.get_layer("model.0.conv").get_weights()[0]])
    assert np.any(numbers(boxes, image)["boxes"] != found["boxes"])


def test_boxes_are_the_expected_distances_from_the_anchors(rng):
    model = with_head(small(KERAS), "boxes")
    raw = with_head(model, "raw")
    randomise(raw, rng)
    image = rng.random((1, 64, 96, 3)).astype("float32")
    logits = numbers(raw, image)[..., :64].reshape(126, 4, 16).astype("float64")
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    left, top, right, bottom = (shares / shares.sum(-1, keepdims=True) @ np.arange(16)).T
    x, y = np.concatenate([[(c + 0.5) * s, (r + 0.5) * s] for s, r, c in pixels()]).reshape(-1, 2).T
    stride = np.array([s for s, _, _ in pixels()])
    expected = np.stack([x - left * stride, y - top * stride, x + right * stride, y + bottom * stride], -1)
    np.testing.assert_allclose(model.predict(image, verbose=0)["boxes"][0], expected, atol=1e-3)
    points, strides = anchor_points((64, 96))
    np.testing.assert_array_equal(points, np.stack([x, y], -1))
    np.testing.assert_array_equal(strides[:, 0], stride)


def pixels():
    return [(s, row, column) for s in (8, 16, 32) for row in range(64 // s) for column in range(96 // s)]


@functools.cache
def untouched():
    """A detector for what must not load: no test changes it."""
    return small(KERAS)


@functools.cache
def random_state():
    model = small(KERAS)
    randomise(model, np.random.default_rng(20261122))
    return state_dict_of(model)


class TestLoading:
    @pytest.fixture
    def state(self):
        return dict(random_state())

    def test_an_npz_file(self, state, tmp_path):
        np.savez(tmp_path / "y.npz", sppf_activation=True, **state)
        model = small(KERAS)
        load_ultralytics(model, tmp_path / "y.npz")
        for name, value in state_dict_of(model).items():
            np.testing.assert_array_equal(value, state[name])

    def test_a_training_head_needs_no_distance_bins(self, state):
        model = small(KERAS, head="raw")
        load_ultralytics(model, state)
        assert "model.23.dfl.conv.weight" in state
        np.testing.assert_array_equal(
            model.get_layer("model.23.cv2.0.2").get_weights()[1], state["model.23.cv2.0.2.bias"]
        )

    @pytest.mark.parametrize("change", ["missing", "foreign", "shape"])
    def test_what_does_not_fit_is_refused_and_nothing_changes(self, state, change):
        if change == "missing":
            del state["model.22.m.0.cv1.bn.running_var"]
        elif change == "foreign":
            state["model.24.conv.weight"] = np.zeros((1, 1, 1, 1))
        else:
            state["model.23.cv3.0.2.weight"] = np.zeros((5, 64, 1, 1))
        model = untouched()
        before = model.get_weights()
        message = {"missing": "running_var", "foreign": r"model\.24", "shape": r"needs \(3, 64, 1, 1\)"}[change]
        with pytest.raises(InvalidArgumentError, match=message):
            load_ultralytics(model, state)
        for old, new in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)

    def test_the_activation_of_block_9_must_agree(self, state):
        for built, model in ((True, untouched()), (False, small(KERAS, sppf_activation=False))):
            with pytest.raises(InvalidArgumentError, match=f"sppf_activation={not built}"):
                load_ultralytics(model, {"sppf_activation": not built, **state})

    def test_another_norm_is_refused(self, state):
        model = small(KERAS, norm=KERAS.keras.layers.LayerNormalization)
        with pytest.raises(InvalidArgumentError, match="LayerNormalization, which ultralytics' YOLO11 has not"):
            load_ultralytics(model, state)

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"\x80\x04N."])
    def test_a_file_that_is_no_npz(self, tmp_path, content):
        (tmp_path / "y.pt").write_bytes(content)
        with pytest.raises(ModelFileError, match="without running code"):
            load_ultralytics(untouched(), tmp_path / "y.pt")
        with pytest.raises(ModelFileError):
            load_ultralytics(untouched(), tmp_path / "absent.npz")

    def test_a_state_dict_of_no_size(self):
        with pytest.raises(InvalidArgumentError, match="no YOLO11 detector"):
            size_of({"model.0.conv.weight": np.zeros((7, 3, 3, 3))})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": "tiny"}, "size='tiny' is not known; accepted: n, s, m, l, x"),
        ({"input_size": 100}, "input_size=100 does not fit"),
        ({"head": "nms"}, "head='nms' is not known; accepted: boxes, distances, raw"),
        ({"flavour": "torch"}, "'torch' is not known"),
    ],
)
def test_unknown_choices_are_named(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        yolo11(**options)


@pytest.mark.parametrize("size", SIZES)
def test_ultralytics_gives_the_same_numbers(size):
    torch = pytest.importorskip("torch", reason="ultralytics' own network needs torch")
    tasks = pytest.importorskip("ultralytics.nn.tasks", reason="ultralytics is not installed")
    network = tasks.DetectionModel(f"yolo11{size}.yaml", ch=3, nc=80, verbose=False).eval()
    for norm in (module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        for values, numbers in ((norm.weight, torch.randn), (norm.bias, torch.randn), (norm.running_mean, torch.randn)):
            values.data = numbers(values.shape)
        norm.running_var.data = 10 ** (torch.rand(norm.bias.shape) * 2 - 1)
    image = torch.rand(1, 3, 128, 96)
    with torch.no_grad():
        expected = network(image)[0].numpy().transpose(0, 2, 1)
    model = yolo11(size, input_size=(128, 96))
    load_ultralytics(model, network.state_dict())
    found = numbers(model, image.numpy().transpose(0, 2, 3, 1))
    centre, extent = expected[..., :2], expected[..., 2:4]
    boxes = np.concatenate([centre - extent / 2, centre + extent / 2], -1)
    np.testing.assert_allclose(found["boxes"], boxes, rtol=0, atol=1e-5 * np.abs(boxes).max())
    np.testing.assert_allclose(found["scores"], expected[..., 4:], rtol=0, atol=1e-4 * expected[..., 4:].max())
