"""Architectures that nobody here wrote: from packages, without their weights, small inputs, statistics that fit.

A row is "package name". A package that is absent leaves out its rows, by name. What Keras a package speaks is its own
choice; ``TF_USE_LEGACY_KERAS`` makes it that of Keras 2.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from fitted import fit_norms, signals

SIDE, CLASSES = 64, 10
LARGER = {"InceptionResNetV2": 96, "InceptionV3": 96, "Xception": 96}
"""Networks that take no image as small as that."""


@dataclass(frozen=True)
class Package:
    """Where networks come from.

    Attributes:
        distribution: What pip calls it; empty for the Keras itself.
        module: What is imported.
        build: From the module, a name and the Keras to the model.
        names: The networks.
        flavours: The Kerases that it works with.
    """

    distribution: str
    module: str
    build: Callable[[Any, str, Any], Any]
    names: tuple[str, ...]
    flavours: tuple[str, ...] = ("keras", "tf_keras")


def _application(_: Any, name: str, keras: Any) -> Any:
    return getattr(keras.applications, name)(weights=None, input_shape=_image(name), classes=CLASSES)


def _image(name: str) -> tuple[int, int, int]:
    side = LARGER.get(name, SIDE)
    return side, side, 3


def _kimm(module: Any, name: str, _: Any) -> Any:
    return getattr(module, name)(weights=None, input_shape=_image(name), classes=CLASSES)


def _kecam(module: Any, name: str, _: Any) -> Any:
    family, _, model = name.partition(".")
    return getattr(getattr(module, family), model)(pretrained=None, input_shape=_image(name))


def _unet(module: Any, name: str, _: Any) -> Any:
    options: dict[str, Any] = {
        "input_size": (64, 64, 3),
        "filter_num": [8, 16, 32, 64],
        "n_labels": 2,
        "batch_norm": True,
        "output_activation": "Sigmoid",
    }
    if name == "u2net_2d":
        del options["filter_num"]
        options |= {"filter_num_down": [8, 16, 32, 64], "filter_mid_num_down": [4, 4, 8, 8]}
    return getattr(module, name)(**options)


def _tcn(module: Any, name: str, keras: Any) -> Any:
    inputs = keras.Input((32, 4))
    layer = module.TCN(8, dilations=(1, 2, 4), return_sequences=True, **{f"use_{name}_norm": True})
    return keras.Model(inputs, keras.layers.Dense(3)(layer(inputs)))


PACKAGES = {
    "applications": Package("", "numpy", _application, (
        "ConvNeXtTiny", "DenseNet121", "EfficientNetB0", "EfficientNetV2B0", "InceptionResNetV2", "InceptionV3",
        "MobileNet", "MobileNetV2", "MobileNetV3Large", "MobileNetV3Small", "NASNetMobile", "ResNet50", "ResNet50V2",
        "VGG16", "Xception",
    )),
    "applications of Keras 2": Package("", "numpy", _application, (
        "RegNetX002", "RegNetY002", "ResNetRS50",
    ), ("tf_keras",)),
    "kimm": Package("kimm", "kimm.models", _kimm, (
        "ConvMixer736D32", "ConvNeXtAtto", "EfficientNetLiteB0", "EfficientNetV2B0", "GhostNetV2W100", "GhostNetV3W050",
        "GhostNetW050", "HGNetTiny", "HGNetV2B0", "InceptionNeXtTiny", "LCNet035", "MobileNetV2W050",
        "MobileNetV3W050Small", "MobileNetV3W100SmallMinimal", "MobileOneS0", "MobileViTV2W050", "MobileViTXXS",
        "RegNetX002", "RegNetY002", "RepVGGA0", "ResNet18", "TinyNetE", "VisionTransformerTiny16", "Xception",
    ), ("keras",)),
    "kecam": Package("kecam", "kecam", _kecam, (
        "aotnet.AotNet50", "botnet.BotNetSE33T", "cmt.CMTTiny_torch", "coatnet.CoAtNet0", "edgenext.EdgeNeXt_XX_Small",
        "efficientformer.EfficientFormerL1", "efficientvit_b.EfficientViT_B0", "fastvit.FastViT_T8", "fbnetv3.FBNetV3B",
        "ghostnet.GhostNet_050", "hornet.HorNetTiny", "lcnet.LCNet050", "levit.LeViT128S", "mobilevit.MobileViT_XXS",
        "regnet.RegNetY040", "repvit.RepViT_M09", "resnest.ResNest50", "tinynet.TinyNetE", "yolor.YOLOR_CSP",
        "yolov7.YOLOV7_Tiny", "yolov8.YOLOV8_N", "yolox.YOLOXNano", "efficientdet.EfficientDetLite0",
    ), ("tf_keras",)),
    "keras_unet_collection": Package("keras-unet-collection", "keras_unet_collection.models", _unet, (
        "att_unet_2d", "r2_unet_2d", "u2net_2d", "unet_2d", "unet_plus_2d",
    )),
    "tcn": Package("keras-tcn", "tcn", _tcn, ("batch", "layer")),
}  # fmt: skip


def rows(flavour: str) -> list[str]:
    """The rows of a Keras."""
    return [f"{package} {name}" for package, its in PACKAGES.items() if flavour in its.flavours for name in its.names]


def absent(row: str) -> bool:
    """Whether the package of a row is not installed."""
    return importlib.util.find_spec(_package(row).module.partition(".")[0]) is None


def origin(flavour: str, row: str) -> str:
    """The package of a row and its version."""
    name = _package(row).distribution
    return f"{name} {version(name)}" if name else f"{flavour}.applications"


SMALLEST = 1e-3
"""A weight whose numbers are all alike and no larger is where training begins."""


def build(flavour: str, row: str, seed: int) -> Any:
    """A network with gammas of both signs, means and variances of its own signals, and layer scales that have grown."""
    keras, package = importlib.import_module(flavour), _package(row)
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    model = package.build(importlib.import_module(package.module), row.rpartition(" ")[2], keras)
    rng = np.random.default_rng(seed)
    _grow_layer_scales(model, rng)
    shapes = [tuple(size or SIDE for size in tensor.shape[1:]) for tensor in model.inputs]
    given = [rng.uniform(-1.7, 1.7, (16, *shape)).astype("float32") for shape in shapes]
    return fit_norms(model, given if len(given) > 1 else given[0], signals(rng))


def _grow_layer_scales(model: Any, rng: np.random.Generator) -> None:
    """Training begins with layer scales of 1e-6, of which float16 has few digits; it does not leave them there."""
    for weight in model.weights:
        values = np.asarray(weight)
        if values.dtype == np.float32 and values.ndim and 0 < np.abs(values).max() == np.abs(values).min() <= SMALLEST:
            weight.assign(rng.uniform(0.1, 1, values.shape).astype("float32"))


def _package(row: str) -> Package:
    return PACKAGES[row.rpartition(" ")[0]]
