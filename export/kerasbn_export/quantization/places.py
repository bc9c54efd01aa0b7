"""Which tensors of a quantized file have a range of their own, and which share one.

Measured on files of TensorFlow 2.21's converter:

* an operation with a fused ReLU or ReLU6 has one range, behind it;
* an operation that only moves or chooses elements has the range of what it takes, and so have average pooling and
  bilinear resizing, which round to it;
* CONCATENATION, MAXIMUM and MINIMUM have one range for all that they take and give, also for who else takes that;
* softmax, sigmoid and tanh have fixed ranges, and are converted where they are joined with others;
* everything else has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum

from kerasbn.errors import UnsupportedModelError
from kerasbn.quantized.kernels import LINEAR
from kerasbn_export.folding.passes.activation import fuses
from kerasbn_export.folding.rules import add, identity, moves
from kerasbn_export.folding.rules.fused import FUSED, is_fused
from kerasbn_export.folding.rules.step import stock_activation
from kerasbn_export.folding.rules.time_distributed import MERGE, SPLIT
from kerasbn_export.graph.batchnorm import is_batchnorm
from kerasbn_export.graph.model import Call, Graph, Layer, Value, substitute


@dataclass(frozen=True)
class Place:
    """A value that goes through a range.

    Attributes:
        value: The value.
        owner: The value that stands for all of the same range.
        users: The calls that take what comes out of it; None for all.
        ends: Whether an output of the model that a layer in float gives does, too.
    """

    value: Value
    owner: Value
    users: list[Call] | None = None
    ends: bool = False


class Role(Enum):
    """What a call does to the range of what it takes."""

    OWN = "has its own"
    KEEPS = "keeps it"
    ROUNDS = "keeps it, and rounds to it"
    JOINS = "has one for all its sides"
    FIXED = "has TFLite's"
    FLOAT = "has none"
    WHOLE = "takes or gives whole numbers"


KEEPING = (
    *("Flatten", "Reshape", "Permute", "RepeatVector", MERGE, SPLIT, *identity.KINDS, *moves.KINDS),
    *("MaxPooling1D", "MaxPooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D"),
    *("ZeroPadding1D", "ZeroPadding2D", "Cropping1D", "Cropping2D", "UpSampling1D", "op.max", "op.min"),
)
RESIZING = ("UpSampling2D", "Resizing")
ROUNDING = ("AveragePooling1D", "AveragePooling2D")
JOINING = ("Concatenate", "Maximum", "Minimum", "op.concatenate", "op.maximum", "op.minimum", "op.stack")
OWNING = (
    *(*LINEAR, *add.SUMS, *add.DIFFERENCES, *add.PRODUCTS, "Rescaling", "Embedding", "InputLayer"),
    *(
        "GlobalAveragePooling1D",
        "GlobalAveragePooling2D",
        "op.mean",
        "op.sum",
        "op.matmul",
        "op.abs",
        "op.gelu",
        "LeakyReLU",
        "PReLU",
    ),
)
FIXED = ("softmax", "sigmoid", "tanh")
OWNING_ACTIVATIONS = (*FUSED, "leaky_relu", "hard_silu", "hard_swish", "gelu")


@dataclass
class Places:
    """The ranges of a graph.

    Attributes:
        graph: A graph in which each call is one operation: see `kerasbn_export.quantization.operations`.
        live: The paths of BatchNorms that stay, each part of the operation before it.
        floats: The paths of layers that stay in float.
    """

    graph: Graph
    live: frozenset[str] = frozenset()
    floats: frozenset[str] = frozenset()
    _parents: dict[Value, Value] = field(default_factory=dict, init=False)

    def role(self, call: Call) -> Role | None:
        """What a call does to ranges; None if that is not known."""
        layer = call.layer
        if any("float" not in value.dtype for value in call.outputs):
            return Role.WHOLE
        if self.is_float(layer):
            return Role.FLOAT
        if layer.kind != "Embedding" and any("float" not in value.dtype for value in call.inputs):
            return None  # makes floats of whole numbers
        how = layer.config.get("interpolation", "bilinear") if layer.kind in RESIZING else None
        if layer.kind in JOINING or (layer.kind in KEEPING and len(call.inputs) > 1):
            return Role.JOINS
        if layer.kind in KEEPING or how == "nearest":
            return Role.KEEPS
        if layer.kind in ROUNDING or how == "bilinear":
            return Role.ROUNDS
        return self._arithmetic(call)

    def _arithmetic(self, call: Call) -> Role | None:
        layer = call.layer
        name = activation_of(layer)
        if name == "linear":
            return Role.KEEPS
        if name in FIXED:
            return Role.FIXED
        owning = layer.kind in OWNING or is_fused(layer) or (layer.kind == "Activation" and name in OWNING_ACTIVATIONS)
        one_output = len(call.outputs) == 1 and len(call.inputs) <= 2
        return Role.OWN if one_output and (owning or layer.path in self.live) else None

    def is_float(self, layer: Layer) -> bool:
        """Whether the user wants it in float."""
        return layer.path in self.floats

    def check(self) -> None:
        """Raises `UnsupportedModelError` with every call whose place in the file is not known."""
        unknown = [call for call in self.graph.in_order() if self.role(call) is None]
        if unknown:
            names = ", ".join(dict.fromkeys(_described(call.layer) for call in unknown))
            raise UnsupportedModelError(
                f"Quantization-aware training does not know where the int8 file rounds in {names}. "
                "keep_float=[...] leaves layers in float: their names, a pattern as 'block_*', or a class as 'LSTM'."
            )

    def check_16_bits(self) -> None:
        """Raises `UnsupportedModelError` where the converter cannot take trained ranges of 16 bits."""
        curves = [call for call in self.graph.in_order() if _is_short(call.layer) and not self.is_float(call.layer)]
        if curves:
            raise UnsupportedModelError(
                f"Layer {_described(curves[0].layer)}: TFLite has no GELU or HARD_SWISH of 16 bits. Train with "
                "precision='int8', or leave it in float with keep_float."
            )
        joins = [call for call in self.graph.in_order() if self.role(call) is Role.JOINS]
        if joins:
            raise UnsupportedModelError(
                f"Layer {_described(joins[0].layer)} joins values, and TensorFlow's converter has no CONCATENATION, "
                "MAXIMUM or MINIMUM of trained int16 ranges. Train with precision='int8', or export int16x8 with "
                "calibration samples and without training."
            )

    def places(self) -> list[Place]:
        """Every place where a value goes through a range, in order."""
        found: list[Place] = []
        for call in self.graph.in_order():
            role = self.role(call)
            if role in (Role.KEEPS, Role.ROUNDS):
                for value in call.outputs:
                    self._unite(call.inputs[0], value)
            if role is Role.JOINS:
                found += self._join(call)
            if role in (Role.OWN, Role.ROUNDS, Role.FIXED) and not self.is_inner(call):
                found += [Place(value, value) for value in call.outputs]
            if role is Role.FLOAT:
                for value in call.outputs:
                    users, ends = self.quantized_users(value), self.graph.is_output(value)
                    found += [Place(value, value, users, ends)] if users or ends else []
        return [replace(place, owner=self._find(place.owner)) for place in found]

    def _join(self, call: Call) -> Iterator[Place]:
        """All sides get the range of the output; one whose range is fixed goes through both."""
        for value in call.inputs:
            source = self._find(value).producer
            if source is not None and self.role(source) is Role.FIXED:
                yield Place(value, call.output, [call])
            else:
                self._unite(value, call.output)

    def is_inner(self, call: Call) -> bool:
        """Whether the operation goes on in the next call: a live BatchNorm, or an activation that it fuses."""
        user = self.graph.sole_user(call.output)
        if user is None or self.is_float(user.layer):
            return False
        if is_batchnorm(user.layer) and user.layer.path in self.live:
            return True
        behind_live = is_batchnorm(call.layer) and call.layer.path in self.live
        return is_fused(user.layer) and (behind_live or fuses(self.graph, call.output))

    def quantized_users(self, value: Value) -> list[Call]:
        """The calls that take a value in integers."""
        return [user for user in self.graph.users(value) if self.role(user) is not Role.FLOAT]

    def _find(self, value: Value) -> Value:
        while value in self._parents:
            value = self._parents[value]
        return value

    def _unite(self, one: Value, other: Value) -> None:
        one, other = self._find(one), self._find(other)
        if one is not other:
            self._parents[other] = one


def activation_of(layer: Layer) -> str:
    """The name of the activation that a layer or an operation is; of any other its kind in lower case."""
    name = stock_activation(layer) if layer.kind == "Activation" else str(layer.kind).lower().removeprefix("op.")
    return str(name)


def insert_ranges(places: Places, make: Callable[[str, Call | None, bool], Layer]) -> None:
    """Lets every value that the file quantizes go through a range.

    Args:
        places: Where; its graph is rewritten.
        make: Gives the layer of a range for its name, the call whose fixed range it is, if it is fixed, and whether a
            loss may see what it gives before it is rounded.
    """
    graph = places.graph
    found = places.places()
    roles = {call: places.role(call) for call in places.graph}
    layers: dict[Value, Layer] = {}
    for place in found:
        call, owner = place.value.producer, place.owner
        if owner not in layers:
            fixed = owner.producer if owner.producer and roles[owner.producer] is Role.FIXED else None
            named = owner.producer if place.users else call
            at_end = place.ends if fixed is None else not graph.users(fixed.output)
            layers[owner] = make(f"{named.layer.name}_range" if named else "range", fixed, at_end)
    for place in reversed(found):  # the last first: what goes through two ranges goes through its own first
        ranged = graph.insert_after(place.value, layers[place.owner], place.users)
        if place.ends:
            graph.outputs = substitute(graph.outputs, place.value, ranged.output)


def _is_short(layer: Layer) -> bool:
    """Whether TFLite's operation has 8 bits alone."""
    return activation_of(layer) in ("gelu", "hard_silu", "hard_swish")


def _described(layer: Layer) -> str:
    activation = f", {layer.config['activation']}" if layer.kind == "Activation" else ""
    return f"{layer.path!r} ({layer.kind or type(layer.source).__name__}{activation})"
