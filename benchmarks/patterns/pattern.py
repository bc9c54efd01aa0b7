"""What a pattern is, and how the catalogue is written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Make = Callable[[Any], Any]
"""A function of ``keras.layers`` that gives a layer."""

CATALOGUE: dict[str, Pattern] = {}
IMAGE, SEQUENCE, VECTOR, VOLUME, FRAMES = (8, 8, 4), (12, 4), (6,), (4, 6, 6, 3), (3, 6, 6, 2)


@dataclass(frozen=True)
class Pattern:
    """A small model: a BatchNorm, or another affine, and what stands around it.

    Attributes:
        name: What stands where.
        build: Makes the model from a Keras package.
        least: The elementwise operations that algebra leaves of its affines where every scale is positive.
        least_mixed: The same where scales have both signs.
    """

    name: str
    build: Callable[[Any], Any]
    least: int
    least_mixed: int

    @property
    def signs(self) -> tuple[str, ...]:
        """The signs of its scales worth trying: the harder ones alone where they make no difference."""
        return ("±",) if self.least == self.least_mixed else ("+", "±")

    def least_for(self, signs: str) -> int:
        """The minimum for ``"+"`` or ``"±"``."""
        return self.least if signs == "+" else self.least_mixed


def enter(name: str, build: Callable[[Any], Any], least: int, mixed: int | None = None) -> None:
    """Put a pattern into the catalogue."""
    if name in CATALOGUE:
        raise ValueError(f"The catalogue already has a pattern {name!r}.")
    CATALOGUE[name] = Pattern(name, build, least, least if mixed is None else mixed)


def pattern(least: int, mixed: int | None = None) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Put a builder into the catalogue, under its own name with spaces in it."""

    def decorate(build: Callable[[Any], Any]) -> Callable[[Any], Any]:
        enter(build.__name__.replace("_", " "), build, least, mixed)
        return build

    return decorate


def chain(name: str, shape: tuple[int | None, ...], *makes: Make, least: int = 0, mixed: int | None = None) -> None:
    """Put layers that are called one after the other into the catalogue."""

    def build(keras: Any) -> Any:
        inputs = outputs = keras.Input(shape)
        for make in makes:
            outputs = make(keras.layers)(outputs)
        return keras.Model(inputs, outputs)

    enter(name, build, least, mixed)


def layer(kind: str, *args: Any, **options: Any) -> Make:
    """A layer of that class."""
    return lambda layers: getattr(layers, kind)(*args, **options)


def td(make: Make) -> Make:
    """A layer in TimeDistributed."""
    return lambda layers: layers.TimeDistributed(make(layers))


def conv(filters: int = 5, kernel: int = 3, **options: Any) -> Make:
    """A Conv2D."""
    return layer("Conv2D", filters, kernel, **options)


def conv1d(filters: int = 5, kernel: int = 3, **options: Any) -> Make:
    """A Conv1D."""
    return layer("Conv1D", filters, kernel, **options)


def dense(units: int = 5, **options: Any) -> Make:
    """A Dense."""
    return layer("Dense", units, **options)


BN = layer("BatchNormalization")
RELU = layer("ReLU")
GAP = layer("GlobalAveragePooling2D")
FLATTEN = layer("Flatten")


def give_numbers(model: Any, signs: str = "±", seed: int = 0) -> Any:
    """Give every weight of a model a number that training might have given it; returns the model."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        dtype = variable.dtype if isinstance(variable.dtype, str) else variable.dtype.name
        if "float" in dtype:
            variable.assign(_numbers(variable.name, tuple(variable.shape), signs, rng).astype("float32"))
    return model


def _numbers(name: str, shape: tuple[int, ...], signs: str, rng: np.random.Generator) -> Any:
    own = name.rpartition("/")[2].partition(":")[0]
    if own == "gamma":
        sizes = rng.uniform(0.5, 1.5, shape)
        return sizes if signs == "+" else sizes * np.where(np.arange(sizes.size).reshape(shape) % 3 == 1, -1, 1)
    if own == "moving_variance":
        return 10 ** rng.uniform(-0.7, 0.7, shape)
    if len(shape) < 2:
        return rng.normal(0, 0.5, shape)
    return rng.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape)


def data_for(model: Any, seed: int = 1) -> list[Any]:
    """One sample for each input of a model; sizes left open are 6, numbers for an Embedding are below 5."""
    rng = np.random.default_rng(seed)
    samples = []
    for tensor in model.inputs:
        shape = [1, *(6 if size is None else int(size) for size in tensor.shape[1:])]
        whole = "int" in (tensor.dtype if isinstance(tensor.dtype, str) else tensor.dtype.name)
        samples.append(rng.integers(1, 5, shape).astype("int32") if whole else rng.normal(size=shape).astype("float32"))
    return samples
