"""Cross-layer equalization: gives the channels between two linear layers like ranges, without changing the model.

    W2 f(W1 x + b1) + b2 = (W2 S) f((S^-1 W1) x + S^-1 b1) + b2      for f(s*x) = s*f(x), s > 0

with one s for each channel c in between, chosen so that both kernels have the same range there:

    s_c = sqrt(r1_c / r2_c),   r1_c = max|W1[..., c]|,   r2_c = max|W2[..., c, :]|

A tensor that is quantized with one scale spends it on its largest channel; with equal ranges none is coarser than
another. Where every channel has a scale of its own, that is not needed, and can cost accuracy.

The two halves go the ways that a BatchNorm's scale goes: `kerasbn_export.folding.rules` know the layers in between and
refuse what is not homogeneous. All in float64; each weight is rounded once, when the model is built.

References:
    Nagel et al. 2019, Data-Free Quantization Through Weight Equalization and Bias Correction, section 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasbn_export.algebra.affine import Affine, Float64
from kerasbn_export.algebra.linear import LINEAR, Linear, kernel_name, linear, output_axis
from kerasbn_export.algebra.linear_input import input_ranges
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.capture import capture
from kerasbn_export.emit.emit import emit
from kerasbn_export.export.forms.bounds import Bounds, bounds_of
from kerasbn_export.folding.route import LONGEST, Way, backward_step, forward_step, travel
from kerasbn_export.folding.rules.step import Push, Refusal, Step
from kerasbn_export.graph.model import Call, Graph

SWEEPS = 20
"""A chain of layers settles in a few sweeps; each moves what the one before left over."""
SETTLED = 0.01
"""A sweep that moves no scale by more than this part is the last."""
FIRST_NUMBER = 2.0
"""The number of the first channel where channels are numbered; 1 is a channel that is none of the layer's."""


@dataclass(frozen=True)
class Equalized:
    """A model with other weights that computes the same.

    Attributes:
        model: The new model; the one given where there was nothing to equalize.
        layers: The layers before an equalized value, by name.
    """

    model: Any
    layers: tuple[str, ...]


def equalized(model: Any, samples: Calibration | None = None) -> Equalized:
    """The model with the channels between its linear layers brought to like ranges.

    Args:
        model: A functional model of either Keras. It is not changed.
        samples: Of its inputs; with them scales pass ReLU6, see `kerasbn_export.export.forms.bounds`.
    """
    graph = capture(model)
    graph.may_clone = False
    bounds = bounds_of(graph, model, samples)
    bounds.lift(graph)
    layers = equalize_graph(graph, bounds)
    bounds.restore()
    return Equalized(emit(graph), layers) if layers else Equalized(model, ())


def equalize_graph(graph: Graph, bounds: Bounds | None = None) -> tuple[str, ...]:
    """Equalizes a graph in place, and names the layers before each equalized value.

    Args:
        graph: The graph.
        bounds: Of its ReLU6, which are lifted.
    """
    bounds = bounds or Bounds()
    done: dict[str, None] = {}
    for _ in range(SWEEPS):
        moved = 0.0
        for call in graph.in_order():
            found = _scale(graph, call, bounds)
            if found is None or not _moves(found.scale) or not _take(graph, call, found.scale):
                continue
            found.tell(bounds)
            done[call.layer.path] = None
            moved = max(moved, float(np.max(np.abs(np.log(found.scale)))))
        if moved < SETTLED:
            break
    return tuple(done)


def _moves(scale: Float64) -> bool:
    return bool(np.any(np.abs(np.log(scale)) >= SETTLED))


def _take(graph: Graph, call: Call, scale: Float64) -> bool:
    """Divides the layer's output by the scale and multiplies what its consumers take by it; both or neither."""
    push = _push(call, scale)
    inverse = Push(push.value, Affine(1 / scale, np.zeros_like(scale)), push.axes)
    return isinstance(travel(graph, [(backward_step, inverse), (forward_step, push)]), Way)


@dataclass
class _Found:
    """A scale for each output channel of a layer, and the ReLU6 on its way: which channel arrives where of each."""

    scale: Float64
    passed: dict[Call, Any]

    def tell(self, bounds: Bounds) -> None:
        """Says to the ReLU6 that their channels were divided."""
        for call, index in self.passed.items():
            bounds.divide(call, np.where(index >= 0, self.scale[index], 1.0))

    def keep(self, bounds: Bounds) -> None:
        """Makes the scale one that every ReLU6 on the way allows."""
        for call, index in self.passed.items():
            least = bounds.least(call)
            if least is None:
                continue
            reached, full = (np.asarray(each)[index >= 0] for each in least)
            places = index[index >= 0]
            np.maximum.at(self.scale, places, reached)
            self.scale[places[full]] = 1.0


def _scale(graph: Graph, call: Call, bounds: Bounds) -> _Found | None:
    """``sqrt(r1/r2)`` for each output channel; 1 where a range is zero; None where the layer cannot be equalized."""
    form = _form(call)
    if form is None or sum(other.layer is call.layer for other in graph) != 1:
        return None
    own = _output_ranges(call, form)
    numbers = np.arange(FIRST_NUMBER, FIRST_NUMBER + own.size)
    behind, passed = np.zeros(own.size), dict[Call, Any]()
    for step, push in _walk(graph, _push(call, numbers)) or ():
        if step.change is None:
            if step.call in bounds.peaks:
                if push.affine.scale.size != bounds.peaks[step.call].size:
                    return None
                passed[step.call] = np.rint(push.affine.scale - FIRST_NUMBER).astype(int)
            continue
        ranges = input_ranges(step.call.layer.kind, step.call.layer.config, step.call.layer.weights)
        if ranges is None or ranges.size != push.affine.scale.size:
            return None
        index = np.rint(push.affine.scale - FIRST_NUMBER).astype(int)
        np.maximum.at(behind, index[index >= 0], ranges[index >= 0])
    used = (own > 0) & (behind > 0)
    if not used.any():
        return None
    found = _Found(np.sqrt(np.where(used, own, 1.0) / np.where(used, behind, 1.0)), passed)
    found.keep(bounds)
    return found


def _form(call: Call) -> Linear | None:
    layer, rank = call.layer, call.output.rank
    if layer.kind not in LINEAR or layer.kind == "EinsumDense" or kernel_name(layer.kind, layer.weights) is None:
        return None
    if rank is None:
        return None
    return linear(layer.kind, layer.config, layer.weights, rank, (output_axis(layer.kind, layer.config, rank),))


def _output_ranges(call: Call, form: Linear) -> Float64:
    """``max|W|`` of each output channel."""
    kernel = np.abs(call.layer.weights[form.kernel].astype(np.float64))
    lead = kernel.ndim - len(form.kernel_view)
    channels = [lead + axis for axis, size in enumerate(form.kernel_view) if size != 1 or len(form.kernel_view) == 1]
    others = tuple(axis for axis in range(kernel.ndim) if axis not in channels)
    ranges: Float64 = kernel.max(axis=others).reshape(-1)
    return ranges


def _push(call: Call, scale: Float64) -> Push:
    axis = output_axis(call.layer.kind, call.layer.config, call.output.rank or 0)
    return Push(call.output, Affine(scale, np.zeros_like(scale)), (axis,))


def _walk(graph: Graph, push: Push) -> list[tuple[Step, Push]] | None:
    """The steps on the way of a value's scale to the weights that take it in, each with what it takes; None for no way.

    Numbers in the place of the scale tell which channel arrives where.
    """
    found: list[tuple[Step, Push]] = []
    pending, seen = [push], 0
    while pending:
        now = pending.pop()
        for step in forward_step(graph, now):
            seen += 1
            if isinstance(step, Refusal) or seen > LONGEST:
                return None
            found.append((step, now))
            pending.extend(step.onward)
    return found
