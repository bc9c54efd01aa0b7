"""A layer that cannot be made again from its configuration: a copy of the layer that is there, weights and all.

The copy computes what the layer computes and shares no variable with it. It cannot be saved: for that its class has to
give a configuration that its constructor takes.
"""

from __future__ import annotations

import copy
from typing import Any

from kerasbn.flavour import Flavour, layers_inside

PAST = ("_inbound_nodes", "_outbound_nodes", "_inbound_nodes_value", "_outbound_nodes_value")
"""Where tf_keras keeps the calls of a layer: with them the whole model would be copied."""

SYMBOLIC = ("SymbolicTensor", "KerasTensor")
"""What a layer may keep of its last call, as tfmot's wrappers keep the kernel that they quantized: it has no copy."""


def copied_layer(flavour: Flavour, source: Any, name: str) -> Any:
    """A layer of its own that does what a built layer does.

    Args:
        flavour: Its Keras.
        source: The layer; it is not changed.
        name: The name of the copy.
    """
    return _of_keras_3(flavour, source, name) if flavour.name == "keras" else _of_tf_keras(source, name)


def _of_tf_keras(source: Any, name: str) -> Any:
    twin = copy.copy(source)
    vars(twin).update({past: [] for past in PAST if past in vars(source)})
    twin = copy.deepcopy(twin, _as_they_are(source))
    twin._name = name
    return twin


def _as_they_are(source: Any) -> dict[int, Any]:
    """What takes the place of parts of a layer and the layers inside that are not to be copied, by their identity."""
    parts = [part for layer in (source, *layers_inside(source)) for part in vars(layer).items()]
    past: dict[int, Any] = {id(value): [] for name, value in parts if name in PAST}
    return past | {id(value): value for _, value in parts if type(value).__name__ in SYMBOLIC}


def _of_keras_3(flavour: Flavour, source: Any, name: str) -> Any:
    """Keras 3 copies a layer by its configuration; but it runs one on variables that are not its own."""

    class Copied(flavour.keras.layers.Layer):  # type: ignore[misc, name-defined]
        """The layer ``source``, run on copies of its variables."""

        has_its_weights = True

        def build(self, *_: Any) -> None:
            self.copies = [  # in the order of the source: Keras lists the trainable ones of a layer first
                self.add_weight(
                    name=variable.name,
                    shape=variable.shape,
                    dtype=variable.dtype,
                    trainable=variable.trainable,
                    initializer="zeros",
                )
                for variable in source.variables
            ]
            self.built = True

        def call(self, *args: Any, **kwargs: Any) -> Any:
            own = dict(zip(map(id, source.variables), self.copies, strict=True))
            groups = (source.trainable_variables, source.non_trainable_variables)
            trainable, rest = ([own[id(variable)] for variable in group] for group in groups)
            return source.stateless_call(trainable, rest, *args, **kwargs)[0]

        def compute_mask(self, *args: Any, **kwargs: Any) -> Any:
            return source.compute_mask(*args, **kwargs)

    copied = Copied(name=name, dtype=source.dtype_policy)
    copied.supports_masking = source.supports_masking
    copied.build()
    for variable, original in zip(copied.copies, source.variables, strict=True):
        variable.assign(original)
    return copied
