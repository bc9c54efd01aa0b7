"""Rule 9: a channel that is one carries a shift through zero padding.

    W (*) pad(s*x + t) = (W*s) (*) pad(x) + W_t (*) pad(1)      with W_t[o] = sum over c of t_c * W[c, o], tap by tap

The layer before gets one more output channel with kernel 0 and bias 1, which a ReLU leaves as it is; the convolution
gets one more input channel with the kernel W_t. The padding then pads the ones too, and the border comes out right: for
any sign of s, any shape, and with no operation more.

Pooling, cropping and upsampling give one where they are given ones, since their paddings hold no numbers. So they may
stand before the BatchNorm, and between it and the convolution where the affine passes them: a maximum wants s >= 0. A
padding with zeros may stand last, for it is the padding of the convolution.

Condition: the BatchNorm feeds one convolution without groups and nothing else, by such layers at most; before it come
only these, activations f with ``f(1) = 1`` and a Dense or convolution without groups, each seen by nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kerasbn_export.algebra.affine import Affine
from kerasbn_export.algebra.linear import CONVOLUTIONS, Array
from kerasbn_export.folding.rules import identity, spatial
from kerasbn_export.folding.rules.fused import is_fused
from kerasbn_export.folding.rules.homogeneous import is_homogeneous
from kerasbn_export.folding.rules.producer import checked, has_no_activation
from kerasbn_export.folding.rules.step import Push, Step, in_training, runs_along_last, stock_activation, takes_only
from kerasbn_export.graph.model import Call, Graph, Layer, Value


@dataclass(frozen=True, eq=False)
class Channel:
    """Where the new channel is made, what it passes, and where it is used."""

    producer: Call
    passed: list[Value]
    consumer: Call


def find(graph: Graph, call: Call, push: Push) -> Channel | None:
    """The way of a new channel to the convolution behind a BatchNorm; None if there is none."""
    if not runs_along_last(push):
        return None
    consumer, passed = _consumer(graph, replace(push, value=call.output))
    if consumer is None or not _plain(graph, consumer, inside=False):
        return None
    value = push.value
    while True:
        producer = value.producer
        if producer is None or graph.sole_user(value) is None:
            return None
        passed.append(value)
        if producer.layer.kind in ("Dense", *CONVOLUTIONS):
            return Channel(producer, passed, consumer) if _plain(graph, producer, inside=True) else None
        if not _keeps_one(graph, producer):
            return None
        value = producer.inputs[0]


def _consumer(graph: Graph, push: Push) -> tuple[Call | None, list[Value]]:
    """The convolution that an affine reaches, and the values on the way that get the channel; None for another end."""
    passed: list[Value] = []
    while (user := graph.sole_user(push.value)) is not None and takes_only(user, push.value):
        if user.layer.kind in CONVOLUTIONS:
            return user, passed
        step = spatial.forward(graph, user, push) or identity.forward(graph, user, push)
        if isinstance(step, Step):
            push = step.onward[0]
        elif _pads(user) and _ends_in_convolution(graph, user):
            push = replace(push, value=user.output)
        else:
            break
        passed.append(user.output)
    return None, []


def _pads(call: Call) -> bool:
    return call.layer.kind in spatial.PADDINGS and spatial.channel_axis(call) == (call.output.rank or 0) - 1


def _ends_in_convolution(graph: Graph, call: Call) -> bool:
    """Whether a convolution alone takes what it pads: behind the padding the ones are ones no more."""
    user = graph.sole_user(call.output)
    return user is not None and user.layer.kind in CONVOLUTIONS


def _plain(graph: Graph, call: Call, *, inside: bool) -> bool:
    """Channels last, no groups, no other call of the same layer; for the producer no activation inside but a ReLU."""
    layer, config = call.layer, call.layer.config
    alone = sum(other.layer.source is layer.source for other in graph) == 1
    if set(layer.weights) - {"bias"} != {"kernel"} or config.get("groups", 1) != 1 or not alone:
        return False
    if config.get("data_format") == "channels_first":
        return False
    return not inside or has_no_activation(graph, layer) or stock_activation(layer) in ("relu", "relu6")


def _keeps_one(graph: Graph, call: Call) -> bool:
    """Whether the layer gives one where it is given one, in whatever number of channels."""
    layer = call.layer
    if layer.kind == "PReLU":
        return False
    if call.inputs and isinstance(spatial.forward(graph, call, _ones(call.inputs[0])), Step):
        return True
    return is_homogeneous(layer) or is_fused(layer) or (layer.kind in identity.KINDS and not in_training(call))


def _ones(value: Value) -> Push:
    """An affine that gives one for zeros, along the last axis."""
    return Push(value, Affine(np.ones(1), np.ones(1)), ((value.rank or 0) - 1,))


def apply(channel: Channel, push: Push) -> Layer | None:
    """Make the channel; the layer that took the BatchNorm in, or None where its weights would not be finite."""
    taken = checked(_with_input(channel.consumer.layer, push))
    if not isinstance(taken, Layer):
        return None
    channel.producer.layer = _with_output(channel.producer.layer)
    channel.consumer.layer = taken
    for value in channel.passed:
        shape = value.shape or ()
        value.shape = (*shape[:-1], (shape[-1] or 0) + 1)
    return taken


def _with_output(layer: Layer) -> Layer:
    kernel = layer.weights["kernel"].astype(np.float64)
    bias = layer.weights.get("bias", np.zeros(kernel.shape[-1])).astype(np.float64)
    weights: dict[str, Array] = {
        "kernel": np.concatenate([kernel, np.zeros((*kernel.shape[:-1], 1))], axis=-1),
        "bias": np.append(bias, 1.0),
    }
    size = "units" if layer.kind == "Dense" else "filters"
    return layer.with_weights(weights, use_bias=True, **{size: kernel.shape[-1] + 1})


def _with_input(layer: Layer, push: Push) -> Layer:
    kernel = layer.weights["kernel"].astype(np.float64)
    ones = np.einsum("...co,c->...o", kernel, push.affine.shift)[..., None, :]
    scaled = kernel * push.affine.scale[:, None]
    return layer.with_weights({**layer.weights, "kernel": np.concatenate([scaled, ones], axis=-2)})
