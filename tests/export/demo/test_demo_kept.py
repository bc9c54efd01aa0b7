"""A BatchNorm that only the int8 file keeps is named in the demo's report, with the reason."""

from io import StringIO

from rich.console import Console

from kerasbn_export.demo import table
from kerasbn_export.demo.report import DemoReport
from kerasbn_export.demo.tasks import TASKS
from kerasbn_export.folding.verdict import Action, Reason, Verdict

SENTENCE = "It could go into lstm, but a file with all folded has 13.9 dB."
GONE = Verdict("norm", Action.FOLDED, direction="forward", rules=("forward",), into=("lstm",))
KEPT = Verdict("norm", Action.KEPT, reason=Reason.COARSER, sentence=SENTENCE)


def report(folded, in_file):
    return DemoReport("keras", 0, 1, 1.0, (), (folded,), (), {}, {}, int8_verdicts=(in_file,))


def printed(report, tmp_path, monkeypatch):
    monkeypatch.setattr(table, "comparison_table", lambda _: "")
    stream = StringIO()
    table.print_report(report, tmp_path, Console(file=stream, width=500))
    return stream.getvalue()


def test_what_only_the_int8_file_keeps_is_printed_once(tmp_path, monkeypatch):
    kept = report(GONE, KEPT)
    assert printed(kept, tmp_path, monkeypatch).count(f"int8: kept norm (coarser): {SENTENCE}") == 1
    assert [verdict["layer"] for verdict in kept.to_json()["kept_in_int8"]] == ["norm"]


def test_what_is_gone_or_left_everywhere_is_not_printed_as_of_int8(tmp_path, monkeypatch):
    for verdicts in ((GONE, GONE), (KEPT, KEPT)):
        assert "int8:" not in printed(report(*verdicts), tmp_path, monkeypatch)
        assert report(*verdicts).to_json()["kept_in_int8"] == []


def test_the_demo_of_an_lstm_takes_the_best_form():
    """Its error of int8 grows from step to step: with Keras 2 the file as folded has 14.4 dB, below the gate of 15."""
    assert [name for name, task in TASKS.items() if task.best] == ["speech-lstm"]
