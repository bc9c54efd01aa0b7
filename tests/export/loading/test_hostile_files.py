"""Nothing runs from a hostile file: not at the command line, not in Python, whatever its kind and format."""

import contextlib
import importlib
import io
import sys

import pytest
from kerasbn_testing.hostile_models import MODULE, PWNED, write_hostile_files

from kerasbn.errors import UnsafeModelError
from kerasbn_export import export_tflite, verify
from kerasbn_export.cli.main import run
from kerasbn_export.loading.load import load_model, load_source

COMMANDS = {"inspect": "inspect {}", "fold": "fold {} -o {}/out.keras", "export": "export {} -o {}/out.tflite",
            "verify": "verify {0} {0}"}  # fmt: skip
CALLS = {"load": lambda path, _: load_source(path), "verify": lambda path, _: verify(path, path),
         "export_tflite": lambda path, out: export_tflite(path, out / "out.tflite")}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    yield write_hostile_files(folder)
    sys.path.remove(str(folder))
    sys.modules.pop(MODULE, None)


def ran(file):
    """Whether the code ran; the mark is taken away."""
    mark = file.path.parent / PWNED
    marks = [*file.path.parent.glob(f"{PWNED}*")]
    for found in marks:
        found.unlink()
    sys.modules.pop(MODULE, None)
    return bool(marks) or mark.exists()


def test_there_are_enough_of_them(files):
    assert len(files) >= 60
    assert len({file.kind for file in files}) >= 12


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_refuses_each(command, files, tmp_path):
    for file in files:
        err = io.StringIO()
        with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
            code = run(COMMANDS[command].format(file.path, tmp_path).split())
        message = err.getvalue()
        foreign = file.kind == "SavedModel, function" and command in ("inspect", "fold")
        wanted = "no Keras layers" if foreign else file.names
        assert (code, ran(file)) == (2, False), f"{file}: {message}"
        assert wanted in message, f"{file}: {message}"
        assert foreign or "--allow-code" in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("call", CALLS)
def test_a_call_refuses_each(call, files, tmp_path):
    for file in files:
        with pytest.raises(UnsafeModelError, match="allow_code=True") as caught:
            CALLS[call](file.path, tmp_path)
        assert str(file.path) in str(caught.value)
        assert not ran(file), file
    assert list(tmp_path.iterdir()) == []


LIVE = {
    *("Lambda layer", "name of ours", "nested deep", "type of an input", "operator as a layer"),
    *("SavedModel, initializer", "SavedModel, layer", "SavedModel, function"),
}
"""The kinds of which one of the Kerases, as it is installed, runs at least one file; it stops the others itself."""


def test_the_files_are_what_they_say(files):
    """Without the check the code in them runs, so that a test that sees no mark has seen something."""
    live = set()
    for file in files:
        if file.kind not in live and let_in(file):
            live.add(file.kind)
    assert live >= LIVE


def let_in(file):
    with contextlib.suppress(Exception), contextlib.redirect_stdout(io.StringIO()):
        load = load_source if file.path.is_dir() else load_model
        model = load(file.path, allow_code=True)
        call(model)
    return ran(file)


def call(model):
    import tensorflow as tf

    x = tf.ones((1, 4))
    model[0].call([x]) if isinstance(model, tuple) else model(x)
