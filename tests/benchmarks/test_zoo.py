"""`benchmarks/zoo.py` in small: networks of installed packages, what results keep, who judges a deep network."""

import judged_model
import pytest
import zoo
from judged_model import Referee, Step, distance, draw, judge_model, predict
from tutorials import Network
from zoo_networks import PACKAGES, absent, build, origin, rows

from kerasbn_export import fold

pytestmark = pytest.mark.either_keras

SPREAD = ("applications MobileNet", "tcn batch", "kimm LCNet035", "kecam lcnet.LCNet050")


def installed(flavour):
    """The rows of the spread that this Keras has and whose package is there."""
    return [row for row in SPREAD if row in rows(flavour) and not absent(row)]


def test_a_spread_of_networks_has_no_fault_and_no_batchnorm_left(keras_flavour):
    for row in installed(keras_flavour.name):
        steps = list(judge_model(lambda seed, row=row: build(keras_flavour.name, row, seed), ("float32",)))
        assert Network(row, steps=steps).faults == [], row
        gone, _, all_of_them, *_ = steps[0].detail.split(" ")
        assert gone == all_of_them, row


def test_there_are_networks_enough_and_every_row_has_its_package(keras_flavour):
    assert sum(len(package.names) for package in PACKAGES.values()) >= 60
    assert origin(keras_flavour.name, "applications MobileNet") == f"{keras_flavour.name}.applications"
    assert not absent("applications MobileNet")


def test_an_absent_package_leaves_out_its_rows_by_name(monkeypatch, capsys):
    monkeypatch.setattr(zoo, "absent", lambda _: True)
    monkeypatch.setattr(zoo, "sweep", lambda *_: iter(()))
    monkeypatch.setattr("sys.argv", ["zoo.py", "keras", "--only", "kimm"])
    assert zoo.main() == 0
    assert "kimm LCNet035" in capsys.readouterr().out


def test_results_are_kept_by_row_and_precision(tmp_path):
    path = tmp_path / "results.jsonl"
    first = [Step("left", "right", "1 of 2"), Step("float32", "right", "1e-7"), Step("int8", "coarse", "9 dB")]
    zoo.keep(path, "keras", Network("tcn batch", steps=first))
    zoo.keep(
        path, "keras", Network("tcn batch", steps=[Step("int8", "right", "20 dB"), Step("int8 with data", "right")])
    )
    zoo.keep(path, "tf_keras", Network("tcn batch", steps=[Step("model", "crash", "no")]))
    row = zoo.kept(path, "keras")["tcn batch"]
    assert (row.detail("left"), row.outcome("float32"), row.outcome("int8")) == ("1 of 2", "right", "right")
    assert zoo.kept(path, "tf_keras")["tcn batch"].faults == ["crash: model: no"]


def test_the_referee_knows_a_wrong_number_from_a_rounding(keras_flavour):
    """A fold is as near to float64 as the model; outputs that are wrong by a thousandth are not.

    Nor is a model of which one kernel is wrong by a thousandth.
    """

    def made(seed):
        return build(keras_flavour.name, "applications MobileNet", seed)

    model = made(0)
    inputs = draw(model, 4, 1)
    wanted = predict(model, inputs)
    referee = Referee(made, model, inputs, wanted)
    found = predict(fold(model).model, inputs)
    for factor, agreed in ((1.0, True), (1.001, False)):
        scaled = [array * factor for array in found]
        assert referee.agrees(scaled) is agreed
        assert distance(wanted, scaled) < 2e-3
    last = next(layer for layer in reversed(model.layers) if layer.get_weights())
    last.set_weights([weight * 1.001 for weight in last.get_weights()])
    assert not referee.agrees(predict(model, inputs))
    assert keras_flavour.keras.backend.floatx() == "float32"


def test_a_model_that_is_not_made_in_float64_has_no_referee(keras_flavour):
    model = build(keras_flavour.name, "applications MobileNet", 0)
    inputs = draw(model, 2, 1)

    def fails(_):
        raise ValueError("float32 only")

    assert not Referee(fails, model, inputs, predict(model, inputs)).agrees(predict(model, inputs))
    assert judged_model.CHANCE <= 2
