"""Judges a comparison again, by its JSON, without running anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from kerasbn.arguments import Positive, Share, checks_arguments
from kerasbn.errors import InvalidArgumentError, ModelFileError
from kerasbn_export.files.reading import read_json, reading
from kerasbn_export.verification.outputs.judge import judge, judge_referee
from kerasbn_export.verification.records.comparison import SCHEMA_VERSION, Comparison
from kerasbn_export.verification.records.gates import GATES, Gate, gate_for
from kerasbn_export.verification.records.layers import Divergence, LayerComparison
from kerasbn_export.verification.records.outputs import OutputComparison, Status

NOT_FINITE = ("inf", "-inf", "nan")
"""How JSON has the numbers that it has not."""


def read_report(path: str | Path) -> Comparison:
    """The comparison that `Comparison.to_json` wrote.

    Raises:
        ModelFileError: The file is missing or holds no such report.
    """
    missing = "no such file. Accepted: what kerasbn verify --json wrote"
    with reading(path, "not a report, as kerasbn verify --json writes it", ModelFileError, missing=missing):
        held = read_json(Path(path).read_bytes())
        version = held["schema_version"]
        if version != SCHEMA_VERSION:
            raise InvalidArgumentError(
                f"{path}: a report of schema version {version!r}; this kerasbn reads version {SCHEMA_VERSION}. "
                "Verify the models again."
            )
        comparison: Comparison = _built(Comparison, held)
        if comparison.precision not in GATES:
            raise ValueError(f"the precision {comparison.precision!r} is none of {', '.join(GATES)}")
        return comparison


@checks_arguments
def recheck(comparison: Comparison, *, tolerance: Share | None = None, min_sqnr: Positive | None = None) -> Comparison:
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

    As in `kerasbn_export.verification.layers.divergence`, a layer that errs beyond rounding is wrong unless the values
    are right again there or at a later one that fails: one that takes back what was moved may know no rounding, as a
    mean.
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
    """An object of a type from the JSON of one.

    Raises:
        TypeError: It is the JSON of something else.
    """
    if get_origin(kind) in (Union, UnionType):
        kinds = [one for one in get_args(kind) if one is not type(None)]
        return None if held is None and len(kinds) < len(get_args(kind)) else _built(kinds[0], held)
    if is_dataclass(kind):
        _check(held, Mapping, kind)
        hints = get_type_hints(kind)
        known = {f.name: _built(hints[f.name], held[f.name]) for f in fields(kind) if _is_there(f, held)}
        return kind(**known)  # type: ignore[operator]  # a dataclass, not an instance of one
    if get_origin(kind) in (tuple, Sequence):
        _check(held, list, kind)
        kinds = [one for one in get_args(kind) if one is not ...]
        return tuple(_built(kinds[min(i, len(kinds) - 1)], item) for i, item in enumerate(held))
    if kind is float and held in NOT_FINITE:
        return float(held)
    if kind in (int, float, str, bool):
        _check(held, (int, float) if kind is float else kind, kind)
    return kind(held) if isinstance(kind, type) else held


def _check(held: Any, wanted: type | tuple[type, ...], kind: Any) -> None:
    if not isinstance(held, wanted) or (isinstance(held, bool) and kind is not bool):
        raise TypeError(f"a {type(held).__name__} in the place of a {getattr(kind, '__name__', kind)}")
