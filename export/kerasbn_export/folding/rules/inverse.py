"""Rules 2 and 3 at once: a BatchNorm goes into a linear layer that others see, and they take its inverse in.

    a(v), W2 v + b2   with   v = W1 x + b1

becomes, with ``v' = a(v) = (s*W1) x + (s*b1 + t)``,

    v', (W2/s) v' + (b2 - W2 t/s)

Condition: s != 0; no model output sees v; every other user takes the inverse (the engine asks each); no ReLU behind the
BatchNorm that its own operation would fuse, for then one operation would come for the one that goes; and
``|beta| <= 16 |gamma|`` as trained: they get v back to ``u (|v'| + |t|)/s``, about ``u sigma (3 + |beta/gamma|)``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kerasbn_export.folding.rules.fused import is_fused
from kerasbn_export.folding.rules.step import Push
from kerasbn_export.graph.batchnorm import is_batchnorm
from kerasbn_export.graph.model import Call, Graph, Layer

STEEPEST = 16.0
"""How much larger than gamma a beta may be: four bits of float32's 24."""


def find(graph: Graph, call: Call, push: Push) -> Push | None:
    """The inverse of a BatchNorm, on what comes into it; None where it may not be used."""
    if not is_batchnorm(call.layer) or len(graph.users(push.value)) < 2 or graph.is_output(push.value):
        return None
    if any(is_fused(user.layer) for user in graph.users(call.output)) or not _is_gentle(call.layer):
        return None
    undone = push.affine.inverse
    return None if undone is None else replace(push, affine=undone)


def _is_gentle(layer: Layer) -> bool:
    """Whether what goes through the BatchNorm comes back from its inverse as precise as it was, about.

    Gamma and beta say so where they are those of training, and not what another affine made of them.
    """
    if layer.changed:
        return False
    beta, gamma = layer.weights.get("beta", np.zeros(1)), layer.weights.get("gamma", np.ones(1))
    return bool(np.all(np.abs(beta) <= STEEPEST * np.abs(gamma)))
