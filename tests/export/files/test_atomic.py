"""A file is written whole or not at all, and nothing else is left in the folder."""

import errno
import subprocess
import sys

import pytest

from kerasbn.errors import OutputError
from kerasbn_export.files.atomic import check_destination, replacing, save_model, write_bytes

pytestmark = pytest.mark.either_keras

# A real limit of the operating system on the size of files: the write itself fails, as on a full disk.
LIMITED = """
import pathlib, resource, sys
{prepare}
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
from kerasbn.errors import OutputError
from kerasbn_export.files.atomic import save_model, write_bytes
try:
    {write}
except OutputError as error:
    print("refused:", error)
"""
MODEL = """
import {name} as keras
model = keras.Sequential([keras.Input((40,)), keras.layers.Dense(40)])
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_was_written_takes_the_place_of_the_old_file(tmp_path):
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["out.bin"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real.bin").write_bytes(b"old")
    (tmp_path / "link.bin").symlink_to(tmp_path / "real.bin")
    write_bytes(tmp_path / "link.bin", b"new")
    assert (tmp_path / "link.bin").is_symlink()
    assert (tmp_path / "real.bin").read_bytes() == b"new"


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError, MemoryError])
def test_an_interruption_leaves_the_old_file_and_nothing_else(failure, tmp_path):
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")

    def interrupted():
        with replacing(path) as temporary:
            temporary.write_bytes(b"half")
            assert temporary.parent == path.parent
            assert temporary.suffix == path.suffix
            raise failure

    with pytest.raises(failure):
        interrupted()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["out.bin"]


def test_a_full_disk_is_an_error_with_the_name_of_the_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("kerasbn_export.files.atomic.os.fsync", full)
    with pytest.raises(OutputError, match=r"out.bin: cannot be written: No space left on device") as caught:
        write_bytes(tmp_path / "out.bin", b"data")
    assert caught.value.exit_code == 3
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("prepare", "write", "name"),
    [
        ("", "write_bytes({path!r}, bytes(100_000))", "m.tflite"),
        (MODEL.format(name="keras"), "save_model(model, {path!r})", "m.keras"),
        (MODEL.format(name="tf_keras"), "save_model(model, {path!r})", "m.h5"),
    ],
)
def test_when_the_system_stops_the_write_nothing_is_left(prepare, write, name, tmp_path):
    path = tmp_path / "out" / name
    path.parent.mkdir()
    path.write_bytes(b"old")
    script = LIMITED.format(prepare=prepare, write=write.format(path=str(path)))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stdout.startswith(f"refused: {path}"), done.stderr
    assert path.read_bytes() == b"old"
    assert names(path.parent) == [name]


@pytest.mark.parametrize("write", [lambda path: write_bytes(path, b""), check_destination])
def test_a_missing_folder_is_named(write, tmp_path):
    with pytest.raises(OutputError, match=r"the folder .*nowhere does not exist; create it first"):
        write(tmp_path / "nowhere" / "out.tflite")


def test_what_is_no_regular_file_is_left_alone(tmp_path):
    (tmp_path / "folder.tflite").mkdir()
    for path in (tmp_path / "folder.tflite", "/dev/null"):
        with pytest.raises(OutputError, match="is no regular file"):
            write_bytes(path, b"data")


def test_a_model_is_saved_under_the_suffixes_of_keras_only(tmp_path):
    with pytest.raises(OutputError, match=r"ends in .keras, .h5 or .hdf5"):
        save_model(object(), tmp_path / "m.onnx")


def test_what_keras_cannot_save_is_an_error_with_the_reason(tmp_path):
    class Unsavable:
        def save(self, path):
            raise NotImplementedError("no get_config")

    with pytest.raises(OutputError, match="Keras could not save the model: no get_config"):
        save_model(Unsavable(), tmp_path / "m.keras")
    assert names(tmp_path) == []


def test_a_folder_that_may_not_be_written_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("kerasbn_export.files.atomic.os.access", lambda *_: False)  # root may write everywhere
    with pytest.raises(OutputError, match=r"the folder .* may not be written to"):
        check_destination(tmp_path / "out.tflite")
