"""The user's metric: by name, by function, of Keras; its intervals; the gate; and what cannot be measured."""

import json
import math
import sys

import numpy as np
import pytest

from kerasbn.errors import InvalidArgumentError, MetricError
from kerasbn_export import export_tflite, verify
from kerasbn_export.cli.main import run
from kerasbn_export.metrics.bootstrap import interval, take
from kerasbn_export.metrics.metric import Metric, read_metric
from kerasbn_export.metrics.named import METRICS
from kerasbn_export.metrics.records import MetricReport, Scored
from kerasbn_export.metrics.score import measuring, score
from kerasbn_export.verification.report.recheck import read_report

pytestmark = pytest.mark.either_keras

quick = pytest.mark.quick


@quick
@pytest.mark.parametrize(
    ("name", "labels", "outputs", "value"),
    [
        ("accuracy", [0, 1, 2], [[9, 1, 1], [0, 2, 1], [3, 0, 1]], 2 / 3),
        ("accuracy", [[1, 0], [0, 1]], [[9, 1], [5, 2]], 1 / 2),
        ("accuracy", [0, 1, 1], [[0.2], [0.7], [0.4]], 2 / 3),
        ("accuracy", [0, 1, 1], [[-3.0], [2.0], [0.2]], 1.0),
        ("accuracy", [[[0, 1]]], [[[[2, 1], [2, 1]]]], 1 / 2),
        ("top5", [0, 6], [[0, 1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 4, 5, 6]], 1 / 2),
        ("mae", [1, 2], [[1.5], [1.0]], 0.75),
        ("auc", [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.75),
        ("auc", [0, 1], [[0.5], [0.5]], 0.5),
        ("auc", [0, 1, 1], [[0.9, 0.1], [0.4, 0.6], [0.95, 0.05]], 0.5),
        ("iou", [[0, 0, 1, 1]], [[[2, 1], [1, 2], [1, 2], [1, 2]]], (1 / 2 + 2 / 3) / 2),
        ("map", [1, 0, 1], [0.9, 0.8, 0.7], (1 + 2 / 3) / 2),
        ("map", [[1, 0], [1, 1]], [[0.9, 0.2], [0.1, 0.1]], (1 + 1 / 2) / 2),
    ],
)  # fmt: skip
def test_named_metrics_by_hand(name, labels, outputs, value):
    assert read_metric(name)(np.asarray(labels), np.asarray(outputs, float)) == pytest.approx(value)


@quick
def test_areas_and_precisions_are_those_of_scikit_learn(rng):
    metrics = pytest.importorskip("sklearn.metrics")
    labels, scores = rng.integers(0, 2, 300), rng.normal(size=300).round(1)  # with ties
    assert METRICS["auc"](labels, scores) == pytest.approx(metrics.roc_auc_score(labels, scores))
    many, chances = rng.integers(0, 4, 300), rng.dirichlet(np.ones(4), 300)
    wanted = metrics.roc_auc_score(many, chances, multi_class="ovr", average="macro")
    assert METRICS["auc"](many, chances) == pytest.approx(wanted)
    assert METRICS["map"](np.eye(4)[many], chances) == pytest.approx(
        metrics.average_precision_score(np.eye(4)[many], chances, average="macro")
    )
    assert METRICS["iou"](many, chances) == pytest.approx(
        metrics.jaccard_score(many, chances.argmax(1), average="macro")
    )


@quick
@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("acuracy", "Metric 'acuracy' is not known; accepted: accuracy, top5, mae, auc, iou, map, 'module:function'"),
        (3, "Metric 3 is not known"),
        ("no_such_module_here:f", "module 'no_such_module_here' cannot be imported"),
        ("json:nothing", "module 'json' has no function 'nothing'"),
    ],
)  # fmt: skip
def test_what_is_no_metric_is_refused(metric, message):
    with pytest.raises(InvalidArgumentError, match=message):
        read_metric(metric)


@quick
def test_a_metric_gives_one_number():
    with pytest.raises(InvalidArgumentError, match="accepted: one number"):
        read_metric(lambda _, outputs: outputs)(np.zeros(3), np.zeros(3))
    with pytest.raises(InvalidArgumentError, match="takes one output, and the model has 2"):
        read_metric("accuracy")(np.zeros(3), [np.zeros(3), np.zeros(3)])
    for labels, outputs in ((np.zeros(4), np.zeros((3, 2))), (np.zeros((3, 5)), np.zeros((3, 2)))):
        with pytest.raises(InvalidArgumentError, match="do not go with outputs of shape"):
            read_metric("accuracy")(labels, outputs)
    with pytest.raises(InvalidArgumentError, match="more than 5 classes"):
        read_metric("top5")(np.zeros(3), np.zeros((3, 5)))


def test_metrics_of_keras_are_taken_as_they_are(keras_flavour, rng):
    metrics = keras_flavour.keras.metrics
    labels, outputs = rng.integers(0, 3, 50), rng.dirichlet(np.ones(3), 50).astype("float32")
    taken = read_metric(metrics.SparseCategoricalAccuracy())
    assert taken(labels, outputs) == pytest.approx(METRICS["accuracy"](labels, outputs))
    assert taken(labels, outputs) == taken(labels, outputs)  # it keeps no state
    assert not taken.less_is_better
    assert read_metric(metrics.MeanAbsoluteError()).less_is_better
    assert read_metric(metrics.SparseCategoricalCrossentropy()).less_is_better


def test_a_function_of_a_module_where_one_is(tmp_path, monkeypatch):
    (tmp_path / "my_metric_of_errors.py").write_text(
        "def worst(labels, outputs):\n    return abs(outputs - labels).max()\n\n\nworst.less_is_better = True\n"
    )
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    taken = read_metric("my_metric_of_errors:worst")
    assert sys.path == path
    assert (taken(np.zeros(3), np.arange(3)), taken.less_is_better) == (2, True)
    (tmp_path / "broken_metric.py").write_text("raise KeyError('x')")
    with pytest.raises(InvalidArgumentError, match=r"'broken_metric' cannot be imported \(KeyError"):
        read_metric("broken_metric:f")


@quick
def test_the_interval_holds_the_difference_and_knows_pairs(rng):
    labels = rng.integers(0, 2, 400)
    right = np.where(rng.random(400) < 0.9, labels, 1 - labels).astype(float)
    worse = right.copy()
    worse[:20] = 1 - worse[:20]
    metric = read_metric("accuracy")
    low, high = interval(metric, labels, right, worse, seed=0)
    found = metric(labels, worse) - metric(labels, right)
    assert low < found < high
    assert high - low < 0.05  # not paired it were twice as wide
    assert interval(metric, labels, right, right, seed=0) == (0.0, 0.0)
    assert interval(metric, labels, right, worse, seed=0) == (low, high)
    error, first = read_metric("mae"), right + 0.1 * rng.normal(size=400)
    assert interval(error, labels, first, worse, seed=1) != interval(error, labels, first, worse, seed=0)


@quick
def test_nine_in_ten_intervals_hold_the_truth(rng):
    """Of two models that are right in 0.9 and 0.85 of all cases, whatever samples were drawn."""
    metric, held = Metric("share", lambda _, outputs: float(np.mean(outputs)), named=True), 0
    for seed in range(60):
        first, second = (rng.random(150) < share for share in (0.9, 0.85))
        low, high = interval(metric, np.zeros(150), first.astype(float), second.astype(float), seed=seed)
        held += low <= -0.05 <= high
    assert held >= 52


@quick
def test_samples_are_drawn_alike_from_whatever_holds_them():
    rows = np.array([1, 1])
    assert take({"a": np.arange(3)}, rows)["a"].tolist() == [1, 1]
    assert take([np.arange(3), np.arange(3) * 2], rows)[1].tolist() == [2, 2]


def report(value, *, less=False, share=True, low=-0.02, high=0.0, max_drop=0.5):
    scored = (Scored("original", 0.9), Scored("file", value, value - 0.9, low, high))
    return MetricReport("accuracy", less, share, 1000, 0, scored, "file", max_drop)


@quick
@pytest.mark.parametrize(
    ("made", "passed", "said"),
    [
        (report(0.9), True, "which so few samples do not prove"),
        (report(0.9, low=-0.004), True, "90.00 % -> 90.00 % on 1,000 samples; drop 0.00 points, 95 % interval"),
        (report(0.895, low=-0.005), True, "drop 0.50 points"),
        (report(0.894), False, "drop 0.60 points, 95 % interval 0.00 to 2.00; accepted: at most 0.5."),
        (report(0.95, high=0.1), True, "drop -5.00 points"),
        (report(0.95, less=True, share=False, max_drop=0.01), False, "drop 0.05, 95 % interval -0.02 to 0.00"),
        (report(0.85, less=True, share=False, max_drop=0.01, low=-0.1), True, "drop -0.05"),
        (report(math.nan), False, "drop nan"),
        (report(0.1, max_drop=None), True, "drop 80.00 points"),
    ],
)  # fmt: skip
def test_the_gate_is_about_the_drop_that_was_measured(made, passed, said):
    assert made.passed is passed
    assert said in made.sentence
    json.dumps(made.to_json(), allow_nan=False)


@quick
def test_what_was_not_given_is_refused():
    with pytest.raises(InvalidArgumentError, match="without a metric"):
        measuring(None, [1], None, 0)
    with pytest.raises(InvalidArgumentError, match="give labels"):
        measuring("accuracy", None, None, 0)
    with pytest.raises(InvalidArgumentError, match="There are 3 labels for 2 samples"):
        score(measuring("accuracy", [1, 0, 1], None, 0), {"original": np.zeros((2, 1))}, "original")
    with pytest.raises(InvalidArgumentError, match="of the original is nan"):
        score(measuring("auc", [1, 1], None, 0), {"original": np.zeros((2, 1))}, "original")


def network(flavour):
    """Three classes by the mean of a channel; a BatchNorm that folds."""
    layers = flavour.keras.layers
    image = flavour.keras.Input((6, 6, 3), name="image")
    x = flavour.batch_normalization(name="norm")(layers.Conv2D(8, 3, name="conv")(image))
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    return flavour.keras.Model(image, layers.Dense(3, name="scores")(x))


@pytest.fixture
def subject(keras_flavour, rng):
    model, data = network(keras_flavour), rng.normal(size=(80, 6, 6, 3)).astype("float32")
    labels = np.asarray(model(data, training=False)).argmax(-1)
    labels[:8] = (labels[:8] + 1) % 3  # it is wrong in one of ten
    return model, data, labels


def test_an_export_has_the_metric_of_all_that_was_made(subject, tmp_path):
    model, data, labels = subject
    options = {"precision": "int8", "calibration": data[:40], "validation": (data, labels)}
    result = export_tflite(model, tmp_path / "m.tflite", metric="accuracy", max_drop=20.0, **options)
    names = [each.name for each in result.metric.scored]
    assert names == ["original", "folded", "file", "stock converter's file"]
    original, folded, file, _ = result.metric.scored
    assert (original.value, folded.value, folded.low, folded.high) == (0.9, 0.9, 0.0, 0.0)
    assert abs(file.difference) < 0.1
    assert file.low <= file.difference <= file.high
    assert result.metric.sentence in str(result)
    assert json.loads(json.dumps(result.to_json()))["metric"]["scored"][0]["value"] == 0.9


def test_a_file_that_loses_too_much_is_not_written(subject, tmp_path):
    model, data, labels = subject
    flat = {"precision": "int8", "calibration": 1e-3 * data[:8], "validation": (data, labels)}  # ranges far too small
    with pytest.raises(
        MetricError, match=r"The file loses too much: accuracy: 90.00 % -> .* accepted: at most 0.5"
    ) as error:
        export_tflite(model, tmp_path / "m.tflite", metric="accuracy", max_drop=0.5, **flat)
    assert error.value.exit_code == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "asked",
    [{"metric": "accuracy"}, {"validation": (1, 2)}, {"max_drop": 1.0}, {"metric": "acc", "validation": (1, 2)}],
)
def test_half_a_question_is_refused(asked, subject, tmp_path):
    with pytest.raises(InvalidArgumentError):
        export_tflite(subject[0], tmp_path / "m.tflite", **asked)


def test_several_outputs_go_to_a_function_as_a_list(keras_flavour, rng, tmp_path):
    layers = keras_flavour.keras.layers
    given = keras_flavour.keras.Input((5,), name="given")
    outputs = [layers.Dense(2, name="b_first")(given), layers.Dense(3, name="a_second")(given)]
    model, data = keras_flavour.keras.Model(given, outputs), rng.normal(size=(20, 5)).astype("float32")

    def second(labels, found):
        assert [array.shape[1] for array in found] == [2, 3]  # in the order of the model, not of the file
        return float(np.mean(found[1].argmax(-1) == labels["second"]))

    labels = {"second": np.asarray(model(data)[1]).argmax(-1)}
    result = export_tflite(model, tmp_path / "m.tflite", metric=second, validation=(data, labels))
    assert [each.value for each in result.metric.scored] == [1.0] * len(result.metric.scored)
    comparison = verify(model, tmp_path / "m.tflite", data=data, labels=labels, metric=second)
    assert comparison.metric.drop == 0


def test_verify_judges_by_the_metric_as_well(subject, tmp_path):
    model, data, labels = subject
    export_tflite(model, tmp_path / "m.tflite")
    same = verify(model, tmp_path / "m.tflite", data=data, labels=labels, metric="accuracy", max_drop=0.5)
    assert same
    assert same.metric.drop == 0
    assert same.metric.sentence in same.answer
    other, found = network_like(model), verify
    other.save(tmp_path / "other.keras")
    worse = found(model, tmp_path / "other.keras", data=data, labels=labels, metric="accuracy", max_drop=0.5)
    assert not worse
    assert worse.metric.drop > 0.5
    assert any("accepted: at most 0.5" in line for line in worse.answer)
    with pytest.raises(InvalidArgumentError, match="give data, and labels"):
        verify(model, tmp_path / "m.tflite", metric="accuracy", labels=labels)


def network_like(model):
    """The same network, whose last bias says another class."""
    from kerasbn.flavour import flavour_of

    other = flavour_of(model).keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    kernel, bias = other.get_layer("scores").get_weights()
    other.get_layer("scores").set_weights([kernel, bias + np.array([9, 0, 0])])
    return other


def test_the_metric_alone_fails_a_file_that_is_equal(subject, tmp_path):
    """A gate below what is measured, which no file passes: the answer names the metric and nothing else."""
    model, data, labels = subject
    export_tflite(model, tmp_path / "m.tflite")
    found = verify(model, tmp_path / "m.tflite", data=data, labels=labels, metric="accuracy", max_drop=-1.0)
    assert (bool(found), found.exit_code) == (False, 1)
    assert found.answer == [f"Differs: {found.metric.sentence}"] == [found.verdict]


def test_the_command_line_measures_and_judges(subject, tmp_path, capsys):
    model, data, labels = subject
    model.save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", data)
    np.save(tmp_path / "y.npy", labels)
    x, y, file = (str(tmp_path / name) for name in ("x.npy", "y.npy", "m.tflite"))
    export = ["export", str(tmp_path / "m.keras"), "-o", file, "--precision", "int8", "--calibration", x]
    asked = ["--labels", y, "--metric", "accuracy"]
    assert run([*export, "--validation", x, *asked]) == 0
    out = capsys.readouterr().out
    assert "stock converter's file" in out
    assert "accuracy: 90.00 % -> " in out
    verifying = ["verify", str(tmp_path / "m.keras"), file, "--data", x, *asked]
    report_path = str(tmp_path / "report.json")
    assert run([*verifying, "--max-drop", "50", "--json", report_path]) == 0
    assert json.loads((tmp_path / "report.json").read_text())["metric"]["samples"] == 80
    assert read_report(report_path).metric.samples == 80
    assert run([*verifying, "--max-drop", "-50"]) == 1
    capsys.readouterr()
    assert run([*export, *asked]) == 2
    assert "--validation X.npy and --labels Y.npy go together" in capsys.readouterr().err
    assert run([*export, "--validation", x, *asked, "--max-drop", "-50"]) == 1
    assert "The file loses too much" in capsys.readouterr().err
    assert run(["verify", str(tmp_path / "m.keras"), file, "--data", x, "--labels", y, "--metric", "acc"]) == 2
