"""Which layers a user means by names, patterns and classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from kerasbn.errors import InvalidArgumentError

SHOWN = 12
"""Names that an error lists."""
NONE: Mapping[str, Sequence[str]] = {}


@dataclass(frozen=True)
class Choice:
    """A layer that may be meant.

    Attributes:
        name: What stands for it in the answer.
        layer: The layer; None for one that no class of Keras' has made yet.
        kind: The name of its class.
        aliases: Other names of it.
    """

    name: str
    layer: Any
    kind: str
    aliases: tuple[str, ...] = ()

    def is_meant(self, wanted: Any) -> bool:
        """Whether a name, a pattern, the name of a class or a class means it."""
        if isinstance(wanted, type):
            return isinstance(self.layer, wanted)
        return any(fnmatchcase(name, wanted) for name in (self.name, *self.aliases)) or self.kind == wanted


def chosen(
    option: str, wanted: Any, choices: Iterable[Choice], gone: Mapping[str, Sequence[str]] = NONE
) -> tuple[str, ...]:
    """The names of the layers that are meant, each once.

    Args:
        option: What the user gave, for messages.
        wanted: One or several of: names, patterns as ``"block_*"``, names of classes as ``"Dense"``, classes.
        choices: The layers.
        gone: Names of layers that are no choice, with those that have taken them in.

    Raises:
        InvalidArgumentError: One of them is nothing of that, or means no layer.
    """
    given: Sequence[Any] = (wanted,) if isinstance(wanted, (str, type)) else tuple(wanted)
    layers, found = list(choices), dict[str, None]()
    for each in given:
        if not isinstance(each, (str, type)):
            raise InvalidArgumentError(f"{option} takes names, patterns and classes of layers, found {each!r}.")
        meant = [choice.name for choice in layers if choice.is_meant(each)]
        if not meant:
            names = ", ".join(choice.name for choice in layers[:SHOWN]) + (", ..." if len(layers) > SHOWN else "")
            taken = ", ".join(gone.get(str(each), ()))
            went = f": it went into {taken}" if taken else ""
            raise InvalidArgumentError(
                f"{option}: {each!r} is no layer of the folded model{went}; accepted: names, patterns and classes of "
                f"{names}."
            )
        found.update(dict.fromkeys(meant))
    return tuple(found)
