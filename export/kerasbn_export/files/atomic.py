"""Writes files whole or not at all, several together: beside their destinations, to the disk, then renamed."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kerasbn.errors import KerasBNError, OutputError

NAME_KEPT = 40
"""Letters of the destination's name in that of its temporary file, which may not be too long for the file system."""


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
    with replacing_all([path]) as (temporary,):
        yield temporary


@contextmanager
def replacing_all(paths: Sequence[str | Path]) -> Iterator[list[Path]]:
    """The same for several files: all of them take their places at the end, or none does.

    Raises:
        OutputError: See `replacing`.
    """
    destinations = [_destination(path) for path in paths]
    temporaries = [_beside(destination) for destination in destinations]
    try:
        with _named(", ".join(map(str, paths))):
            yield temporaries
        _move(paths, temporaries, destinations)
    finally:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)


@contextmanager
def _named(path: str | Path) -> Iterator[None]:
    """Turns what the operating system refuses into an `OutputError` that names the path."""
    try:
        yield
    except KerasBNError:
        raise
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}.") from error


def _beside(destination: Path) -> Path:
    return destination.with_name(f".{destination.stem[:NAME_KEPT]}.{secrets.token_hex(4)}{destination.suffix}")


def _move(paths: Sequence[str | Path], temporaries: Sequence[Path], destinations: Sequence[Path]) -> None:
    written = [each for each in zip(paths, temporaries, destinations, strict=True) if each[1].exists()]
    for path, temporary, _ in written:
        with _named(path):
            _flush(temporary)
    olds: list[tuple[Path, Path | None]] = []
    try:
        for path, temporary, destination in written:
            with _named(path):
                olds.append((destination, _second_name(destination) if len(written) > 1 else None))
                os.replace(temporary, destination)
    except BaseException:
        _take_back(olds[:-1])  # the last one has not been replaced
        raise
    finally:
        for _, old in olds:
            if old is not None:
                old.unlink(missing_ok=True)


def _second_name(destination: Path) -> Path | None:
    """A second name for the file at the destination; None where there is none."""
    if not destination.exists():
        return None
    kept = _beside(destination)
    try:
        os.link(destination, kept)
    except OSError:  # a file system without hard links
        shutil.copy2(destination, kept)
    return kept


def _take_back(replaced: Sequence[tuple[Path, Path | None]]) -> None:
    for destination, old in reversed(replaced):
        if old is None:
            destination.unlink(missing_ok=True)
        else:
            os.replace(old, destination)


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
    try:
        destination = Path(path).resolve()  # a link stays a link: what it points at is replaced
        there, regular, folder = destination.exists(), destination.is_file(), destination.parent.is_dir()
    except (OSError, RuntimeError, ValueError) as error:  # a name too long, links in a circle, a null character
        raise OutputError(f"{path}: no name for a file: {getattr(error, 'strerror', None) or error}.") from error
    if not folder:
        raise OutputError(f"{path}: the folder {Path(path).parent} does not exist; create it first.")
    if there and not regular:
        raise OutputError(f"{path}: is no regular file, and is left alone; give the name of a file.")
    return destination


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
