"""Brick, grass and gravel: classification of colourless textures."""

from __future__ import annotations

import numpy as np

from kerasbn_models.data.files import Split, package_file, read_picture, windows

NAMES = ("brick", "grass", "gravel")


def textures(*, size: int = 64, stride: int = 32) -> Split:
    """Windows (windows, size, size, 1) from 0 to 1 of three pictures of 512 x 512, and the number of the picture.

    From texturehaven.com, **CC0**, out of the package scikit-image, BSD-3 (``pip install --no-deps scikit-image``). The
    left three quarters of each picture are for training, the right quarter for the test: no window crosses the line.

    Args:
        size: Height and width of a window.
        stride: Pixels between training windows. Test windows do not overlap.

    Raises:
        MissingPackageError: scikit-image or Pillow is not installed.
    """
    train, test = [], []
    for name in NAMES:
        picture = read_picture(package_file("scikit-image", "skimage", "data", f"{name}.png"))
        x, border = (picture / 255).astype("float32")[..., None], 3 * picture.shape[1] // 4
        train.append(windows(x[:, :border], size, stride))
        test.append(windows(x[:, border:], size, size))
    parts = ((np.concatenate(part), np.repeat(np.arange(len(NAMES)), [len(x) for x in part])) for part in (train, test))
    (train_x, train_y), (test_x, test_y) = parts
    return Split(train_x, train_y, test_x, test_y, NAMES)
