"""The two Kerases under one roof: which one a model belongs to, and its modules.

Nothing is imported before it is asked for.
"""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

from kerasbn.errors import InvalidArgumentError

NAMES = ("keras", "tf_keras")
CONSTRUCTOR_ONLY = frozenset(
    {
        *("__init__", "__module__", "__qualname__", "__doc__", "__annotations__", "__dict__", "__weakref__"),
        *("__firstlineno__", "__static_attributes__", "__abstractmethods__", "_abc_impl"),
    }
)
"""What a class may define and still compute what the class does that it is derived from."""
WRAPPED = frozenset({"build", "quantize"})
"""Methods that Keras 3 wraps on every instance."""


@dataclass(frozen=True)
class Flavour:
    """One of the two Kerases.

    Attributes:
        name: ``"keras"`` (Keras 3) or ``"tf_keras"`` (Keras 2).
    """

    name: str

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise InvalidArgumentError(f"Keras flavour {self.name!r} is not known; accepted: {', '.join(NAMES)}.")

    @cached_property
    def keras(self) -> ModuleType:
        """The package itself."""
        return importlib.import_module(self.name)

    @cached_property
    def batch_normalization(self) -> Any:
        """The layer class of kerasbn for this flavour."""
        return importlib.import_module(f"kerasbn.{self.name}").BatchNormalization

    def stock_name(self, layer: Any) -> str | None:
        """The public name of `stock_class`, or None."""
        cls = self.stock_class(layer)
        return None if cls is None else self._listed(cls)

    def stock_class(self, layer: Any) -> Any:
        """The stock class that computes what a layer does: its own, or the one that its own is derived from.

        Args:
            layer: A layer. A subclass that defines more than a constructor gives None: it may override ``call``.
        """
        for cls in type(layer).__mro__:
            if self._listed(cls) is not None:
                return None if cls is self.keras.layers.Layer and cls is not type(layer) else cls
            if vars(cls).keys() - CONSTRUCTOR_ONLY or _has_methods_of_its_own(layer):
                return None
        return None

    def _listed(self, cls: type) -> str | None:
        name, layers = cls.__name__, self.keras.layers
        homes = (layers, getattr(layers, "experimental", None))  # where Keras 2 keeps SyncBatchNormalization
        if any(getattr(home, name, None) is cls for home in homes):
            return name
        # Keras 3 lists GroupedQueryAttention as GroupQueryAttention.
        return next((listed for listed, it in vars(layers).items() if it is cls), None)


def _has_methods_of_its_own(layer: Any) -> bool:
    """Whether an instance has another function in the place of a method of its class, beside those Keras 3 wraps."""
    own = {name for name, value in vars(layer).items() if callable(value) and not name.startswith("_")} - WRAPPED
    return any(inspect.isroutine(getattr(type(layer), name, None)) for name in own)


KERAS = Flavour("keras")
TF_KERAS = Flavour("tf_keras")


def flavour_of(model: Any) -> Flavour:
    """The flavour that a model or layer belongs to.

    Raises:
        InvalidArgumentError: The object is of neither Keras.
    """
    packages = {base.__module__.partition(".")[0] for base in type(model).__mro__}
    for name in NAMES:
        if name in packages:
            return Flavour(name)
    raise InvalidArgumentError(
        f"Expected a model of Keras 3 or tf_keras, found {type(model).__module__}.{type(model).__qualname__}."
    )


def layers_inside(layer: Any) -> list[Any]:
    """Every layer that a model or layer holds, at any depth, without itself; none for what is no layer."""
    flatten = getattr(layer, "_flatten_layers", None)
    return [] if flatten is None else list(flatten(include_self=False, recursive=True))
