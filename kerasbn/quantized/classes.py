"""The layers of quantization-aware training as classes of one of the two Kerases."""

from __future__ import annotations

import importlib
from typing import Any

from kerasbn.flavour import Flavour
from kerasbn.quantized.distillation import DistillationMixin
from kerasbn.quantized.in_float import InFloatMixin
from kerasbn.quantized.kernels import LINEAR, KernelMixin
from kerasbn.quantized.ranges import RangeMixin

PACKAGE = "kerasbn"
RANGE = "QuantizedRange"
IN_FLOAT = "InFloat"
DISTILLED = "DistilledModel"
PREFIX = "Quantized"
"""What the name of a class begins with that has its kernel on a grid."""


def layers_of(flavour: Flavour) -> dict[str, Any]:
    """The classes by their names: `RANGE`, ``"QuantizedConv2D"``, ..."""
    found: dict[str, Any] = importlib.import_module(f"kerasbn.{flavour.name}").QUANTIZED
    return found


def build_layers(keras: Any, average: dict[str, Any], module: str) -> dict[str, Any]:
    """The classes of one Keras, registered there.

    Args:
        keras: The package.
        average: The options of a weight that follows the batches.
        module: Where the classes are.
    """
    common = {"_keras": keras, "_average": average}
    made = {RANGE: _registered(keras, RANGE, (RangeMixin, keras.layers.Layer), common, module)}
    made[IN_FLOAT] = _registered(keras, IN_FLOAT, (InFloatMixin, keras.layers.Layer), {}, module)
    taught = {"_keras": keras, "_shows_own_losses": keras.__name__ == "tf_keras"}
    made[DISTILLED] = _registered(keras, DISTILLED, (DistillationMixin, keras.Model), taught, module)
    for kind in LINEAR:
        name, bases = f"{PREFIX}{kind}", (KernelMixin, getattr(keras.layers, kind))
        made[name] = _registered(keras, name, bases, {"stock_kind": kind}, module)
    return made


def _registered(keras: Any, name: str, bases: tuple[Any, ...], own: dict[str, Any], module: str) -> Any:
    made = type(name, bases, {**own, "__module__": module, "__doc__": bases[0].__doc__})
    return keras.saving.register_keras_serializable(PACKAGE)(made)
