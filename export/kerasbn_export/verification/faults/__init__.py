"""The ways in which conversions go wrong, as functions that do it: what the verifier is tested against.

Each of ``FAULTS`` takes the captured graph of a model, converts it as a correct conversion would, does one thing wrong,
and tells which layers are to blame. Each of ``QUANTIZED`` does one thing wrong to the bytes of a quantised ``.tflite``
and tells which tensor shows it. ``SUBJECTS`` are models that have a place for each.
"""

from kerasbn_export.verification.faults.fault import Fault, convert
from kerasbn_export.verification.faults.file import FileFault
from kerasbn_export.verification.faults.numbers import NUMBERS
from kerasbn_export.verification.faults.quantized import QUANTIZED
from kerasbn_export.verification.faults.structure import STRUCTURE
from kerasbn_export.verification.faults.subjects import SUBJECTS, Subject

FAULTS: tuple[Fault, ...] = (*NUMBERS, *STRUCTURE)

__all__ = ["FAULTS", "NUMBERS", "QUANTIZED", "STRUCTURE", "SUBJECTS", "Fault", "FileFault", "Subject", "convert"]
