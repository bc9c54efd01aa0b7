"""What lifting single layers out of int8 gave, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """One file on the curve of quality against size and time.

    Attributes:
        layers: How many layers are lifted.
        quality: The SQNR in dB, or the drop of the metric.
        bytes: The size of the file.
        operations: How many it has.
        time: In units of the file in int8 alone, on this machine; None where it was not taken.
        taken: Whether it is the file that was written.
    """

    layers: int
    quality: float
    bytes: int
    operations: int
    time: float | None = None
    taken: bool = False


@dataclass(frozen=True)
class Lifted:
    """The smallest set of layers that was found to reach a target.

    Attributes:
        target: What was to be reached: dB, or the accepted drop of the metric.
        unit: ``"dB"``, or what the drop of the metric is in.
        to: What they were lifted to: ``"float"`` or ``"int16"``.
        layers: Their names.
        candidates: How many layers could have been lifted.
        files: How many files were made and measured.
        curve: The files that were measured on the way, fewest layers first.
    """

    target: float
    unit: str
    to: str
    layers: tuple[str, ...]
    candidates: int
    files: int
    curve: tuple[Point, ...]

    def lines(self) -> list[str]:
        """The answer, and the curve."""
        taken = next(point for point in self.curve if point.taken)
        named = f": {', '.join(self.layers)}" if self.layers else ""
        answer = (
            f"auto_precision: {len(self.layers)} of {self.candidates} layers in {self.to} give {taken.quality:.1f} "
            f"{self.unit}, target {self.target:g} ({_count(self.files, 'file')} measured){named}."
        )
        return [answer, *map(self._line, self.curve)]

    def _line(self, point: Point) -> str:
        time = "" if point.time is None else f", time {point.time:.2f}"
        return (
            f"  {_count(point.layers, 'layer')}: {point.quality:.1f} {self.unit}, {point.bytes:,} bytes, "
            f"{point.operations} operations{time}{', taken' if point.taken else ''}"
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
