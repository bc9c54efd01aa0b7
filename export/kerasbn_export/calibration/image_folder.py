"""Reads a folder of images as calibration samples.

The rule: every .jpg, .jpeg, .png, .bmp and .gif below the folder, in the order of their paths, is decoded to the
channels of the input and resized to its height and width (bilinear with antialiasing). Its values 0 to 255 are mapped
linearly onto the range that the model was trained on, which only its user knows. Where the proportions differ, an image
is stretched, cropped at its longer side, or padded with zeros: what was done in training is right, and Keras'
``image_dataset_from_directory`` stretches unless it is told otherwise.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kerasbn.errors import CalibrationError
from kerasbn.flavour import KERAS
from kerasbn_export.files.reading import reading

if TYPE_CHECKING:
    from kerasbn_export.ends import ModelInput

STRETCH = "stretch"
RESIZES = (STRETCH, "crop", "pad")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif"})


def read_images(
    folder: Path, wanted: ModelInput, value_range: tuple[float, float] | None, limit: int, resize: str = STRETCH
) -> NDArray[np.float32]:
    """The images below a folder as one array.

    Args:
        folder: Where they are.
        wanted: The input they are for, of shape (n, height, width, 1 or 3).
        value_range: What 0 and what 255 become.
        limit: How many to take at most.
        resize: One of `RESIZES`: what happens to an image of other proportions.

    Raises:
        CalibrationError: The input takes no images, the range is not given, there are none, or one cannot be decoded.
    """
    height, width, channels = _image_shape(wanted)
    if value_range is None:
        raise CalibrationError(
            f"{folder}: images hold values from 0 to 255; say what the model was trained on: "
            "image_range=(0, 1), (-1, 1) or (0, 255) (on the command line: --image-range 0 1)."
        )
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise CalibrationError(f"{folder}: holds no images; accepted: {', '.join(sorted(SUFFIXES))}.")
    low, high = value_range
    images = [_decoded(path, height, width, channels, resize) for path in islice(paths, limit)]
    return (low + np.stack(images) * ((high - low) / 255)).astype(np.float32)


def _image_shape(wanted: ModelInput) -> tuple[int, int, int]:
    size = wanted.shape[1:]
    if len(size) != 3 or size[0] is None or size[1] is None or size[2] not in {1, 3}:
        raise CalibrationError(f"A folder of images fits an input of shape (n, height, width, 1 or 3); found {wanted}.")
    return size[0], size[1], size[2]


def _decoded(path: Path, height: int, width: int, channels: int, resize: str) -> NDArray[Any]:
    import tensorflow as tf

    keeping = {} if resize == STRETCH else {f"{resize}_to_aspect_ratio": True}

    with reading(path, "cannot be decoded as an image", CalibrationError):
        image = tf.io.decode_image(path.read_bytes(), channels=channels, expand_animations=False)
    image = tf.cast(image, "float32")
    options = {"antialias": True, "data_format": "channels_last", **keeping}
    return np.asarray(KERAS.keras.ops.image.resize(image, (height, width), **options))
