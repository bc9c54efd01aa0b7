"""A tuned model as the converter takes it: its ranges as they are, its kernels as plain weights on their grids.

Live BatchNorms are folded: ``Q(s*W) = s*Q(W)`` for each output channel, so their integers stay as trained.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasbn.errors import UnsupportedModelError
from kerasbn.quantized.kernels import LINEAR, KernelMixin
from kerasbn.quantized.ranges import RangeMixin
from kerasbn_export.arrays import Array
from kerasbn_export.capture import capture
from kerasbn_export.emit.emit import emit
from kerasbn_export.folding.engine import fold_all
from kerasbn_export.folding.ledger import Ledger
from kerasbn_export.folding.rules.fused import is_fused
from kerasbn_export.folding.verdict import Verdict, left
from kerasbn_export.graph.model import Call, Graph, Layer, Value
from kerasbn_export.quantization.float_layers import (
    is_led_into_float,
    leads_into_float,
    mark,
    transposed_kernels,
)
from kerasbn_export.quantization.grids import grid, kernel_steps, on_grid
from kerasbn_export.quantization.places import Places, Role
from kerasbn_export.tflite.quantization import Quantization

KERNEL_NAMES = ("depthwise_kernel", "kernel")
"""Of the kernel among a layer's weights."""


@dataclass(frozen=True)
class Kernel:
    """The numbers of a kernel that a file is to have, and how far it may be from them.

    Attributes:
        numbers: On their grid where they are known to the integer.
        room: 0 there; half a step where TensorFlow rounds in float32, and a number may lie in the middle of two.
    """

    numbers: Array
    room: float


@dataclass(frozen=True)
class Tuned:
    """What a tuned model says of its file.

    Attributes:
        model: A functional model of the same Keras: ranges, and layers with plain weights.
        bits: Of the activations.
        grids: The grid of each range, by its name.
        kernels: The kernel of each linear layer that is quantized, by its name.
        floats: The layers that stay in float.
        float_kernels: See `transposed_kernels`.
        marks: How many `kerasbn_export.tflite.float_marks` the model has.
        converted: How often a value goes from one grid to another.
        verdicts: What became of the live BatchNorms.
    """

    model: Any
    bits: int
    grids: dict[str, Quantization]
    kernels: dict[str, Kernel]
    floats: tuple[str, ...]
    float_kernels: tuple[Array, ...]
    marks: int
    converted: int
    verdicts: tuple[Verdict, ...]


def read_tuned(model: Any, batch_size: int | None = None) -> Tuned:
    """Reads a tuned model.

    Args:
        model: A model of either Keras for which `is_tuned` holds. It is not changed.
        batch_size: A fixed batch size; None for the model's own.

    Raises:
        UnsupportedModelError: A live BatchNorm can no longer be folded.
    """
    graph = capture(model)
    ranges: list[RangeMixin] = [call.layer.source for call in graph if _is_range(call)]
    quantized = _with_plain_kernels(graph)
    verdicts = _folded(graph)
    floats, converted = tuple(_floats(graph, quantized)), sum(_is_converted(graph, call) for call in graph)
    _without_fixed(graph)
    kernels = {call.layer.path: _kernel(call.layer) for call in graph.in_order() if call.layer.path in quantized}
    float_kernels, marks = transposed_kernels(graph), mark(graph)
    return Tuned(
        model=emit(graph, batch_size=batch_size),
        bits=ranges[0].bits,
        grids={layer.name: grid(*layer.range, layer.bits) for layer in ranges},
        kernels=kernels,
        floats=floats,
        float_kernels=float_kernels,
        marks=marks,
        converted=converted,
        verdicts=verdicts,
    )


def _floats(graph: Graph, quantized: set[str]) -> Iterator[str]:
    """The layers whose arithmetic nothing rounds: with a kernel that lies on no grid, or with no range behind them."""
    places = Places(graph)
    for call in graph.in_order():
        if not call.inputs or _is_range(call) or leads_into_float(call) or call.layer.path in quantized:
            continue
        role = places.role(call)
        exact = role in (Role.KEEPS, Role.JOINS, Role.WHOLE)
        unrounded = role is None or call.layer.kind in LINEAR or not _is_rounded(graph, call.output)
        if is_led_into_float(call) or (unrounded and not exact):
            yield str(call.layer.name)


def _is_rounded(graph: Graph, value: Value) -> bool:
    """Whether a range stands behind a value, or behind what is fused to it."""
    user = graph.sole_user(value)
    if user is not None and is_fused(user.layer):
        value = user.output
    return any(_is_range(user) for user in graph.users(value))


def _is_converted(graph: Graph, call: Call) -> bool:
    """Whether a range takes what lies on the grid of another, be it moved on the way."""
    places, value = Places(graph), call.inputs[0] if _is_range(call) else None
    while value is not None and value.producer is not None and not _is_range(value.producer):
        value = value.producer.inputs[0] if places.role(value.producer) is Role.KEEPS else None
    return value is not None and value.producer is not None


def _is_range(call: Call) -> bool:
    return isinstance(call.layer.source, RangeMixin)


def _without_fixed(graph: Graph) -> None:
    """Takes the ranges out that TFLite gives by itself: the converter would not convert from one to another."""
    for call in graph.in_order():
        if _is_range(call) and call.layer.source.fixed:
            graph.bypass(call)


def _with_plain_kernels(graph: Graph) -> set[str]:
    """Puts stock layers in the place of those with a grid for each channel; the paths of all that are quantized."""
    layers: dict[Layer, Layer] = {}
    for call in graph:
        if isinstance(call.layer.source, KernelMixin):
            layers.setdefault(call.layer, _plain(call.layer) if call.layer.source.per_channel else call.layer)
            call.layer = layers[call.layer]
    return {layer.path for layer in layers.values()}


def _kernel(layer: Layer) -> Kernel:
    """The kernel; where a layer has one grid for the whole, its weights are not on it yet."""
    kernel = np.asarray(next(layer.weights[name] for name in KERNEL_NAMES if name in layer.weights), np.float64)
    whole = isinstance(layer.source, KernelMixin)
    return Kernel(kernel, float(kernel_steps(kernel, ()).max()) / 2 if whole else 0.0)


def _plain(layer: Layer) -> Layer:
    source = layer.source
    config = {key: value for key, value in layer.config.items() if key != "per_channel"}
    weights = dict(layer.weights)
    name = next(name for name in KERNEL_NAMES if name in weights)
    weights[name] = on_grid(np.asarray(weights[name], np.float64), source.kept_axes)
    return Layer(layer.name, layer.path, source.stock_kind, None, layer.dtype, config, weights)


def _folded(graph: Graph) -> tuple[Verdict, ...]:
    ledger = Ledger(graph)
    fold_all(graph, ledger, backward_only=True)
    verdicts = tuple(ledger.verdicts())
    if rest := left(verdicts):
        raise UnsupportedModelError(
            f"BatchNorm {rest[0].layer!r} of the tuned model cannot be folded into its quantized layer: "
            f"{rest[0].sentence} Train with bn='frozen'."
        )
    return verdicts
