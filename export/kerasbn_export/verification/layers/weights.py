"""The candidate's kernels and biases against the float64 algebra.

For a linear layer and the BatchNorms merged into it::

    W' = s*W,  b' = s*b + t        s = gamma / sqrt(variance + epsilon),  t = beta - mean*s

A weight on a grid is right to half a step of it. Where a layer is wrong, the weights that each known fault would have
given are tried too: the one that fits names the mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.graph.model import Call, Graph, Layer
from kerasbn_export.tflite.graph import LINEAR_OPS, TRANSPOSED_OPS, Operation, Stored, TFLiteGraph
from kerasbn_export.verification.faults import FAULTS
from kerasbn_export.verification.faults.folding import (
    LAST_AXIS_BUT_ONE,
    LAST_TWO_AXES,
    Site,
    affine,
    is_batchnorm,
    is_linear,
    weights,
)
from kerasbn_export.verification.records.layers import WeightComparison
from kerasbn_export.verification.records.sketch import channel_weights

SAME = 1e-5
"""Two weights are the same up to this part of the largest: float32 rounding is a hundredth of it."""


@dataclass(frozen=True)
class Held:
    """A kernel, in Keras' layout, and a bias as the candidate holds them."""

    kernel: Stored
    bias: Stored | None


KERAS_ORDER = {
    "CONV_2D": (1, 2, 3, 0),
    "DEPTHWISE_CONV_2D": (1, 2, 3, 0),
    "FULLY_CONNECTED": (1, 0),
    "TRANSPOSE_CONV": (1, 2, 0, 3),
    "CONV_3D": (0, 1, 2, 3, 4),
    "CONV_3D_TRANSPOSE": (0, 1, 2, 3, 4),
}
"""How the axes of a TFLite kernel go into those of a Keras kernel."""


@dataclass(frozen=True)
class _Expected:
    """What a layer's weights have to be, with which BatchNorm folded in, and where that is."""

    kernel: Array
    bias: Array
    batchnorm: str
    site: Site | None


def compare_weights(
    graph: Graph, held: Callable[[Call], Held | None], given: Callable[[Call], tuple[Call, bool]]
) -> tuple[WeightComparison, ...]:
    """Compare the weights of every linear layer that the candidate shows.

    Args:
        graph: The reference.
        held: Gives the candidate's kernel and bias of a linear layer in Keras' layout, or None.
        given: Gives a call with what the candidate moved into its weights, and whether its bias is known then.
    """
    records: list[WeightComparison] = []
    for call in graph.in_order():
        found = held(call) if is_linear(call) else None
        if found:
            changed, biases = given(call)
            records.extend(compare_layer(graph, changed, found, biases=biases))
    return tuple(records)


def compare_layer(graph: Graph, call: Call, held: Held, *, biases: bool = True) -> list[WeightComparison]:
    """Compare the kernel and bias of one linear layer; empty if they have other sizes.

    Args:
        graph: The reference.
        call: A call of the layer.
        held: What the candidate holds.
        biases: Whether the bias is compared too.
    """
    options = _expected(graph, call)
    if not biases:
        options = [replace(option, bias=np.zeros(1), site=None) for option in options]
        held = replace(held, bias=None)
    if held.kernel.values.size != options[0].kernel.size:
        return []
    shape = options[0].kernel.shape
    step = np.broadcast_to(held.kernel.step, held.kernel.values.shape).reshape(shape)
    return _compared(call.layer, options, Stored(held.kernel.values.reshape(shape), step), held.bias)


def _expected(graph: Graph, call: Call) -> list[_Expected]:
    """The layer as it is, and with the BatchNorm behind it folded in."""
    kernel = np.asarray(_plain_kernel(call), np.float64)
    bias = np.asarray(call.layer.weights.get("bias", np.zeros(1)), np.float64)
    options = [_Expected(kernel, bias, "", None)]
    for user in graph.users(call.output) if is_linear(call) else ():
        if is_batchnorm(user) and kernel.shape:
            site = Site(graph, call, user)
            right = affine(site.statistics)
            along_one_axis = right[0].ndim == 1
            if along_one_axis and right[0].size in (*kernel.shape[-2:], int(np.prod(kernel.shape[-2:]))):
                options.append(_Expected(*weights(site, *right), user.layer.path, site))
    return options


def _plain_kernel(call: Call) -> Array:
    names = ("pointwise_kernel", "depthwise_kernel", "kernel")
    return next(call.layer.weights[name] for name in names if name in call.layer.weights)


def _faulty(site: Site) -> dict[str, tuple[Array, Array]]:
    right = affine(site.statistics)
    made = {fault.text: fault.rule(site, right) for fault in FAULTS if fault.rule is not None}
    return {text: pair for text, pair in made.items() if pair is not None}


def _compared(
    layer: Layer, options: Sequence[_Expected], kernel: Stored, bias: Stored | None
) -> list[WeightComparison]:
    """Against the option that fits best; a layer whose BatchNorm stays is right as it is."""
    best = min(options, key=lambda option: distance(option.kernel, kernel) + distance(option.bias, bias))
    if distance(best.kernel, kernel) > 1.0 or distance(best.bias, bias) > 1.0:
        best = options[-1]
    diagnosis = _diagnosis(best, kernel, bias)
    return [
        _record(layer, best.batchnorm, "kernel", best.kernel, kernel, diagnosis),
        _record(layer, best.batchnorm, "bias", best.bias, bias or _no_bias(best.bias), diagnosis),
    ]


def _diagnosis(expected: _Expected, kernel: Stored, bias: Stored | None) -> str:
    """The fault that gives just these weights; empty if they are right or no known fault gives them."""
    if distance(expected.kernel, kernel) <= 1.0 and distance(expected.bias, bias) <= 1.0:
        return ""
    wrong = _faulty(expected.site) if expected.site else {}
    fits = {text: max(distance(pair[0], kernel), distance(pair[1], bias)) for text, pair in wrong.items()}
    text = min(fits, key=fits.__getitem__, default="")
    return text if fits and fits[text] <= 1.0 else ""


def distance(expected: Array, held: Stored | None) -> float:
    """max|difference| as a part of what rounding explains: half a step, and `SAME` of the largest magnitude."""
    if held is None:
        held = _no_bias(expected)
    if expected.size == 1 < held.values.size:  # no bias was expected
        expected = np.broadcast_to(expected, held.values.shape)
    if expected.size != held.values.size:
        return float("inf")
    difference = np.abs(expected - held.values.reshape(expected.shape))
    half_a_step = 0.5 * np.broadcast_to(held.step, held.values.shape).reshape(expected.shape)
    return float(np.max(difference / (half_a_step + SAME * (float(np.max(np.abs(expected))) or 1.0))))


def _no_bias(like: Array) -> Stored:
    """No bias is a bias of zeros."""
    return Stored(np.zeros_like(like), np.zeros(1))


def _record(
    layer: Layer, batchnorm: str, weight: str, expected: Array, stored: Stored, diagnosis: str
) -> WeightComparison:
    held = stored.values
    if expected.size == 1 < held.size:
        expected = np.broadcast_to(expected, held.shape)
    same_size = expected.size == held.size
    difference = np.abs(expected - held.reshape(expected.shape)) if same_size else np.abs(held)
    worst = np.unravel_index(int(np.argmax(difference)), difference.shape)
    rounding = distance(expected, stored)
    drawn = same_size and rounding > 1.0
    channels = channel_weights(expected, held.reshape(expected.shape), _channel_axes(layer)) if drawn else ((), ())
    return WeightComparison(
        layer=layer.path,
        batchnorm=batchnorm,
        weight=weight,
        max_difference=float(difference.max()),
        max_expected=float(np.max(np.abs(expected))),
        worst_index=tuple(int(i) for i in worst),
        rounding=rounding,
        passed=rounding <= 1.0,
        diagnosis=diagnosis if rounding > 1.0 else "",
        expected=channels[0],
        found=channels[1],
    )


def _channel_axes(layer: Layer) -> tuple[int, ...]:
    """Those of the output's channels in the kernel."""
    if layer.kind in LAST_TWO_AXES:
        return (-2, -1)
    return (-2,) if layer.kind in LAST_AXIS_BUT_ONE else (-1,)


def weights_of_file(graph: TFLiteGraph, layers_of: Callable[[str], Sequence[str]]) -> Callable[[Call], Held | None]:
    """The kernels and biases of a .tflite, by the layer that the name of an operation's output tells of.

    Args:
        graph: The file.
        layers_of: Gives the layers behind the name of a tensor.
    """
    by_layer: dict[str, Operation] = {}
    for operation in graph.operations:
        if operation.name in LINEAR_OPS:
            for layer in reversed(layers_of(graph.tensors[operation.outputs[0]].name)):
                by_layer[layer] = operation

    def held(call: Call) -> Held | None:
        operation = by_layer.get(call.layer.path)
        return None if operation is None else held_by(graph, operation)

    return held


def weights_of_model(graph: Graph, layers_of: Callable[[str], Sequence[str]]) -> Callable[[Call], Held | None]:
    """The kernels and biases of a Keras model.

    Args:
        graph: The candidate.
        layers_of: Gives the reference's layers behind the path of one of the candidate's.
    """
    by_layer = {path: call for call in graph if is_linear(call) for path in layers_of(call.layer.path)}

    def held(call: Call) -> Held | None:
        other = by_layer.get(call.layer.path)
        if other is None or other.layer.kind != call.layer.kind:
            return None
        bias = other.layer.weights.get("bias")
        return Held(_exact(_plain_kernel(other)), None if bias is None else _exact(bias))

    return held


def _exact(array: Array) -> Stored:
    return Stored(np.asarray(array, np.float64), np.zeros(1))


def held_by(graph: TFLiteGraph, operation: Operation) -> Held | None:
    """The kernel and bias of a linear operation of a file; None if they are computed."""
    transposed = operation.name in TRANSPOSED_OPS
    rest = operation.inputs[1:2] + operation.inputs[3:4] if transposed else operation.inputs[1:3]
    kernel = graph.constant(rest[0])
    if kernel is None:
        return None
    order = KERAS_ORDER[operation.name]
    step = np.transpose(np.broadcast_to(kernel.step, kernel.values.shape), order)
    bias = graph.constant(rest[1]) if len(rest) > 1 else None
    return Held(Stored(np.transpose(kernel.values, order), step), bias)
