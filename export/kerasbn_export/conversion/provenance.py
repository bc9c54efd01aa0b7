"""What kerasbn writes into a ``.tflite`` file about itself: its version, the model it came from, the verdicts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

import kerasbn
from kerasbn.flavour import flavour_of
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.conversion.litert.package import installed, needed
from kerasbn_export.conversion.routes import LITERT, TENSORFLOW
from kerasbn_export.conversion.tensorflow import package
from kerasbn_export.conversion.trial import Trial
from kerasbn_export.folding.choices import Choices
from kerasbn_export.folding.verdict import Verdict
from kerasbn_export.program.program import Program
from kerasbn_export.tflite.file import TFLiteFile

KEY = "kerasbn"
"""The name of the blob in the file's metadata."""
SCHEMA_VERSION = 1


def provenance(
    model: Any,
    verdicts: Sequence[Verdict] | None,
    samples: Calibration | None,
    device: str | None = None,
    trials: Sequence[Trial] = (),
    chosen: Choices | None = None,
    slimmed: int = 0,
    trained: bool = False,
    ranges: str | None = None,
    route: str = TENSORFLOW,
    precision: str = "float32",
) -> dict[str, bytes]:
    """The metadata for a file made from a model; the same model gives the same bytes.

    Args:
        model: The Keras model before folding, or a `Program` of a SavedModel.
        verdicts: One per BatchNorm; None if it was not folded.
        samples: What the ranges were measured on; None where none are measured.
        device: What the file is for; None for anything that runs TFLite.
        trials: The forms that were converted and measured.
        chosen: Which of several exact forms folding used; None if it was not folded.
        slimmed: How many channels were taken out of BatchNorms before.
        trained: Whether the model was trained for its ranges, and has other weights than the one it was made from.
        ranges: How the ranges were chosen; None if that was left to the converter.
        route: Whose converter made the file.
        precision: That of the file.
    """
    flavour = None if isinstance(model, Program) else flavour_of(model)
    record = {
        "schema_version": SCHEMA_VERSION,
        "kerasbn": kerasbn.__version__,
        "keras": f"{flavour.name} {flavour.keras.__version__}" if flavour else "SavedModel",
        "model": str(model.name),
        "sha256": weights_hash(model) if flavour else model.digest,
        "calibration": None if samples is None else (samples.source if samples.made else "samples"),
        "calibration_samples": None if samples is None else len(samples),
        "ranges": ranges,
        "trials": [asdict(trial) for trial in trials],
        "device": device,
        "folding": None if chosen is None else asdict(chosen),
        "slimmed": slimmed,
        "trained": trained,
        "route": {"name": route, "package": _package(route, precision)},
        "verdicts": None if verdicts is None else [verdict.to_json() for verdict in verdicts],
    }
    return {KEY: json.dumps(record, sort_keys=True).encode()}


def _package(route: str, precision: str) -> str:
    """The packages that converted, with their versions."""
    return ", ".join(map(installed, needed(precision))) if route == LITERT else package()


def read_provenance(file: TFLiteFile) -> dict[str, Any] | None:
    """What kerasbn wrote into a file; None if it did not make the file, or the record is damaged."""
    try:
        record = json.loads(file.metadata.get(KEY, b"null"))
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and _is_whole(record) else None


def _is_whole(record: dict[str, Any]) -> bool:
    """Whether a record has everything that `provenance` writes."""
    verdicts = record.get("verdicts", ())
    return (
        record.get("schema_version") == SCHEMA_VERSION
        and all(isinstance(record.get(key), str) for key in ("kerasbn", "keras", "model", "sha256"))
        and (verdicts is None or (isinstance(verdicts, list) and all(map(_is_verdict, verdicts))))
    )


def _is_verdict(verdict: Any) -> bool:
    if not isinstance(verdict, dict) or not isinstance(verdict.get("into"), list):
        return False
    texts = (verdict.get(key, "") for key in ("layer", "action", "sentence"))
    return (
        all(isinstance(text, str) for text in (*texts, *verdict["into"]))
        and {"layer", "action", "sentence"} <= verdict.keys()
    )


def weights_hash(model: Any) -> str:
    """SHA-256 over shape, dtype and values of every weight of a model, in order."""
    digest = hashlib.sha256()
    for weight in model.weights:
        array = np.ascontiguousarray(weight.numpy())
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
