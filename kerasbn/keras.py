"""Batch normalization for Keras 3: ``from kerasbn.keras import BatchNormalization``."""

from __future__ import annotations

import keras

from kerasbn.batch_normalization import BatchNormMixin
from kerasbn.library import Library
from kerasbn.quantized.classes import build_layers

__all__ = ["BatchNormalization"]


def _library() -> Library:
    weight, average = {"autocast": False}, {"autocast": False, "trainable": False}
    if keras.backend.backend() != "tensorflow":
        return Library(keras, keras.ops, None, None, weight, average)
    from kerasbn.tensorflow import fused
    from kerasbn.tensorflow import ops as tensorflow_ops

    return Library(keras, tensorflow_ops, fused, tensorflow_ops.all_sum, weight, average)


QUANTIZED = build_layers(keras, {"trainable": False, "autocast": False, "aggregation": "mean"}, __name__)
globals().update(QUANTIZED)  # where Keras looks for the class of a saved layer


@keras.saving.register_keras_serializable("kerasbn")
class BatchNormalization(BatchNormMixin, keras.layers.Layer):  # type: ignore[misc]  # noqa: D101 - Keras has no types; the docstring is the mixin's
    __doc__ = BatchNormMixin.__doc__
    _library = _library()
