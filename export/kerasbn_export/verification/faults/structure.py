"""Faults in what is folded where: moves that the algebra does not allow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kerasbn_export.graph.model import Call, Graph
from kerasbn_export.graph.structure import leaves, map_leaves
from kerasbn_export.verification.faults.fault import of_graph
from kerasbn_export.verification.faults.folding import (
    Site,
    affine,
    batchnorms_behind,
    channel_axis,
    fold,
    is_batchnorm,
    is_linear,
    statistics,
)


def _through(graph: Graph, accept: object) -> list[tuple[Site, Call]]:
    """Every linear layer, accepted call and BatchNorm in a row."""
    pairs = batchnorms_behind(graph, lambda call: bool(call.inputs) and _is(call, accept))
    found = [(between.inputs[0].producer, between, bn) for between, bn in pairs]
    return [
        (Site(graph, linear, bn), between) for linear, between, bn in found if linear is not None and is_linear(linear)
    ]


def _is(call: Call, accept: object) -> bool:
    kind, config = call.layer.kind, call.layer.config
    return accept in (kind, config.get("activation"))


@of_graph
def relu_treated_as_linear(graph: Graph) -> frozenset[str] | None:
    """A BatchNorm behind a ReLU is folded into the layer before the ReLU."""
    places = _through(graph, "relu") + _through(graph, "ReLU")
    if not places:
        return None
    site, between = places[0]
    fold(site)
    return site.blamed | {between.layer.path}


@of_graph
def relu6_clip_unscaled(graph: Graph) -> frozenset[str] | None:
    """The scale of a BatchNorm behind a ReLU6 goes into the layer before it; the clip at 6 stays."""
    places = _through(graph, "relu6")
    if not places:
        return None
    site, between = places[0]
    scale, shift = affine(site.statistics)
    layer, batchnorm = site.linear.layer, site.batchnorm.layer
    size = np.abs(scale)
    held = {**layer.weights, site.kernel_name: site.kernel * site.along_output(size), "bias": site.bias * size}
    site.linear.layer = layer.with_weights(held, use_bias=True)
    rest = {**batchnorm.weights, "gamma": np.sign(scale) * site.statistics.sigma}
    rest["beta"] = shift + site.statistics.mean * np.sign(scale)
    site.batchnorm.layer = batchnorm.with_weights(rest)
    return site.blamed | {between.layer.path}


@of_graph
def maxpool_with_negative_scale(graph: Graph) -> frozenset[str] | None:
    """A BatchNorm with negative scales behind a MaxPooling is folded into the layer before it."""
    for kind in ("MaxPooling1D", "MaxPooling2D", "MaxPooling3D"):
        for site, between in _through(graph, kind):
            if np.any(affine(site.statistics)[0] < 0):
                fold(site)
                return site.blamed | {between.layer.path}
    return None


@of_graph
def forward_through_zero_padding(graph: Graph) -> frozenset[str] | None:
    """A BatchNorm is folded into the zero-padded convolution after it, as if it had no border."""
    for call in graph.in_order():
        user = graph.sole_user(call.output) if is_batchnorm(call) else None
        if user is None or user.layer.config.get("padding") != "same" or set(user.layer.weights) > {"kernel", "bias"}:
            continue
        scale, shift = affine(statistics(call))
        kernel = np.asarray(user.layer.weights["kernel"], np.float64)
        if kernel.shape[-2] != scale.size:
            continue
        taps = tuple(range(kernel.ndim - 1))
        bias = user.layer.weights.get("bias", 0.0) + (kernel * shift[:, None]).sum(axis=taps)
        held = {**user.layer.weights, "kernel": kernel * scale[:, None], "bias": bias}
        user.layer = user.layer.with_weights(held, use_bias=True)
        graph.bypass(call)
        return frozenset({call.layer.path, user.layer.path})
    return None


@of_graph
def producer_with_other_consumers(graph: Graph) -> frozenset[str] | None:
    """A BatchNorm is folded into a layer whose output others take too."""
    for producer, call in batchnorms_behind(graph, is_linear):
        if len(graph.users(producer.output)) > 1 and channel_axis(call):
            site = Site(graph, producer, call)
            fold(site)
            return site.blamed
    return None


@of_graph
def axis_ignored(graph: Graph) -> frozenset[str] | None:
    """A BatchNorm on another axis is folded along the channels; both happen to be of one size."""
    for producer, call in batchnorms_behind(graph, is_linear):
        if not channel_axis(call) and (call.output.shape or (None,))[-1] == statistics(call).mean.size:
            site = Site(graph, producer, call)
            fold(site)
            return site.blamed
    return None


@of_graph
def outputs_swapped(graph: Graph) -> frozenset[str] | None:
    """Two outputs of one shape carry each other's name."""
    outputs = list(leaves(graph.outputs))
    for i, first in enumerate(outputs):
        for second in outputs[i + 1 :]:
            if first.shape == second.shape and first is not second:
                return _swap(graph, first.producer, second.producer)
    return None


def _swap(graph: Graph, first: Call, second: Call) -> frozenset[str]:
    a, b = first.layer, second.layer
    first.layer, second.layer = replace(a, name=b.name, path=b.path), replace(b, name=a.name, path=a.path)
    other = {first.output: second.output, second.output: first.output}
    graph.outputs = map_leaves(lambda leaf: other.get(leaf, leaf), graph.outputs)
    return frozenset({a.path, b.path})


STRUCTURE = tuple(fault for fault in list(globals().values()) if type(fault).__name__ == "Fault")
