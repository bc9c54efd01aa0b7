"""The values that a layer's tensor may hold: what the layer gives, and what those behind it make of that."""

from __future__ import annotations

from collections.abc import Container, Iterator
from functools import partial

from kerasbn_export.algebra.linear import output_axis
from kerasbn_export.arrays import Array
from kerasbn_export.graph.model import Call, Value
from kerasbn_export.verification.layers.fit import Step
from kerasbn_export.verification.network.bound import Bound, bound_of
from kerasbn_export.verification.network.network import Network

MERGED = frozenset({
    "BatchNormalization", "Normalization", "Rescaling", "Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax",
    "Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "Reshape", "Flatten",
})  # fmt: skip
"""Layers that a converter or a fold merges into the one before them, or that change no number."""

DEPTH = 4
"""How many layers of any class behind one may be merged into it."""

Values = dict[Value, Array]


def steps(
    network: Network,
    values: Values,
    call: Call,
    kinds: frozenset[str] | None,
    *,
    clones: bool,
    bounded: bool,
    told: Container[str] = (),
) -> Iterator[Step]:
    """The layer alone, then with one after another of the layers that can be merged into it.

    What several layers take can be merged into one of them only where the layer was cloned. One that takes several
    values has to be told of, as the product in ``x * relu6(x + 3)/6``, of which TFLite makes a HARD_SWISH.

    Args:
        network: The reference in float64.
        values: What the layer takes and gives, and what was computed before.
        call: The layer.
        kinds: The classes that are merged; None for all that have no kernel, a few deep.
        clones: Whether it was cloned.
        bounded: Whether rounding has a bound.
        told: The layers that the names of its tensors tell of.
    """
    waiting = [Step((call,), values, partial(_bound, network, values, call) if bounded else _unbounded)]
    while waiting:
        step = waiting.pop()
        yield step
        users = network.graph.users(step.end)
        for user in users if len(users) == 1 or clones else ():
            one = len(user.inputs) == 1 or (user.layer.path in told and all(v in step.values for v in user.inputs))
            if one and len(user.outputs) == 1 and _merges(user, kinds, len(step.chain)):
                waiting.append(_further(network, step, user))


def _further(network: Network, step: Step, user: Call) -> Step:
    def bound() -> Bound | None:
        known = step.bound if len(user.inputs) == 1 else None
        return known and known.after(user, network.function(user), step.array)

    return Step((*step.chain, user), {**step.values, **network.evaluate(user, step.values)}, bound)


def _unbounded() -> Bound | None:
    return None


def _bound(network: Network, values: Values, call: Call) -> Bound | None:
    products = network.products(call, values)
    if products is None:
        return None
    bound = bound_of(call.layer, products, output_axis(call.layer.kind, call.layer.config, products.ndim))
    activation = network.before_activation(call, values)
    return bound.through(*activation) if activation else bound


def _merges(call: Call, kinds: frozenset[str] | None, length: int) -> bool:
    """Whether a call may be merged into a chain of some length."""
    if kinds is not None:
        return call.layer.kind in kinds
    return length <= DEPTH and not any("kernel" in name for name in call.layer.weights)
