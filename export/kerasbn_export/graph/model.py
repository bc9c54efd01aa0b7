"""A model as data: a flat graph of calls.

A `Call` is one event: a layer was called on some values and gave others. A layer that is called twice is
two calls of one `Layer`. Nested models are gone: their calls stand in the one graph.

Everything here is numpy and plain Python; nothing refers to a Keras tensor.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from kerasbn.flavour import Flavour
from kerasbn_export.arrays import Array
from kerasbn_export.graph.configuration import configuration_of
from kerasbn_export.graph.structure import leaves, map_leaves

T = TypeVar("T")


@dataclass(eq=False)
class Value:
    """What flows between calls.

    Attributes:
        shape: With None for what is not known; None as a whole if not even the rank is known.
        dtype: Its name, as ``"float32"``.
        masked: Whether Keras carries a mask with it.
        producer: The call that gives it.
    """

    shape: tuple[int | None, ...] | None
    dtype: str
    masked: bool = False
    producer: Call | None = field(default=None, repr=False)

    @property
    def rank(self) -> int | None:
        """The number of dimensions, None if not known."""
        return None if self.shape is None else len(self.shape)


def weight_names(variables: Sequence[Any]) -> list[str]:
    """The own name of each weight of a layer, as ``"kernel"``; ``"query/kernel"`` where several end in the same."""
    paths = [getattr(variable, "path", variable.name).partition(":")[0].split("/") for variable in variables]
    for length in range(1, max(map(len, paths), default=0) + 1):
        names = ["/".join(path[-length:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [f"{number}" for number in range(len(paths))]


@dataclass(eq=False)
class Layer:
    """A layer as data: its class, its configuration and its weights.

    Attributes:
        name: Its name in Keras.
        path: Its name after those of the nested models it sits in: ``"backbone/conv1"``.
        kind: The public name of its class if it is exactly a stock layer or kerasbn's own; else None.
        source: The Keras layer or operation it was read from, None for a layer that a rule made. Called on
            drawn numbers alone, if it has code of the user's, and put back as it was.
        dtype: The precision it computes in.
        new_config: Its configuration where a rule changed it.
        new_weights: Its weights where a rule changed them, in float64.
        meaning: For an operation, the options of the stock layer that it stands for.
        holds: The names of the layers that were merged into it.
    """

    name: str
    path: str
    kind: str | None
    source: Any = field(repr=False)
    dtype: str = "float32"
    new_config: dict[str, Any] | None = field(default=None, repr=False)
    new_weights: dict[str, Array] | None = field(default=None, repr=False)
    meaning: dict[str, Any] | None = field(default=None, repr=False)
    holds: tuple[str, ...] = field(default=(), repr=False)

    @cached_property
    def source_config(self) -> dict[str, Any]:
        """The configuration it was read with."""
        return configuration_of(self.source)

    @property
    def config(self) -> dict[str, Any]:
        """The configuration it has now."""
        if self.new_config is not None:
            return self.new_config
        return self.source_config if self.meaning is None else self.meaning

    @cached_property
    def source_weights(self) -> dict[str, Array]:
        """The weights it was read with, by their own names: see `weight_names`."""
        variables = list(getattr(self.source, "weights", ()))
        arrays = (np.asarray(variable.numpy()) for variable in variables)  # as one of several replicas needs it
        return dict(zip(weight_names(variables), arrays, strict=True))

    @property
    def weights(self) -> dict[str, Array]:
        """The weights it has now."""
        return self.source_weights if self.new_weights is None else self.new_weights

    @property
    def changed(self) -> bool:
        """Whether a rule changed it."""
        return self.new_weights is not None or self.new_config is not None

    @property
    def as_stock(self) -> Layer:
        """The same function as a stock layer, which can be called on any value; an operation is of one call."""
        if self.meaning is None:
            return self
        config = {**self.meaning, "name": self.name, "dtype": self.dtype}
        return replace(self, source=None, meaning=None, new_config=config, new_weights={})

    def with_weights(self, weights: dict[str, Array], **config: Any) -> Layer:
        """The same layer with other weights and options; it stays a version of the same source."""
        return replace(self, new_weights=weights, new_config={**self.config, **config})

    def holding(self, others: Iterable[Call]) -> Layer:
        """The same layer after the layers of some calls were merged into it."""
        names = (name for other in others for name in (other.layer.name, *other.layer.holds))
        return replace(self, holds=tuple(dict.fromkeys((*self.holds, *names))))


def new_layer(kind: str, name: str, config: dict[str, Any], weights: dict[str, Array] | None = None) -> Layer:
    """A stock layer that was not in the model."""
    return Layer(name, name, kind, None, new_config={**config, "name": name}, new_weights=weights or {})


@dataclass(eq=False)
class Call:
    """One call of a layer.

    Attributes:
        layer: What was called.
        args: The positional arguments, a structure with a `Value` where a tensor was.
        kwargs: The keyword arguments, likewise.
        outputs: The values it gave, flat.
    """

    layer: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: list[Value]

    def __post_init__(self) -> None:
        for value in self.outputs:
            value.producer = self

    @property
    def inputs(self) -> list[Value]:
        """Every value it takes, in args and in kwargs, as often as it takes it."""
        return [leaf for leaf in leaves([self.args, self.kwargs]) if isinstance(leaf, Value)]

    @property
    def output(self) -> Value:
        """Its first output."""
        return self.outputs[0]

    def __repr__(self) -> str:
        return f"Call({self.layer.path})"


def substitute(structure: T, old: Value, new: Value) -> T:
    """The structure with one value in the place of another."""
    result: T = map_leaves(lambda leaf: new if leaf is old else leaf, structure)
    return result


class Graph:
    """The calls of a model, its inputs and its outputs.

    Attributes:
        flavour: The Keras it came from.
        name: The model's name.
        inputs: The structure of input values.
        outputs: The structure of output values.
        output_names: The name of each output in flattened order, as Keras gives it.
        may_clone: Whether the calls of one layer may become calls of several.
        passes_averages: Whether an affine may go back through average pooling.
        kernel_per_position: Whether a small Dense may become one kernel for each place of an axis.
    """

    def __init__(
        self,
        flavour: Flavour,
        name: str,
        calls: Iterable[Call],
        inputs: Any,
        outputs: Any,
        output_names: list[str],
    ) -> None:
        self.flavour = flavour
        self.name = name
        self.inputs = inputs
        self.outputs = outputs
        self.output_names = output_names
        self.may_clone = True
        self.passes_averages = True
        self.kernel_per_position = True
        self._calls = dict.fromkeys(calls)
        self._users: dict[Value, dict[Call, None]] = {}
        for call in self._calls:
            self._register(call)

    def __iter__(self) -> Iterator[Call]:
        return iter(self._calls)

    def __len__(self) -> int:
        return len(self._calls)

    def users(self, value: Value) -> list[Call]:
        """The calls that take the value."""
        return list(self._users.get(value, ()))

    def is_output(self, value: Value) -> bool:
        """Whether the model gives the value to its user."""
        return any(leaf is value for leaf in leaves(self.outputs))

    def sole_user(self, value: Value) -> Call | None:
        """The one call that takes the value, once, if nothing else sees it."""
        users = self.users(value)
        if len(users) != 1 or self.is_output(value) or sum(v is value for v in users[0].inputs) != 1:
            return None
        return users[0]

    def bypass(self, call: Call, value: Value | None = None) -> None:
        """Remove a call of one input and one output: who took its output takes its input."""
        value = call.inputs[0] if value is None else value
        for user in self.users(call.output):
            self._rewire(user, call.output, value)
        self.outputs = substitute(self.outputs, call.output, value)
        self._unregister(call)
        del self._calls[call]

    def retype(self, dtype: str) -> None:
        """Let every layer compute, and every value be, in another precision."""
        for call in self._calls:
            if "float" in call.layer.dtype:
                call.layer.dtype = dtype
            for value in call.outputs:
                if "float" in value.dtype:
                    value.dtype = dtype

    def add(self, call: Call) -> None:
        """Enter a new call; its place follows from what it takes."""
        self._calls[call] = None
        self._register(call)

    def insert_after(self, value: Value, layer: Layer, users: Collection[Call] | None = None) -> Call:
        """Call an elementwise layer on a value; who took the value takes the result, or only some of the calls do."""
        result = Value(value.shape, value.dtype, value.masked)
        call = Call(layer.as_stock, (value,), {}, [result])
        for user in self.users(value) if users is None else users:
            self._rewire(user, value, result)
        if users is None:
            self.outputs = substitute(self.outputs, value, result)
        self.add(call)
        return call

    def prune(self) -> None:
        """Remove the calls that no output depends on; inputs stay."""
        for call in reversed(self.in_order()):
            seen = any(self.users(value) or self.is_output(value) for value in call.outputs)
            if not seen and call.inputs:
                self._unregister(call)
                del self._calls[call]

    def replace(self, call: Call, layer: Layer, given: Value | list[Value]) -> None:
        """Let the call be one of another layer, on one value, or a list of them, and nothing else."""
        self._unregister(call)
        call.layer, call.args, call.kwargs = layer.as_stock, (given,), {}
        self._register(call)

    def in_order(self) -> list[Call]:
        """The calls, each after those that it depends on; otherwise in the order they came."""
        missing = {call: {value.producer for value in call.inputs} for call in self._calls}
        ready = [call for call, needs in missing.items() if not needs]
        order: list[Call] = []
        while ready:
            order.extend(ready)
            ready = [user for call in ready for user in self._now_ready(call, missing)]
        return order

    def _now_ready(self, done: Call, missing: dict[Call, set[Call | None]]) -> Iterator[Call]:
        for user in dict.fromkeys(user for value in done.outputs for user in self.users(value)):
            missing[user].discard(done)
            if not missing[user]:
                yield user

    def _register(self, call: Call) -> None:
        for value in call.inputs:
            self._users.setdefault(value, {})[call] = None

    def _unregister(self, call: Call) -> None:
        for value in call.inputs:
            self._users[value].pop(call, None)

    def _rewire(self, call: Call, old: Value, new: Value) -> None:
        self._unregister(call)
        call.args, call.kwargs = substitute((call.args, call.kwargs), old, new)
        self._register(call)
