"""A device as a record: what its profile says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kerasbn.errors import InvalidArgumentError
from kerasbn_export.precision import PRECISIONS

ANY = "any"
"""The key of operations that a device has in every precision."""
TFLITE, MICRO, REFUSED = "tflite", "tflm", "refused"
"""What becomes of the operations that a device does not have."""


@dataclass(frozen=True)
class Device:
    """Where a file runs; `kerasbn_export.devices.profiles` says what each fact means.

    Attributes:
        name: As asked for.
        title: In words.
        precisions: Those that it runs; the first is the one that is taken where none is asked for.
        weights: ``"per-channel"`` or ``"per-tensor"``; None where that is not known.
        fixed_batch: Whether it needs one; None where that is not known, as for all that follow.
        operations: The builtin operations that it has, by precision; empty where they are not known.
        others: What becomes of all others.
        refused_others: The operations outside of which the file cannot run at all; None for all of TFLite's.
        activations: Whether ranges are ``"symmetric"`` or ``"asymmetric"``, by precision.
        io_dtypes: The type of inputs and outputs where none is asked for, by precision.
        memory: The bytes that it has, by what they are for.
        channels: Channels cost in multiples of this number.
        lone_activation: ``"cheap"``, ``"slow"``, or None where that is not known.
        depthwise_1x1: Likewise.
        sizes: Of its family.
        size: Of the device itself.
        measured_by: The tool that measures a file for it.
        compiler: The maker's own tool.
        sources: Where each fact is from.
    """

    name: str
    title: str = ""
    precisions: tuple[str, ...] = tuple(PRECISIONS)
    weights: str | None = None
    fixed_batch: bool | None = None
    operations: Mapping[str, frozenset[str]] = field(default_factory=dict)
    others: str = TFLITE
    refused_others: frozenset[str] | None = None
    activations: Mapping[str, str] = field(default_factory=dict)
    io_dtypes: Mapping[str, str] = field(default_factory=dict)
    memory: Mapping[str, int] = field(default_factory=dict)
    channels: int | None = None
    lone_activation: str | None = None
    depthwise_1x1: str | None = None
    sizes: tuple[int, ...] = ()
    size: int | None = None
    measured_by: str | None = None
    compiler: str | None = None
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def ops(self) -> frozenset[str] | None:
        """The builtin operations outside of which a file cannot run on it at all; None for all of TFLite's."""
        return self.refused_others

    @property
    def runtime(self) -> str:
        """What has these operations, as the end of a sentence."""
        micro = MICRO in (self.name, self.others)
        return f"TFLite Micro has, which {self.name} runs" if micro else f"{self.name} has"

    @property
    def accelerator(self) -> str | None:
        """For an Ethos-U, its name for the ``ethos-u-vela`` package."""
        if self.measured_by != "ethos-u-vela":
            return None
        family = self.name.removesuffix(f"-{self.size}")
        return f"{family}-{self.size or self.sizes[0]}"

    def of_size(self, size: int) -> Device:
        """The device of that size in the family."""
        return replace(self, name=f"{self.name}-{size}", size=size)

    def precision(self, asked: str | None) -> str:
        """The precision to export in.

        Raises:
            InvalidArgumentError: The device does not run the one asked for.
        """
        if asked is None:
            return self.precisions[0]
        if asked in PRECISIONS and asked not in self.precisions:
            raise InvalidArgumentError(
                f"Device {self.name!r} does not run precision {asked!r}; accepted: {', '.join(self.precisions)}."
            )
        return asked

    def ends(self, precision: str) -> str | None:
        """The type of inputs and outputs where none is asked for; None for the precision's own."""
        return self.io_dtypes.get(precision)

    def runs(self, op: str, precision: str) -> bool | None:
        """Whether it has an operation itself in a precision; None where that is not known."""
        known = [self.operations[key] for key in (ANY, precision) if key in self.operations]
        return any(op in ops for ops in known) if known else None

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values, without the facts that are not known."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "refused_others"}
        fields["operations"] = {key: sorted(ops) for key, ops in self.operations.items()}
        return {name: _plain(value) for name, value in fields.items() if value not in (None, (), {}, "")}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value
