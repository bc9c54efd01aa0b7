"""Layers of the user's: declared ones that take a second tensor, and those with functions or weights of known names."""

from __future__ import annotations

from typing import Any

from patterns.pattern import BN, conv, dense, layer, td

from kerasbn_export.graph.registry import register_layer
from kerasbn_testing.counterexamples.building import (
    IMAGE,
    RELU,
    SEQUENCE,
    TANH,
    VECTOR,
    Build,
    chain,
    counterexample,
    enter,
    through,
)


def from_the_mean(x: Any) -> Any:
    """How far each number is from the mean along the first axis behind the batch."""
    return x - sum(x[:, step : step + 1] for step in range(x.shape[1])) / x.shape[1]


def beside(
    kind: str, shape: tuple[int, ...], *options: Any, before: tuple[Any, ...] = (), twice: bool = False, **more: Any
) -> Build:
    """A layer declared to act as a stock one, called with a second tensor that a BatchNorm gives; or with it twice."""

    def build(keras: Any) -> Any:
        stock = getattr(keras.layers, kind)

        class Besides(stock):  # type: ignore[misc,valid-type]  # its base is known at run time
            def call(self, x: Any, other: Any = None) -> Any:
                del other
                return super().call(x)

        register_layer(Besides, acts_like=kind)
        inputs = keras.Input(shape)
        two = through(keras, inputs, *(before or (TANH, BN)))
        return keras.Model(inputs, through(keras, Besides(*options, **more)(two if twice else inputs, two), TANH))

    return build


SMALL = (2, 2, 16)
enter("beside a dense", beside("Dense", VECTOR, 3))
enter("one tensor twice", beside("Dense", VECTOR, 3, twice=True))
enter("beside a dropout", beside("Dropout", VECTOR, 0.5))
enter("beside a convolution", beside("Conv2D", SMALL, 3, 3, padding="same"))
enter(
    "ones beside a convolution",
    beside("Conv2D", IMAGE, 3, 3, padding="same", before=(conv(4, 3, padding="same"), RELU, BN)),
    "ops",
)
enter("a row beside a dense", beside("Dense", (6,), 2, before=(dense(6),)))


def table_of_positions(keras: Any) -> Any:
    """A layer that adds a table to its input."""

    class Positions(keras.layers.Layer):  # type: ignore[misc,name-defined]  # its base is known at run time
        def build(self, shape: Any) -> None:
            self.embeddings = self.add_weight(shape=tuple(shape[1:]), initializer="ones", name="embeddings")
            self.built = True

        def call(self, x: Any) -> Any:
            return x + self.embeddings

    inputs = keras.Input(SEQUENCE)
    return keras.Model(inputs, through(keras, Positions()(inputs), BN, TANH))


enter("a table of positions", table_of_positions)


@counterexample()
def time_distributed_function_of_the_time(keras: Any) -> Any:
    function = keras.saving.register_keras_serializable("counterexamples")(from_the_mean)
    inputs = keras.Input((3, 4, 4))
    return keras.Model(inputs, through(keras, inputs, td(layer("Activation", function)), dense(2)))


chain("function of the time behind a split", (3, 6, 6, 2), td(conv(2, 3)), layer("Activation", from_the_mean), dense(2))
