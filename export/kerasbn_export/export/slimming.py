"""Slimming before folding: a model with fewer channels, and what to say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kerasbn.errors import UnsupportedModelError
from kerasbn_export.slim.records import Slimmed
from kerasbn_export.slim.remove import remove_constant_channels


@dataclass(frozen=True)
class Slimming:
    """What was taken out of a model before it was folded.

    Attributes:
        records: One for each BatchNorm; empty where nothing was asked for, or nothing could be done.
        notes: The same in sentences.
    """

    records: tuple[Slimmed, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def removed(self) -> int:
        """How many channels are gone."""
        return sum(record.removed for record in self.records)


def slimmed(model: Any) -> tuple[Any, Slimming]:
    """The model without its constant channels; as it is where it is none of layers, and then the note says so.

    Args:
        model: A model of either Keras, or the programs of a SavedModel.
    """
    if isinstance(model, tuple):
        return model, Slimming(notes=("Not slimmed: a SavedModel without Keras layers is converted as it is.",))
    try:
        result = remove_constant_channels(model)
    except UnsupportedModelError as error:
        return model, Slimming(notes=(f"Not slimmed: {error}",))
    _, *reasons = result.summary()
    return (result.model if result else model), Slimming(result.removed, (f"Slimmed: {result.sentence}", *reasons))
