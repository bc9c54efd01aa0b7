"""The layers of quantization-aware training for Keras 3."""

from __future__ import annotations

import keras

from kerasbn_export.quantization.layers.classes import build_layers

LAYERS = build_layers(keras, average={"trainable": False, "autocast": False, "aggregation": "mean"}, module=__name__)
globals().update(LAYERS)  # where Keras looks for the class of a saved layer
