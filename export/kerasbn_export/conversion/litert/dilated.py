"""Dilated convolutions, which TensorFlow writes as one between a SpaceToBatchND and a BatchToSpaceND."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasbn.lazy import LazyModule
from kerasbn_export.conversion.litert.nodes import Plain, constant, source

tf: Any = LazyModule("tensorflow")  # importing this module is to import no TensorFlow

CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")


def dilated(operation: Any) -> Plain | None:
    """The convolution with a dilation and paddings of its own.

    SpaceToBatchND pads by ``p`` and takes the input apart in blocks of ``d``, BatchToSpaceND puts the result together
    and cuts ``c`` off its end: a convolution dilated by ``d`` of the input padded by ``p[0], p[1] - c``.

    Args:
        operation: A BatchToSpaceND.
    """
    inner, flat = source(operation.inputs[0]).op, False
    if inner.type == "Squeeze":
        inner, flat = source(inner.inputs[0]).op, True
    if inner.type not in CONVOLUTIONS or not _is_plain(inner):
        return None
    before = source(inner.inputs[0]).op
    if flat and before.type == "ExpandDims":
        before = source(before.inputs[0]).op
    block, crops = constant(operation.inputs[1]), constant(operation.inputs[2])
    if before.type != "SpaceToBatchND" or block is None or crops is None or crops[:, 0].any():
        return None
    rank, paddings, split = len(operation.outputs[0].shape), constant(before.inputs[2]), constant(before.inputs[1])
    if paddings is None or not np.array_equal(block, split) or len(block) != rank - 2 or rank != (3 if flat else 4):
        return None
    if len(before.inputs[0].shape) != rank or (flat and inner.inputs[0].shape[1] * inner.inputs[1].shape[0] != 1):
        return None
    paddings = paddings - crops
    if (paddings < 0).any():
        return None
    return _convolution(operation, inner, source(before.inputs[0]), block, paddings)


def _is_plain(convolution: Any) -> bool:
    strides, dilations = (convolution.get_attr(name) for name in ("strides", "dilations"))
    layout, padding = (convolution.get_attr(name) for name in ("data_format", "padding"))
    return {*strides, *dilations} == {1} and layout == b"NHWC" and padding == b"VALID"


def _convolution(operation: Any, inner: Any, taken: Any, block: Any, paddings: Any) -> Plain:
    attributes = {name: inner.node_def.attr[name] for name in ("T", "strides", "data_format")}
    dtype = attributes["T"]
    flat = len(block) == 1
    sizes = [1, *block] if flat else list(block)
    pads = [[0, 0], *paddings] if flat else list(paddings)
    attributes["dilations"] = _numbers([1, *sizes, 1])
    attributes["padding"] = tf.compat.v1.AttrValue(s=b"EXPLICIT")
    attributes["explicit_paddings"] = _numbers([0, 0, *np.ravel(pads), 0, 0])
    if not flat:
        return Plain(inner.type, (taken, inner.inputs[1]), attributes)
    batch, *rest = taken.shape
    wide = Plain("Reshape", (taken, np.array([batch, 1, *rest], np.int32)), {"T": dtype})
    result = Plain(inner.type, (wide, inner.inputs[1]), attributes)
    return Plain("Reshape", (result, np.array(operation.outputs[0].shape, np.int32)), {"T": dtype})


def _numbers(values: Any) -> Any:
    numbers = tf.compat.v1.AttrValue()
    numbers.list.i.extend(int(value) for value in values)
    return numbers
