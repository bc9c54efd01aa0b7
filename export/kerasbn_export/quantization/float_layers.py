"""Layers of a tuned model that stay in float, between ranges.

There the converter takes every operation for one that is to be quantized, and rounds its weights itself. So in the
tuned model a layer stands before such a one that does nothing. For the converter it becomes the mark of
`kerasbn_export.tflite.float_marks`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from kerasbn.lazy import LazyModule
from kerasbn.quantized.classes import IN_FLOAT, layers_of
from kerasbn.quantized.in_float import InFloatMixin
from kerasbn_export.arrays import Array
from kerasbn_export.graph.model import Call, Graph, Layer
from kerasbn_export.tflite.float_marks import MARK

tf: Any = LazyModule("tensorflow")


def lead_into_float(graph: Graph, calls: Collection[Call]) -> None:
    """Puts the layer that does nothing before every number that some calls take."""
    for call in calls:
        for number, value in enumerate(dict.fromkeys(call.inputs)):
            if "float" in value.dtype:
                name = f"{call.layer.name}_in_float" + (f"_{number}" if number else "")
                source = layers_of(graph.flavour)[IN_FLOAT](name=name, dtype="float32")
                graph.insert_after(value, Layer(name, name, None, source, "float32"), [call])


def leads_into_float(call: Call) -> bool:
    """Whether a call is of that layer."""
    return isinstance(call.layer.source, InFloatMixin)


def is_led_into_float(call: Call) -> bool:
    """Whether the user wanted a call in float."""
    return any(value.producer is not None and leads_into_float(value.producer) for value in call.inputs)


def mark(graph: Graph) -> int:
    """Puts marks in the place of the layers that do nothing; how many."""
    calls = [call for call in graph.in_order() if leads_into_float(call)]
    for number, call in enumerate(calls):
        name = f"number_{number}{MARK}"
        source = graph.flavour.keras.layers.Lambda(tf.floor, name=name, dtype="float32")
        call.layer = Layer(name, name, None, source, "float32")
    return len(calls)


def transposed_kernels(graph: Graph) -> tuple[Array, ...]:
    """The kernels of the transposed convolutions in float, the axis of the outputs first as in a file."""
    layers = dict.fromkeys(call.layer for call in graph.in_order() if is_led_into_float(call))
    kernels = [its.weights["kernel"] for its in layers if str(its.kind).endswith("Transpose")]
    return tuple(np.moveaxis(kernel, -2, 0) for kernel in kernels)
