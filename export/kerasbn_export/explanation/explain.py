"""What is wrong with a ``.tflite`` file, and the command that mends it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kerasbn.arguments import checks_arguments
from kerasbn.errors import KerasBNError
from kerasbn_export.explanation.causes import CAUSES
from kerasbn_export.explanation.causes.few_steps import few_steps
from kerasbn_export.explanation.evidence import Evidence
from kerasbn_export.explanation.gather import check_given, gathered, opened
from kerasbn_export.explanation.mending import BOUND, Mending
from kerasbn_export.explanation.ranking import is_harmless, ranked
from kerasbn_export.explanation.records import Costs, Explanation, Finding

__all__ = ["Explanation", "explain"]


@checks_arguments
def explain(
    file: str | Path,
    reference: Any = None,
    data: Any = None,
    *,
    measure: bool = True,
    allow_code: bool = False,
    on_step: Callable[[str], None] = lambda _: None,
) -> Explanation:
    """What is wrong with a ``.tflite`` file, what shows it, and the command that mends it.

    The file alone tells some causes, samples more. With the model and samples each cause is mended to see how much
    that gives: the model is exported anew, and both files are compared with it on samples that were kept out.

    Args:
        file: The path of the ``.tflite``.
        reference: The Keras model that it was made of, or its path. It is not changed.
        data: Real inputs, samples first, prepared as in training: as in `verify`. At least 100 are best.
        measure: Whether to mend. Without, the causes are ranked by the evidence.
        allow_code: Whether code that the model file carries may run.
        on_step: Called with the name of each step as it begins.

    Returns:
        An `Explanation`; true if there is nothing to mend. Print it for the answer in three lines.

    Raises:
        ModelFileError: A file is missing, is no model, or cannot be run.
        InvalidArgumentError: An argument is not accepted, or the data do not fit.
        NotComparableError: The model and the file have other inputs or outputs.
    """
    check_given(reference)
    given = opened(file, reference, data, allow_code=allow_code)
    evidence = gathered(given, reference, data, on_step)
    findings = found(evidence)
    missing = tuple(name for name, each in (("reference", reference), ("data", data)) if each is None)
    if not measure or given.model is None or given.samples is None:
        return _explanation(given.name, evidence, findings, missing)
    mending = Mending(given.model, given.runner.content, given.samples, evidence, on_step)
    return _measured(given.name, evidence, findings, mending)


def found(evidence: Evidence) -> list[Finding]:
    """The causes that are there, in their order."""
    some = [finding for cause in CAUSES if (finding := cause(evidence)) is not None]
    if not any(finding.costs is not Costs.SPEED for finding in some) and (last := few_steps(evidence)) is not None:
        some.append(last)
    return some


def _measured(name: str, evidence: Evidence, findings: list[Finding], mending: Mending) -> Explanation:
    tried = [mending.tried(finding) for finding in findings]
    bound = _bound(evidence, mending) if any(each.costs is Costs.ACCURACY for each in tried) else None
    return _explanation(name, evidence, tried, (), mending.now, bound)


def _bound(evidence: Evidence, mending: Mending) -> float | None:
    """What int16x8 reaches; None for a file that is not in int8, and where the converter has no such file."""
    if evidence.precision != "int8":
        return None
    mending.on_step("int16x8, to compare")
    try:
        return mending.reached(BOUND)
    except KerasBNError:  # an upper bound is only said where there is one
        return None


def _explanation(
    name: str,
    evidence: Evidence,
    findings: list[Finding],
    missing: tuple[str, ...],
    now: float | None = None,
    bound: float | None = None,
) -> Explanation:
    comparison = evidence.comparison
    return Explanation(
        file=name,
        precision=evidence.precision,
        findings=tuple(ranked([each for each in findings if not is_harmless(each)])),
        harmless=tuple(each for each in findings if is_harmless(each)),
        missing=missing,
        sqnr_db=now,
        differs="" if comparison is None or comparison else comparison.verdict,
        bound_db=bound,
    )
