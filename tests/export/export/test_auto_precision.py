"""As few layers as reach a target are lifted out of int8: found by measuring, and never more than needed."""

import json
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest

from kerasbn.errors import InvalidArgumentError, MetricError
from kerasbn_export import export_tflite, verify
from kerasbn_export.cli.main import run
from kerasbn_export.export import lifting
from kerasbn_export.export.lifting import Target, lift_layers
from kerasbn_export.export.scoring import scorer
from kerasbn_export.tflite.file import read_tflite

pytestmark = pytest.mark.either_keras


def network(flavour, coarse=()):
    """Four convolutions and a Dense; the channels of `coarse` ones span three decades, and the next layer undoes it."""
    layers, rng = flavour.keras.layers, np.random.default_rng(3)
    x = image = flavour.keras.Input((8, 8, 3), name="image")
    for name in ("a", "b", "c", "d"):
        x = layers.Conv2D(8, 3, padding="same", activation="relu", name=name)(x)
    x = layers.Flatten(name="flat")(layers.MaxPooling2D(2, name="pool")(x))
    model = flavour.keras.Model(image, layers.Dense(5, name="scores")(x))
    for layer in model.layers:
        layer.set_weights([rng.normal(0, 0.2, weight.shape) for weight in layer.get_weights()])
    for name, after in zip("abc", "bcd", strict=True):
        if name in coarse:
            (kernel, bias), (later, shift) = (model.get_layer(each).get_weights() for each in (name, after))
            scales = np.geomspace(0.1, 10, 8)
            model.get_layer(name).set_weights([kernel * scales, bias * scales])
            model.get_layer(after).set_weights([later / scales[:, None], shift])
    return model


@pytest.fixture
def data(rng):
    return rng.normal(size=(32, 8, 8, 3)).astype("float32")


def exported(model, data, tmp_path, **options):
    options = {"precision": "int8", "calibration": data, "io_dtype": "float32", **options}
    return export_tflite(model, tmp_path / "m.tflite", **options)


def test_the_layers_that_ruin_a_file_are_lifted_and_no_others(keras_flavour, data, tmp_path):
    """The wide channels of b are rounded where b gives them: one layer of those beside it has to compute in float."""
    model = network(keras_flavour, coarse=("b",))
    plain = exported(model, data, tmp_path, auto_precision=0.0)
    assert plain.lifted.layers == plain.kept_float == ()
    reached = plain.lifted.curve[0].quality
    result = exported(model, data, tmp_path, auto_precision=reached + 4)
    found = result.lifted
    assert 0 < len(found.layers) < found.candidates == 5
    assert set(found.layers) & {"b", "c"}
    assert scorer(model, _calibration(data[3::4]))((tmp_path / "m.tflite").read_bytes()) >= reached + 4
    assert verify(model, tmp_path / "m.tflite", data=data)
    assert any(op.name == "CONV_2D" for op in read_tflite(tmp_path / "m.tflite").float_ops)
    assert f"auto_precision: {len(found.layers)} of 5 layers in float give " in "\n".join(result.summary())


def _calibration(rows):
    from kerasbn_export.calibration.samples import Calibration

    return Calibration((rows,), "array")


def test_to_16_bits(keras_flavour, data, tmp_path):
    model = network(keras_flavour, coarse=("b",))
    low = exported(model, data, tmp_path, auto_precision=0.0).lifted.curve[0].quality
    result = exported(model, data, tmp_path, auto_precision=low + 2, lift="int16")
    assert result.lifted.to == "int16"
    assert result.kept_int16
    assert not result.kept_float
    assert any(op.long and op.name == "CONV_2D" for op in read_tflite(tmp_path / "m.tflite").ops)
    assert verify(model, tmp_path / "m.tflite", data=data)


def test_what_only_moves_numbers_goes_with_its_neighbours(keras_flavour, data, tmp_path):
    """All in float but the inputs: there is no QUANTIZE between the layers."""
    model = network(keras_flavour)
    with pytest.raises(MetricError, match=r"are not reached; all 5 layers that can be in float give") as error:
        exported(model, data, tmp_path, auto_precision=1000)
    high = float(str(error.value).split("in float give ")[1].split(". ")[0]) - 0.2
    exported(model, data, tmp_path, auto_precision=high)
    counts = read_tflite(tmp_path / "m.tflite").op_counts
    assert max(counts.get(name, 0) for name in ("QUANTIZE", "DEQUANTIZE")) <= 1, counts


def test_the_metric_of_the_user_is_the_target(keras_flavour, data, tmp_path):
    model = network(keras_flavour, coarse=("a", "b", "c"))
    judged = {"metric": "mae", "validation": (data, model.predict(data, verbose=0))}
    plain = exported(model, data, tmp_path, **judged, max_drop=1e9, best=False)
    drop = plain.metric.drop
    result = exported(model, data, tmp_path, **judged, max_drop=drop / 2, auto_precision="metric")
    assert result.lifted.layers
    assert result.metric.drop <= drop / 2


def test_a_layer_without_16_bits_is_not_lifted(keras_flavour, data, tmp_path):
    """TFLite has no SELU of 16 bits; the others are lifted all the same."""
    layers = keras_flavour.keras.layers
    given = network(keras_flavour, coarse=("b",))
    bent = layers.Activation("selu", name="bent")(given.get_layer("a").output)
    model = keras_flavour.keras.Model(given.input, layers.Dense(3, name="last")(layers.Flatten(name="flat2")(bent)))
    plain = exported(model, data, tmp_path, auto_precision=0.0)
    assert "bent" not in plain.lifted.layers
    reached = plain.lifted.curve[0].quality
    result = exported(model, data, tmp_path, auto_precision=reached + 0.1, lift="int16")
    assert len(result.lifted.layers) > 0
    assert result.lifted.candidates == plain.lifted.candidates - 1
    assert verify(model, tmp_path / "m.tflite", data=data)


def test_what_contradicts_is_refused(keras_flavour, data, tmp_path):
    model = network(keras_flavour)
    with pytest.raises(InvalidArgumentError, match="auto_precision='high' is no target"):
        exported(model, data, tmp_path, auto_precision="high")
    with pytest.raises(InvalidArgumentError, match="needs metric, validation and max_drop"):
        exported(model, data, tmp_path, auto_precision="metric")
    with pytest.raises(InvalidArgumentError, match="without best and learn_rounding"):
        exported(model, data, tmp_path, auto_precision=30, best=True)
    with pytest.raises(InvalidArgumentError, match="lift='int4' is not known"):
        exported(model, data, tmp_path, auto_precision=30, lift="int4")
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_prints_the_curve(keras_flavour, data, tmp_path, capsys):
    network(keras_flavour, coarse=("b",)).save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", data)
    export = ["export", str(tmp_path / "m.keras"), "-o", str(tmp_path / "m.tflite"), "--precision", "int8"]
    asked = ["--calibration", str(tmp_path / "x.npy"), "--auto-precision", "1", "--lift", "float"]
    assert run([*export, *asked]) == 0
    out = capsys.readouterr().out
    assert "auto_precision: 0 of 5 layers in float give " in out
    assert "  0 layers: " in out
    assert "time 1.00, taken" in out


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(6))
def test_no_smaller_set_is_overlooked_where_gains_add_up(keras_flavour, data, tmp_path, seed, monkeypatch):
    """With gains that add up the set found is the smallest that there is: all sets are tried."""
    model = network(keras_flavour)
    exported(model, data, tmp_path, best=False)
    base = (tmp_path / "m.tflite").read_bytes()
    gains = dict(zip(["a", "b", "c", "d", "scores"], np.random.default_rng(seed).uniform(0, 10, 5), strict=True))
    made = {}
    monkeypatch.setattr("kerasbn_export.export.lifting._times", lambda files: [1.0] * len(files))

    def make(layers):
        data = base + json.dumps(sorted(layers)).encode()
        made[data] = sum(gains.get(name, 0) for name in layers)
        return data

    wanted = 0.6 * sum(gains.values())
    program = _programs(model)
    _, found = lift_layers(make, program, Target(wanted, "dB", made.__getitem__), "float")
    smallest = next(n for n in range(6) if any(sum(map(gains.get, some)) >= wanted for some in combinations(gains, n)))
    assert len(found.layers) == smallest


def _programs(model):
    from kerasbn_export.program.program import functional_program

    return (functional_program(model),)


@pytest.mark.parametrize("higher", [True, False])
def test_the_curve_has_the_best_of_each_number_of_layers_and_only_rises(monkeypatch, higher):
    monkeypatch.setattr(lifting, "_times", lambda files: [1.0] * len(files))
    monkeypatch.setattr(lifting, "read_tflite", lambda _: SimpleNamespace(ops=()))
    sign = 1.0 if higher else -1.0
    sets = {"": 20.0, "x": 25.0, "y": 22.0, "xy": 24.0, "xz": 23.0, "xyz": 27.0}
    made = {frozenset(names): (b"", sign * value) for names, value in sets.items()}
    target = Target(sign * 26.0, "", lambda _: 0.0, higher)
    points = list(lifting._curve(made, frozenset("xyz"), target))
    assert [(point.layers, sign * point.quality, point.taken) for point in points] == [
        (0, 20.0, False), (1, 25.0, False), (3, 27.0, True)
    ]  # fmt: skip
