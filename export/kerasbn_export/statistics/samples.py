"""Samples for `kerasbn.check` and `kerasbn.recalibrate` out of files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kerasbn.errors import InvalidArgumentError
from kerasbn_export.calibration.array_file import read_arrays
from kerasbn_export.calibration.image_folder import read_images
from kerasbn_export.ends import ModelInput

MOST_IMAGES = 8192


def read_samples(
    model: Any,
    data: str | None,
    *,
    images: str | None = None,
    image_range: tuple[float, float] | None = None,
    labels: str | None = None,
) -> Any:
    """Inputs, or (inputs, labels), as `kerasbn.recalibrate` takes them; None where none are given.

    Args:
        model: Whose inputs they are.
        data: A ``.npy`` or ``.npz`` file.
        images: A folder of images instead.
        image_range: What the values 0 and 255 of images become.
        labels: A ``.npy`` file.

    Raises:
        InvalidArgumentError: Both or neither of data and images are given, or a file holds no arrays.
        CalibrationError: The images do not fit the model.
    """
    if data is not None and images is not None:
        raise InvalidArgumentError("--data and --images were both given; accepted: one of them.")
    if data is None and images is None:
        if labels is not None:
            raise InvalidArgumentError("--labels were given without --data or --images, which they belong to.")
        return None
    inputs = read_arrays(data) if data is not None else _images(model, str(images), image_range)
    return inputs if labels is None else (inputs, read_labels(labels))


def read_labels(path: str) -> Any:
    """The one array of a ``.npy`` file.

    Raises:
        InvalidArgumentError: The file holds several arrays.
    """
    found = read_arrays(path)
    if not hasattr(found, "shape"):
        raise InvalidArgumentError(f"{path}: holds several arrays; accepted for labels: one, in a .npy file.")
    return found


def _images(model: Any, folder: str, image_range: tuple[float, float] | None) -> Any:
    inputs = getattr(model, "inputs", None) or []
    if len(inputs) != 1:
        raise InvalidArgumentError(f"{folder}: a folder of images fits a model with one input; found {len(inputs)}.")
    wanted = ModelInput(str(inputs[0].name), tuple(inputs[0].shape), "float32")
    return read_images(Path(folder), wanted, image_range, MOST_IMAGES)
