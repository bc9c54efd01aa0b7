"""How a counterexample is built and gets its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from patterns.pattern import Make, layer

from kerasbn.flavour import Flavour

Build = Callable[[Any], Any]

COUNTEREXAMPLES: dict[str, tuple[Build, str]] = {}
"""Builder and target, by name."""

TANH = layer("Activation", "tanh")
AXIS_1 = layer("BatchNormalization", axis=1)
RELU = layer("ReLU")


def enter(name: str, build: Build, target: str = "latency") -> None:
    """Put a model into the table."""
    if name in COUNTEREXAMPLES:
        raise ValueError(f"There is a counterexample {name!r} already.")
    COUNTEREXAMPLES[name] = (build, target)


def counterexample(target: str = "latency") -> Callable[[Build], Build]:
    """Put a builder into the table, under its own name with spaces in it."""

    def decorate(build: Build) -> Build:
        enter(build.__name__.replace("_", " "), build, target)
        return build

    return decorate


def through(keras: Any, x: Any, *makes: Make) -> Any:
    """The tensor after layers that are called one after the other."""
    for make in makes:
        x = make(keras.layers)(x)
    return x


def chain(name: str, shape: tuple[int | None, ...], *makes: Make, target: str = "latency") -> None:
    """Put layers that are called one after the other into the table."""

    def build(keras: Any) -> Any:
        inputs = keras.Input(shape)
        return keras.Model(inputs, through(keras, inputs, *makes))

    enter(name, build, target)


def two_way(name: str, shape: tuple[int | None, ...], merge: Any, one: Any, two: Any, *behind: Make) -> None:
    """Put two branches of one input, merged, into the table."""

    def build(keras: Any) -> Any:
        inputs = keras.Input(shape)
        x = merge(keras)([through(keras, inputs, *one), through(keras, inputs, *two)])
        return keras.Model(inputs, through(keras, x, *behind))

    enter(name, build)


def merging(kind: str, **options: Any) -> Any:
    """A layer of several tensors."""
    return lambda keras: getattr(keras.layers, kind)(**options)


def training(make: Make) -> Make:
    """A layer called in training mode."""
    return lambda layers: lambda x: make(layers)(x, training=True)


def function(one: Callable[[Any], Any]) -> Make:
    """A function of the tensor."""
    return lambda _: one


def own_norm(axis: Any) -> Make:
    """Kerasbn's own layer, which takes several axes in both Kerases."""
    return lambda layers: _own(layers).batch_normalization(axis=axis)


def MASK(layers: Any) -> Any:  # noqa: N802  # a layer like those below
    """Sets about half the steps of four features to zero, and masks them."""
    return lambda x: layers.Masking(0.0)(layers.ReLU(threshold=1.0)(x))


def _own(layers: Any) -> Flavour:
    return Flavour(layers.__name__.partition(".")[0])


def not_training(make: Make) -> Make:
    """A layer called in inference mode, whatever was called before it."""
    return lambda layers: lambda x: make(layers)(x, training=False)


IMAGE, SEQUENCE, VECTOR = (6, 6, 4), (4, 4), (4,)
SILENT = layer("Dropout", 0.0)
ADD, CONCATENATE, MULTIPLY = merging("Add"), merging("Concatenate"), merging("Multiply")
TRAINED = training(layer("BatchNormalization", momentum=1.0))
