"""The layers of quantization-aware training for Keras 2."""

from __future__ import annotations

import tensorflow as tf
import tf_keras

from kerasbn_export.quantization.layers.classes import build_layers

LAYERS = build_layers(
    tf_keras,
    average={
        "trainable": False,
        "experimental_autocast": False,
        "synchronization": tf.VariableSynchronization.ON_READ,
        "aggregation": tf.VariableAggregation.MEAN,
    },
    module=__name__,
)
globals().update(LAYERS)  # where Keras looks for the class of a saved layer
