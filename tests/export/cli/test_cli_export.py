"""Every option of ``kerasbn export`` and ``kerasbn benchmark`` arrives where it is meant to; some do their work."""

import numpy as np
import pytest

from kerasbn.errors import KerasBNError
from kerasbn.flavour import Flavour
from kerasbn_export.cli.benchmark import command as benchmark_command
from kerasbn_export.cli.export import command as export_command
from kerasbn_export.cli.main import run
from kerasbn_export.export.options import ExportOptions

pytestmark = pytest.mark.either_keras

INT8 = ["--precision", "int8", "--calibration", "x.npy"]
QUANTIZED = {"precision": "int8", "calibration": "x.npy"}
MEASURED = ["--validation", "x.npy", "--labels", "y.npy", "--metric", "accuracy"]
JUDGED = {"validation": ("x.npy", "y.npy"), "metric": "accuracy"}
OPTIONS = {
    "--device": (["--device", "tflm", "--calibration", "x.npy"], {"device": "tflm", "calibration": "x.npy"}),
    "--precision": (["--precision", "float16"], {"precision": "float16"}),
    "--calibration": (INT8, QUANTIZED),
    "--image-range": ([*INT8, "--image-range", "-1", "1"], {**QUANTIZED, "image_range": (-1.0, 1.0)}),
    "--resize": ([*INT8, "--resize", "pad"], {**QUANTIZED, "image_resize": "pad"}),
    "--seed": ([*INT8, "--seed", "7"], {**QUANTIZED, "seed": 7}),
    "--io-dtype": ([*INT8, "--io-dtype", "uint8"], {**QUANTIZED, "io_dtype": "uint8"}),
    "--batch-size": (["--batch-size", "0"], {"batch_size": None}),
    "--no-fold": (["--no-fold"], {"fold": False}),
    "--strict": (["--strict"], {"strict": True}),
    "--target": (["--target", "size"], {"target": "size"}),
    "--keep-branches": (["--keep-branches"], {"merge_branches": False}),
    "--dense": ([*INT8, "--dense", "per-tensor"], {**QUANTIZED, "per_channel_dense": False}),
    "--best": ([*INT8, "--best"], {**QUANTIZED, "best": True}),
    "--best-by": ([*INT8, *MEASURED, "--best-by", "metric"], {**QUANTIZED, **JUDGED, "best": "metric"}),
    "--slim": (["--slim"], {"slim": True}),
    "--select-ops": (["--select-ops"], {"select_ops": True}),
    "--signature": (["--signature", "first"], {"signature": "first"}),
    "--weights": ([*INT8, "--weights", "per-tensor"], {**QUANTIZED, "weights": "per-tensor"}),
    "--learn-rounding": ([*INT8, "--learn-rounding"], {**QUANTIZED, "learn_rounding": True}),
    "--keep-float": ([*INT8, "--keep-float", "a", "--keep-float", "b"], {**QUANTIZED, "keep_float": ("a", "b")}),
    "--keep-int16": ([*INT8, "--keep-int16", "a"], {**QUANTIZED, "keep_int16": ("a",)}),
    "--auto-precision": ([*INT8, "--auto-precision", "30"], {**QUANTIZED, "auto_precision": 30.0}),
    "--lift": ([*INT8, "--lift", "int16"], {**QUANTIZED, "lift": "int16"}),
    "--ranges": ([*INT8, "--ranges", "mse"], {**QUANTIZED, "ranges": "mse"}),
    "--route": (["--route", "auto"], {"route": "auto"}),
    **dict.fromkeys(("--validation", "--labels", "--metric"), (MEASURED, JUDGED)),
    "--max-drop": ([*MEASURED, "--max-drop", "0.5"], {**JUDGED, "max_drop": 0.5}),
}
ELSEWHERE = {"--out", "--emit-c", "--no-verify", "--verbose", "--allow-code"}
"""The options that say nothing about how to export."""


class ReachedError(KerasBNError):
    """The command got as far as it is to go."""


def long_names(command):
    """The options of a command."""
    return {option for parameter in command.params for option in parameter.opts if option.startswith("--")}


def test_no_option_is_forgotten():
    assert {*OPTIONS, *ELSEWHERE} == long_names(export_command)
    assert {*BENCHMARK, "--json"} == long_names(benchmark_command)


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_arrives_and_no_other_changes(option, tmp_path, monkeypatch):
    arguments, wanted = OPTIONS[option]
    seen = []

    def build(_, __, options, ___):
        seen.append(options)
        raise ReachedError("reached")

    monkeypatch.setattr("kerasbn_export.loading.load.load_source", lambda *_, **__: None)
    monkeypatch.setattr("kerasbn_export.export.tflite.build_tflite", build)
    assert run(["export", "model.keras", "-o", str(tmp_path / "m.tflite"), *arguments]) == ReachedError.exit_code
    assert seen == [ExportOptions(**wanted)]


@pytest.mark.parametrize("allowed", [True, False])
def test_the_model_is_loaded_as_asked_for(allowed, tmp_path, monkeypatch):
    seen = []

    def load(path, **options):
        seen.append((path, options))
        raise ReachedError("reached")

    monkeypatch.setattr("kerasbn_export.loading.load.load_source", load)
    arguments = ["--signature", "first", *["--allow-code"] * allowed]
    assert run(["export", "folder", "-o", str(tmp_path / "m.tflite"), *arguments]) == ReachedError.exit_code
    assert seen == [("folder", {"allow_code": allowed, "signature": "first"})]


BENCHMARK = {
    "--rounds": (["--rounds", "3"], {"rounds": 3}),
    "--threads": (["--threads", "2"], {"threads": 2}),
    "--backend": (["--backend", "builtin"], {"backend": "builtin"}),
    "--delegate": (["--delegate", "libnpu.so"], {"delegate": "libnpu.so"}),
    "--seed": (["--seed", "5"], {"seed": 5}),
}


@pytest.mark.parametrize("option", BENCHMARK)
def test_an_option_of_benchmark_arrives_and_no_other_changes(option, monkeypatch):
    arguments, wanted = BENCHMARK[option]
    seen = []

    def measure(paths, _, **options):
        seen.append(([str(path) for path in paths], options))
        raise ReachedError("reached")

    monkeypatch.setattr("kerasbn_export.benchmark.side_by_side.measure_files", measure)
    assert run(["benchmark", "a.tflite", "b.tflite", *arguments]) == ReachedError.exit_code
    plain = {"rounds": 60, "threads": 1, "backend": "xnnpack", "delegate": None, "seed": 0}
    assert seen == [(["a.tflite", "b.tflite"], {**plain, **wanted})]


def dense_scales(path):
    """How many scales the kernel of the only FULLY_CONNECTED has."""
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(path.read_bytes())
    (op,) = (
        op
        for op in model.subgraphs[0].operators
        if flatbuffer_utils.opcode_to_name(model, op.opcodeIndex) == "FULLY_CONNECTED"
    )
    return len(model.subgraphs[0].tensors[op.inputs[1]].quantization.scale)


@pytest.fixture
def saved(keras_flavour, rng, tmp_path, monkeypatch):
    """A model file, samples for it, and the folder of both as the working directory."""
    return written(keras_flavour, rng, tmp_path, monkeypatch)


def written(flavour, rng, folder, monkeypatch):
    layers = flavour.keras.layers
    image = flavour.keras.Input((6, 6, 3), name="image")
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(layers.Conv2D(4, 3)(image)))
    model = flavour.keras.Model(image, layers.Dense(5, name="scores")(layers.GlobalAveragePooling2D()(x)))
    weights = [np.array([1.5, 0.2, -2, 0.1]), rng.normal(size=4), rng.normal(size=4), np.array([0.01, 1, 30, 2])]
    model.get_layer("norm").set_weights(weights)
    monkeypatch.chdir(folder)
    model.save("m.keras")
    np.save("x.npy", rng.normal(size=(24, 6, 6, 3)).astype("float32"))
    return folder


@pytest.mark.usefixtures("saved")
def test_best_lists_the_forms_and_the_file_it_takes_is_verified(capsys):
    assert run(["export", "m.keras", "-o", "m.tflite", *INT8, "--best"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (forms,) = (line for line in lines if line.startswith("Forms tried: "))
    assert forms.startswith("Forms tried: as folded ")
    assert "bias corrected" in forms
    assert ", taken" in forms
    assert "Calibrated on 18 samples from x.npy." in lines
    assert lines[-1].startswith("Equal: 1 output over")


@pytest.mark.parametrize(("form", "scales"), [("per-channel", 5), ("per-tensor", 1)])
def test_dense_has_the_scales_asked_for(form, scales, rng, tmp_path, monkeypatch, capsys):
    written(Flavour("keras"), rng, tmp_path, monkeypatch)
    assert run(["export", "m.keras", "-o", "m.tflite", *INT8, "--dense", form]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("Equal: 1 output over")
    assert dense_scales(tmp_path / "m.tflite") == scales


def test_best_refuses_what_it_cannot_choose_from(saved, capsys):
    assert run(["export", "m.keras", "-o", "m.tflite", "--best"]) == 2
    assert "best=True chooses among the folded forms of a quantized file" in capsys.readouterr().err
    np.save("x.npy", np.load("x.npy")[:7])
    assert run(["export", "m.keras", "-o", "m.tflite", *INT8, "--best"]) == 2
    assert "needs at least 8; found 7" in capsys.readouterr().err
    assert not (saved / "m.tflite").exists()
