"""Batch normalization for Keras 2: ``from kerasbn.tf_keras import BatchNormalization``."""

from __future__ import annotations

import tensorflow as tf
import tf_keras

from kerasbn.batch_normalization import BatchNormMixin
from kerasbn.library import Library
from kerasbn.quantized.classes import build_layers
from kerasbn.tensorflow import fused
from kerasbn.tensorflow import ops as tensorflow_ops

__all__ = ["BatchNormalization"]


_AVERAGE = {
    "experimental_autocast": False,
    "trainable": False,
    "synchronization": tf.VariableSynchronization.ON_READ,
    "aggregation": tf.VariableAggregation.MEAN,
}
QUANTIZED = build_layers(tf_keras, _AVERAGE, __name__)
globals().update(QUANTIZED)  # where Keras looks for the class of a saved layer


@tf_keras.saving.register_keras_serializable("kerasbn")
class BatchNormalization(BatchNormMixin, tf_keras.layers.Layer):  # type: ignore[misc]  # noqa: D101 - Keras has no types; the docstring is the mixin's
    __doc__ = BatchNormMixin.__doc__
    _library = Library(
        keras=tf_keras,
        ops=tensorflow_ops,
        kernel=fused,
        all_sum=tensorflow_ops.all_sum,
        weight={"experimental_autocast": False},
        average=_AVERAGE,
        # Where its kernel is fused.
        unbiased_in_stock=frozenset({(4, 1), (4, 3), (5, 1), (5, 4)}),
        wide_ghost_weights=True,
    )

    # Nothing here needs AutoGraph, which would rewrite it all for every trace.
    call = tf.autograph.experimental.do_not_convert(BatchNormMixin.call)
