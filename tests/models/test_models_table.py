"""`benchmarks/models.py` in small: it has every builder, and a BatchNorm too many is a fault."""

import numpy as np
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


@pytest.mark.either_keras
def test_files_are_measured_of_small_networks(keras_flavour):
    small = table.Row("digits_cnn", "", ROWS["digits_cnn"].build, {"filters": 4})
    network = table.with_signals(small, keras_flavour.name)
    assert network.model.count_params() < ROWS["digits_cnn"].build(keras_flavour.name).count_params()
    gammas = np.concatenate([np.asarray(layer.gamma) for layer in network.model.layers if hasattr(layer, "gamma")])
    assert gammas.min() < 0 < gammas.max()
    mine, stocks = (each.predict(network.x, verbose=0) for each in (network.model, network.stock))
    assert np.allclose(mine, stocks, atol=1e-4)
    assert "kerasbn" not in type(network.stock.get_layer("bn_after_conv")).__module__


def test_the_table_of_files_has_no_number_and_goes_on_where_it_was(monkeypatch, tmp_path, capsys):
    cells = [table.Cell("BatchNorms", "1, 0"), table.Cell("sqnr", "30.0, 29.0", "int8 below stock")]
    given = []
    monkeypatch.setattr(table, "measured_rows", lambda _, __, names: given.append(names) or [(n, cells) for n in names])
    monkeypatch.setattr("sys.argv", ["m", "--files", "--only", "mlp", "--results", str(tmp_path / "r"), "--markdown"])
    assert table.main() == table.main() == 1
    assert given == [["mlp"], ["mlp"], [], []]
    said = capsys.readouterr().out
    assert "| mlp | tf_keras | 1, 0 | - | - | 30.0, 29.0 | - | - | - |" in said
    assert "number" not in said
    assert "mlp, keras: int8 below stock" in said


def test_a_size_of_yolo_stands_for_the_others():
    assert [name for name, row in ROWS.items() if row.small is not None and "yolo" in name] == ["yolo11, n"]
