"""Writes a file whole or not at all: beside its destination first, to the disk, then renamed."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kerasbn.errors import OutputError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Gives a free path in the same folder; what is written there takes the place of `path` at the end.

    On any failure, an interruption included, the destination stays as it was and nothing else is left; so it does
    where nothing is at the path that was given out when the block ends.

    Args:
        path: The destination. The path given out has the same suffix.

    Raises:
        OutputError: The folder is missing or may not be written, the destination is no regular file, or the
            disk is full.
    """
    destination = _destination(path)
    temporary = destination.with_name(f".{destination.stem}.{secrets.token_hex(4)}{destination.suffix}")
    try:
        yield temporary
        if temporary.exists():
            _flush(temporary)
            os.replace(temporary, destination)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)


def check_destination(path: str | Path) -> None:
    """Raises `OutputError` if the path cannot be written, before anything slow is begun."""
    folder = _destination(path).parent
    if not os.access(folder, os.W_OK):
        raise OutputError(f"{path}: the folder {folder} may not be written to.")


def check_model_destination(path: str | Path) -> None:
    """The same for the file of a Keras model, whose suffix must be one of Keras'."""
    if Path(path).suffix.lower() not in {".keras", ".h5", ".hdf5"}:
        raise OutputError(f"{path}: a Keras model is written to a file that ends in .keras, .h5 or .hdf5.")
    check_destination(path)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Writes `data` to `path`, whole or not at all.

    Raises:
        OutputError: See `replacing`.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def save_model(model: Any, path: str | Path) -> None:
    """Saves a Keras model to a ``.keras``, ``.h5`` or ``.hdf5`` file, whole or not at all.

    Raises:
        OutputError: The suffix is another one, Keras cannot save the model, or see `replacing`.
    """
    check_model_destination(path)
    with replacing(path) as temporary:
        try:
            model.save(str(temporary))
        except OSError:
            raise
        except Exception as error:  # h5py reports a full disk as RuntimeError, Keras in yet other ways
            raise OutputError(f"{path}: Keras could not save the model: {error}") from error


def _destination(path: str | Path) -> Path:
    destination = Path(path).resolve()  # a link stays a link: what it points at is replaced
    if not destination.parent.is_dir():
        raise OutputError(f"{path}: the folder {Path(path).parent} does not exist; create it first.")
    if destination.exists() and not destination.is_file():
        raise OutputError(f"{path}: is no regular file, and is left alone; give the name of a file.")
    return destination


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
