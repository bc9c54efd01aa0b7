"""Rule 12: LayerNormalization and GroupNormalization end in an affine, gamma and beta.

    s*(gamma*n(x) + beta) + t = (s*gamma)*n(x) + (s*beta + t)      backward: into gamma and beta
    W (gamma*n(x) + beta) + b = (W*gamma) n(x) + (b + W beta)      forward: gamma and beta as rule 3

Instance normalization is a GroupNormalization with one channel a group.

Condition: the affine runs along the last axis, over which gamma and beta run; forward as rule 3.
"""

from __future__ import annotations

import numpy as np

from kerasbn_export.algebra.affine import Affine
from kerasbn_export.folding.rules.producer import checked
from kerasbn_export.folding.rules.step import Push, Refusal, Step, runs_along_last
from kerasbn_export.folding.verdict import Reason
from kerasbn_export.graph.model import Call, Graph, Layer

KINDS = ("LayerNormalization", "GroupNormalization")


def backward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """Into gamma and beta."""
    del graph
    if call.layer.kind not in KINDS:
        return None
    if not has_last_axis(call) or not runs_along_last(push):
        return Refusal(Reason.AXIS, f"{call.layer.kind} {call.layer.path!r} has its gamma along other axes.")
    return Step("norm", call, lambda layer: checked(_with_affine(layer, own_affine(layer, push).then(push.affine))))


def has_last_axis(call: Call) -> bool:
    """Whether gamma and beta have one number for each channel of the last axis."""
    axis, rank = call.layer.config["axis"], call.output.rank
    axes = [axis] if isinstance(axis, int) else list(axis)
    return rank is not None and len(axes) == 1 and axes[0] % rank == rank - 1 and not _is_rms(call.layer)


def _is_rms(layer: Layer) -> bool:
    return bool(layer.config.get("rms_scaling"))


def own_affine(layer: Layer, like: Push) -> Affine:
    """Gamma and beta, ones and zeros where the layer has none."""
    ones = np.ones_like(like.affine.scale)
    gamma, beta = layer.weights.get("gamma", ones), layer.weights.get("beta", 0 * ones)
    return Affine(gamma.astype(np.float64), beta.astype(np.float64))


def _with_affine(layer: Layer, new: Affine) -> Layer:
    return layer.with_weights({"gamma": new.scale, "beta": new.shift}, scale=True, center=True)


def tail(call: Call) -> Push | None:
    """The affine that the layer ends in, on its output; None if it has none."""
    if call.layer.kind not in KINDS or not has_last_axis(call) or not call.layer.weights:
        return None
    size = next(iter(call.layer.weights.values())).shape[-1]
    none = Affine(np.ones(size), np.zeros(size))
    push = Push(call.output, none, ((call.output.rank or 0) - 1,))
    affine = own_affine(call.layer, push)
    return None if affine.is_identity else Push(call.output, affine, push.axes)


def without_tail(layer: Layer) -> Layer:
    """The layer without gamma and beta."""
    return layer.with_weights({}, scale=False, center=False)
