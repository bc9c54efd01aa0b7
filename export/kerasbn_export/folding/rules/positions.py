"""Rule 3 across the channels: an affine along an axis that a Dense does not sum over.

    y[p, o] = sum over c of W[c, o]*(s[p]*x[p, c] + t[p]) + b[o]
            = sum over c of W'[p, c, o]*x[p, c] + b'[p, o]      W'[p] = s[p]*W,   b'[p] = b + t[p]*sum(W)

One kernel for each place p of that axis: the Dense becomes an EinsumDense. BatchNorm, Permute, Dense, as in a TSMixer,
are one operation less so. From 8 x 6 to 3 numbers that file had 2,312 bytes and took 0.8 us, and stock's 2,036 and 0.7;
from 128 x 32 to 64 it had 30 times stock's bytes and took twice its time. So it is done for small ones only.

Condition: one axis of known size, neither the batch nor the last; no mask is about; the new kernel has no more than
`LARGEST` numbers; the target is not the smallest file, nor one of int8 weights, which would get one scale for all.
"""

from __future__ import annotations

import numpy as np

from kerasbn_export.algebra.linear import kernel_name
from kerasbn_export.folding.rules.producer import checked
from kerasbn_export.folding.rules.step import Push, Refusal, Step, stock_activation, takes_only
from kerasbn_export.graph.model import Call, Graph, Layer

LARGEST = 1024
"""Numbers of the new kernel."""

LETTERS = "abcdefgh"


def forward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """Into a Dense that becomes an EinsumDense."""
    if not graph.kernel_per_position or call.layer.kind != "Dense" or not takes_only(call, push.value):
        return None
    rank, layer = push.value.rank or 0, call.layer
    if len(push.axes) != 1 or push.axes[0] in (0, rank - 1) or push.value.masked or stock_activation(layer) is None:
        return None
    if (
        kernel_name(layer.kind, layer.weights) is None
        or push.affine.scale.size * layer.weights["kernel"].size > LARGEST
    ):
        return None
    return Step("positions", call, lambda layer: _by_position(layer, push, call), static_shape=True)


def _by_position(layer: Layer, push: Push, call: Call) -> Layer | Refusal:
    (axis,), rank = push.axes, push.value.rank or 0
    scale, shift, kernel = push.affine.scale, push.affine.shift, layer.weights["kernel"].astype(np.float64)
    bias = layer.weights.get("bias", np.zeros(kernel.shape[1])) + np.outer(shift, kernel.sum(axis=0))
    inputs, place = LETTERS[:rank], LETTERS[axis]
    output = inputs[:-1] + LETTERS[rank]
    config = {
        "name": layer.name,
        "equation": f"{inputs},{place}{inputs[-1]}{output[-1]}->{output}",
        "output_shape": list((call.output.shape or ())[1:]),
        "bias_axes": f"{place}{output[-1]}",
        "activation": layer.config["activation"],
        "dtype": layer.config["dtype"],
    }
    weights = {"kernel": scale[:, None, None] * kernel, "bias": bias.reshape(len(scale), *[1] * (rank - axis - 2), -1)}
    return checked(Layer(layer.name, layer.path, "EinsumDense", None, layer.dtype, config, weights))
