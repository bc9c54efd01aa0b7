"""One form of a quantized file that was measured: what a file says about how it was chosen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Trial:
    """One form that was converted and measured.

    Attributes:
        form: Its name; see `kerasbn_export.export.forms.search`.
        sqnr_db: Signal to quantization noise on the samples that judge, of the worst output; before its softmax or
            sigmoid, where it has one.
        taken: Whether it is in the file.
        drop: By how much the user's metric is worse than the model's, in percentage points of a share or in its own
            unit; None where that is not what chooses.
    """

    form: str
    sqnr_db: float
    taken: bool
    drop: float | None = None

    def __str__(self) -> str:
        return f"{self.form} {self.numbers}{', taken' if self.taken else ''}"

    @property
    def numbers(self) -> str:
        """What was measured, in words."""
        drop = "" if self.drop is None else f", drop {self.drop:.2f}"
        return f"{self.sqnr_db:.1f} dB{drop}"
