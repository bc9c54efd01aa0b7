"""Rule 1: an affine after an affine is one affine.

    s2*(s1*x + t1) + t2 = (s2*s1)*x + (s2*t1 + t2)

Condition: nothing else sees the first one's output (the engine asks), and both run along the same axes. A BatchNorm
takes in what comes before and behind it; a Rescaling, Normalization or constant on the way does not.
"""

from __future__ import annotations

import numpy as np

from kerasbn_export.algebra.affine import Affine
from kerasbn_export.folding.rules.producer import checked
from kerasbn_export.folding.rules.step import Push, Refusal, Step
from kerasbn_export.folding.verdict import Reason
from kerasbn_export.graph.batchnorm import affine, axes, is_batchnorm, is_training
from kerasbn_export.graph.model import Call, Graph, Layer


def backward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """Into the BatchNorm before."""
    del graph
    if not is_batchnorm(call.layer) or is_training(call):
        return None
    if push.axes != axes(call.layer, push.value.rank or 0):
        return Refusal(Reason.AXIS, f"BatchNorm {call.layer.path!r} before it runs along other axes.")
    return Step("compose", call, lambda layer: checked(with_affine(layer, affine(layer).then(push.affine))))


def forward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """Into the BatchNorm behind."""
    del graph
    if not is_batchnorm(call.layer) or is_training(call):
        return None
    if push.axes != axes(call.layer, push.value.rank or 0):
        return Refusal(Reason.AXIS, f"BatchNorm {call.layer.path!r} behind it runs along other axes.")
    return Step("compose", call, lambda layer: checked(with_affine(layer, push.affine.then(affine(layer)))))


def with_affine(layer: Layer, new: Affine) -> Layer:
    """A BatchNorm that computes the affine: ``gamma = s``, ``beta = t``, mean 0, variance 1, epsilon 0."""
    shape = layer.weights["moving_mean"].shape  # with ones for the other axes, where there are several
    weights = {
        "gamma": new.scale.reshape(shape),
        "beta": new.shift.reshape(shape),
        "moving_mean": np.zeros(shape),
        "moving_variance": np.ones(shape),
    }
    training: dict[str, object] = {"renorm": False, "momentum": 0.99}  # options of training that ask for more weights
    options = {key: value for key, value in training.items() if layer.config.get(key, 0) in (None, True)}
    return layer.with_weights(weights, center=True, scale=True, epsilon=0.0, **options)
