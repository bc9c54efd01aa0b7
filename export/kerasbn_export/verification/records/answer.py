"""The answer of a comparison in at most four lines: what, where, why, and what to do. Numbers stand in the tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kerasbn_export.precision import CALIBRATED
from kerasbn_export.verification.records.layers import Divergence, LayerComparison, WeightComparison
from kerasbn_export.verification.records.outputs import OutputComparison, Status

NAMED = 3
"""How many names stand in a line."""


def equal(outputs: Sequence[OutputComparison], samples: int, worst: OutputComparison) -> list[str]:
    """The answer where the two sides compute the same."""
    count = sum(output.stage == "output" for output in outputs)
    return [f"Equal: {_number(count, 'output')} over {_number(samples, 'sample')}; {worst.reason}"]


def unjudged(failures: Sequence[str]) -> list[str]:
    """The answer where a check failed by an exception."""
    return [
        f"Could not be judged: {'; '.join(failures)}.",
        "What to do: this is a fault of kerasbn; please report it. What the other checks found is below.",
    ]


def unproven(outputs: Sequence[OutputComparison]) -> list[str]:
    """The answer where these inputs prove nothing."""
    worst = next((output for output in outputs if output.status is Status.UNPROVEN), None)
    why = f"{worst.title}: {worst.reason}" if worst is not None else "there is no output to compare."
    return [f"Unproven: {why}", "What to do: give real inputs (data= in Python, --data on the command line)."]


def differs(
    outputs: Sequence[OutputComparison],
    layers: Sequence[LayerComparison],
    weights: Sequence[WeightComparison],
    first: Divergence | None,
    precision: str,
) -> list[str]:
    """The answer where the two sides compute other things.

    Args:
        outputs: What was found of each.
        layers: The same; empty where layers were not compared.
        weights: The same.
        first: The first wrong layer; None if none is wrong.
        precision: Of the less exact side.
    """
    mistakes = [weight for weight in weights if first and not weight.passed and weight.layer in first.suspects]
    clipping = next((layer.clipping for layer in layers if layer.clipping and not layer.passed), None)
    known = next((weight.diagnosis for weight in mistakes if weight.diagnosis), "")
    lines = [_what(outputs), _where(layers, first)]
    if known:
        lines.append(f"Why: as if: {known}")
    elif mistakes:
        lines.append(f"Why: the {_names(weight.weight for weight in mistakes)} of this layer is another one.")
    elif clipping:
        lines.append("Why: the range of its tensor is too narrow, so that values are clipped.")
    return [*lines, f"What to do: {_advice(first, bool(mistakes), clipping is not None, precision)}"]


def _what(outputs: Sequence[OutputComparison]) -> str:
    wrong = list(dict.fromkeys(output.name for output in outputs if output.status is Status.DIFFERS))
    if not wrong:
        return "Differs: every output passes, but a layer errs beyond rounding."
    return f"Differs: output {_names(map(repr, wrong))}."


def _where(layers: Sequence[LayerComparison], first: Divergence | None) -> str:
    if first is None:
        return "Where: no single layer is wrong." if layers else "Where: not known, layers were not compared."
    others = [path for path in first.suspects if path != first.layer]
    merged = f", merged with {_names(map(repr, others))}" if others else ""
    return f"Where: layer {first.layer!r}{merged}; what it is given is right."


def _advice(first: Divergence | None, mistaken: bool, clipped: bool, precision: str) -> str:
    if clipped:
        return "calibrate on inputs that reach these values (--calibration), and export again."
    if mistaken:
        return "make the file again from the trained model: kerasbn export MODEL -o OUT.tflite."
    if first is None and precision in CALIBRATED:
        return "calibrate on more real samples, or export with --best; then see docs/how-to/int8-accuracy.md."
    if first is None:
        return "check that both sides have the same weights and get the same inputs."
    return "look at what made this layer; --html draws its error, and --json has every number."


def _names(words: Iterable[str]) -> str:
    found = list(dict.fromkeys(words))
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return ", ".join(found[:NAMED]) + more


def _number(count: int, thing: str) -> str:
    return f"{count} {thing}{'s' * (count != 1)}"
