"""The candidate's kernels and biases against the float64 algebra.

For a linear layer and the BatchNorms merged into it::

    W' = s*W,  b' = s*b + t        s = gamma / sqrt(variance + epsilon),  t = beta - mean*s

Where a layer is wrong, the weights that each known fault would have given are tried too: the one that fits names the
mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kerasbn_export.graph import Call, Graph, Layer
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
from kerasbn_export.verification.ports import Array
from kerasbn_export.verification.records import WeightComparison
from kerasbn_export.verification.sketch import channel_weights
from kerasbn_export.verification.tflite_graph import LINEAR_OPS, Operation, TFLiteGraph

SAME = 1e-5
"""Two weights are the same up to this part of the largest: float32 rounding is a hundredth of it."""

Held = tuple[Array, Array | None]
"""A kernel and a bias as the candidate holds them."""

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


def compare_weights(graph: Graph, held: Callable[[Call], Held | None]) -> tuple[WeightComparison, ...]:
    """Compare the weights of every linear layer that the candidate shows.

    Args:
        graph: The reference.
        held: Gives the candidate's kernel and bias of a linear layer in Keras' layout, or None.
    """
    records: list[WeightComparison] = []
    for call in graph.in_order():
        found = held(call) if is_linear(call) else None
        options = _expected(graph, call) if found else []
        if found and options:
            records.extend(_compared(call.layer, options, *found))
    return tuple(records)


def _expected(graph: Graph, call: Call) -> list[_Expected]:
    """The layer as it is, and with the BatchNorm behind it folded in."""
    kernel = np.asarray(_plain_kernel(call), np.float64)
    bias = np.asarray(call.layer.weights.get("bias", np.zeros(1)), np.float64)
    options = [_Expected(kernel, bias, "", None)]
    for user in graph.users(call.output):
        if is_batchnorm(user) and kernel.shape:
            site = Site(graph, call, user)
            right = affine(site.statistics)
            if right[0].size in (*kernel.shape[-2:], int(np.prod(kernel.shape[-2:]))):
                options.append(_Expected(*weights(site, *right), user.layer.path, site))
    return options


def _plain_kernel(call: Call) -> Array:
    names = ("pointwise_kernel", "depthwise_kernel", "kernel")
    return next(call.layer.weights[name] for name in names if name in call.layer.weights)


def _faulty(site: Site) -> dict[str, tuple[Array, Array]]:
    right = affine(site.statistics)
    made = {fault.text: fault.rule(site, right) for fault in FAULTS if fault.rule is not None}
    return {text: pair for text, pair in made.items() if pair is not None}


def _compared(layer: Layer, options: Sequence[_Expected], kernel: Array, bias: Array | None) -> list[WeightComparison]:
    """Against the option that fits best; a layer whose BatchNorm stays is right as it is."""
    if kernel.size != options[0].kernel.size:
        return []
    kernel = kernel.reshape(options[0].kernel.shape)
    best = min(options, key=lambda option: _distance(option.kernel, kernel) + _distance(option.bias, bias))
    if _distance(best.kernel, kernel) > SAME or _distance(best.bias, bias) > SAME:
        best = options[-1]
    diagnosis = _diagnosis(best, kernel, bias)
    return [
        _record(layer, best.batchnorm, "kernel", best.kernel, kernel, diagnosis),
        _record(layer, best.batchnorm, "bias", best.bias, _biases(bias, best.bias), diagnosis),
    ]


def _diagnosis(expected: _Expected, kernel: Array, bias: Array | None) -> str:
    """The fault that gives just these weights; empty if they are right or no known fault gives them."""
    if _distance(expected.kernel, kernel) <= SAME and _distance(expected.bias, bias) <= SAME:
        return ""
    wrong = _faulty(expected.site) if expected.site else {}
    fits = {text: max(_distance(pair[0], kernel), _distance(pair[1], bias)) for text, pair in wrong.items()}
    text = min(fits, key=fits.__getitem__, default="")
    return text if fits and fits[text] <= SAME else ""


def _distance(expected: Array, held: Array | None) -> float:
    """max|difference| as a part of the largest magnitude expected."""
    other = _biases(held, expected)
    if expected.size != other.size:
        return float("inf")
    largest = float(np.max(np.abs(expected)))
    difference = float(np.max(np.abs(expected - other.reshape(expected.shape))))
    return difference / largest if largest else difference


def _biases(held: Array | None, like: Array) -> Array:
    """No bias is a bias of zeros."""
    if held is None:
        return np.zeros_like(like)
    return held if held.size == like.size or like.size > 1 else held[:1] if not np.any(held) else held


def _record(
    layer: Layer, batchnorm: str, weight: str, expected: Array, held: Array, diagnosis: str
) -> WeightComparison:
    same_size = expected.size == held.size
    difference = np.abs(expected - held.reshape(expected.shape)) if same_size else np.abs(held)
    worst = np.unravel_index(int(np.argmax(difference)), difference.shape)
    relative = _distance(expected, held)
    drawn = same_size and relative > SAME
    channels = channel_weights(expected, held.reshape(expected.shape), _channel_axes(layer)) if drawn else ((), ())
    return WeightComparison(
        layer=layer.path,
        batchnorm=batchnorm,
        weight=weight,
        max_difference=float(difference.max()),
        max_expected=float(np.max(np.abs(expected))),
        worst_index=tuple(int(i) for i in worst),
        passed=relative <= SAME,
        diagnosis=diagnosis if relative > SAME else "",
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
        return None if operation is None else _constants(graph, operation)

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
        return np.asarray(_plain_kernel(other), np.float64), None if bias is None else np.asarray(bias, np.float64)

    return held


def _constants(graph: TFLiteGraph, operation: Operation) -> Held | None:
    transposed = operation.name in ("TRANSPOSE_CONV", "CONV_3D_TRANSPOSE")
    rest = operation.inputs[1:2] + operation.inputs[3:4] if transposed else operation.inputs[1:3]
    kernel = graph.constant(rest[0])
    if kernel is None:
        return None
    bias = graph.constant(rest[1]) if len(rest) > 1 else None
    return np.transpose(kernel, KERAS_ORDER[operation.name]), bias
