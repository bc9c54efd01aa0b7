"""Reads arrays from ``.npy`` and ``.npz`` files."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasbn.errors import InvalidArgumentError

SUFFIXES = (".npy", ".npz")


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
    try:
        with path.open("rb") as file:
            return _content(np.load(file, allow_pickle=False))
    except FileNotFoundError as error:
        raise InvalidArgumentError(f"{path}: no such file; give a .npy or .npz file.") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InvalidArgumentError(f"{path}: cannot be read as arrays of numbers ({error}).") from error


def _content(loaded: Any) -> NDArray[Any] | list[NDArray[Any]] | dict[str, NDArray[Any]]:
    if isinstance(loaded, np.ndarray):
        return loaded
    arrays = {name: loaded[name] for name in loaded.files}
    positional = [f"arr_{index}" for index in range(len(arrays))]  # what numpy calls arrays without a name
    return [arrays[name] for name in positional] if set(arrays) == set(positional) else arrays
