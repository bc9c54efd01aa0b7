"""A dynamic file that is as noisy on random inputs as the stock converter's is kept; no other is."""

from types import SimpleNamespace

import pytest

from kerasbn_export.cli import format_cost
from kerasbn_export.cli.format_cost import cost_of_the_format


class Output(SimpleNamespace):
    def __bool__(self):
        return self.measurement.sqnr_db >= 20


class Report(SimpleNamespace):
    def __bool__(self):
        return all(self.outputs)


def report(*decibels, **changes):
    fields = {"exit_code": 1, "seed": 0, "first_divergence": None, "per_layer": ("a layer",), **changes}
    return Report(outputs=[Output(measurement=SimpleNamespace(sqnr_db=sqnr)) for sqnr in decibels], **fields)


def cost(monkeypatch, ours, theirs, precision="dynamic"):
    monkeypatch.setattr(format_cost, "_stock", lambda *_: theirs)
    return cost_of_the_format(None, SimpleNamespace(precision=precision), [ours])


def test_as_noisy_as_stock_is_kept_and_said(monkeypatch):
    assert "has 13.4 dB and the stock converter's own has 13.9" in cost(monkeypatch, report(13.4, 25), report(13.9, 26))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (report(13.4), report(15.0)),
        (report(13.4), report(30.0)),
        (report(13.4, 12.0), report(13.4, 18.0)),
        (report(13.4, first_divergence="a layer"), report(13.4)),
        (report(13.4, seed=None), report(13.4)),
        (report(13.4, per_layer=()), report(13.4)),
        (report(13.4, exit_code=2), report(13.4)),
        (report(-1.0), report(-1.0)),
        (report(25.0), report(25.0)),
    ],
)
def test_anything_else_is_not(monkeypatch, ours, theirs):
    assert cost(monkeypatch, ours, theirs) == ""


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_other_precisions_are_not(monkeypatch, precision):
    assert cost(monkeypatch, report(13.4), report(13.4), precision) == ""
