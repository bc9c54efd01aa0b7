"""What an operation stands for: the same name and options for the functions of both Kerases and for their layers.

A function that is called on a symbolic tensor is an operation of Keras 3 (``ops.Relu6``) or a layer that tf_keras makes
of a TensorFlow function (``tf.nn.relu6``). Each has the kind ``"op."`` and one name for both, as ``"op.get_item"``. One
that computes what a stock layer computes has that layer's kind, and the options that the layer would have:

=====================================================================  =======================================
operation                                                              kind
=====================================================================  =======================================
``relu``, ``maximum(x, 0)``                                            ReLU
``relu6``, ``clip(x, 0, 6)``, ``minimum(relu(x), 6)``                  ReLU with ``max_value=6``
``leaky_relu``                                                         LeakyReLU
``concatenate``, ``concat``                                            Concatenate
``image.resize``                                                       Resizing
``average_pool``, ``max_pool``                                         AveragePooling2D, MaxPooling2D, ...
``identity``, ``stop_gradient``                                        Identity
=====================================================================  =======================================

The operation itself stays the source: it is what is run, here and in the new model. Only what rules know of it changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasbn_export.graph.model import Value

PREFIX = "op."
SUBMODULES = ("compat.v1.", "math.", "nn.", "__operators__.", "linalg.")
"""Of TensorFlow's modules those whose functions mean what their bare name says."""

ALIASES = {
    "absolute": "abs", "amax": "max", "amin": "min", "clip_by_value": "clip", "concat": "concatenate",
    "copy": "identity", "fmax": "maximum", "fmin": "minimum", "gather": "take", "getitem": "get_item",
    "image.crop_images": "slice", "image.pad_images": "pad", "image.resize_bicubic": "image.resize",
    "image.resize_bilinear": "image.resize", "image.resize_nearest_neighbor": "image.resize",
    "matrix_transpose": "transpose", "re_lu": "relu", "reduce_max": "max", "reduce_mean": "mean", "reduce_min": "min",
    "reduce_sum": "sum", "reverse": "flip", "stop_gradient": "identity", "strided_slice": "slice",
    "true_divide": "divide", "truediv": "divide",
}  # fmt: skip

FUNCTION_LAYERS = ("TFOpLambda", "SlicingOpLambda")
"""What tf_keras makes of TensorFlow's functions."""

FUNCTIONS, HOMES = (*FUNCTION_LAYERS, "TensorFlowFunction"), ("tf_keras.src.", "kerasbn_export.capture.")
"""These, and what `capture` makes of them in Keras 3; the modules that they come from."""

BILINEAR = "bilinear"


@dataclass(frozen=True)
class Operation:
    """One call of an operation.

    Attributes:
        source: The operation of Keras 3, or the layer that tf_keras made of a function.
        args: Its positional arguments, a `Value` where a tensor was.
        kwargs: Its keyword arguments, likewise.
    """

    source: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def option(self, position: int, *names: str, default: Any = None) -> Any:
        """An option: an attribute of a Keras 3 operation, an argument of a TensorFlow function."""
        for name in names:
            if name in self.kwargs:
                return self.kwargs[name]
            if self.source.__class__.__name__ not in FUNCTIONS and name in vars(self.source):
                return getattr(self.source, name)
        return self.args[position] if position < len(self.args) else default

    @property
    def operands(self) -> list[Any]:
        """What a function of two values is given, in order, one of them perhaps a constant."""
        return [*self.args, *(self.kwargs[name] for name in ("x", "y", "x1", "x2") if name in self.kwargs)]

    @property
    def constant(self) -> float | None:
        """The one number beside one value; None if there is none."""
        numbers = [np.asarray(each) for each in self.operands if not isinstance(each, Value)]
        return float(numbers[0]) if len(numbers) == 1 and numbers[0].ndim == 0 and _is_number(numbers[0]) else None


def operation_kind(source: Any) -> str | None:
    """The kind of an operation of either Keras, as ``"op.get_item"``; None for a layer that is none."""
    cls = type(source)
    if cls.__module__.startswith(("keras.src.ops.", "keras.src.activations.")):
        module = "image." if cls.__module__.endswith(".image") else ""
        name = module + re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        return PREFIX + ALIASES.get(name, name)
    if not cls.__module__.startswith(HOMES) or cls.__name__ not in FUNCTIONS or not source.symbol:
        return None
    name = str(source.symbol)
    for module in SUBMODULES:
        name = name.removeprefix(module)
    return PREFIX + ALIASES.get(name, name)


def meaning(source: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The stock layer that a call of an operation stands for, as its kind and options; None if it stands for none."""
    kind = operation_kind(source)
    reader = READERS.get((kind or "").removeprefix(PREFIX))
    return None if kind is None or reader is None else reader(Operation(source, args, kwargs))


Meaning = tuple[str, dict[str, Any]]


def bounded_relu(most: float | None = None) -> Meaning:
    """A ReLU with an upper bound, if any."""
    return "ReLU", {"max_value": most, "negative_slope": 0.0, "threshold": 0.0}


def _relu(operation: Operation) -> Meaning:
    """``ops.relu`` has no options, ``activations.relu`` of Keras 3 those of the layer."""
    options = {name: getattr(operation.source, name, None) for name in ("max_value", "negative_slope", "threshold")}
    return "ReLU", {
        **options,
        "negative_slope": options["negative_slope"] or 0.0,
        "threshold": options["threshold"] or 0,
    }


def _cast(operation: Operation) -> Meaning | None:
    """To the type that the value has: nothing is done."""
    dtype, value = operation.option(1, "dtype"), operation.args[0] if operation.args else None
    same = isinstance(value, Value) and value.dtype == getattr(dtype, "name", dtype)
    return ("Identity", {}) if same else None


def _leaky_relu(operation: Operation) -> Meaning:
    keras2 = type(operation.source).__name__ in FUNCTION_LAYERS  # a TensorFlowFunction is of Keras 3
    slope = operation.option(1, "negative_slope", "alpha", default=0.2)
    return "LeakyReLU", {"alpha" if keras2 else "negative_slope": float(slope)}


def _clip(operation: Operation) -> Meaning | None:
    least = operation.option(1, "x_min", "clip_value_min", "min_value")
    most = operation.option(2, "x_max", "clip_value_max", "max_value")
    if not _is_number(least) or float(least) != 0.0 or not (most is None or _is_number(most)):
        return None
    return bounded_relu(None if most is None or np.isinf(most) else float(most))


def _maximum(operation: Operation) -> Meaning | None:
    return bounded_relu() if operation.constant == 0.0 else None


def _minimum(operation: Operation) -> Meaning | None:
    """``min(r, c) = relu(min(r, c))`` for ``r >= 0`` and ``c > 0``: of what a ReLU gives."""
    values = [each for each in operation.operands if isinstance(each, Value)]
    before = values[0].producer if len(values) == 1 else None
    most = operation.constant
    if before is None or most is None or not most > 0.0 or before.layer.kind not in ("ReLU", "Activation"):
        return None
    config = before.layer.config
    never_negative = (
        config.get("activation") in ("relu", "relu6")
        if before.layer.kind == "Activation"
        else not config.get("negative_slope") and not config.get("threshold")
    )
    return bounded_relu(most) if never_negative else None


def _concatenate(operation: Operation) -> Meaning | None:
    axis = operation.option(1, "axis", default=None)
    return ("Concatenate", {"axis": int(axis)}) if _is_number(axis) else None


def _resize(operation: Operation) -> Meaning:
    symbol = str(getattr(operation.source, "symbol", ""))
    named = {"bilinear": BILINEAR, "nearest_neighbor": "nearest", "bicubic": "bicubic"}
    own = next((named[name] for name in named if symbol.endswith(f"resize_{name}")), None)
    method = own or operation.option(2, "interpolation", "method", default=BILINEAR)
    pads = bool(getattr(operation.source, "pad_to_aspect_ratio", False))
    layout = operation.option(99, "data_format", default="channels_last")
    return "Resizing", {"interpolation": str(method), "data_format": layout, "pad_to_aspect_ratio": pads}


def _pool(kind: str) -> Callable[[Operation], Meaning | None]:
    def read(operation: Operation) -> Meaning | None:
        value = operation.args[0] if operation.args else None
        if not isinstance(value, Value) or value.rank not in (3, 4, 5):
            return None
        layout = str(operation.option(4, "data_format", default="channels_last"))
        first = layout == "channels_first" or layout.startswith("NC")
        return f"{kind}Pooling{value.rank - 2}D", {"data_format": "channels_first" if first else "channels_last"}

    return read


READERS: dict[str, Callable[[Operation], Meaning | None]] = {
    "relu": _relu,
    "relu6": lambda _: bounded_relu(6.0),
    "leaky_relu": _leaky_relu,
    "clip": _clip,
    "maximum": _maximum,
    "minimum": _minimum,
    "concatenate": _concatenate,
    "image.resize": _resize,
    "cast": _cast,
    "identity": lambda _: ("Identity", {}),
    **{name: _pool("Average") for name in ("average_pool", "avg_pool", "avg_pool1d", "avg_pool2d", "avg_pool3d")},
    **{name: _pool("Max") for name in ("max_pool", "max_pool1d", "max_pool2d", "max_pool3d")},
}
"""What each operation stands for."""


def _is_number(value: Any) -> bool:
    if isinstance(value, (bool, Value)) or value is None:
        return False
    array = np.asarray(value)
    return array.ndim == 0 and bool(np.issubdtype(array.dtype, np.number))
