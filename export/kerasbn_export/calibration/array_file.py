"""Reads arrays from ``.npy`` and ``.npz`` files."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from kerasbn.errors import InvalidArgumentError
from kerasbn_export.files.reading import check_memory, reading

SUFFIXES = (".npy", ".npz")
MISSING = "no such file; give a .npy or .npz file"
MAGIC_PREFIX = b"\x93NUMPY"


def read_arrays(path: str | Path) -> NDArray[Any] | list[NDArray[Any]] | dict[str, NDArray[Any]]:
    """The arrays in a file: one, a list in the order they were saved in, or a dict by the names they were saved under.

    Args:
        path: A ``.npy`` file, or a ``.npz`` file written with positional or with named arrays.

    Raises:
        InvalidArgumentError: The file is missing, is neither, or holds Python objects, which loading would run.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidArgumentError(f"{path}: arrays are read from .npy and .npz files.")
    with (
        reading(path, "cannot be read as arrays of numbers", InvalidArgumentError, missing=MISSING),
        path.open("rb") as file,
    ):
        check_memory(_size(file))
        file.seek(0)
        return _content(np.load(file, allow_pickle=False))


def _size(file: IO[bytes]) -> int:
    """The bytes that the arrays of a file have, as it says itself."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            return sum(member.file_size for member in archive.infolist())
    file.seek(0)
    if file.read(len(MAGIC_PREFIX)) != MAGIC_PREFIX:
        return 0
    file.seek(0)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return math.prod(shape) * dtype.itemsize


def _content(loaded: Any) -> NDArray[Any] | list[NDArray[Any]] | dict[str, NDArray[Any]]:
    if isinstance(loaded, np.ndarray):
        return loaded
    arrays = {name: loaded[name] for name in loaded.files}
    positional = [f"arr_{index}" for index in range(len(arrays))]  # what numpy calls arrays without a name
    return [arrays[name] for name in positional] if set(arrays) == set(positional) else arrays
