"""Networks made of parallel branches that are one convolution at inference, as their papers have them.

RepViT_M09: Wang et al. 2023, "RepViT: Revisiting Mobile CNN From ViT Perspective", with the BatchNorm behind the sum of
its token mixer. MobileOne_S0: Vasu et al. 2022, "MobileOne: An Improved One millisecond Mobile Backbone". The
activations are ReLU, so that int8 has no operation for them.
"""

from __future__ import annotations

from typing import Any


def repvit_m09(k: Any, size: int, classes: int) -> Any:
    """Three stages of 2 and one of 14 blocks, 48 to 384 channels."""
    inputs = k.Input((size, size, 3))
    x = _conv(k, k.layers.ReLU()(_conv(k, inputs, 24, 3, strides=2)), 48, 3, strides=2)
    for stage, (channels, depth) in enumerate(zip((48, 96, 192, 384), (2, 2, 14, 2), strict=True)):
        if stage:
            x = _mixer(k, _token_mixer(k, x), channels // 2)
            x = _conv(k, _depthwise(k, x, 3, strides=2), channels, 1)
            x = _mixer(k, x, channels)
        for number in range(depth):
            x = _token_mixer(k, x)
            x = _mixer(k, x if number % 2 else _squeeze_excite(k, x, channels), channels)
    x = k.layers.BatchNormalization()(k.layers.GlobalAveragePooling2D()(x))
    return k.Model(inputs, k.layers.Dense(classes)(x), name="repvit_m09")


def mobileone_s0(k: Any, size: int, classes: int) -> Any:
    """Four stages of 2, 8, 10 and 1 blocks, each a depthwise and a 1x1 convolution of four branches and more."""
    inputs = k.Input((size, size, 3))
    x = _several(k, inputs, [_conv(k, inputs, 48, 3, strides=2) for _ in range(4)])
    for channels, depth in zip((48, 128, 256, 1024), (2, 8, 10, 1), strict=True):
        for number in range(depth):
            strides = 1 if number else 2
            threes = [_depthwise(k, x, 3, strides=strides) for _ in range(4)]
            x = _several(k, x, [*threes, _depthwise(k, x, 1, strides=strides)])
            x = _several(k, x, [_conv(k, x, channels, 1) for _ in range(4)])
    return k.Model(inputs, k.layers.Dense(classes)(k.layers.GlobalAveragePooling2D()(x)), name="mobileone_s0")


REPARAMETERIZED = {"RepViT_M09": repvit_m09, "MobileOne_S0": mobileone_s0}


def _norm(k: Any, x: Any) -> Any:
    return k.layers.BatchNormalization()(x)


def _conv(k: Any, x: Any, channels: int, size: int, strides: int = 1) -> Any:
    return _norm(k, k.layers.Conv2D(channels, size, strides=strides, padding="same", use_bias=False)(x))


def _depthwise(k: Any, x: Any, size: int, strides: int = 1) -> Any:
    return _norm(k, k.layers.DepthwiseConv2D(size, strides=strides, padding="same", use_bias=False)(x))


def _token_mixer(k: Any, x: Any) -> Any:
    return _norm(k, k.layers.Add()([_depthwise(k, x, 3), k.layers.DepthwiseConv2D(1)(x), x]))


def _mixer(k: Any, x: Any, channels: int) -> Any:
    return k.layers.Add()([x, _conv(k, k.layers.ReLU()(_conv(k, x, 2 * channels, 1)), channels, 1)])


def _squeeze_excite(k: Any, x: Any, channels: int) -> Any:
    y = k.layers.GlobalAveragePooling2D(keepdims=True)(x)
    y = k.layers.Conv2D(channels // 4, 1, activation="relu")(y)
    return k.layers.Multiply()([x, k.layers.Conv2D(channels, 1, activation="sigmoid")(y)])


def _several(k: Any, x: Any, branches: list[Any]) -> Any:
    """The sum of the branches, and of the value itself where it has their shape."""
    branches = [*branches, _norm(k, x)] if tuple(branches[0].shape) == tuple(x.shape) else branches
    return k.layers.ReLU()(k.layers.Add()(branches))
