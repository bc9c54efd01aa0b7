"""What can go wrong in an export ends in one line, the right exit code, and no half-written file."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from kerasbn.errors import CalibrationError, ConversionError
from kerasbn.flavour import Flavour
from kerasbn_export.cli.main import run
from kerasbn_export.cli.supervise import supervised
from kerasbn_export.export.tflite import export_tflite
from kerasbn_export.tflite.file import read_tflite
from kerasbn_export.verification import verify


def network(flavour):
    x = flavour.keras.Input((5,), name="x")
    y = flavour.batch_normalization(name="norm")(flavour.keras.layers.Dense(3, name="dense")(x))
    model = flavour.keras.Model(x, y)
    model.get_layer("norm").set_weights([np.array([-1, 0, 2]), np.ones(3), 9 * np.ones(3), np.array([0.01, 2, 50])])
    return model


def pair(flavour):
    """Two inputs."""
    a, b = flavour.keras.Input((3,), name="a"), flavour.keras.Input((4,), name="b")
    return flavour.keras.Model([a, b], flavour.keras.layers.Concatenate()([a, b]))


@pytest.fixture
def good(keras_flavour, tmp_path):
    network(keras_flavour).save(tmp_path / "good.keras")
    return str(tmp_path / "good.keras")


def refused(arguments, capsys, code):
    assert run(arguments) == code
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("error: ")
    return err


def test_constant_calibration(good, tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.ones((7, 5), "float32"))
    options = ["--precision", "int8", "--calibration", str(tmp_path / "x.npy")]
    assert "are constant" in refused(["export", good, "-o", str(tmp_path / "out.tflite"), *options], capsys, 2)
    assert not (tmp_path / "out.tflite").exists()


ARRAYS = {
    "too few": ([np.ones((4, 3))], "hold 1 array; the model has 2 inputs"),
    "too many": ([np.ones((4, 3))] * 3, "hold 3 arrays; the model has 2 inputs"),
    "other names": ({"a": np.ones((4, 3)), "c": np.ones((4, 4))}, r"named \['a', 'c'\]; the model's inputs are \['a'"),
    "other lengths": ([np.eye(3), np.eye(5)[:, :4]], "different numbers of calibration samples: {'a': 3, 'b': 5}"),
    "no samples": (iter([]), "yields no samples"),
}  # fmt: skip


@pytest.mark.parametrize("case", ARRAYS)
def test_calibration_with_the_wrong_number_of_inputs(case, keras_flavour, tmp_path):
    data, message = ARRAYS[case]
    with pytest.raises(CalibrationError, match=message):
        export_tflite(pair(keras_flavour), tmp_path / "m.tflite", precision="int8", calibration=data)
    assert list(tmp_path.iterdir()) == []


def test_a_generator_that_fails_says_so_itself(keras_flavour, tmp_path):
    def samples():
        yield np.arange(5.0)
        raise RuntimeError("the camera is gone")

    with pytest.raises(RuntimeError, match="the camera is gone"):
        export_tflite(network(keras_flavour), tmp_path / "m.tflite", precision="int8", calibration=samples)
    assert list(tmp_path.iterdir()) == []


def test_the_samples_are_counted_while_they_are_measured(keras_flavour, rng, tmp_path):
    steps = []
    options = {"precision": "int8", "calibration": rng.normal(size=(7, 5)), "on_step": steps.append}
    export_tflite(network(keras_flavour), tmp_path / "m.tflite", **options)
    counted = [step for step in steps if step.startswith("measure")]
    assert counted[:7] == [f"measure ranges: sample {number} of 7" for number in range(1, 8)]


def test_an_interruption_while_ranges_are_measured_leaves_nothing(keras_flavour, rng, tmp_path):
    """The converter calls back from C++: the interruption must pass through it."""

    def interrupt(step):
        if "sample 3" in step:
            raise KeyboardInterrupt

    options = {"precision": "int8", "calibration": rng.normal(size=(7, 5)), "on_step": interrupt}
    with pytest.raises(KeyboardInterrupt):
        export_tflite(network(keras_flavour), tmp_path / "m.tflite", **options)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_reaches_the_command_through_its_supervisor(tmp_path):
    """A real signal to a real process, once it measures ranges."""
    network(Flavour("keras")).save(tmp_path / "good.keras")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(20, 5)).astype("float32"))
    script = (
        "import signal, time; from kerasbn_export.calibration.samples import Calibration;\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a job in the background is given it ignored
        "real = Calibration.batches\n"
        "def slow(self, size):\n"
        "    for arrays in real(self, size):\n"
        f"        open({str(tmp_path / 'begun')!r}, 'w').close(); time.sleep(20); yield arrays\n"
        "Calibration.batches = slow\n"
        "from kerasbn_export.cli import main; main()"
    )
    options = ["--precision", "int8", "--calibration", "x.npy", "-o", "out.tflite"]
    command = [sys.executable, "-c", script, "export", "good.keras", *options]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "begun").exists() and process.poll() is None:
        time.sleep(0.05)
    time.sleep(1)  # it sleeps by now: an interrupt that falls into a finaliser is lost in Python
    process.send_signal(signal.SIGINT)
    try:
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, err.lstrip()) == (130, "error: interrupted; nothing half-written is left\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["begun", "good.keras", "x.npy"]


@pytest.mark.parametrize(("number", "name"), [(signal.SIGSEGV, "SIGSEGV"), (signal.SIGABRT, "SIGABRT")])
def test_a_crash_of_the_whole_process_is_one_line(number, name, tmp_path):
    """As when the converter aborts: the process that died was a child."""
    script = (
        "import os, sys, tempfile; from kerasbn_export.cli.supervise import supervised\n"
        "def dies():\n"
        f"    print(tempfile.mkdtemp(), flush=True); os.kill(os.getpid(), {int(number)})\n"
        "sys.exit(supervised(dies))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        3,
        f"error: TensorFlow or LiteRT crashed ({name}); nothing half-written is left\n",
    )
    assert not os.path.exists(done.stdout.strip())


def test_the_code_of_a_supervised_command_is_passed_on():
    script = "import sys; from kerasbn_export.cli.supervise import supervised; sys.exit(supervised(lambda: 2))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 2


def test_without_fork_a_command_runs_in_this_process(monkeypatch):
    monkeypatch.delattr(os, "fork")
    assert supervised(lambda: 7) == 7


def test_a_folder_that_may_not_be_written(good, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("kerasbn_export.files.atomic.os.access", lambda *_: False)  # root may write everywhere
    message = refused(["export", good, "-o", str(tmp_path / "out.tflite")], capsys, 3)
    assert "may not be written to" in message


def test_a_disk_that_fills_up_while_the_model_is_traced(good, tmp_path, capsys, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("kerasbn_export.conversion.convert.write_servable", full)
    message = refused(["export", good, "-o", str(tmp_path / "out.tflite")], capsys, 3)
    assert "No space left on device" in message
    assert not (tmp_path / "out.tflite").exists()


def odd(flavour):
    """A layer that computes what TFLite has no operation for."""
    import tensorflow as tf

    class Odd(flavour.keras.layers.Layer):
        def call(self, x):
            return tf.linalg.inv(x)

    x = flavour.keras.Input((3, 3))
    return flavour.keras.Model(x, Odd(name="odd")(x))


def test_a_custom_operation_is_refused_unless_allowed(keras_flavour, tmp_path):
    with pytest.raises(ConversionError, match="no builtin operation for MatrixInverse"):
        export_tflite(odd(keras_flavour), tmp_path / "m.tflite")
    assert list(tmp_path.iterdir()) == []
    result = export_tflite(odd(keras_flavour), tmp_path / "m.tflite", select_ops=True)
    assert "CUSTOM:FlexMatrixInverse" in read_tflite(result.path).custom_ops


def with_resource(flavour, use, name="model"):
    """A layer that uses what is no attribute of it."""

    class Foreign(flavour.keras.layers.Layer):
        def call(self, x):
            return use(x)

    x = flavour.keras.Input((4,))
    return flavour.keras.Model(x, Foreign()(flavour.keras.layers.Dense(3)(x)), name=name)


def test_a_variable_of_nobody_goes_along(keras_flavour, tmp_path):
    import tensorflow as tf

    factor = tf.Variable(2.0)
    model = with_resource(keras_flavour, lambda x: x * factor)
    assert verify(model, export_tflite(model, tmp_path / "m.tflite").path)


def test_a_refusal_says_what_to_do(keras_flavour, tmp_path):
    import tensorflow as tf

    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer([0, 1], [3.0, 4.0]), 0.0)
    model = with_resource(keras_flavour, lambda x: table.lookup(tf.cast(x, "int32")))
    with pytest.raises(ConversionError, match=r"no attribute of it\. Make it one: self\.table"):
        export_tflite(model, tmp_path / "m.tflite")
    with pytest.raises(ConversionError, match=r"Give the model and its layers names of letters"):
        export_tflite(with_resource(keras_flavour, abs, "my model (v2)"), tmp_path / "m.tflite")
    assert list(tmp_path.iterdir()) == []


def save_tflite(flavour, path):
    return str(export_tflite(network(flavour), path).path)


@pytest.mark.either_keras
def test_benchmark_prints_what_it_measured(keras_flavour, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = ["a.tflite", "b.tflite"]
    for path in paths:
        save_tflite(keras_flavour, path)
    assert run(["benchmark", *paths, "--rounds", "3"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "3 rounds, 1 thread(s), xnnpack" in out
    assert all(path in out for path in paths)


def test_benchmark_as_json_has_every_number(keras_flavour, tmp_path, capsys):
    path = save_tflite(keras_flavour, tmp_path / "a.tflite")
    options = ["--rounds", "2", "--threads", "2", "--backend", "reference", "--json"]
    assert run(["benchmark", path, *options]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["schema_version"], record["threads"], record["backend"]) == (1, 2, "reference")
    (file,) = record["files"]
    assert (file["path"], file["ratio"], file["quartiles"], file["ops"]) == (path, 1, [1, 1], {"FULLY_CONNECTED": 1})
    assert file["activation_bytes"] == 4 * (5 + 3)
    assert file["milliseconds"] > 0
    assert 0 <= file["resident_bytes"] < 100e6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.tflite"], "none.tflite: cannot be read: No such file"),
        (["text.tflite"], "no .tflite file, it begins with b'dear dia'"),
        (["good.tflite", "--delegate", "none.so"], "none.so: cannot be loaded as a delegate"),
        (["good.tflite", "--rounds", "0"], "0 is not in the range"),
        ([], "Missing argument"),
    ],
)
def test_benchmark_refuses_what_it_cannot_run(arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.tflite").write_text("dear diary")
    save_tflite(Flavour("keras"), tmp_path / "good.tflite")
    assert message in refused(["benchmark", *arguments], capsys, 2)
