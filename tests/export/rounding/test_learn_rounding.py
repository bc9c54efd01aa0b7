"""Learned rounding: better on samples kept out, nothing but int8 weights, each by one step at most."""

import numpy as np
import pytest

from kerasbn.errors import CalibrationError, InvalidArgumentError
from kerasbn_export import export_tflite, learn_rounding, verify
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.cli.main import run
from kerasbn_export.export.forms.choose import ROUNDED
from kerasbn_export.export.options import ExportOptions
from kerasbn_export.export.scoring import scorer
from kerasbn_export.rounding import learn, relaxation
from kerasbn_export.rounding.layers import layers_of, stored_weights, write_weights
from kerasbn_export.rounding.relaxation import Problem, learned_weights
from kerasbn_export.rounding.rows import Rows, rows
from kerasbn_export.tflite.flatbuffer import content_of, dtype_name, op_name, parse, serialize

pytestmark = pytest.mark.either_keras

MADE = {}


def separable(flavour, rng):
    """Depthwise and 1x1 convolutions whose channels differ by a hundred, a grouped and a dilated one, and a Dense."""
    layers = flavour.keras.layers
    image = flavour.keras.Input((12, 12, 3), name="image")
    x = layers.ReLU()(flavour.batch_normalization()(layers.Conv2D(8, 3, strides=2, padding="same")(image)))
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(flavour.batch_normalization()(x))
    x = layers.ReLU(6.0)(flavour.batch_normalization()(layers.Conv2D(12, 1, use_bias=False)(x)))
    x = layers.ReLU()(layers.Conv2D(12, 3, groups=2, padding="same")(x))
    x = layers.ReLU()(layers.Conv2D(8, 2, dilation_rate=2)(x))
    model = flavour.keras.Model(image, layers.Dense(5)(layers.GlobalAveragePooling2D()(x)))
    for layer in model.layers:
        if "BatchNormalization" in type(layer).__name__:
            size = int(layer.gamma.shape[0])
            gamma, variance = rng.choice([-1, 1], size) * 10 ** rng.uniform(-1, 1, size), rng.uniform(0.1, 2, size)
            layer.set_weights([gamma, rng.normal(size=size), rng.normal(size=size) * 0.2, variance])
    return model


def pictures(rng, count):
    coarse = rng.normal(size=(count, 4, 4, 3)).repeat(3, 1).repeat(3, 2)
    return (coarse + 0.3 * rng.normal(size=(count, 12, 12, 3))).astype("float32")


@pytest.fixture
def files(keras_flavour, rng, tmp_path):
    """A model, its float and its int8 file, and samples; made once for each Keras."""
    if keras_flavour.name not in MADE:
        MADE[keras_flavour.name] = made(keras_flavour, rng, tmp_path)
    return MADE[keras_flavour.name]


def made(keras_flavour, rng, tmp_path):
    model, data = separable(keras_flavour, rng), pictures(rng, 96)
    exact = export_tflite(model, tmp_path / "float.tflite").path.read_bytes()
    options = {"precision": "int8", "calibration": data[:64], "best": False}
    rounded = export_tflite(model, tmp_path / "int8.tflite", **options).path.read_bytes()
    return model, exact, rounded, Calibration((data[:64],), "array"), Calibration((data[64:],), "array")


def weights_apart(one, other):
    """The steps between the int8 weights of two files; fails where anything else of them differs."""
    first, second = parse(one), parse(other)
    assert len(first.subgraphs[0].operators) == len(second.subgraphs[0].operators)
    kernels = {int(op.inputs[1]) for op in first.subgraphs[0].operators if op_name(first, op) in learn_kinds()}
    found = []
    for index, (a, b) in enumerate(zip(first.subgraphs[0].tensors, second.subgraphs[0].tensors, strict=True)):
        assert (a.name, a.type, list(a.shape)) == (b.name, b.type, list(b.shape))
        scales = [None if t.quantization is None else t.quantization.scale for t in (a, b)]
        np.testing.assert_array_equal(*scales)
        if index in kernels and dtype_name(a) == "int8":
            pair = [np.frombuffer(content_of(m, t), np.int8).astype(int) for m, t in ((first, a), (second, b))]
            found.append(np.abs(pair[0] - pair[1]))
        else:
            assert content_of(first, a) == content_of(second, b)
    return found


def learn_kinds():
    return ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def test_only_int8_weights_change_by_one_step_and_the_file_is_better(files):
    model, exact, rounded, samples, others = files
    found = learn.learned(rounded, exact, samples)
    apart = weights_apart(rounded, found.data)
    assert len(apart) == len(found.layers) == 6
    assert max(int(steps.max()) for steps in apart) == 1
    assert sum(layer.taken for layer in found.layers) >= 2
    assert all(layer.after < layer.before for layer in found.layers if layer.taken)
    changed = [int(steps.sum()) for steps in apart]
    assert sorted(changed) == sorted(layer.changed * layer.taken for layer in found.layers)
    score = scorer(model, others)
    assert score(found.data) > score(rounded) + 0.3


def test_a_row_of_a_layer_gives_what_the_float_file_gives(files):
    """The products are the file's own operations: strides, padding, groups, dilation and depthwise kernels included."""
    _, exact, rounded, samples, _ = files
    model = parse(rounded)
    layers = list(layers_of(model, parse(exact)))
    ends = [(layer.exact_source, layer.exact_output) for layer in layers]
    for parts in rows(layers, exact, ends, samples):
        for layer, part in zip(layers, parts, strict=True):
            given = part.x @ layer.weights + layer.per_group(layer.exact_bias)
            inside = part.y > 0
            assert inside.any()
            capped = np.minimum(given, part.y.max())
            np.testing.assert_allclose(capped[inside], part.y[inside], atol=1e-4 * np.abs(part.y).max())


def test_weights_are_written_where_they_were_read(files):
    _, exact, rounded, _, _ = files
    model = parse(rounded)
    for layer in layers_of(model, parse(exact)):
        write_weights(model, layer, stored_weights(model, layer))
    assert max(int(steps.max()) for steps in weights_apart(rounded, serialize(model))) == 0


def test_a_layer_whose_float_weights_are_not_known_stays(files):
    """Another kernel in the float file, or none of that name: nothing is learned from it."""
    _, exact, rounded, samples, _ = files
    model = parse(exact)
    op = next(op for op in model.subgraphs[0].operators if op_name(model, op) == "DEPTHWISE_CONV_2D")
    buffer = model.buffers[model.subgraphs[0].tensors[int(op.inputs[1])].buffer]
    buffer.data = (np.frombuffer(bytes(buffer.data), np.float32) * np.float32(1.1)).view(np.uint8)
    name = model.subgraphs[0].tensors[int(op.outputs[0])].name.decode()
    last = model.subgraphs[0].operators[-1]
    model.subgraphs[0].tensors[int(last.outputs[0])].name = b"other"
    found = learn.learned(rounded, serialize(model), samples)
    assert len(found.layers) == 4
    assert name not in {layer.layer for layer in found.layers}


def test_rounding_learns_what_correlated_inputs_cancel(rng):
    """Two inputs that are always the same: rounding one up and one down has no error, the nearest has."""
    x = rng.normal(size=(1, 400, 1)).repeat(2, 2).astype(np.float32)
    weights = np.array([[[10.45], [3.35]]])
    problem = Problem(
        Rows(x, (x @ weights).astype(np.float32)), weights, np.ones((1, 1, 1)), np.zeros((1, 1, 1)), -99, 99
    )
    assert problem.nearest().ravel().tolist() == [10, 3]
    found = learned_weights(problem)
    assert found.sum() == 14
    assert np.abs(found - weights).max() < 1
    assert problem.error(found) < problem.error(problem.nearest()) / 10


def test_weights_at_the_ends_and_on_the_grid_stay(rng):
    x = rng.normal(size=(1, 200, 4)).astype(np.float32)
    weights = np.array([[[127.0], [-127.0], [5.0], [0.0]]])
    wanted = (x @ (weights + 1)).astype(np.float32)
    problem = Problem(Rows(x, wanted), weights, np.ones((1, 1, 1)), np.zeros((1, 1, 1)), -999, 999)
    np.testing.assert_array_equal(learned_weights(problem), weights)


def test_learn_rounding_gives_a_file_that_export_writes(keras_flavour, rng, tmp_path):
    model, data = separable(keras_flavour, rng), pictures(rng, 128)
    before = model.get_weights()
    better = learn_rounding(model, data, tmp_path / "own.tflite")
    assert better, str(better)
    assert better.after_db >= better.before_db + 0.1
    assert str(better).startswith("Kept: learned rounding is better in ")
    assert better.to_json()["kept"] is True
    assert all(map(np.array_equal, before, model.get_weights()))
    result = export_tflite(better, tmp_path / "m.tflite", precision="int8", calibration=data)
    assert result.path.read_bytes() == better.data == (tmp_path / "own.tflite").read_bytes()
    assert result.path.name == "m.tflite"
    assert ROUNDED in [trial.form for trial in result.trials if trial.taken]
    assert result.to_json()["rounding"][0]["layer"] == better.layers[0].layer
    assert verify(model, result.path, data=data)
    with pytest.raises(InvalidArgumentError, match="not with precision='float16'"):
        export_tflite(better, tmp_path / "n.tflite", precision="float16")
    assert not (tmp_path / "n.tflite").exists()


def test_broken_learning_is_refused_by_the_samples_kept_out(keras_flavour, rng, monkeypatch):
    """A sign error that the judge of each layer does not see either: the file is the best of the other forms."""
    model, data = separable(keras_flavour, rng), pictures(rng, 64)
    slope = relaxation._error_slope
    monkeypatch.setattr(relaxation, "_error_slope", lambda *given: -slope(*given))
    monkeypatch.setattr(learn, "_learned_layer", unjudged)
    found = learn_rounding(model, data)
    assert any(layer.taken for layer in found.layers)
    assert not found
    assert found.after_db >= found.before_db
    assert str(found).startswith("Not kept: ")
    tried = {trial.form: trial for trial in found.result.trials}
    assert tried[ROUNDED].sqnr_db < found.before_db


def unjudged(name, learning, _, stored):
    better = learn.learned_weights(learning)
    return better, learn.LayerRounding(name, 1.0, 0.0, int(np.sum(better != stored)), taken=True)


def test_an_interruption_leaves_nothing(keras_flavour, rng, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(learn, "learned_weights", interrupted)
    with pytest.raises(KeyboardInterrupt):
        learn_rounding(separable(keras_flavour, rng), pictures(rng, 32), tmp_path / "m.tflite")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"precision": "float32"}, InvalidArgumentError, "'float32' has no int8 weights .* accepted: int16x8, int8"),
        ({"samples": "data-free"}, CalibrationError, "learned from real samples, not from calibration 'data-free'"),
        ({"samples": "random"}, CalibrationError, "learned from real samples, not from calibration 'random'"),
        (
            {"samples": np.zeros((9, 12, 12, 3), "float32") + np.arange(12)[:, None]},
            CalibrationError,
            "least 32; found 9",
        ),
    ],
)
def test_what_cannot_be_learned_is_refused_in_one_sentence(keras_flavour, rng, options, error, words):
    arguments = {"samples": pictures(rng, 8), **options}
    with pytest.raises(error, match=words):
        learn_rounding(separable(keras_flavour, rng), **arguments)


@pytest.mark.parametrize("options", [{}, {"precision": "int8", "calibration": np.zeros(3), "best": False}])
def test_an_export_learns_only_where_it_chooses_among_forms(options):
    with pytest.raises(InvalidArgumentError, match="learn_rounding=True learns the int8 weights"):
        ExportOptions(learn_rounding=True, **options)


def test_the_command_line_asks_for_it(tmp_path, capsys):
    arguments = ["-o", str(tmp_path / "m.tflite"), "--learn-rounding"]
    assert run(["export", "model.keras", *arguments]) == 2
    assert "learn_rounding=True learns the int8 weights" in capsys.readouterr().err
