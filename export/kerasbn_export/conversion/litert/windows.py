"""Operations that slide a window, in TFLite's own form."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasbn_export.conversion.litert.nodes import NO_ACTIVATION, Spelled, constant, integer


def average_pool(operation: Any) -> Spelled | None:
    """AVERAGE_POOL_2D.

    Args:
        operation: An AvgPool.
    """
    if operation.get_attr("data_format") != b"NHWC":
        return None
    _, height, width, _ = operation.get_attr("ksize")
    attributes = {"filter_height": integer(height), "filter_width": integer(width), **_window(operation)}
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
    attributes = {"dilation_h_factor": integer(height), "dilation_w_factor": integer(width), **_window(operation)}
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
        f"{name}_{axis}{suffix}": integer(value)
        for name, suffix, attribute in (("stride", "", "strides"), ("dilation", "_factor", "dilations"))
        for axis, value in zip("dhw", operation.get_attr(attribute)[1:4], strict=True)
    }
    return {**sizes, "padding": f'"{operation.get_attr("padding").decode()}"', **NO_ACTIVATION}


def _window(operation: Any) -> dict[str, str]:
    """Strides and padding."""
    _, height, width, _ = operation.get_attr("strides")
    padding = f'"{operation.get_attr("padding").decode()}"'
    return {"stride_h": integer(height), "stride_w": integer(width), "padding": padding, **NO_ACTIVATION}
