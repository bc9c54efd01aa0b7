"""The blocks of YOLO11, each a function from a tensor to a tensor.

Layers are called as the entries of an ultralytics state_dict are: block ``model.6.m.0.cv1`` has the layers
``model.6.m.0.cv1.conv``, ``model.6.m.0.cv1.bn`` and ``model.6.m.0.cv1.act``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kerasbn_models.convolution import conv2d, depthwise_conv2d

NormFactory = Callable[[str], Any]


def conv(
    layers: Any,
    norm: NormFactory,
    x: Any,
    filters: int,
    kernel: int = 1,
    stride: int = 1,
    *,
    act: bool = True,
    name: str,
) -> Any:
    """Conv2D without bias, BatchNorm and, unless ``act`` is false, SiLU."""
    x = norm(f"{name}.bn")(conv2d(layers, x, filters, kernel, stride=stride, name=f"{name}.conv"))
    return layers.Activation("swish", name=f"{name}.act")(x) if act else x


def depthwise(layers: Any, norm: NormFactory, x: Any, kernel: int, *, act: bool = True, name: str) -> Any:
    """DepthwiseConv2D without bias, BatchNorm and, unless ``act`` is false, SiLU."""
    x = norm(f"{name}.bn")(depthwise_conv2d(layers, x, kernel, name=f"{name}.conv"))
    return layers.Activation("swish", name=f"{name}.act")(x) if act else x


def bottleneck(layers: Any, norm: NormFactory, x: Any, hidden: int, *, name: str) -> Any:
    """Two 3x3 convolutions beside an identity; channels stay, ``hidden`` lie between."""
    y = conv(layers, norm, x, hidden, 3, name=f"{name}.cv1")
    y = conv(layers, norm, y, int(x.shape[-1]), 3, name=f"{name}.cv2")
    return layers.Add(name=f"{name}.add")([x, y])


def c3k(layers: Any, norm: NormFactory, x: Any, *, name: str) -> Any:
    """Two bottlenecks on one half, nothing on the other, then a 1x1 convolution over both."""
    filters = int(x.shape[-1])
    hidden = filters // 2
    y = conv(layers, norm, x, hidden, name=f"{name}.cv1")
    for number in (0, 1):
        y = bottleneck(layers, norm, y, hidden, name=f"{name}.m.{number}")
    both = [y, conv(layers, norm, x, hidden, name=f"{name}.cv2")]
    return conv(layers, norm, layers.Concatenate(name=f"{name}.concat")(both), filters, name=f"{name}.cv3")


def c3k2(
    layers: Any,
    norm: NormFactory,
    x: Any,
    filters: int,
    repeats: int,
    *,
    nested: bool,
    expansion: float = 0.5,
    name: str,
) -> Any:
    """Two halves, then a chain of bottlenecks (or of `c3k`, ``nested``); a 1x1 convolution reads every link."""
    hidden = int(filters * expansion)
    parts = halves(conv(layers, norm, x, 2 * hidden, name=f"{name}.cv1"))
    for number in range(repeats):
        link = f"{name}.m.{number}"
        y = parts[-1]
        parts.append(c3k(layers, norm, y, name=link) if nested else bottleneck(layers, norm, y, hidden // 2, name=link))
    return conv(layers, norm, layers.Concatenate(name=f"{name}.concat")(parts), filters, name=f"{name}.cv2")


def sppf(layers: Any, norm: NormFactory, x: Any, filters: int, *, act: bool, name: str) -> Any:
    """The maximum over 5, 9 and 13 pixels beside the features, as three 5x5 pools in a row."""
    parts = [conv(layers, norm, x, int(x.shape[-1]) // 2, act=act, name=f"{name}.cv1")]
    for number in range(3):
        pool = layers.MaxPooling2D(5, strides=1, padding="same", name=f"{name}.m.{number}")
        parts.append(pool(parts[-1]))
    return conv(layers, norm, layers.Concatenate(name=f"{name}.concat")(parts), filters, name=f"{name}.cv2")


def c2psa(layers: Any, norm: NormFactory, matmul: Callable[[Any, Any], Any], x: Any, repeats: int, *, name: str) -> Any:
    """Attention and two 1x1 convolutions, each beside an identity, on one half of the channels."""
    filters = int(x.shape[-1])
    left, y = halves(conv(layers, norm, x, filters, name=f"{name}.cv1"))
    for number in range(repeats):
        block = f"{name}.m.{number}"
        y = layers.Add(name=f"{block}.attn_add")([y, attention(layers, norm, matmul, y, name=f"{block}.attn")])
        z = conv(layers, norm, y, 2 * (filters // 2), name=f"{block}.ffn.0")
        z = conv(layers, norm, z, filters // 2, act=False, name=f"{block}.ffn.1")
        y = layers.Add(name=f"{block}.ffn_add")([y, z])
    return conv(layers, norm, layers.Concatenate(name=f"{name}.concat")([left, y]), filters, name=f"{name}.cv2")


def attention(layers: Any, norm: NormFactory, matmul: Callable[[Any, Any], Any], x: Any, *, name: str) -> Any:
    """``softmax(q k^T / sqrt(d)) v`` among all pixels, plus a depthwise 3x3 of the values; heads of 64 channels.

    Queries and keys have half as many channels as values.
    """
    height, width, channels = (int(size) for size in x.shape[1:])
    heads, pixels = max(channels // 64, 1), height * width
    values = channels // heads
    keys = values // 2
    x = conv(layers, norm, x, channels + 2 * heads * keys, act=False, name=f"{name}.qkv")
    x = layers.Reshape((pixels, heads, 2 * keys + values), name=f"{name}.heads")(x)
    q = layers.Permute((2, 1, 3), name=f"{name}.q")(x[:, :, :, :keys])
    k = layers.Permute((2, 3, 1), name=f"{name}.k")(x[:, :, :, keys : 2 * keys])
    v = layers.Permute((2, 1, 3), name=f"{name}.v")(x[:, :, :, 2 * keys :])
    weights = layers.Softmax(name=f"{name}.softmax")(matmul(q * keys**-0.5, k))
    mixed = layers.Permute((2, 1, 3), name=f"{name}.mixed")(matmul(weights, v))
    mixed = layers.Reshape((height, width, channels), name=f"{name}.image")(mixed)
    position = layers.Reshape((height, width, channels), name=f"{name}.values")(x[:, :, :, 2 * keys :])
    position = depthwise(layers, norm, position, 3, act=False, name=f"{name}.pe")
    mixed = layers.Add(name=f"{name}.add")([mixed, position])
    return conv(layers, norm, mixed, channels, act=False, name=f"{name}.proj")


def halves(x: Any) -> list[Any]:
    """The first and the second half of the channels."""
    middle = int(x.shape[-1]) // 2
    return [x[:, :, :, :middle], x[:, :, :, middle:]]
