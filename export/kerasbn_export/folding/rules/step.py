"""What a rule is given, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kerasbn_export.algebra.affine import Affine
from kerasbn_export.folding.verdict import Reason
from kerasbn_export.graph.model import Call, Graph, Layer, Value


@dataclass(frozen=True, eq=False)
class Push:
    """An affine on its way: on ``value``, along ``axes`` counted from the front."""

    value: Value
    affine: Affine
    axes: tuple[int, ...]


@dataclass(frozen=True)
class Refusal:
    """Why an affine cannot go this way."""

    reason: Reason
    sentence: str


@dataclass(frozen=True, eq=False)
class Step:
    """One step of the way.

    Attributes:
        rule: The name of the rule.
        call: The call that it concerns.
        change: What becomes of the call's layer, where the affine goes into its weights. It is asked only when the
            whole way is known, and may still refuse, for weights that would not be finite.
        onward: What is left to be placed: affines on the inputs of the call, or forward on its output.
        static_shape: Whether the step is right only for the shape that the graph says.
        note: What to know of the step, exact though it is.
    """

    rule: str
    call: Call
    change: Callable[[Layer], Layer | Refusal] | None = None
    onward: tuple[Push, ...] = ()
    static_shape: bool = False
    note: str = ""


@dataclass(frozen=True, eq=False)
class Merge:
    """One merge of linear layers that was done.

    Attributes:
        rule: The name of the rule.
        gone: The calls that are gone.
        into: The layer that has them all.
        note: What to know of the merge, exact though it is.
    """

    rule: str
    gone: tuple[Call, ...]
    into: Layer
    note: str = ""


Rule = Callable[[Graph, Call, Push], Step | Refusal | None]
"""Backward: the call gives ``push.value``. Forward: the call takes it. None where it is no call of the rule's kind."""


def takes_only(call: Call, value: Value) -> bool:
    """Whether the call takes the value once, as its first positional argument."""
    return bool(call.args) and call.args[0] is value and sum(taken is value for taken in call.inputs) == 1


def runs_along_last(push: Push) -> bool:
    """Whether the affine has one number for each channel of the last axis."""
    return push.value.rank is not None and push.axes == (push.value.rank - 1,)


def stock_activation(layer: Layer) -> str | None:
    """The name of the layer's activation where it is Keras' own; None for a function of the user's of whatever name."""
    name, function = layer.config.get("activation"), getattr(layer.source, "activation", None)
    own = function is None or str(getattr(function, "__module__", "")).startswith(("keras.src.", "tf_keras.src."))
    return name if isinstance(name, str) and own else None


def in_training(call: Call) -> bool:
    """Whether a layer is called in training mode, or in a mode that only run time tells."""
    flag = call.kwargs.get("training", call.args[1] if len(call.args) > 1 else None)
    return flag is True or isinstance(flag, Value)
