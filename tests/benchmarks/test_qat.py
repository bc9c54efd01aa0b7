"""`benchmarks/qat.py` and its networks: every missed goal is said, and no other."""

import numpy as np
import pytest
import qat
from calibration import CORPUS
from judged_networks import NETWORKS, Subject, made_anew, rows

from kerasbn.errors import MissingPackageError
from kerasbn.flavour import NAMES
from kerasbn_export.finetune.records import Worth

REACHED = {
    "stock": Worth(30.0, 0.95),
    "as folded": Worth(30.0, 0.95),
    "best": Worth(35.0, 0.96),
    "learned rounding": Worth(36.0, 0.96),
    "averaged": Worth(20.0, 0.97),
    "learned": Worth(20.0, 0.97),
    "live": Worth(20.0, 0.97),
    "taught": Worth(35.0, 0.969),
    "taught, per tensor": Worth(34.0, 0.966),
}


def faults(right, **changed):
    """What is said of each column, where some files are worth something else."""
    worths, said = {**REACHED, **{name.replace("_", " "): worth for name, worth in changed.items()}}, {}
    for last, name in enumerate(worths, 1):
        said[name] = qat.missed(dict(list(worths.items())[:last]), right)
    return {name: fault for name, fault in said.items() if fault}


def test_a_row_that_reaches_every_goal_has_no_fault():
    assert faults(0.97) == {}


@pytest.mark.parametrize(
    ("column", "changed", "right"),
    [
        ("learned rounding", {"learned_rounding": Worth(34.6, 0.96)}, 0.97),
        ("taught", {name: Worth(20.0, 0.95) for name in ("averaged", "learned", "live", "taught")}, 0.96),
        ("taught", {}, 0.973),  # as folded loses more than a point, trained more than 0.2
    ],
)
def test_each_goal_that_is_missed_is_said(column, changed, right):
    assert list(faults(right, **changed)) == [column]


def test_one_scale_for_a_kernel_may_cost_half_a_point():
    coarse = {**REACHED, "taught, per tensor": Worth(30.0, 0.963)}
    assert qat.missed(coarse, 0.97) == "one scale for a kernel has 96.30%, one for each channel 96.90%"


@pytest.mark.parametrize(
    "worth", [Worth(36.0, 0.94), Worth(20.0, 0.96)], ids=["fewer right, less noise", "more noise, as many right"]
)
def test_a_trained_file_that_is_better_in_one_way_is_not_below(worth):
    assert not qat.is_worse(REACHED["best"], [Worth(10.0, 0.5), worth])
    assert qat.is_worse(REACHED["best"], [Worth(10.0, 0.5)])


def test_a_network_without_labels_is_judged_by_the_float_model():
    exact = np.eye(4)
    answers = exact[[0, 1, 2, 2]]
    assert Subject(None, exact, exact).right(answers, exact) == 0.75
    assert Subject(None, exact, exact, labels=np.array([[0], [1], [2], [2]])).right(answers, exact) == 1.0
    score = Subject(None, exact, exact, labels=exact, score=lambda outputs, labels: float(len(outputs) == len(labels)))
    assert score.right(answers, exact) == 0.0


def test_rows(monkeypatch):
    monkeypatch.delenv(CORPUS, raising=False)
    assert {name for name, _, _ in rows("", None)} == set(NETWORKS) - {"resnet8"}
    assert [(name, keras) for name, keras, _ in rows("separable", None)] == [("separable", keras) for keras in NAMES]
    monkeypatch.setenv(CORPUS, "somewhere")
    assert [keras for _, keras, _ in rows("resnet8", None)] == ["tf_keras"]
    assert [*rows("resnet8", "keras")] == []


def test_a_network_without_its_data_is_left_out_by_name(keras_flavour, capsys):
    def absent(_flavour):
        raise MissingPackageError("python -m pip install --no-deps nothing")

    assert made_anew(absent, keras_flavour) is None
    assert "left out: python -m pip install --no-deps nothing" in capsys.readouterr().err
