"""Forms of a file whose tensors are not the layers' on purpose.

Equalization scales what flows between two layers, clipping makes the range of a weight smaller, bias correction moves
biases by what rounding the kernels did to the mean, learned rounding takes the other neighbour on the grid for some
weights, and renewed statistics are in scales and biases. All leave the outputs nearer to the model's and the layers
further off, so the outputs judge such a file. A file that was trained for int8 has other weights; its trained model is
what its layers are compared with. A slimmed file has fewer channels than the model in most layers.
"""

from __future__ import annotations

from typing import Any

from kerasbn.quantized.ranges import is_tuned
from kerasbn_export.conversion.provenance import read_provenance
from kerasbn_export.tflite.file import read_tflite
from kerasbn_export.verification.sides.ports import Runnable

SEVERAL = ", "
FORMS = ("equalized", "clipped", "bias corrected", "rounded as learned", "renewed")


def moved_on_purpose(candidate: Runnable, reference: Runnable) -> str:
    """Why the layers of a candidate are not compared with those of the reference; empty if they are."""
    content = getattr(candidate, "content", None)
    record = read_provenance(read_tflite(content, candidate.label)) if isinstance(content, bytes) else None
    if record and record.get("slimmed"):
        return "layers not compared: constant channels were taken out of the file."
    if record and record.get("trained") and not is_tuned(getattr(reference, "original", None)):
        return "layers not compared: the file was trained on, and has other weights on purpose."
    taken = _taken(record.get("trials")) if record else set()
    forms = [name for name in FORMS if name in taken]
    return f"layers not compared: the weights of the file are {' and '.join(forms)}." if forms else ""


def _taken(trials: Any) -> set[str]:
    """What was done: a form that names several things begins anew, any other adds to those taken before it."""
    if not isinstance(trials, list):
        return set()
    names = [str(trial.get("form")) for trial in trials if isinstance(trial, dict) and trial.get("taken")]
    last = names[-1:] if any(SEVERAL in name for name in names) else names
    return {part for name in last for part in name.split(SEVERAL)}
