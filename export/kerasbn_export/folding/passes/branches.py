"""Rule 10, side by side: parallel linear branches into a sum are one linear layer.

    (W1 x + b1) + (W2 x + b2) = (W1 + W2) x + (b1 + b2)

A smaller kernel is laid into the larger one where its taps fall on the same elements (`kerasbn_export.algebra.taps`); x
itself and an affine of x are convolutions with one tap: ``s*x + t`` has the kernel ``diag(s)`` in the middle and the
bias t (Ding et al. 2021, RepVGG, section 3.3). A depthwise convolution is one with a group for each input channel,
and a Dense one with a single tap. A difference has ``-W2`` and ``-b2``, an average of n branches ``W/n`` and ``b/n``.

Condition: the branches take the same value; they are Dense, convolutions or depthwise convolutions with the same
strides and groups, and no activation inside; they give the same number of outputs, and every tap falls on a tap of the
branch with the most; nothing else sees their outputs; no mask is about; channels are last. Where an axis has an unknown
size that must hold for all sizes. A ZeroPadding of its own before a branch becomes the branch's ``same`` where it adds
as many zeros on either side, as networks that were written for PyTorch have it. The one kernel has one range of values:
in int8 it may be coarser than its parts, and the verdict says so.
"""

from __future__ import annotations

import numpy as np

from kerasbn_export.algebra.affine import Float64
from kerasbn_export.algebra.linear import CONVOLUTIONS, DEPTHWISE, Array, kernel_name
from kerasbn_export.algebra.taps import Axis, axes, zeros_added
from kerasbn_export.folding.affine_calls import computes_affine, read
from kerasbn_export.folding.rules.add import AVERAGES, DIFFERENCES, SUMS
from kerasbn_export.folding.rules.producer import checked, has_no_activation
from kerasbn_export.folding.rules.spatial import PADDINGS
from kerasbn_export.folding.rules.step import Merge, runs_along_last
from kerasbn_export.graph.model import Call, Graph, Layer, Value

KINDS = ("Dense", *CONVOLUTIONS, *DEPTHWISE)

Part = tuple[Float64, Float64]
"""Kernel, as `_kernel` gives it, and bias of one branch."""


COARSER = "Exact, but one kernel for several branches may be coarser in int8:"


def merge_branches(graph: Graph) -> list[Merge]:
    """Merge the branches into every sum of the graph where all of them are linear in one value."""
    merges = []
    for call in graph.in_order():
        if call.layer.kind in (*SUMS, *DIFFERENCES, *AVERAGES) and len(call.inputs) > 1:
            _take_padding_in(graph, call)
            merge = _merge(graph, call)
            if merge is not None:
                merges.append(merge)
    graph.prune()
    return merges


def _merge(graph: Graph, call: Call) -> Merge | None:
    source, branches = _common_source(graph, call)
    if source is None:
        return None
    linear = [branch for branch in branches if branch is not None and branch.layer.kind in KINDS]
    lead = max(linear, key=lambda branch: _extent(branch, source), default=None)
    if lead is None or not _same_geometry([*branches, lead], lead, source):
        return None
    if any(value.masked for value in (*call.inputs, call.output)):
        return None
    parts = [_part(branch, lead, source) for branch in branches]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    layer = checked(_together(lead.layer, known, _weights(call)))
    if not isinstance(layer, Layer):
        return None
    gone = tuple(branch for branch in branches if branch is not None and branch is not lead)
    lead.layer = layer = layer.holding((*gone, call))
    graph.bypass(call, lead.output)
    return Merge("branches", gone, layer, f"{COARSER} {layer.path!r}.")


def _take_padding_in(graph: Graph, call: Call) -> None:
    """Let branches pad by themselves what a ZeroPadding before them pads, where another branch takes its input."""
    branches = [_branch(graph, value) for value in call.inputs]
    sources = [v if b is None else b.inputs[0] for v, b in zip(call.inputs, branches, strict=True)]
    for branch in branches:
        padding = None if branch is None else branch.inputs[0].producer
        if branch is None or padding is None or padding.layer.kind not in PADDINGS:
            continue
        alone = graph.sole_user(padding.output) is branch and not padding.output.masked
        if alone and padding.inputs[0] in sources and _pads_as_same(padding, branch):
            branch.layer = branch.layer.with_weights(branch.layer.weights, padding="same")
            graph.bypass(padding)


def _pads_as_same(padding: Call, branch: Call) -> bool:
    """Whether ``same`` would add just these zeros: at a stride of 1 half of what the kernel reaches, on either side."""
    config, along = branch.layer.config, _axes(branch, padding.output)
    if branch.layer.kind not in (*CONVOLUTIONS, *DEPTHWISE) or config["padding"] != "valid":
        return False
    if "channels_first" in (config.get("data_format"), padding.layer.config.get("data_format")):
        return False
    return all(
        axis.stride == 1 and (before, after) == (axis.reach // 2, axis.reach - axis.reach // 2)
        for axis, (before, after) in zip(along, zeros_added(padding.layer.config, len(along)), strict=True)
    )


def _weights(call: Call) -> list[float]:
    """By what each branch is multiplied."""
    count = len(call.inputs)
    if call.layer.kind in DIFFERENCES:
        return [1.0, -1.0]
    return [1.0 / count if call.layer.kind in AVERAGES else 1.0] * count


def _together(lead: Layer, parts: list[Part], weights: list[float]) -> Layer:
    """The lead with the sum of all branches in its kernel and bias."""
    name = kernel_name(lead.kind, lead.weights) or ""
    kernel, bias = (sum(w * part[i] for w, part in zip(weights, parts, strict=True)) for i in (0, 1))
    summed: dict[str, Array] = {name: np.reshape(kernel, lead.weights[name].shape), "bias": np.asarray(bias)}
    return lead.with_weights(summed, use_bias=True)


def _extent(call: Call, source: Value) -> tuple[int, int]:
    """How many taps the kernel has, and how far they reach."""
    along = _axes(call, source)
    return int(np.prod([axis.taps for axis in along])), int(np.prod([axis.reach + 1 for axis in along]))


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
    if computes_affine(call):
        return call
    if call.layer.kind not in KINDS or kernel_name(call.layer.kind, call.layer.weights) is None:
        return None
    return call if has_no_activation(graph, call.layer) else None


def _axes(call: Call | None, source: Value) -> list[Axis]:
    """How the branch's kernel lies; one tap for the value itself and an affine of it."""
    convolves = call is not None and call.layer.kind in KINDS
    return axes(call.layer.config if call is not None and convolves else {}, (source.shape or ())[1:-1])


def _same_geometry(branches: list[Call | None], lead: Call, source: Value) -> bool:
    """Whether all slide as the lead does, and every tap falls on one of the lead's."""
    if any(call is not None and call.layer.config.get("data_format") == "channels_first" for call in branches):
        return False
    pairs = [pair for call in branches for pair in zip(_axes(call, source), _axes(lead, source), strict=True)]
    return all(a.stride == b.stride and a.gives_as_many_as(b) and a.falls_on(b) for a, b in pairs)


def _groups(call: Call) -> int:
    """Into how many groups of channels the kernel divides its input."""
    layer = call.layer
    if layer.kind in DEPTHWISE:
        return int(layer.weights[kernel_name(layer.kind, layer.weights) or ""].shape[-2])
    return int(layer.config.get("groups", 1))


def _kernel(call: Call, source: Value) -> Float64:
    """The kernel as a convolution of groups has it: taps along every axis, inputs of a group, outputs."""
    layer = call.layer
    kernel = layer.weights[kernel_name(layer.kind, layer.weights) or ""].astype(np.float64)
    channels = (1, -1) if layer.kind in DEPTHWISE else kernel.shape[-2:]
    result: Float64 = kernel.reshape(*(axis.taps for axis in _axes(call, source)), *channels)
    return result


def _part(branch: Call | None, lead: Call, source: Value) -> Part | None:
    """Kernel and bias of one branch, laid into the kernel of the lead."""
    shape = _kernel(lead, source).shape
    if branch is None or branch.layer.kind not in KINDS:
        part = _pointwise(branch, shape, _groups(lead))
    else:
        bias = branch.layer.weights.get("bias", np.zeros(shape[-1])).astype(np.float64)
        part = _kernel(branch, source), bias
    if part is None or part[0].shape[-2:] != shape[-2:]:
        return None
    slots = [a.slots(b) for a, b in zip(_axes(branch, source), _axes(lead, source), strict=True)]
    kernel = np.zeros(shape)
    kernel[np.ix_(*slots)] = part[0]
    return kernel, part[1]


def _pointwise(branch: Call | None, shape: tuple[int, ...], groups: int) -> Part | None:
    """The value itself, or an affine of it, as a kernel with one tap."""
    inputs, channels = shape[-2:]
    if inputs * groups != channels:
        return None
    scale, shift = np.ones(channels), np.zeros(channels)
    if branch is not None:
        push = read(branch)
        if push is None or not runs_along_last(push):
            return None
        scale, shift = push.affine.scale, push.affine.shift
    kernel = np.zeros((inputs, channels))
    kernel[np.arange(channels) % inputs, np.arange(channels)] = scale
    return kernel.reshape((1,) * (len(shape) - 2) + kernel.shape), shift
