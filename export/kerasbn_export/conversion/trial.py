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
    """

    form: str
    sqnr_db: float
    taken: bool

    def __str__(self) -> str:
        return f"{self.form} {self.sqnr_db:.1f} dB{', taken' if self.taken else ''}"
