"""Convolution with the padding that papers and PyTorch mean: the same number of zeros on both sides.

Keras' ``padding="same"`` pads a stride-2 convolution of an even image by one less at the top and left, so that
weights trained elsewhere do not fit. These functions pad with a layer of its own where the two differ.
"""

from __future__ import annotations

from typing import Any


def conv2d(layers: Any, x: Any, filters: int, kernel: int, *, stride: int = 1, bias: bool = False, name: str) -> Any:
    """Conv2D with (kernel - 1) / 2 zeros on each side.

    Args:
        layers: ``keras.layers`` of the Keras to build for.
        x: Images (batch, height, width, channels).
        filters: Output channels.
        kernel: Height and width of the kernel, odd.
        stride: Both strides.
        bias: Whether the layer has a bias; not before a BatchNorm, whose beta takes its place.
        name: The layer's name.
    """
    x, padding = padded(layers, x, kernel, stride, name)
    return layers.Conv2D(filters, kernel, strides=stride, padding=padding, use_bias=bias, name=name)(x)


def depthwise_conv2d(layers: Any, x: Any, kernel: int, *, stride: int = 1, dilation: int = 1, name: str) -> Any:
    """DepthwiseConv2D without bias, padded as `conv2d` is; a dilation goes with stride 1 only."""
    x, padding = padded(layers, x, kernel, stride, name)
    layer = layers.DepthwiseConv2D(
        kernel, strides=stride, padding=padding, dilation_rate=dilation, use_bias=False, name=name
    )
    return layer(x)


def padded(layers: Any, x: Any, kernel: int, stride: int, name: str) -> tuple[Any, str]:
    """The images, with zeros around them where Keras' own padding would be one-sided, and the padding that is left."""
    if stride == 1 or kernel == 1:
        return x, "same"
    return layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x), "valid"
