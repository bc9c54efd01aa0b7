"""Bias correction: takes the mean error of quantization out of each output channel.

    b_c' = b_c + E[y_c - y~_c]

with y the activation of the float file and y~ that of the quantized one, over samples and positions. Rounding weights
and activations moves the mean of a channel, by the same amount for every input where parts of it are constant, as the
background of a digit is; averages do not remove it, a bias does. The layers are corrected in order, so that each is
measured behind those that were corrected before. Behind a fused activation only elements count that it leaves alone in
both files. An operation without a bias stays as it is. Nothing but int32 and int64 biases changes: the file keeps its
size, operations and scales.

References:
    Nagel et al. 2019, Data-Free Quantization Through Weight Equalization and Bias Correction, section 4.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.tflite.flatbuffer import content_of, dtype_name, enumeration, op_name, own_buffer, parse, serialize
from kerasbn_export.verification.sides.tflite_runner import TFLiteRunner

BIAS_INPUT = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}
"""The operations with a bias, and which of their inputs it is."""
UPPER = {"RELU6": 6.0, "RELU_N1_TO_1": 1.0}
LOWER = {"RELU": 0.0, "RELU6": 0.0, "RELU_N1_TO_1": -1.0}
MOST_SAMPLES = 64
MEMORY = 2**28
"""Bytes that the activations of the float file may take; more samples than fit are left out."""
FEWEST = 16
"""Elements below which the mean of a channel says too little."""


@dataclass(frozen=True)
class Corrected:
    """A file with other biases.

    Attributes:
        data: Its content.
        ops: How many operations had their bias corrected.
    """

    data: bytes
    ops: int


@dataclass(frozen=True)
class _Op:
    """An operation with a bias: the numbers of its output and bias tensors, and what its activation leaves alone."""

    output: int
    bias: int
    low: float
    high: float


def corrected(quantized: bytes, reference: bytes, samples: Calibration) -> Corrected:
    """The quantized file with its biases corrected by what the float file computes.

    Args:
        quantized: An int8 or int16x8 file.
        reference: The float32 file of the same model; its tensors have the same names.
        samples: What the means are taken over.
    """
    model = parse(quantized)
    exact = TFLiteRunner(reference, "the float file", "builtin")
    wanted = {tensor.name: tensor.index for tensor in exact.graph.tensors if not tensor.constant}
    names = [tensor.name.decode() for tensor in model.subgraphs[0].tensors]
    ops = [op for op in _biased(model) if names[op.output] in wanted]
    batches = list(_batches(exact, [wanted[names[op.output]] for op in ops], samples))
    values = [
        exact.first_batch([wanted[names[op.output]] for op in ops], _arranged(batch, samples.names, exact))
        for batch in batches
    ]
    done, data = 0, quantized
    for number, op in enumerate(ops):
        rounded = TFLiteRunner(data, "the quantized file", "builtin")
        pairs = [
            (exact_values[number], rounded.first_batch([op.output], _arranged(batch, samples.names, rounded))[0])
            for exact_values, batch in zip(values, batches, strict=True)
        ]
        if _correct(model, op, _mean_error(op, pairs, _range(model, op))):
            done += 1
            data = serialize(model)
    return Corrected(data, done)


def _biased(model: Any) -> Iterator[_Op]:
    graph = model.subgraphs[0]
    for op in graph.operators:
        place = BIAS_INPUT.get(op_name(model, op))
        if place is None or len(op.inputs) <= place or op.inputs[place] < 0:
            continue
        bias = graph.tensors[op.inputs[place]]
        if dtype_name(bias) in ("int32", "int64") and bias.quantization is not None:
            fused = enumeration("ActivationFunctionType")[op.builtinOptions.fusedActivationFunction]
            yield _Op(int(op.outputs[0]), int(op.inputs[place]), LOWER.get(fused, -np.inf), UPPER.get(fused, np.inf))


def _arranged(batch: list[Array], names: Sequence[str], runner: TFLiteRunner) -> list[Array]:
    """The arrays of the named inputs in the order that a file has them in; as they are where no names are known."""
    by_name = dict(zip(names, batch, strict=True)) if names else {}
    return [by_name[port.name] for port in runner.inputs] if names else batch


def _batches(exact: TFLiteRunner, indices: list[int], samples: Calibration) -> list[list[Array]]:
    """Samples in the batch of the file, as many as the memory for their activations takes."""
    batch = exact.inputs[0].shape[0] or 1
    size = sum(int(np.prod([abs(n) for n in exact.graph.tensors[i].shape])) for i in indices) * 4
    count = max(1, min(MOST_SAMPLES, len(samples), MEMORY // max(size // batch, 1)) // batch)
    return [batch_ for batch_, _ in zip(samples.batches(batch), range(count), strict=False)]


def _range(model: Any, op: _Op) -> tuple[float, float]:
    """The smallest and the largest number that the output can hold."""
    tensor = model.subgraphs[0].tensors[op.output]
    limits = np.iinfo(dtype_name(tensor))
    scale, zero = float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0])
    return (limits.min - zero) * scale, (limits.max - zero) * scale


def _mean_error(op: _Op, pairs: list[tuple[Array, Array]], ends: tuple[float, float]) -> Array:
    """The mean of ``y - y~`` of each channel, over the elements that neither the activation nor the range cuts."""
    low, high = max(op.low, ends[0]), min(op.high, ends[1])
    total, count = 0.0, 0
    for exact, rounded in pairs:
        inside = (exact > low) & (exact < high) & (rounded > low) & (rounded < high)
        axes = tuple(range(exact.ndim - 1))
        total = total + np.where(inside, exact.astype(np.float64) - rounded, 0.0).sum(axes)
        count = count + inside.sum(axes)
    result: Array = np.where(np.asarray(count) >= FEWEST, total / np.maximum(count, 1), 0.0)
    return result


def _correct(model: Any, op: _Op, error: Array) -> bool:
    """Adds the error to the bias; whether that changed anything."""
    tensor = model.subgraphs[0].tensors[op.bias]
    dtype = np.dtype(dtype_name(tensor))
    stored = np.frombuffer(content_of(model, tensor), dtype).astype(np.float64)
    limits = np.iinfo(dtype)
    steps = np.rint(error / np.asarray(tensor.quantization.scale, np.float64))
    if stored.size != steps.size or not steps.any():
        return False
    own_buffer(model, tensor).data = np.clip(stored + steps, limits.min, limits.max).astype(dtype).view(np.uint8)
    return True
