"""Operations of TensorFlow that TFLite has as well, one for one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kerasbn_export.conversion.litert.nodes import NO_ACTIVATION, Spelled, constant, integer, source, truth
from kerasbn_export.conversion.litert.windows import (
    average_pool,
    convolution,
    convolution_3d,
    transposed_convolution,
    transposed_convolution_3d,
)

MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")


def resize(kind: str) -> Callable[[Any], Spelled]:
    """RESIZE_BILINEAR or RESIZE_NEAREST_NEIGHBOR.

    Args:
        kind: The name in the ``tfl`` dialect.
    """

    def spelled(operation: Any) -> Spelled:
        size = np.array(operation.outputs[0].shape[1:3], np.int32)
        flags = {name: truth(operation.get_attr(name)) for name in ("align_corners", "half_pixel_centers")}
        return Spelled(kind, (operation.inputs[0], size), flags)

    return spelled


def tile(operation: Any) -> Spelled | None:
    """TILE. As BROADCAST_TO, which the package makes of it, it takes LiteRT ten times as long.

    Args:
        operation: A Tile, or a BroadcastTo.
    """
    given, made = operation.inputs[0].shape, operation.outputs[0].shape
    if not (given.is_fully_defined() and made.is_fully_defined() and len(given) == len(made)):
        return None
    pairs = list(zip(given, made, strict=True))
    if any(before == 0 or after % before for before, after in pairs):
        return None
    return Spelled("tfl.tile", (operation.inputs[0], np.array([b // a for a, b in pairs], np.int32)))


def elementwise(kind: str) -> Callable[[Any], Spelled | None]:
    """An operation without attributes.

    Args:
        kind: The name in the ``tfl`` dialect.
    """
    return lambda operation: Spelled(kind, tuple(operation.inputs))


def squared_difference(operation: Any) -> Spelled | None:
    """SQUARED_DIFFERENCE, of which one side is repeated for up to four dimensions alone.

    Args:
        operation: A SquaredDifference.
    """
    one, other = (tensor.shape for tensor in operation.inputs)
    alike = one == other or max(len(one), len(other)) <= 4
    return Spelled("tfl.squared_difference", tuple(operation.inputs)) if alike else None


def relu(operation: Any) -> Spelled | None:
    """RELU of many dimensions: a maximum with 0, as XLA writes it, TFLite has for up to five.

    Args:
        operation: A Relu.
    """
    return Spelled("tfl.relu", tuple(operation.inputs)) if len(operation.outputs[0].shape) > 5 else None


def dense(operation: Any) -> Spelled | None:
    """FULLY_CONNECTED of single rows, as behind a global pooling that keeps its dimensions.

    The package makes one operation of it and the reshapes around it, whose result has another rank.

    Args:
        operation: A MatMul.
    """
    before, kernel = source(operation.inputs[0]).op, constant(operation.inputs[1])
    plain = not (operation.get_attr("transpose_a") or operation.get_attr("transpose_b"))
    if kernel is None or not plain or before.type != "Reshape":
        return None
    given = before.inputs[0].shape
    if len(given) != 4 or given[2] != 1:
        return None
    attributes = {**NO_ACTIVATION, "weights_format": '"DEFAULT"', "keep_num_dims": "false"}
    return Spelled("tfl.fully_connected", (operation.inputs[0], np.ascontiguousarray(kernel.T)), attributes, missing=1)


def leaky_relu(operation: Any) -> Spelled | None:
    """LEAKY_RELU.

    Args:
        operation: A LeakyRelu.
    """
    return Spelled("tfl.leaky_relu", (operation.inputs[0],), {"alpha": f"{operation.get_attr('alpha'):.9e} : f32"})


def gather(operation: Any) -> Spelled | None:
    """GATHER along an axis that is known.

    Args:
        operation: A GatherV2.
    """
    axis = constant(operation.inputs[2])
    if axis is None:
        return None
    attributes = {"axis": integer(axis), "batch_dims": integer(operation.get_attr("batch_dims"))}
    return Spelled("tfl.gather", tuple(operation.inputs[:2]), attributes)


def split(operation: Any) -> Spelled | None:
    """SPLIT into equal parts.

    Args:
        operation: A Split.
    """
    axis = constant(operation.inputs[0])
    parts = {"num_splits": integer(operation.get_attr("num_split"))}
    return None if axis is None else Spelled("tfl.split", (np.int32(axis), operation.inputs[1]), parts)


def split_v(operation: Any) -> Spelled | None:
    """SPLIT_V into parts of sizes that are known.

    Args:
        operation: A SplitV.
    """
    value, sizes, axis = operation.inputs[0], *map(constant, operation.inputs[1:])
    if sizes is None or axis is None:
        return None
    return Spelled("tfl.split_v", (value, _whole(sizes), np.int32(axis)), {"num_splits": integer(len(sizes))})


def unpack(operation: Any) -> Spelled | None:
    """UNPACK.

    Args:
        operation: An Unpack.
    """
    attributes = {name: integer(operation.get_attr(name)) for name in ("num", "axis")}
    return Spelled("tfl.unpack", (operation.inputs[0],), attributes)


def pack(operation: Any) -> Spelled | None:
    """PACK.

    Args:
        operation: A Pack.
    """
    attributes = {"values_count": integer(operation.get_attr("N")), "axis": integer(operation.get_attr("axis"))}
    return Spelled("tfl.pack", tuple(operation.inputs), attributes)


def strided_slice(operation: Any) -> Spelled | None:
    """STRIDED_SLICE with bounds that are known.

    Args:
        operation: A StridedSlice.
    """
    bounds = [_whole(constant(tensor)) for tensor in operation.inputs[1:]]
    masks = {name: operation.get_attr(name) for name in MASKS}
    if any(bound is None for bound in bounds) or masks["new_axis_mask"] or masks["ellipsis_mask"]:
        return None
    attributes = {name: integer(mask) for name, mask in masks.items()}
    return Spelled("tfl.strided_slice", (operation.inputs[0], *bounds), {**attributes, "offset": "false"})


def mean(operation: Any) -> Spelled | None:
    """MEAN over axes that are known.

    Args:
        operation: A Mean.
    """
    axes = constant(operation.inputs[1])
    if axes is None:
        return None
    kept = {"keep_dims": truth(operation.get_attr("keep_dims"))}
    return Spelled("tfl.mean", (operation.inputs[0], np.atleast_1d(_whole(axes))), kept)


def _whole(values: Any) -> Any:
    """Whole numbers in 32 bits, as TFLite has them; None stays None."""
    limits = np.iinfo(np.int32)
    return None if values is None else np.clip(values, limits.min, limits.max).astype(np.int32)


LAYERS: Mapping[str, Callable[[Any], Spelled | None]] = {
    "AvgPool": average_pool,
    "Conv2D": convolution,
    "Conv2DBackpropInput": transposed_convolution,
    "ResizeBilinear": resize("tfl.resize_bilinear"),
    "ResizeNearestNeighbor": resize("tfl.resize_nearest_neighbor"),
    "Tile": tile,
    "BroadcastTo": tile,
    "Elu": elementwise("tfl.elu"),
    "LeakyRelu": leaky_relu,
    "SquaredDifference": squared_difference,
    "Relu": relu,
    "MatMul": dense,
    "GatherV2": gather,
    "Split": split,
    "SplitV": split_v,
    "Unpack": unpack,
    "Pack": pack,
    "StridedSlice": strided_slice,
    "Mean": mean,
    "Conv3D": convolution_3d,
    "Conv3DBackpropInputV2": transposed_convolution_3d,
}
"""By the type of the operation."""
