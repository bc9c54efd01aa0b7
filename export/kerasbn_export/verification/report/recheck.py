"""Judges a comparison again, by its JSON, without running anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

from kerasbn.errors import InvalidArgumentError, ModelFileError
from kerasbn_export.verification.gates import Gate, gate_for
from kerasbn_export.verification.judge import judge, judge_referee
from kerasbn_export.verification.records import (
    SCHEMA_VERSION,
    Comparison,
    Divergence,
    LayerComparison,
    OutputComparison,
    Status,
)


def read_report(path: str | Path) -> Comparison:
    """The comparison that `Comparison.to_json` wrote.

    Raises:
        ModelFileError: The file is missing or holds no such report.
    """
    try:
        held = json.loads(Path(path).read_text("utf-8"))
        version = held["schema_version"]
        if version != SCHEMA_VERSION:
            raise InvalidArgumentError(
                f"{path}: a report of schema version {version!r}; this kerasbn reads version {SCHEMA_VERSION}. "
                "Verify the models again."
            )
        comparison: Comparison = _built(Comparison, held)
    except FileNotFoundError as error:
        raise ModelFileError(f"{path}: no such file. Accepted: what kerasbn verify --json wrote.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, InvalidArgumentError):
            raise
        raise ModelFileError(
            f"{path}: not a report: {type(error).__name__}: {error}. Accepted: what kerasbn verify --json wrote."
        ) from error
    return comparison


def recheck(comparison: Comparison, *, tolerance: float | None = None, min_sqnr: float | None = None) -> Comparison:
    """The same measurements judged by another gate.

    Args:
        comparison: The comparison.
        tolerance: In place of the precision's own.
        min_sqnr: In place of the precision's own.

    Raises:
        InvalidArgumentError: A bound that every output, or none, would pass.
    """
    gate = gate_for(comparison.precision, tolerance, min_sqnr)
    outputs = tuple(_again(replace(output, gate=gate)) for output in comparison.outputs)
    found = _divergence(comparison, gate, outputs)
    return replace(comparison, outputs=outputs, first_divergence=found)


def _divergence(comparison: Comparison, gate: Gate, outputs: Sequence[OutputComparison]) -> Divergence | None:
    """The first wrong layer as it was found; where all outputs pass, only if it still is one.

    As in `kerasbn_export.verification.divergence`, a layer that errs beyond rounding is wrong unless the values are
    right again there or at a later one that fails: one that takes back what was moved may know no rounding, as a mean.
    """
    if any(output.status is Status.DIFFERS for output in outputs):
        return comparison.first_divergence
    failing = [layer for layer in comparison.per_layer if not layer.passed]
    wrong = [layer for layer in failing if not layer.moved]
    if gate.tolerance is not None:
        right_again = [layer.cumulative_error <= gate.tolerance for layer in failing]
        wrong = [layer for i, layer in enumerate(failing) if not any(right_again[i:])]
    wrong = [layer for layer in wrong if layer.rounding is not None]
    return (comparison.first_divergence or _wrong(wrong[0])) if wrong else None


def _wrong(layer: LayerComparison) -> Divergence:
    return Divergence(
        layer=layer.layer,
        suspects=(layer.layer, *layer.merged),
        tensor=layer.tensor,
        local_error=layer.local_error,
        cumulative_error=layer.cumulative_error,
        sentence=f"First wrong layer: {layer.layer!r}: local error {layer.local_error:.3g} of max|reference|, "
        f"{layer.rounding:.3g} times what rounding explains, in tensor {layer.tensor!r}.",
    )


def _again(output: OutputComparison) -> OutputComparison:
    answer = judge(output.measurement, output.gate)
    if answer.status is Status.DIFFERS and output.referee and output.gate.tolerance is not None:
        answer = judge_referee(answer, output.gate.tolerance, output.referee)
    if answer.status is Status.UNPROVEN and output.status is Status.EQUAL:
        return output  # what goes into its activation spoke for it
    return replace(output, status=answer.status, reason=answer.reason)


def _is_there(field: Field[Any], held: Mapping[str, Any]) -> bool:
    """False for what a report of an older kerasbn does not have and can do without."""
    return field.name in held or field.default is MISSING


def _built(kind: Any, held: Any) -> Any:
    """An object of a type from the JSON of one."""
    if is_dataclass(kind) and isinstance(held, Mapping):
        hints = get_type_hints(kind)
        known = {f.name: _built(hints[f.name], held[f.name]) for f in fields(kind) if _is_there(f, held)}
        return kind(**known)  # type: ignore[operator]  # a dataclass, not an instance of one
    arguments = [argument for argument in get_args(kind) if argument is not type(None)]
    if isinstance(held, list):
        return tuple(_built(arguments[0], item) for item in held)
    if held is None or not arguments:
        return kind(held) if held is not None and kind not in (Any, dict) else held
    return _built(arguments[0], held)
