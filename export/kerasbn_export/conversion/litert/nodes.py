"""Operations of a frozen graph, read and written anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kerasbn.lazy import LazyModule

tf: Any = LazyModule("tensorflow")  # importing this module is to import no TensorFlow


NO_ACTIVATION = {"fused_activation_function": '"NONE"'}


@dataclass(frozen=True)
class Plain:
    """An operation of TensorFlow to put in place of another.

    Attributes:
        op: Its type.
        operands: Tensors of the graph, arrays for constants, or further operations.
        attributes: By name, as tf.AttrValue; what is not here is inferred or the default.
    """

    op: str
    operands: tuple[Any, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Spelled:
    """An operation of TFLite to put in place of one of TensorFlow, with the same results.

    Attributes:
        op: Its name in the ``tfl`` dialect, as ``tfl.gelu``.
        operands: As in `Plain`.
        attributes: By name, each as MLIR writes it.
        missing: How many operands there are none of, at the end.
    """

    op: str
    operands: tuple[Any, ...]
    attributes: Mapping[str, str] = field(default_factory=dict)
    missing: int = 0


def source(tensor: Any) -> Any:
    """The tensor that another is a copy of."""
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    return tensor


def same(tensor: Any, other: Any) -> bool:
    """Whether two are one tensor: ``==`` would compare their values."""
    return bool(tensor.name == other.name)


def constant(tensor: Any) -> Any:
    """The value of a tensor as an array; None where it is no constant."""
    found = source(tensor)
    if found.op.type in ("ExpandDims", "Reshape") and found.shape.is_fully_defined():
        inner = constant(found.op.inputs[0])
        return None if inner is None else inner.reshape(found.shape)
    return tf.get_static_value(found)


def number(tensor: Any) -> float | None:
    """The value of a constant of one element; None for any other tensor."""
    value = constant(tensor)
    return float(value.reshape(())) if value is not None and np.size(value) == 1 else None


def operands(tensor: Any, op: str) -> tuple[Any, ...]:
    """What an operation of some type takes, where a tensor comes from one; else nothing."""
    found = source(tensor).op
    return tuple(map(source, found.inputs)) if found.type == op else ()


def integer(value: Any) -> str:
    """A whole number as MLIR writes it."""
    return f"{int(value)} : i32"


def truth(value: bool) -> str:
    """A truth value as MLIR writes it."""
    return str(bool(value)).lower()
