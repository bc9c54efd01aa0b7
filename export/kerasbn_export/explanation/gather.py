"""From what the user gave to the evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kerasbn.errors import InvalidArgumentError, ModelFileError
from kerasbn.statistics.checking import check
from kerasbn_export.arrays import Array
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.conversion.provenance import read_provenance
from kerasbn_export.explanation.commands import Commands
from kerasbn_export.explanation.evidence import Evidence
from kerasbn_export.explanation.spread import spreads
from kerasbn_export.export.scoring import some_of
from kerasbn_export.files.reading import reading
from kerasbn_export.loading.load import load_model
from kerasbn_export.tflite.file import read_tflite
from kerasbn_export.verification.compare import Question, compare
from kerasbn_export.verification.sides.data import given_data
from kerasbn_export.verification.sides.matching import match_sides
from kerasbn_export.verification.sides.open import open_runnable
from kerasbn_export.verification.sides.runtimes import open_file
from kerasbn_export.verification.sides.tflite_runner import TFLiteRunner

MISSING = "no such file; give a .tflite file"


@dataclass(frozen=True)
class Given:
    """What the user gave, opened.

    Attributes:
        name: Of the file.
        runner: The file.
        model: The Keras model; None without.
        samples: In the order of the model's inputs, or of the file's where there is no model; None without.
    """

    name: str
    runner: TFLiteRunner
    model: Any
    samples: Calibration | None


def opened(file: str | Path, reference: Any, data: Any, *, allow_code: bool) -> Given:
    """Opens a file, its model and its samples.

    Raises:
        ModelFileError: A file is missing, is no model, or cannot be run.
        InvalidArgumentError: The model is none of Keras, or the data do not fit.
    """
    path = Path(file)
    with reading(path, "cannot be read", ModelFileError, missing=MISSING):
        content = path.read_bytes()
    runner = open_file(content, path.name, "xnnpack")
    model = load_model(reference, allow_code=allow_code) if isinstance(reference, (str, Path)) else reference
    if data is None:
        return Given(path.name, runner, model, None)
    ports = runner.inputs if model is None else open_runnable(model, backend="xnnpack", allow_code=False).inputs
    return Given(path.name, runner, model, Calibration(tuple(given_data(data, ports)), "data"))


def gathered(given: Given, reference: Any, data: Any, on_step: Callable[[str], None]) -> Evidence:
    """Everything that the causes look at.

    Args:
        given: What was opened.
        reference: The model as the user named it, for the commands.
        data: The samples as the user named them.
        on_step: Called with the name of each step.
    """
    file = read_tflite(given.runner.content)
    names = {key: str(each) for key, each in (("model", reference), ("data", data)) if isinstance(each, (str, Path))}
    commands = Commands(given.name, given.runner.graph.precision, **names)
    evidence = Evidence(file, given.runner.graph, read_provenance(file), commands)
    if given.model is not None:
        on_step("check")
        evidence = replace(evidence, health=check(given.model, _for_model(given)))
    return evidence if given.samples is None else _with_samples(evidence, given, given.samples, on_step)


def _for_model(given: Given) -> Any:
    """The samples as a model takes them; None without."""
    if given.samples is None:
        return None
    arrays = given.samples.arrays
    return arrays[0] if len(arrays) == 1 else list(arrays)


def _with_samples(evidence: Evidence, given: Given, samples: Calibration, on_step: Callable[[str], None]) -> Evidence:
    some, comparison = list(some_of(samples).arrays), None
    arrays: list[Array] = some
    if given.model is not None:
        on_step("compare")
        runnable = open_runnable(given.model, backend="xnnpack", allow_code=False)
        arrays = match_sides(runnable, given.runner)[0].for_candidate(some)
        comparison = compare(runnable, given.runner, Question(some, 0, 1, (1.0,), None, None, layers=True))
    on_step("look into the file")
    inputs = dict(zip(evidence.graph.inputs, arrays, strict=True))
    return replace(evidence, inputs=inputs, spreads=spreads(given.runner, arrays), comparison=comparison)


def check_given(reference: Any) -> None:
    """Raises `InvalidArgumentError` if the reference is another file, which has no model to export anew."""
    if isinstance(reference, (str, Path)) and Path(reference).suffix == ".tflite":
        raise InvalidArgumentError(
            f"reference={str(reference)!r} is a .tflite file; accepted: the Keras model that the file was made of."
        )
