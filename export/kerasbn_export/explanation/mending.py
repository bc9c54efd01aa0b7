"""How much mending gives: the model is exported anew with the fix, and both files are measured on the same samples.

::

    gain = SQNR(mended file) - SQNR(file)        in dB, of the worst output, on samples that no range is measured on

What the file was made with stays: one thing is changed at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from kerasbn.errors import KerasBNError
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.explanation.evidence import Evidence
from kerasbn_export.explanation.records import Finding
from kerasbn_export.export.forms.search import FEWEST, held_out
from kerasbn_export.export.options import ExportOptions
from kerasbn_export.export.pipeline import build_tflite
from kerasbn_export.export.scoring import scorer, some_of
from kerasbn_export.precision import CALIBRATED, PER_TENSOR, PRECISIONS

BOUND: Mapping[str, Any] = {"precision": "int16x8", "io_dtype": None, "weights": None}
"""Activations with 16 bits."""


@dataclass(frozen=True)
class Mending:
    """Mends a file in several ways.

    Attributes:
        model: The Keras model.
        content: The file.
        samples: Of the model's inputs.
        evidence: What is known of the file.
        on_step: Called with the name of each step.
    """

    model: Any
    content: bytes
    samples: Calibration
    evidence: Evidence
    on_step: Callable[[str], None]
    _known: dict[str, float] = field(default_factory=dict)

    @cached_property
    def now(self) -> float:
        """SQNR of the file."""
        return self._score(self.content)

    def tried(self, finding: Finding) -> Finding:
        """The finding with what mending gives; with the reason where that cannot be measured."""
        if finding.options is None or finding.gain is not None:
            return finding
        self.on_step(f"mend {finding.name}")
        try:
            return replace(finding, gain=self.reached(finding.options) - self.now)
        except KerasBNError as error:
            return replace(finding, note=f"mending could not be measured: {error}")

    def reached(self, options: Mapping[str, Any]) -> float:
        """SQNR of the file made anew.

        Args:
            options: What is changed.

        Raises:
            KerasBNError: It cannot be made, or not be run.
        """
        key = repr(sorted(options.items()))
        if key not in self._known:
            asked = {**self._kept, **options}
            if asked["precision"] in CALIBRATED:
                asked = {"calibration": list(self._measured.arrays)} | asked
            built = build_tflite(self.model, Path("mended.tflite"), ExportOptions(**asked))
            self._known[key] = self._score(built.data)
        return self._known[key]

    @cached_property
    def _kept(self) -> dict[str, Any]:
        """What the file was made with, as far as it shows."""
        evidence, first = self.evidence, self.evidence.file.inputs[0]
        accepted, found = PRECISIONS[evidence.precision].io_dtypes, first.dtype.lower()
        return {
            "precision": evidence.precision,
            "batch_size": None if first.shape and first.shape[0] < 0 else (first.shape or (1,))[0],
            "io_dtype": found if evidence.precision in CALIBRATED and found in accepted else None,
            "fold": not evidence.unfolded,
            "weights": PER_TENSOR if evidence.per_tensor and evidence.precision == "int8" else None,
        }

    @cached_property
    def _split(self) -> tuple[Calibration, Calibration]:
        """The samples to measure ranges on, and those to judge by: the same where they are too few."""
        return held_out(self.samples) if len(self.samples) >= FEWEST else (self.samples, self.samples)

    @property
    def _measured(self) -> Calibration:
        return self._split[0]

    @cached_property
    def _score(self) -> Callable[[bytes], float]:
        return scorer(self.model, some_of(self._split[1]))
