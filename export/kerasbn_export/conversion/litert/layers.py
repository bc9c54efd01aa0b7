"""Operations of TensorFlow that TFLite has as well, one for one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kerasbn_export.conversion.litert.nodes import Spelled, constant

MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
NO_ACTIVATION = {"fused_activation_function": '"NONE"'}


def average_pool(operation: Any) -> Spelled | None:
    """AVERAGE_POOL_2D.

    Args:
        operation: An AvgPool.
    """
    if operation.get_attr("data_format") != b"NHWC":
        return None
    _, height, width, _ = operation.get_attr("ksize")
    attributes = {"filter_height": _int(height), "filter_width": _int(width), **_window(operation)}
    return Spelled("tfl.average_pool_2d", (operation.inputs[0],), attributes)


def convolution(operation: Any) -> Spelled | None:
    """CONV_2D of one channel, which becomes a DEPTHWISE_CONV_2D otherwise.

    Args:
        operation: A Conv2D.
    """
    kernel = constant(operation.inputs[1])
    plain = operation.get_attr("data_format") == b"NHWC" and operation.get_attr("padding") != b"EXPLICIT"
    if kernel is None or not plain or kernel.shape[2] != 1 or operation.inputs[0].shape[-1] != 1:
        return None
    weights = np.ascontiguousarray(kernel.transpose(3, 0, 1, 2))
    _, height, width, _ = operation.get_attr("dilations")
    attributes = {"dilation_h_factor": _int(height), "dilation_w_factor": _int(width), **_window(operation)}
    none = np.zeros(len(weights), np.float32)  # LiteRT's kernel wants a bias
    return Spelled("tfl.conv_2d", (operation.inputs[0], weights, none), attributes)


def transposed_convolution(operation: Any) -> Spelled | None:
    """TRANSPOSE_CONV, whose weights have the output's channels first.

    Args:
        operation: A Conv2DBackpropInput.
    """
    kernel = constant(operation.inputs[1])
    plain = operation.get_attr("data_format") == b"NHWC" and set(operation.get_attr("dilations")) == {1}
    if kernel is None or not plain or operation.get_attr("padding") == b"EXPLICIT":
        return None
    shape = np.array(operation.outputs[0].shape, np.int32)
    weights = np.ascontiguousarray(kernel.transpose(2, 0, 1, 3))
    return Spelled("tfl.transpose_conv", (shape, weights, operation.inputs[2]), _window(operation), missing=1)


def resize(kind: str) -> Callable[[Any], Spelled]:
    """RESIZE_BILINEAR or RESIZE_NEAREST_NEIGHBOR.

    Args:
        kind: The name in the ``tfl`` dialect.
    """

    def spelled(operation: Any) -> Spelled:
        size = np.array(operation.outputs[0].shape[1:3], np.int32)
        flags = {name: _bool(operation.get_attr(name)) for name in ("align_corners", "half_pixel_centers")}
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
    attributes = {"axis": _int(axis), "batch_dims": _int(operation.get_attr("batch_dims"))}
    return Spelled("tfl.gather", tuple(operation.inputs[:2]), attributes)


def split(operation: Any) -> Spelled | None:
    """SPLIT into equal parts.

    Args:
        operation: A Split.
    """
    axis = constant(operation.inputs[0])
    parts = {"num_splits": _int(operation.get_attr("num_split"))}
    return None if axis is None else Spelled("tfl.split", (np.int32(axis), operation.inputs[1]), parts)


def split_v(operation: Any) -> Spelled | None:
    """SPLIT_V into parts of sizes that are known.

    Args:
        operation: A SplitV.
    """
    value, sizes, axis = operation.inputs[0], *map(constant, operation.inputs[1:])
    if sizes is None or axis is None:
        return None
    return Spelled("tfl.split_v", (value, _whole(sizes), np.int32(axis)), {"num_splits": _int(len(sizes))})


def unpack(operation: Any) -> Spelled | None:
    """UNPACK.

    Args:
        operation: An Unpack.
    """
    attributes = {name: _int(operation.get_attr(name)) for name in ("num", "axis")}
    return Spelled("tfl.unpack", (operation.inputs[0],), attributes)


def pack(operation: Any) -> Spelled | None:
    """PACK.

    Args:
        operation: A Pack.
    """
    attributes = {"values_count": _int(operation.get_attr("N")), "axis": _int(operation.get_attr("axis"))}
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
    attributes = {name: _int(mask) for name, mask in masks.items()}
    return Spelled("tfl.strided_slice", (operation.inputs[0], *bounds), {**attributes, "offset": "false"})


def mean(operation: Any) -> Spelled | None:
    """MEAN over axes that are known.

    Args:
        operation: A Mean.
    """
    axes = constant(operation.inputs[1])
    if axes is None:
        return None
    kept = {"keep_dims": _bool(operation.get_attr("keep_dims"))}
    return Spelled("tfl.mean", (operation.inputs[0], np.atleast_1d(_whole(axes))), kept)


def convolution_3d(operation: Any) -> Spelled | None:
    """CONV_3D.

    Args:
        operation: A Conv3D.
    """
    if operation.get_attr("data_format") != b"NDHWC":
        return None
    return Spelled("tfl.conv_3d", tuple(operation.inputs), _window_3d(operation), missing=1)


def transposed_convolution_3d(operation: Any) -> Spelled | None:
    """CONV_3D_TRANSPOSE.

    Args:
        operation: A Conv3DBackpropInputV2.
    """
    if operation.get_attr("data_format") != b"NDHWC":
        return None
    shape = np.array(operation.outputs[0].shape, np.int32)
    return Spelled("tfl.conv_3d_transpose", (shape, *operation.inputs[1:]), _window_3d(operation), missing=1)


def _window_3d(operation: Any) -> dict[str, str]:
    """Strides, dilations and padding."""
    sizes = {
        f"{name}_{axis}{suffix}": _int(value)
        for name, suffix, attribute in (("stride", "", "strides"), ("dilation", "_factor", "dilations"))
        for axis, value in zip("dhw", operation.get_attr(attribute)[1:4], strict=True)
    }
    return {**sizes, "padding": f'"{operation.get_attr("padding").decode()}"', **NO_ACTIVATION}


def _window(operation: Any) -> dict[str, str]:
    """Strides and padding."""
    _, height, width, _ = operation.get_attr("strides")
    padding = f'"{operation.get_attr("padding").decode()}"'
    return {"stride_h": _int(height), "stride_w": _int(width), "padding": padding, **NO_ACTIVATION}


def _whole(values: Any) -> Any:
    """Whole numbers in 32 bits, as TFLite has them; None stays None."""
    limits = np.iinfo(np.int32)
    return None if values is None else np.clip(values, limits.min, limits.max).astype(np.int32)


def _int(value: Any) -> str:
    return f"{int(value)} : i32"


def _bool(value: bool) -> str:
    return str(bool(value)).lower()


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
    "SquaredDifference": elementwise("tfl.squared_difference"),
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
