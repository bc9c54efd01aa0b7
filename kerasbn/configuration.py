"""The layer's config: constructor arguments as what a file can hold, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

OBJECTS = (
    ("beta", "initializer"), ("gamma", "initializer"),
    ("moving_mean", "initializer"), ("moving_variance", "initializer"),
    ("beta", "regularizer"), ("gamma", "regularizer"),
    ("beta", "constraint"), ("gamma", "constraint"),
)  # fmt: skip
OPTIONS = (
    "axis", "momentum", "epsilon", "center", "scale", "renorm", "renorm_momentum",
    "fused", "virtual_batch_size", "synchronized", "unbiased_variance",
)  # fmt: skip


def config_of(layer: Any) -> dict[str, Any]:
    """The constructor's arguments of a `BatchNormMixin`, less those of the base layer and ``adjustment``."""
    keras = layer._library.keras
    objects = {
        f"{weight}_{kind}": getattr(keras, f"{kind}s").serialize(getattr(layer, f"{weight}_{kind}"))
        for weight, kind in OBJECTS
    }
    plain = {option: _plain(getattr(layer, option)) for option in OPTIONS}
    schedules = keras.optimizers.schedules
    clipping = {
        key: schedules.serialize(bound) if isinstance(bound, schedules.LearningRateSchedule) else bound
        for key, bound in layer.renorm_clipping.items()
    }
    return {**plain, "renorm_clipping": clipping, **objects}


def with_schedules(keras: ModuleType, clipping: Any) -> Any:
    """``renorm_clipping`` with the schedules that `config_of` wrote as dicts."""
    if not isinstance(clipping, Mapping):
        return clipping
    read = keras.optimizers.schedules.deserialize
    return {key: read(dict(bound)) if isinstance(bound, Mapping) else bound for key, bound in clipping.items()}


def _plain(value: Any) -> Any:
    """Without the wrappers that Keras puts around containers."""
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Sequence) else value
