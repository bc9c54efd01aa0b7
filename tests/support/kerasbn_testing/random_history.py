"""Which layer made a symbolic tensor."""

from __future__ import annotations


def layer_of(flavour, tensor):
    """The layer that gives the tensor, None for an operation or a function that is no layer of its own."""
    history = tensor._keras_history
    layer = getattr(history, "operation", None) or getattr(history, "layer", None)
    is_layer = isinstance(layer, flavour.keras.layers.Layer)
    return layer if is_layer and type(layer).__name__ not in ("TFOpLambda", "SlicingOpLambda", "InputLayer") else None
