"""Files with other ranges: the same operations and fixed grids, ranges inside of those measured, and what is gained."""

import json
from dataclasses import replace

import numpy as np
import pytest

from kerasbn.errors import CalibrationError, ConversionError, InvalidArgumentError, UnsupportedModelError
from kerasbn.flavour import Flavour
from kerasbn_export import verify
from kerasbn_export.calibration.ranges import percentile as percentile_module
from kerasbn_export.calibration.ranges import places as places_module
from kerasbn_export.calibration.ranges.methods import METHODS, methods_for
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.cli.export import RANGES
from kerasbn_export.cli.main import run
from kerasbn_export.conversion import tensorflow as tensorflow_module
from kerasbn_export.conversion.convert import calibrated, convert
from kerasbn_export.conversion.options import ConversionOptions
from kerasbn_export.conversion.provenance import read_provenance
from kerasbn_export.export.forms.ranges import choose_ranges
from kerasbn_export.export.options import BEST
from kerasbn_export.export.prepared import prepare
from kerasbn_export.export.scoring import scorer
from kerasbn_export.export.tflite import ExportOptions, export_tflite
from kerasbn_export.tflite.file import read_ops, read_tflite
from kerasbn_export.tflite.graph import TFLiteGraph

pytestmark = pytest.mark.either_keras


def many_operations(flavour, precision="int8"):
    """Fixed grids, shared grids, bounds and, where the precision has those, an input of whole numbers."""
    layers = flavour.keras.layers
    image, word = flavour.keras.Input((8, 8, 3), name="image"), flavour.keras.Input((4,), dtype="int32", name="word")
    bounded = layers.ReLU(6.0)(layers.Conv2D(8, 3, padding="same", name="first")(image))
    bent = layers.Conv2D(8, 3, padding="same", activation="tanh")(bounded)
    joined = layers.Concatenate()([bounded, bent])
    pooled = layers.MaxPooling2D()(layers.ZeroPadding2D(1)(joined))
    gate = layers.Conv2D(16, 1, activation="sigmoid")(pooled)
    added = layers.Add()([layers.Multiply()([pooled, gate]), layers.Conv2D(16, 1)(layers.AveragePooling2D(1)(pooled))])
    most = layers.Maximum()([added, layers.Conv2D(16, 1)(added)])
    flat = layers.Flatten()(most)
    if precision == "int16x8":
        return flavour.keras.Model(image, layers.Softmax()(layers.Dense(5)(flat)))
    flat = layers.Concatenate()([flat, layers.Flatten()(layers.Embedding(9, 4)(word))])
    return flavour.keras.Model([image, word], layers.Softmax()(layers.Dense(5)(flat)))


def many_samples(rng, precision="int8", count=24):
    image = rng.normal(size=(count, 8, 8, 3)) * np.exp(rng.normal(size=(count, 8, 8, 3)))
    arrays = image.astype("float32"), rng.integers(0, 9, (count, 4)).astype("int32")
    return Calibration(arrays[: 1 if precision == "int16x8" else 2], "array")


def grids(data):
    return {t.name: (t.quantization, t.dtype) for t in TFLiteGraph(data, "the file").tensors if not t.constant}


@pytest.mark.parametrize("precision", ["int8", "int16x8"])
def test_operations_and_fixed_grids_are_as_before_and_ranges_are_inside(precision, keras_flavour, rng):
    model, samples = many_operations(keras_flavour, precision), many_samples(rng, precision)
    measured = calibrated(model, ConversionOptions(precision), calibration=samples)
    before, changed = grids(measured.quantized(None)), set()
    fixed = [name for name, (grid, _) in before.items() if grid and grid.scale in (1 / 256, 1 / 128, 1 / 32768)]
    assert len(fixed) == 3  # of the softmax, the sigmoid and the tanh
    for method in methods_for(precision):
        data = measured.quantized(method)
        after = grids(data)
        assert read_ops(data) == read_ops(measured.quantized(None))
        assert {name: dtype for name, (_, dtype) in before.items()} == {
            name: dtype for name, (_, dtype) in after.items()
        }
        for name, (grid, _) in after.items():
            old = before[name][0]
            assert (grid is None) == (old is None)
            if grid is None:
                continue
            step = 1.01 * old.scale
            assert old.range[0] - step <= grid.range[0] <= 0 <= grid.range[1] <= old.range[1] + step
            assert precision == "int8" or grid.zero_point == 0
            assert name not in fixed or grid == old
            changed |= {name} if grid != old else set()
    assert len(changed) >= (6 if precision == "int8" else 1)


@pytest.mark.parametrize("precision", ["int8", "int16x8"])
def test_the_converters_last_step_alone_gives_what_it_gives_by_itself(precision, keras_flavour, rng):
    model, samples = many_operations(keras_flavour, precision), many_samples(rng, precision)
    whole = convert(model, ConversionOptions(precision), calibration=samples)
    steps = calibrated(model, ConversionOptions(precision), calibration=samples).quantized(None)
    assert grids(whole) == grids(steps)
    assert [op.name for op in read_tflite(whole).ops] == [op.name for op in read_tflite(steps).ops]
    assert len(steps) <= 1.01 * len(whole)


def test_values_are_counted_of_the_tensor_whose_range_a_grid_has(keras_flavour, rng):
    samples = many_samples(rng)
    measured = calibrated(many_operations(keras_flavour), ConversionOptions("int8"), calibration=samples)
    for place, counting in zip(measured.places, measured.counted, strict=True):
        histogram = counting.histogram
        assert histogram.low <= counting.smallest <= 0 <= counting.largest <= histogram.high
        assert counting.smallest >= 1.000001 * place.low
        assert counting.largest <= 1.000001 * place.high
    shared = max(measured.places, key=lambda place: len(place.members))
    assert len(shared.members) >= 5  # the joined tensors, padded and pooled
    sizes = [c.histogram.counts.sum() + c.histogram.zeros for c in measured.counted]
    assert sizes[0] == samples.arrays[0].size


@pytest.mark.parametrize("precision", ["int8", "int16x8"])
def test_ranges_are_right_where_the_calibrator_takes_another_tensors(precision, keras_flavour, rng, monkeypatch):
    """The calibrator takes what the ADD computes in the memory of the MUL for what the MUL computes."""
    layers = keras_flavour.keras.layers
    image, other = (
        keras_flavour.keras.Input((6, 6, 4), name="image"),
        keras_flavour.keras.Input((6, 6, 4), name="other"),
    )
    large, gate = layers.Conv2D(4, 3, name="large")(image), layers.Conv2D(4, 3, name="gate")(other)
    product = layers.Multiply(name="product")([large, gate])
    less = layers.Conv2D(4, 3, name="less")(image)
    added = layers.Add(name="added")([product, less])
    model = keras_flavour.keras.Model([image, other], layers.Conv2D(3, 1, name="scores")(added))
    model.get_layer("less").set_weights([300 * weight for weight in model.get_layer("less").get_weights()])
    arrays = tuple(rng.normal(size=(24, 6, 6, 4)).astype("float32") for _ in range(2))
    samples = Calibration(arrays, "array")
    measured = calibrated(model, ConversionOptions(precision), calibration=samples)

    def product_range(data):
        found = [tensor for tensor in TFLiteGraph(data, "the file").tensors if "product" in tensor.name]
        return found[0].quantization.range

    parts = keras_flavour.keras.Model(model.inputs, product)
    exact = np.abs(parts.predict(list(arrays), verbose=0)).max()
    for method in (None, "minmax"):
        assert max(np.abs(product_range(measured.quantized(method)))) == pytest.approx(exact, rel=0.02)
    monkeypatch.setattr(tensorflow_module, "with_observed_ranges", lambda *_, **__: None)
    by_the_calibrator = calibrated(model, ConversionOptions(precision), calibration=samples)
    assert max(np.abs(product_range(by_the_calibrator.quantized(None)))) > 5 * exact


def test_an_added_conversion_is_refused(keras_flavour, rng, monkeypatch):
    monkeypatch.setattr(places_module, "SAME_GRID", frozenset())
    monkeypatch.setattr(percentile_module, "SHARE", 0.9)
    layers = keras_flavour.keras.layers
    image = keras_flavour.keras.Input((6, 6, 3))
    parts = [layers.Conv2D(4, 3)(image), layers.Conv2D(4, 3, activation="tanh")(image)]
    model = keras_flavour.keras.Model(image, layers.Conv2D(2, 1)(layers.Concatenate()(parts)))
    data = rng.normal(size=(64, 6, 6, 3)).astype("float32")
    measured = calibrated(model, ConversionOptions("int16x8"), calibration=Calibration((data,), "array"))
    with pytest.raises(ConversionError, match=r"the converter adds \d QUANTIZE"):
        measured.quantized("percentile")


def test_whole_numbers_are_named_where_int16x8_has_none(rng):
    model, options = many_operations(Flavour("keras")), ConversionOptions("int16x8", ranges="mse")
    with pytest.raises(ConversionError, match=r"int16x8 has no arithmetic of whole numbers.*'word'"):
        convert(model, options, calibration=many_samples(rng))


def heavy_tailed(flavour):
    """A network that hands its input's outliers on."""
    layers = flavour.keras.layers
    image = flavour.keras.Input((32, 32, 4), name="image")
    x = layers.Conv2D(4, 1, activation="relu", name="first")(image)
    x = layers.ReLU()(flavour.batch_normalization(name="norm")(layers.Conv2D(4, 1, name="second")(x)))
    return flavour.keras.Model(image, layers.Dense(6, name="scores")(layers.AveragePooling2D(32)(x)))


def with_outliers(rng, count, size=40.0):
    """Values of one kind, of which one is far off."""
    data = rng.normal(size=(count, 32, 32, 4)).astype("float32")
    data[1, 7, 3] = size
    return data


@pytest.mark.sweep
@pytest.mark.parametrize("method", [method for method in METHODS if method != "minmax"])
def test_each_method_gains_where_a_few_samples_are_far_off(method, keras_flavour, rng, tmp_path):
    model, test = heavy_tailed(keras_flavour), Calibration((rng.normal(size=(64, 32, 32, 4)).astype("float32"),), "a")
    score = scorer(model, test)
    sqnr = {}
    for ranges in (None, method):
        result = export_tflite(
            model, tmp_path / "m.tflite", precision="int8", calibration=with_outliers(rng, 64), ranges=ranges
        )
        sqnr[ranges] = score((tmp_path / "m.tflite").read_bytes())
        assert result.ranges == ranges
    assert sqnr[method] >= sqnr[None] + (0.5 if method == "mse" else 3.0)
    assert read_provenance(read_tflite(tmp_path / "m.tflite"))["ranges"] == method
    assert f"ranges by {method}." in result.about_conversion()[-1]
    assert verify(model, tmp_path / "m.tflite", data=test.arrays[0])


@pytest.mark.parametrize("options", [{"ranges": BEST}, {"best": True}])
def test_best_takes_what_is_best_on_samples_kept_out(options, keras_flavour, rng, tmp_path):
    model = heavy_tailed(keras_flavour)
    path, data = tmp_path / "m.tflite", with_outliers(rng, 64)
    result = export_tflite(model, path, precision="int8", calibration=data, **options)
    tried = {trial.form: trial for trial in result.trials}
    assert {f"ranges by {method}" for method in METHODS} <= set(tried)
    assert tried[f"ranges by {result.ranges}"].taken
    assert result.ranges in METHODS
    assert read_provenance(read_tflite(path))["ranges"] == result.ranges


@pytest.mark.parametrize("options", [{"ranges": BEST}, {"best": True}])
def test_best_loses_nothing_where_values_are_uniform(options, keras_flavour, rng, tmp_path):
    layers = keras_flavour.keras.layers
    image = keras_flavour.keras.Input((8, 8, 3), name="image")
    model = keras_flavour.keras.Model(image, layers.Dense(4)(layers.Flatten()(layers.Conv2D(6, 3)(image))))
    data = rng.uniform(-1, 1, (160, 8, 8, 3)).astype("float32")
    score, path = scorer(model, Calibration((data[96:],), "array")), tmp_path / "m.tflite"
    sqnr = []
    for each in ({"best": False}, options):
        export_tflite(model, path, precision="int8", calibration=data[:96], **each)
        sqnr.append(score(path.read_bytes()))
    assert sqnr[1] >= sqnr[0] - 0.3


def test_layers_may_stay_in_float_besides(keras_flavour, rng, tmp_path):
    model, data = heavy_tailed(keras_flavour), with_outliers(rng, 32)
    ops = {}
    for ranges in ("minmax", "percentile", BEST):
        result = export_tflite(
            model, tmp_path / "m.tflite", precision="int8", calibration=data, keep_float=["first"], ranges=ranges
        )
        ops[ranges] = result.ops
        assert [name.partition(" ")[2] for name in result.kept_float] == ["CONV_2D of Conv2D 'first'"]
        assert result.float_layers == ()
    assert ops["minmax"] == ops["percentile"] == ops[BEST]


def test_one_scale_for_a_weight_goes_with_other_ranges(keras_flavour, rng, tmp_path):
    result = export_tflite(
        heavy_tailed(keras_flavour),
        tmp_path / "m.tflite",
        precision="int8",
        calibration=with_outliers(rng, 64),
        weights="per-tensor",
        best=True,
    )
    assert any(trial.form.startswith("ranges by") and trial.taken for trial in result.trials)
    weights = [
        t for op in read_tflite(tmp_path / "m.tflite").ops for t in op.inputs if t.constant and t.dtype == "INT8"
    ]
    assert {tensor.scales for tensor in weights} == {1}


@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic"])
@pytest.mark.parametrize("ranges", ["minmax", "mse", BEST])
def test_a_precision_without_ranges_refuses_the_option(precision, ranges):
    with pytest.raises(InvalidArgumentError, match=f"ranges='{ranges}' does not go with precision '{precision}'"):
        ExportOptions(precision=precision, ranges=ranges)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ranges": "kl"}, "ranges='kl' is not known; accepted: minmax, percentile, mse, entropy, best"),
        ({"ranges": "entropy", "precision": "int16x8"}, "more steps than values are told apart by; accepted: minmax"),
        ({"ranges": "mse", "select_ops": True}, "LiteRT alone cannot run the float file"),
        ({"ranges": BEST, "select_ops": True}, "does not go with select_ops=True"),
        ({"ranges": BEST, "isolate": True}, "isolate=True"),
    ],
)
def test_what_cannot_be_is_refused(options, said):
    with pytest.raises(InvalidArgumentError, match=said):
        ExportOptions(**{"precision": "int8", **options})


def test_too_few_samples_loops_and_another_process_are_refused(keras_flavour, rng, tmp_path):
    model, path = heavy_tailed(keras_flavour), tmp_path / "m.tflite"
    data = with_outliers(rng, 7)
    with pytest.raises(CalibrationError, match=r"ranges='best' judges by every 4th .* found 7.*leave ranges out"):
        export_tflite(model, path, precision="int8", calibration=data, ranges=BEST)
    with pytest.raises(InvalidArgumentError, match="ranges and auto_precision do not go with a process of its own"):
        export_tflite(model, path, precision="int8", calibration=data, ranges="mse", isolate=True)

    options = ExportOptions(precision="int8", calibration=data, ranges=BEST)
    looping = replace(prepare(model, options), loops=("cell",))
    with pytest.raises(UnsupportedModelError, match="without loops, but it has loops: cell"):
        choose_ranges(model, (looping, b"", ()), options, None, None, str)
    assert not path.exists()


def test_the_command(keras_flavour, rng, tmp_path, capsys):
    model = heavy_tailed(keras_flavour)
    model.save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", with_outliers(rng, 64))
    out = str(tmp_path / "m.tflite")
    command = ["export", str(tmp_path / "m.keras"), "-o", out, "--precision", "int8"]
    assert run([*command, "--calibration", str(tmp_path / "x.npy"), "--ranges", "mse"]) == 0
    assert "ranges by mse" in capsys.readouterr().out
    record = json.loads(read_tflite(out).metadata["kerasbn"])
    assert record["ranges"] == "mse"
    assert run([*command[:4], "--ranges", "mse"]) == 2
    assert "ranges='mse' does not go with precision 'float32'" in capsys.readouterr().err
    assert (*METHODS, BEST) == RANGES
