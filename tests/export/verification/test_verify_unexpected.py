"""An exception that nobody expected inside a check is no verdict: exit code 3, and the rest of the report is there."""

import pytest

from kerasbn.errors import NotComparableError
from kerasbn_export import export_tflite, fold, verify
from kerasbn_export.cli.main import run
from kerasbn_export.folding.verdict import Action, Reason, Verdict
from kerasbn_export.verification import compare as comparing
from kerasbn_export.verification.records.outputs import Status
from kerasbn_export.verification.report import read_report, to_html, to_junit

pytestmark = pytest.mark.either_keras

DECIDING = ("judge_outputs", "moved_on_purpose", "locate", "allowing_for_growth")


@pytest.fixture(params=[0.0, 0.1], ids=["right", "wrong"])
def pair(request, keras_flavour):
    """A model, and its fold, right or not."""
    layers = keras_flavour.keras.layers
    x = keras_flavour.keras.Input((4, 4, 2))
    model = keras_flavour.keras.Model(x, layers.Dense(3)(layers.BatchNormalization()(layers.Conv2D(3, 3)(x))))
    other = fold(model).model
    last = other.layers[-1]
    last.set_weights([array + request.param for array in last.get_weights()])
    return model, other


def broken(*_, **__):
    raise KeyError("of nobody's")


@pytest.mark.sweep
@pytest.mark.parametrize("check", DECIDING)
def test_a_check_that_fails_gives_no_verdict(pair, check, monkeypatch):
    right = verify(*pair)
    monkeypatch.setattr(comparing, check, broken)
    report = verify(*pair)
    reached = check != "allowing_for_growth" or right.first_divergence is None
    assert report.status is (Status.UNJUDGED if reached else Status.DIFFERS)
    if reached:
        assert report.exit_code == 3
        assert not report
        assert "KeyError" in report.verdict
        assert "report it" in str(report)
        assert "unjudged" in to_html(report)
        assert 'error message="' in to_junit(report)
    assert (len(report.outputs) == 1) is (check != "judge_outputs")


@pytest.mark.parametrize("extra", ["draw", "_about_ends"])
def test_what_only_explains_leaves_the_verdict_alone(pair, extra, monkeypatch):
    right = verify(*pair)
    monkeypatch.setattr(comparing, extra, broken)
    report = verify(*pair)
    assert report.status is right.status
    assert any("KeyError" in note for note in report.notes)


def test_what_is_wrong_with_the_input_is_still_an_error(pair, monkeypatch):
    def refused(*_, **__):
        raise NotComparableError("no such thing")

    monkeypatch.setattr(comparing, "judge_outputs", refused)
    with pytest.raises(NotComparableError, match="no such thing"):
        verify(*pair)


def test_the_command_line_says_so(pair, tmp_path, monkeypatch, capsys):
    model, _ = pair
    model.save(tmp_path / "m.keras")
    export_tflite(model, tmp_path / "m.tflite")
    monkeypatch.setattr(comparing, "locate", broken)
    assert run(["verify", *(str(tmp_path / name) for name in ("m.keras", "m.tflite")), "--json", f"{tmp_path}/r"]) == 3
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err
    assert captured.out.splitlines()[-2].startswith("Could not be judged: layers: KeyError")
    assert read_report(tmp_path / "r").exit_code == 3


def test_print_and_a_notebook_show_the_summary(pair, tmp_path):
    model, other = pair
    report, folded = verify(model, other), fold(model)
    assert str(report) == repr(report)
    assert str(report).startswith(report.answer[0])
    assert len(str(report)) < 2500
    assert str(folded) == f"{model.name}: 1 of 1 BatchNorms folded."
    exported = export_tflite(model, tmp_path / "m.tflite")
    assert str(exported).splitlines()[-1] == exported.about_file()
    for shown in (report, folded, exported, folded.verdicts[0]):
        assert "<table>" in shown._repr_html_()
        assert len(shown._repr_html_()) < 5000


def test_a_name_is_no_markup_in_a_notebook():
    verdict = Verdict("<b>bn</b>", Action.KEPT, reason=Reason.OPAQUE, sentence="It is <i>inside</i>.")
    assert str(verdict) == "<b>bn</b>: kept: It is <i>inside</i>."
    assert "<b>" not in verdict._repr_html_()
    assert "<i>" not in verdict._repr_html_()
