"""Augmentation layers that do nothing at inference: they are left out of the graph, as the converter leaves a Dropout.

    f(x) = x   in ``model.predict``

Keras' own image layers with ``training=True`` as the default of ``call`` are augmentations, but some of them work at
inference too: ``CenterCrop`` crops, ``AutoContrast`` stretches. Which do nothing is found out by running them: each
gives three random images back, bit for bit, or it stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasbn_export.capture.binding import value_of
from kerasbn_export.capture.symbolic import Event
from kerasbn_export.capture.training import argument, trains_by_default
from kerasbn_export.graph.model import Value

MODULES = ("keras.src.layers.preprocessing.", "tf_keras.src.layers.preprocessing.")
Shape = Sequence[int | None]
RANGES = ((0.0, 1.0), (0.0, 255.0), (-300.0, 300.0))
"""Of the random images: those that images have, and beyond, for some layers clip."""
OPEN_SIZES = (12, 17)
"""Heights and widths of random images where the layer's input leaves them open. A Resizing changes one of them."""


def is_identity_at_inference(event: Event) -> bool:
    """Whether a call, with values where tensors are, is of an augmentation that gives at inference what it takes."""
    if not _is_augmentation(event.layer) or argument(event, "training") is not False:
        return False
    value = event.args[0] if event.args else None
    if not isinstance(value, Value) or value.shape is None or value.dtype != event.layer.compute_dtype:
        return False
    if says_a_false_shape(event, value):
        return False
    rng = np.random.default_rng(0)
    shapes = dict.fromkeys(_image_shape(value.shape, size) for size in OPEN_SIZES)
    return all(
        _gives_back(event.layer, rng.uniform(*limits, shape).astype(value.dtype))
        for shape in shapes
        for limits in RANGES
    )


def says_a_false_shape(event: Event, value: Value) -> bool:
    """Whether the layer gives an image another size in training than at inference: Keras 3 tells the former.

    Its ``RandomCrop`` gives back at inference what it takes, whatever its size is. A ``Resizing`` gives what it says.
    """
    told = value_of(event.outputs[0]).shape
    if not _is_augmentation(event.layer) or value.shape is None or told is None:
        return False
    if not _other_size(value.shape, told):
        return False
    image = np.zeros(_image_shape(value.shape, OPEN_SIZES[0]), value.dtype)
    return _other_size(event.layer(image, training=False).shape, told)


def resizing(layer: Any) -> dict[str, Any] | None:
    """The options of the Resizing that a ``RandomCrop`` of tf_keras is at inference; None for any other layer.

    Its random generator is a variable that the converter cannot trace.
    """
    if type(layer).__module__.startswith(MODULES[1]) and type(layer).__name__ == "RandomCrop":
        return {
            "height": layer.height,
            "width": layer.width,
            "crop_to_aspect_ratio": True,
            "dtype": layer.compute_dtype,
        }
    return None


def _is_augmentation(layer: Any) -> bool:
    return type(layer).__module__.startswith(MODULES) and trains_by_default(layer)


def _image_shape(shape: Shape, size: int) -> tuple[int, ...]:
    return (1, *(known or size for known in shape[1:]))


def _other_size(one: Shape, other: Shape) -> bool:
    """Whether both tell a size and not the same; how many samples there are does not count."""
    return any(None not in pair and pair[0] != pair[1] for pair in zip(one[1:], other[1:], strict=False))


def _gives_back(layer: Any, image: Any) -> bool:
    given = np.asarray(layer(image, training=False))
    return bool(given.shape == image.shape and given.tobytes() == image.tobytes())
