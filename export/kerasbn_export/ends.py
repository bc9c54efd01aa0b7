"""The inputs and outputs of a model, and the name of its one signature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SERVING = "serving_default"


@dataclass(frozen=True)
class ModelInput:
    """One input or output of a model.

    Attributes:
        name: Its name: the key where the model takes or gives a dict, else the name that Keras has for it.
        shape: With the batch axis first; None where it is free.
        dtype: Its name.
        aliases: Other names that it is known by.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    aliases: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that it is known by, its own first."""
        return (self.name, *self.aliases)

    def __str__(self) -> str:
        return f"input {self.name!r} of shape {shown_shape(self.shape)}, {self.dtype}"


def shown_shape(shape: Sequence[int | None]) -> str:
    """A shape as a message shows it: ``(n, 8, 8, 1)`` where the batch is open."""
    return "(" + ", ".join("n" if axis == 0 else str(size) for axis, size in enumerate(shape)) + ")"
