"""Shoulder exercises, as a watch feels them: activity recognition."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from kerasbn.errors import UnsafeModelError
from kerasbn_models.data.files import Array, Split, package_file, split_of

HELD_OUT = 3
"""People whom training never sees."""


def shoulder(*, length: int = 100, stride: int = 50) -> Split:
    """Windows (windows, length, 6) of acceleration and rotation at 50 Hz, and the number of the exercise.

    140 recordings of seven physiotherapy exercises by ten people: Burns et al., "Shoulder Physiotherapy Exercise
    Recognition", 2018, **BSD-3**, out of the package seglearn (``pip install --no-deps seglearn``). Three people are
    held out as a whole.

    The file is a pickle. It is read by an unpickler that knows four names of numpy and nothing else, so that no code
    in it can run.

    Args:
        length: Samples of a window.
        stride: Samples between windows.

    Raises:
        MissingPackageError: seglearn is not installed.
        UnsafeModelError: The file asks for more than arrays.
    """
    data = read_arrays(package_file("seglearn", "seglearn", "data", "watch_dataset.npy"))
    people = np.asarray(data["subject"])
    held = np.isin(people, np.unique(people)[-HELD_OUT:])
    parts = (_cut(data, np.flatnonzero(members), length, stride) for members in (~held, held))
    return split_of(parts, tuple(map(str, data["y_labels"])))


def _cut(data: dict[str, Any], members: Array, length: int, stride: int) -> tuple[Array, Array]:
    """The windows of some recordings, and their exercises."""
    cut = [_windows(np.asarray(data["X"][number], "float32"), length, stride) for number in members]
    labels = np.asarray(data["y"])[members].astype("int64")
    return np.concatenate(cut), np.repeat(labels, [len(each) for each in cut])


def read_arrays(path: Path) -> dict[str, Any]:
    """The dictionary in an ``.npy`` file that holds one, read without running code.

    Raises:
        UnsafeModelError: The pickle asks for anything but arrays of numbers.
    """
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        header[version](file)
        content: dict[str, Any] = ArraysOnly(io.BytesIO(file.read())).load().item()
    return content


class ArraysOnly(pickle.Unpickler):
    """An unpickler that makes numpy arrays, and refuses every other name."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        """One of four names, of any numpy; the codec is replaced by one that only knows bytes."""
        allowed = {"ndarray": np.ndarray, "dtype": np.dtype, "encode": _latin1, "_reconstruct": _empty_array}
        homes = {"numpy", "numpy.core.multiarray", "numpy._core.multiarray", "_codecs"}
        if module not in homes or name not in allowed:
            raise UnsafeModelError(f"The file asks for {module}.{name}; it is read for arrays only.")
        return allowed[name]


def _latin1(text: str, _encoding: str) -> bytes:
    return text.encode("latin1")


def _empty_array(_kind: type, shape: tuple[int, ...], _dtype: bytes) -> Array:
    """What numpy's own function does for an array that gets its numbers later."""
    empty: Array = np.ndarray(shape, "int8")
    return empty


def _windows(signal: Array, length: int, stride: int) -> Array:
    starts = range(0, len(signal) - length + 1, stride)
    return np.stack([signal[start : start + length] for start in starts])
