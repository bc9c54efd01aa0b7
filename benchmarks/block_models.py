"""Eleven blocks in which the stock converter leaves a BatchNorm, at sizes of real networks."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

Block = Callable[[Any], Any]
SIZE = 32


def _bn_relu(k: Any, x: Any) -> Any:
    return k.layers.ReLU()(k.layers.BatchNormalization()(x))


def _relu_bn_conv(padding: str) -> Block:
    def build(k: Any) -> Any:
        inputs = x = k.Input((SIZE, SIZE, 32))
        for _ in range(3):
            x = k.layers.Conv2D(32, 3, padding=padding)(k.layers.BatchNormalization()(k.layers.ReLU()(x)))
        return k.Model(inputs, x)

    return build


def _densenet(k: Any) -> Any:
    inputs = x = k.Input((SIZE, SIZE, 32))
    for _ in range(4):
        y = k.layers.Conv2D(48, 1, use_bias=False)(_bn_relu(k, x))
        y = k.layers.Conv2D(12, 3, padding="same", use_bias=False)(_bn_relu(k, y))
        x = k.layers.Concatenate()([x, y])
    return k.Model(inputs, x)


def _resnet_v2(k: Any) -> Any:
    inputs = x = k.Input((SIZE, SIZE, 64))
    for _ in range(3):
        y = k.layers.Conv2D(16, 1, use_bias=False)(_bn_relu(k, x))
        y = k.layers.Conv2D(16, 3, padding="same", use_bias=False)(_bn_relu(k, y))
        x = k.layers.Add()([x, k.layers.Conv2D(64, 1)(_bn_relu(k, y))])
    return k.Model(inputs, x)


def _conv3d(k: Any) -> Any:
    inputs = x = k.Input((8, 16, 16, 8))
    for _ in range(2):
        x = _bn_relu(k, k.layers.Conv3D(16, 3, padding="same")(x))
    return k.Model(inputs, x)


def _dilated_conv1d(k: Any) -> Any:
    inputs = x = k.Input((256, 32))
    for dilation in (1, 2, 4, 8):
        x = _bn_relu(k, k.layers.Conv1D(32, 3, padding="causal", dilation_rate=dilation)(x))
    return k.Model(inputs, x)


def _conv_avgpool(k: Any) -> Any:
    inputs = x = k.Input((SIZE, SIZE, 16))
    for _ in range(2):
        x = _bn_relu(k, k.layers.AveragePooling2D(2)(k.layers.Conv2D(32, 3, padding="same")(x)))
    return k.Model(inputs, x)


def _convs_concat(k: Any) -> Any:
    inputs = x = k.Input((SIZE, SIZE, 16))
    for _ in range(2):
        branches = [k.layers.Conv2D(16, size, padding="same")(x) for size in (1, 3)]
        x = _bn_relu(k, k.layers.Concatenate()(branches))
    return k.Model(inputs, x)


def _normalization(k: Any) -> Any:
    inputs = k.Input((96, 96, 3))
    x = k.layers.Normalization(mean=[0.5, -0.2, 0.1], variance=[1.3, 0.8, 2.0])(inputs)
    return k.Model(inputs, k.layers.Conv2D(16, 3, activation="relu")(x))


def _time_distributed(k: Any) -> Any:
    inputs = x = k.Input((8, 16, 16, 8))
    for _ in range(2):
        x = k.layers.TimeDistributed(k.layers.Conv2D(16, 3, padding="same"))(x)
        x = k.layers.ReLU()(k.layers.TimeDistributed(k.layers.BatchNormalization())(x))
    return k.Model(inputs, x)


def _repvgg(k: Any) -> Any:
    inputs = x = k.Input((SIZE, SIZE, 32))
    for _ in range(3):
        branches = [k.layers.Conv2D(32, size, padding="same", use_bias=False)(x) for size in (3, 1)]
        x = k.layers.ReLU()(k.layers.Add()([k.layers.BatchNormalization()(y) for y in [*branches, x]]))
    return k.Model(inputs, x)


def without_norms(keras: Any) -> Any:
    """The Keras package with a layer that does nothing in the place of BatchNormalization and Normalization."""

    def nothing(**_: Any) -> Any:
        return keras.layers.Activation("linear")

    names = [name for name in dir(keras.layers) if not name.startswith("_")]
    layers = SimpleNamespace(**{name: getattr(keras.layers, name) for name in names})
    layers.BatchNormalization = layers.Normalization = nothing
    return SimpleNamespace(Input=keras.Input, Model=keras.Model, layers=layers)


BLOCKS: dict[str, Block] = {
    "(ReLU, BN, Conv valid) x3": _relu_bn_conv("valid"),
    "(ReLU, BN, Conv same) x3": _relu_bn_conv("same"),
    "DenseNet block x4": _densenet,
    "ResNetV2 bottleneck x3": _resnet_v2,
    "Conv3D-BN-ReLU x2": _conv3d,
    "dilated causal Conv1D-BN-ReLU x4": _dilated_conv1d,
    "Conv-AvgPool-BN-ReLU x2": _conv_avgpool,
    "two convs-Concat-BN-ReLU x2": _convs_concat,
    "Normalization-Conv": _normalization,
    "TD(Conv)-TD(BN)-ReLU x2, T=8": _time_distributed,
    "RepVGG block x3": _repvgg,
}


def samples(model: Any, count: int, seed: int) -> np.ndarray:
    """Inputs for a block: smooth in space, as images and signals are, and of unit variance."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, *model.inputs[0].shape[1:]))
    for axis in range(1, x.ndim - 1):
        x = x + np.roll(x, 1, axis)
    return (x / x.std()).astype("float32")
