"""Linear layers of a tuned model that stay in float: the converter is kept from quantizing them.

Between two ranges the converter takes every layer for one that is to be quantized, and rounds its weights itself. So
such a layer is converted with a NEG before it, as `kerasbn_export.tflite.negatives` says.
"""

from __future__ import annotations

import operator
from collections.abc import Collection

import numpy as np

from kerasbn.quantized.kernels import LINEAR
from kerasbn_export.arrays import Array
from kerasbn_export.graph.model import Call, Graph, Layer

KERNEL_NAMES = ("depthwise_kernel", "kernel")
"""Of the kernel among a layer's weights."""


def negate(graph: Graph, names: Collection[str]) -> None:
    """Puts a NEG before each linear layer of these names, and negates its kernel."""
    negated: dict[Layer, Layer] = {}
    for call in graph.in_order():
        if call.layer.kind in LINEAR and call.layer.name in names:
            graph.insert_after(call.inputs[0], _negative(graph, call), [call])
            call.layer = negated.setdefault(call.layer, _with_negative_kernel(call.layer))


def _negative(graph: Graph, call: Call) -> Layer:
    name = f"{call.layer.name}_negative"
    source = graph.flavour.keras.layers.Lambda(operator.neg, name=name, dtype="float32")
    return Layer(name, name, None, source, "float32")


def _with_negative_kernel(layer: Layer) -> Layer:
    return layer.with_weights({name: -held if name in KERNEL_NAMES else held for name, held in layer.weights.items()})


def transposed_kernels(graph: Graph, names: Collection[str]) -> tuple[Array, ...]:
    """The kernels of the transposed convolutions of these names, with the axes of a file."""
    layers = dict.fromkeys(call.layer for call in graph.in_order() if call.layer.name in names)
    return tuple(np.moveaxis(its.weights["kernel"], 2, 0) for its in layers if its.kind == "Conv2DTranspose")
