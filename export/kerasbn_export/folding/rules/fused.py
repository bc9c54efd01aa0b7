"""Activations that TFLite has as an option of other operations: a ReLU or ReLU6 behind one of them costs nothing."""

from __future__ import annotations

from kerasbn_export.folding.rules.step import stock_activation
from kerasbn_export.graph.model import Layer

FUSED = ("relu", "relu6")


def is_fused(layer: Layer) -> bool:
    """Whether TFLite has the activation as an option of other operations."""
    return fused_activation(layer) is not None


def fused_activation(layer: Layer) -> str | None:
    """Which of `FUSED` the layer computes, None if none of them."""
    if layer.kind == "Activation":
        name = stock_activation(layer)
        return name if name in FUSED else None
    if layer.kind == "ReLU":
        if layer.config.get("negative_slope") or layer.config.get("threshold"):
            return None
        most = layer.config.get("max_value")
        return "relu" if most is None else "relu6" if most == 6.0 else None
    return None
