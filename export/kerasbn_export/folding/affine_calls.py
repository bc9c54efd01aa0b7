"""Which calls compute an affine of their input at inference, and which one.

==============================  ==========================================================
call                            affine
==============================  ==========================================================
BatchNormalization              ``s = gamma/sqrt(variance + epsilon)``, ``t = beta - mean*s``
Rescaling                       ``scale*x + offset``
Normalization                   ``(x - mean)/max(sqrt(variance), 1e-7)``, or its inverse
``x*c``, ``x/c``, ``-x``        ``c``, ``1/c``, ``-1``
``x + c``, ``x - c``, ``c - x``  ``1`` or ``-1``, and ``c`` or ``-c``
==============================  ==========================================================

with c a number or one number for each channel. Only a BatchNorm has a verdict; the others are folded where that is
free.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasbn_export.algebra.affine import Affine, Float64
from kerasbn_export.folding.rules.step import Push
from kerasbn_export.graph import batchnorm
from kerasbn_export.graph.batchnorm import is_batchnorm, is_training
from kerasbn_export.graph.model import Call, Value
from kerasbn_export.graph.operations import Operation

SMALLEST_SIGMA = 1e-7
"""Both Kerases divide a Normalization by no less than their epsilon."""

PRODUCTS = ("op.multiply",)
QUOTIENTS = ("op.divide",)
SUMS = ("op.add",)
DIFFERENCES = ("op.subtract",)
NEGATIONS = ("op.negative",)
OPERATIONS = (*PRODUCTS, *QUOTIENTS, *SUMS, *DIFFERENCES, *NEGATIONS)


def computes_affine(call: Call) -> bool:
    """Whether the call is one of the table above."""
    if is_batchnorm(call.layer):
        return not is_training(call)
    return call.layer.kind in ("Rescaling", "Normalization", *OPERATIONS) and len(call.inputs) == 1


def read(call: Call) -> Push | None:
    """The affine that a call computes, on its input; None where it computes none or its shape says too little.

    Where a mask comes with the input only a BatchNorm has one, for that lets the mask pass in both Kerases: a product
    with a constant ends it, and without the product it would reach the layers behind.

    Raises:
        InvalidModelError: A BatchNorm holds numbers that mean nothing.
    """
    if not computes_affine(call):
        return None
    value = call.inputs[0]
    if value.rank is None or value.dtype != call.output.dtype or "float" not in value.dtype:
        return None
    if is_batchnorm(call.layer):
        return Push(value, batchnorm.affine(call.layer), batchnorm.axes(call.layer, value.rank))
    if value.masked:
        return None
    numbers = _numbers(call)
    return None if numbers is None else _push(value, *numbers)


def _numbers(call: Call) -> tuple[Any, Any] | None:
    """Scale and shift, each broadcast against the input."""
    config = call.layer.config if call.layer.kind in ("Rescaling", "Normalization") else {}
    if call.layer.kind == "Rescaling":
        return np.asarray(config["scale"], np.float64), np.asarray(config["offset"], np.float64)
    if call.layer.kind == "Normalization":
        return _normalization(call.layer.source, bool(config.get("invert")))
    return _operation(call)


def _normalization(source: Any, invert: bool) -> tuple[Any, Any] | None:
    mean, variance = getattr(source, "mean", None), getattr(source, "variance", None)
    if mean is None or variance is None:
        return None
    mean64 = np.asarray(mean, np.float64)
    sigma = np.maximum(np.sqrt(np.asarray(variance, np.float64)), SMALLEST_SIGMA)
    return (sigma, mean64) if invert else (1 / sigma, -mean64 / sigma)


def _operation(call: Call) -> tuple[Any, Any] | None:
    kind = call.layer.kind
    if kind in NEGATIONS:
        return -1.0, 0.0
    operands = Operation(call.layer.source, call.args, call.kwargs).operands
    if len(operands) != 2:
        return None
    first, second = operands
    constant = second if isinstance(first, Value) else first
    if isinstance(constant, bool):
        return None
    c = np.asarray(constant, np.float64)
    if kind in PRODUCTS:
        return c, 0.0
    if kind in SUMS:
        return 1.0, c
    if kind in DIFFERENCES:
        return (1.0, -c) if isinstance(first, Value) else (-1.0, c)
    return (1 / c, 0.0) if isinstance(first, Value) and np.all(c != 0) else None


def _push(value: Value, scale: Any, shift: Any) -> Push | None:
    """The affine along the one axis on which its numbers differ; along the last axis where all are the same."""
    shape = value.shape or ()
    both = np.broadcast_arrays(np.asarray(scale, np.float64), np.asarray(shift, np.float64))
    wide: list[Float64] = [
        array.reshape((1,) * (len(shape) - array.ndim) + array.shape) for array in both if array.ndim <= len(shape)
    ]
    if len(wide) < 2 or not np.all(np.isfinite(wide)):
        return None
    varied = [axis for axis, count in enumerate(wide[0].shape) if count != 1]
    axis = varied[0] if varied else len(shape) - 1
    size = shape[axis]
    if len(varied) > 1 or axis == 0 or size is None or wide[0].shape[axis] not in (1, size):
        return None
    return Push(value, Affine(_spread(wide[0], size), _spread(wide[1], size)), (axis,))


def _spread(array: Float64, size: int) -> Float64:
    return np.full((size,), 1.0) * array.reshape(-1)
