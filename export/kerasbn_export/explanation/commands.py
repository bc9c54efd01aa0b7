"""The commands that mend a file, as one types them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass


@dataclass(frozen=True)
class Commands:
    """Commands about one file.

    Attributes:
        file: The file.
        precision: What it computes in.
        model: The path of its model, or a word in its place.
        data: The path of the samples, or a word in its place.
    """

    file: str
    precision: str
    model: str = "MODEL"
    data: str = "X.npy"

    def export(self, *options: str, precision: str = "", calibrated: bool = True, model: str = "") -> str:
        """An export to a new file, calibrated on the samples.

        Args:
            options: Further ones.
            precision: In place of the file's own.
            calibrated: Whether the precision measures ranges.
            model: In place of the model.
        """
        data = ("--calibration", self.data) if calibrated else ()
        words = ("export", model or self.model, "-o", self._mended, "--precision", precision or self.precision)
        return self.line(*words, *data, *options)

    def inspect(self) -> str:
        """Why BatchNorms stay."""
        return self.line("inspect", self.model)

    def recalibrate(self) -> str:
        """Statistics of the samples in place of those of the model."""
        return self.line("recalibrate", self.model, "--data", self.data, "-o", "recalibrated.keras")

    def line(self, *words: str) -> str:
        """A command of kerasbn."""
        return shlex.join(("kerasbn", *words))

    @property
    def _mended(self) -> str:
        return f"{self.file.removesuffix('.tflite')}_mended.tflite"
