"""Clips the ranges of weights: one scale for a whole weight, chosen for the least error and not for the largest value.

    s = argmin sum_i (w_i - s*clip(round(w_i/s), -127, 127))^2

over scales from ``max|w|/127`` down to a part of it. A single scale is as coarse as the largest weight makes it.
Cutting that one off costs an error in one place and makes all others finer. Only weights and biases change, and their
scales.

References:
    Nagel et al. 2021, A White Paper on Neural Network Quantization, section 3.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.tflite.flatbuffer import content_of, dtype_name, op_name, own_buffer, parse, serialize

PLACES = {
    "CONV_2D": (0, 1, 2),
    "DEPTHWISE_CONV_2D": (0, 1, 2),
    "FULLY_CONNECTED": (0, 1, 2),
    "TRANSPOSE_CONV": (2, 1, 3),
}
"""Of each operation, which inputs are the activation, the weight and the bias."""
LARGEST = 127
PARTS = np.linspace(1.0, 0.4, 61)
"""Parts of the whole range that are tried."""


@dataclass(frozen=True)
class Clipped:
    """A file with other weights.

    Attributes:
        data: Its content.
        ops: How many operations have a smaller range.
    """

    data: bytes
    ops: int


@dataclass(frozen=True)
class _Op:
    """An operation in both files: the tensors of the quantized one, and the float weight and bias."""

    weight: Any
    bias: Any
    input_scale: float
    exact_weight: Array
    exact_bias: Array | None


def clipped_weights(quantized: bytes, reference: bytes) -> Clipped:
    """The quantized file with the ranges of its weights clipped, where that brings them nearer the float file's.

    Args:
        quantized: An int8 file whose weights have one scale each.
        reference: The float32 file of the same model; its tensors have the same names.
    """
    model, exact = parse(quantized), parse(reference)
    done = sum(_clip(model, op) for op in list(_pairs(model, exact)))
    return Clipped(serialize(model) if done else quantized, done)


def best_scale(weight: Array) -> float:
    """The scale with the least mean square error; that of the whole range where none is better."""
    exact = np.asarray(weight, np.float64)
    whole = float(np.abs(exact).max()) / LARGEST
    errors = [_error(exact, part * whole) for part in PARTS]
    return float(PARTS[int(np.argmin(errors))] * whole)


def _error(exact: Array, scale: float) -> float:
    return float(np.square(exact - scale * np.clip(np.rint(exact / scale), -LARGEST, LARGEST)).sum())


def _pairs(model: Any, exact: Any) -> Iterator[_Op]:
    """The operations whose weights have one scale, each with its float weights, by the name of its output."""
    floats = {_output(exact, op): op for op in exact.subgraphs[0].operators if op_name(exact, op) in PLACES}
    graph = model.subgraphs[0]
    for op in graph.operators:
        name, other = op_name(model, op), floats.get(_output(model, op))
        if name not in PLACES or other is None or op_name(exact, other) != name:
            continue
        given, kernel, bias = PLACES[name]
        weight, tensor = graph.tensors[op.inputs[kernel]], graph.tensors[op.inputs[given]]
        stored = _floats(exact, other, kernel)
        if stored is None or dtype_name(weight) != "int8" or len(weight.quantization.scale) != 1:
            continue
        has_bias = len(op.inputs) > bias and op.inputs[bias] >= 0
        exact_bias = _floats(exact, other, bias) if has_bias else None
        if stored.size != int(np.prod(weight.shape)) or (has_bias and exact_bias is None):
            continue
        own_bias = graph.tensors[op.inputs[bias]] if has_bias else None
        yield _Op(weight, own_bias, float(tensor.quantization.scale[0]), stored, exact_bias)


def _output(model: Any, op: Any) -> bytes:
    name: bytes = model.subgraphs[0].tensors[op.outputs[0]].name
    return name


def _floats(model: Any, op: Any, place: int) -> Array | None:
    """A constant of the float file; None where it is none."""
    if len(op.inputs) <= place or op.inputs[place] < 0:
        return None
    tensor = model.subgraphs[0].tensors[op.inputs[place]]
    content = content_of(model, tensor)
    return np.frombuffer(content, np.float32) if content and dtype_name(tensor) == "float32" else None


def _clip(model: Any, op: _Op) -> bool:
    """Gives an operation the best scale; whether that is another one."""
    if not np.any(op.exact_weight):
        return False
    scale = best_scale(op.exact_weight)
    if np.isclose(scale, float(op.weight.quantization.scale[0]), rtol=1e-3):
        return False
    stored = np.clip(np.rint(op.exact_weight.astype(np.float64) / scale), -LARGEST, LARGEST)
    own_buffer(model, op.weight).data = stored.astype(np.int8).view(np.uint8)
    op.weight.quantization.scale = np.array([scale], np.float32)
    if op.bias is not None and op.exact_bias is not None:
        _rescale_bias(model, op, scale * op.input_scale)
    return True


def _rescale_bias(model: Any, op: _Op, scale: float) -> None:
    dtype = np.dtype(dtype_name(op.bias))
    limits = np.iinfo(dtype)
    stored = np.clip(np.rint(np.asarray(op.exact_bias, np.float64) / scale), limits.min, limits.max).astype(dtype)
    own_buffer(model, op.bias).data = stored.view(np.uint8)
    op.bias.quantization.scale = np.array([scale], np.float32)
