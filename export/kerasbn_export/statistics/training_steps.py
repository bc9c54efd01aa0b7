"""How many steps a model in a file was trained for: the counter of the optimizer that was saved with it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

WEIGHTS = "model.weights.h5"
FOLDERS = ("optimizer_weights", "optimizer", "_optimizer")
LARGEST_WEIGHTS = 1 << 32
"""Bytes of weights that are looked through."""


def training_steps(path: str | Path) -> int | None:
    """The count of a ``.keras`` or ``.h5`` file; None where it holds none, and for a SavedModel."""
    path = Path(path)
    if not path.is_file():
        return None
    try:
        if not zipfile.is_zipfile(path):
            with h5py.File(path, "r") as file:
                return _count(file)
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(WEIGHTS).file_size > LARGEST_WEIGHTS:
                return None
            with h5py.File(io.BytesIO(archive.read(WEIGHTS)), "r") as file:
                return _count(file)
    except (OSError, KeyError, RuntimeError, ValueError, zipfile.BadZipFile):
        return None  # the loader has said what is wrong with the file


def _count(file: Any) -> int | None:
    counters = [int(each[()]) for name in FOLDERS if name in file for each in _counters(file[name])]
    return counters[0] if counters and counters[0] > 0 else None


def _counters(group: Any) -> Iterator[Any]:
    """The whole numbers of the optimizer: it counts in one, the first of them, and all else is real."""
    found: list[Any] = []
    group.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
    yield from (item for item in found if item.shape == () and np.issubdtype(item.dtype, np.integer))
