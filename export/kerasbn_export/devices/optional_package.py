"""Tools that kerasbn uses where they are installed and names where they are not."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec


@dataclass(frozen=True)
class OptionalPackage:
    """A package that measures something.

    Attributes:
        name: As pip knows it.
        module: As Python imports it.
        measures: What is not measured without it.
    """

    name: str
    module: str
    measures: str

    @property
    def tool(self) -> str | None:
        """Its name and version; None if it is not installed."""
        try:
            return f"{self.name} {version(self.name)}" if find_spec(self.module) else None
        except PackageNotFoundError:
            return None

    @property
    def missing(self) -> str:
        """The sentence for the report where it is not installed."""
        return f"{self.measures} not measured: {self.name} is not installed; python -m pip install {self.name}"


TFLITE_MICRO = OptionalPackage("tflite-micro", "tflite_micro", "the arena is")
VELA = OptionalPackage("ethos-u-vela", "ethosu", "operators on the CPU, cycles and memory are")
