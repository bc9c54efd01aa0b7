"""Rule 10, side by side: parallel linear branches into a sum are one linear layer.

    (W1 x + b1) + (W2 x + b2) = (W1 + W2) x + (b1 + b2)

A smaller kernel is laid into the larger one where its taps fall on the same elements; x itself and an affine of x
are convolutions with one tap: ``s*x + t`` has the kernel ``diag(s)`` in the middle and the bias t (Ding et al. 2021,
RepVGG, section 3.3).

Condition: the branches take the same value; they are Dense, or Conv with the same strides, padding and groups, no
dilation and no activation inside; nothing else sees their outputs; no mask is about; for strides above one the sizes
are known. The one
kernel has one range of values: in int8 it may be coarser than its parts, and the verdict says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasbn_export.affine import Float64
from kerasbn_export.batchnorm import is_batchnorm
from kerasbn_export.graph import Call, Graph, Layer, Value
from kerasbn_export.linear import CONVOLUTIONS, kernel_name
from kerasbn_export.recognise import read
from kerasbn_export.rules.add import SUMS
from kerasbn_export.rules.producer import checked, has_no_activation
from kerasbn_export.rules.step import Merge, runs_along_last

KEYS = ("strides", "padding", "data_format", "dilation_rate", "groups")


Part = tuple[Float64, Float64]
"""Kernel and bias of one branch."""


COARSER = "Exact, but one kernel for several branches may be coarser in int8:"


def merge_branches(graph: Graph) -> list[Merge]:
    """Merge the branches into every sum of the graph where all of them are linear in one value."""
    merges = []
    for call in graph.in_order():
        if call.layer.kind in SUMS and len(call.inputs) > 1:
            merge = _merge(graph, call)
            if merge is not None:
                merges.append(merge)
    graph.prune()
    return merges


def _merge(graph: Graph, call: Call) -> Merge | None:
    source, branches = _common_source(graph, call)
    if source is None:
        return None
    linear = [b for b in branches if b is not None and not is_batchnorm(b.layer)]
    lead = max(linear, key=_reach, default=None)
    if lead is None or not _same_geometry(linear, lead):
        return None
    if any(value.masked for value in (*call.inputs, call.output)):
        return None
    parts = [_part(branch, lead, source) for branch in branches]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    kernel, bias = sum(k for k, _ in known), sum(b for _, b in known)
    layer = checked(lead.layer.with_weights({"kernel": kernel, "bias": bias}, use_bias=True))
    if not isinstance(layer, Layer):
        return None
    gone = tuple(b for b in branches if b is not None and b is not lead)
    lead.layer = layer
    graph.bypass(call, lead.output)
    return Merge("branches", gone, layer, f"{COARSER} {layer.path!r}.")


def _reach(call: Call) -> int:
    return int(np.prod(call.layer.weights["kernel"].shape[:-2]))


def _common_source(graph: Graph, call: Call) -> tuple[Value | None, list[Call | None]]:
    """The value that every branch is linear in, and the branches; None for the value itself."""
    branches = [_branch(graph, value) for value in call.inputs]
    sources = [v if b is None else b.inputs[0] for v, b in zip(call.inputs, branches, strict=True)]
    linear = [s for s, b in zip(sources, branches, strict=True) if b is not None]
    if not linear or any(source is not linear[0] for source in sources):
        return None, branches
    return linear[0], branches


def _branch(graph: Graph, value: Value) -> Call | None:
    """The linear call or affine that gives the value, if nothing else sees it."""
    call = value.producer
    if call is None or len(call.inputs) != 1 or graph.sole_user(value) is None:
        return None
    if is_batchnorm(call.layer):
        return call
    kinds = ("Dense", *CONVOLUTIONS)
    if call.layer.kind not in kinds or kernel_name(call.layer.kind, call.layer.weights) is None:
        return None
    return call if has_no_activation(graph, call.layer) else None


def _same_geometry(calls: list[Call], lead: Call) -> bool:
    def geometry(call: Call) -> tuple[Any, ...]:
        config = dict(call.layer.config)
        if _reach(call) == 1:
            config["padding"] = lead.layer.config.get("padding")  # a kernel with one tap pads nothing either way
        return (call.layer.kind, *(str(_plain(config.get(key))) for key in KEYS))

    config = lead.layer.config
    dilated = any(rate != 1 for rate in _plain(config.get("dilation_rate", ())) or ())
    causal = config.get("padding") == "causal" or config.get("data_format") == "channels_first"
    return not dilated and not causal and all(geometry(call) == geometry(lead) for call in calls)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value


def _part(branch: Call | None, lead: Call, source: Value) -> Part | None:
    """Kernel and bias of one branch, laid into the kernel of the lead."""
    weights, config = lead.layer.weights, lead.layer.config
    shape = weights["kernel"].shape
    if branch is not None and not is_batchnorm(branch.layer):
        own = branch.layer.weights
        bias = own["bias"].astype(np.float64) if "bias" in own else np.zeros(shape[-1])
        kernel = _laid(own["kernel"].astype(np.float64), shape, config, source)
        return None if kernel is None else (kernel, bias)
    one = _pointwise(branch, shape, config)
    if one is None:
        return None
    kernel = _laid(one[0], shape, config, source)
    return None if kernel is None else (kernel, one[1])


def _pointwise(branch: Call | None, shape: tuple[int, ...], config: Mapping[str, Any]) -> Part | None:
    """The value itself, or an affine of it, as a kernel with one tap."""
    channels, groups = shape[-1], int(config.get("groups", 1))
    if any(step != 1 for step in _plain(config.get("strides", ())) or ()) or shape[-2] * groups != channels:
        return None
    scale, shift = np.ones(channels), np.zeros(channels)
    if branch is not None:
        push = read(branch)
        if push is None or not runs_along_last(push):
            return None
        scale, shift = push.affine.scale, push.affine.shift
    kernel = np.zeros((shape[-2], channels))
    kernel[np.arange(channels) % shape[-2], np.arange(channels)] = scale
    return kernel.reshape((1,) * (len(shape) - 2) + kernel.shape), shift


def _laid(kernel: Float64, shape: tuple[int, ...], config: Mapping[str, Any], source: Value) -> Float64 | None:
    """The kernel with zeros around it, so that every tap falls on the element it fell on."""
    if kernel.shape[-2:] != shape[-2:]:
        return None
    starts = []
    for axis, (small, large) in enumerate(zip(kernel.shape[:-2], shape[:-2], strict=True)):
        start = _start(config, axis, small, large, (source.shape or ())[1 + axis])
        if start is None or start < 0 or start + small > large:
            return None
        starts.append(slice(start, start + small))
    result = np.zeros(shape)
    result[tuple(starts)] = kernel
    return result


def _start(config: Mapping[str, Any], axis: int, small: int, large: int, size: int | None) -> int | None:
    """Where the small kernel begins in the large one along one axis."""
    padding, strides = config["padding"], _plain(config["strides"])
    stride = strides[axis] if isinstance(strides, list) else strides
    if padding == "valid" and small != large:
        return None
    before, own = (_before(padding, kernel, int(stride), size) for kernel in (large, small))
    return None if before is None or own is None else before - own


def _before(padding: str, kernel: int, stride: int, size: int | None) -> int | None:
    """How many zeros stand before the first element."""
    if padding == "valid" or kernel == 1:
        return 0
    if stride == 1:
        return (kernel - 1) // 2
    return None if size is None else max((-(-size // stride) - 1) * stride + kernel - size, 0) // 2
