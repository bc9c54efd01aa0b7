"""`benchmarks/models.py` in small: it has every builder, and a BatchNorm too many is a fault."""

import pytest

import kerasbn_models
import models as table

ROWS = {row.name: row for row in table.ROWS}


def test_every_builder_has_a_row():
    assert {name.partition(",")[0] for name in ROWS} == set(kerasbn_models.__all__)
    assert {name.partition(", ")[2] for name in ROWS if name.startswith("yolo11")} == set("nsmlx")
    assert set(table.LEFT) < set(ROWS)


def test_a_row_counts():
    cells, ok = table.measured(ROWS["mlp"])
    assert cells[:7] == ["mlp", "classification", "784", "51,082", "1", "0", "0"]
    assert ok


@pytest.mark.parametrize(("name", "value"), [("LEFT", {}), ("SLOWEST", 0.0)])
def test_a_missed_target_is_a_fault(monkeypatch, name, value):
    assert table.measured(ROWS["resnet1d"])[1]
    monkeypatch.setattr(table, name, value)
    assert not table.measured(ROWS["resnet1d"])[1]
