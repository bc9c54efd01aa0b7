"""Reads a Keras model into a `Graph`. The only package that touches private attributes of Keras.

Functional, Sequential, nested and subclassed models all become one flat graph of calls. A subclassed model is
traced: its ``call`` runs once on symbolic tensors, and Keras records what it calls.
"""

from __future__ import annotations

from typing import Any

from kerasbn_export.capture.flatten import Flattening
from kerasbn_export.graph.model import Graph

__all__ = ["capture"]


def capture(model: Any) -> Graph:
    """The model as a flat graph of calls; the model itself is not changed.

    Args:
        model: A model of Keras 3 or tf_keras whose input shapes are known.

    Raises:
        InvalidArgumentError: It is no Keras model.
        UnsupportedModelError: It has never been built, or its ``call`` does what symbolic tensors cannot do.
    """
    return Flattening(model).graph()
