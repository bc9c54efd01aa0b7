"""The configuration of a layer, also where Keras cannot write it down.

A layer may hold what has no name: an activation that is an object of the user's, or one that was set to None after
the layer was built. Neither is a reason to stop: in memory the object itself stands where its name would.
"""

from __future__ import annotations

from typing import Any

from kerasbn.flavour import flavour_of

FOR_TRAINING = ("initializer", "regularizer", "constraint")
"""The last word of the names of what a built layer no longer needs at inference."""


def configuration_of(layer: Any) -> dict[str, Any]:
    """What ``get_config`` gives, with the activations themselves where that fails; empty where nothing helps."""
    try:
        return dict(layer.get_config())
        # Keras raises many types here, and a layer of the user's may raise any.
    except Exception:
        return _around_what_has_no_name(layer)


def _around_what_has_no_name(layer: Any) -> dict[str, Any]:
    linear = flavour_of(layer).keras.activations.linear
    activations = {name: value or "linear" for name, value in vars(layer).items() if _ends_in(name, ("activation",))}
    twin = object.__new__(type(layer))  # Keras 3 makes copy.copy() of a layer by its configuration
    vars(twin).update(vars(layer))
    vars(twin).update(dict.fromkeys(activations, linear))
    vars(twin).update(dict.fromkeys([name for name in vars(layer) if _ends_in(name, FOR_TRAINING)]))
    try:
        config = dict(twin.get_config())
    except Exception:
        return {}
    return {**config, **{name: function for name, function in activations.items() if name in config}}


def _ends_in(name: str, words: tuple[str, ...]) -> bool:
    return name.rpartition("_")[2] in words and not name.startswith("_")
