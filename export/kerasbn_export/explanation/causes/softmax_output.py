"""A softmax in int8 ends the file: its probabilities have steps of 1/256."""

from __future__ import annotations

from kerasbn_export.explanation.evidence import Evidence
from kerasbn_export.explanation.records import Finding

NAME = "softmax-output"
COSTS = 6.0
"""In dB, about."""


def softmax_output(evidence: Evidence) -> Finding | None:
    """The output that ends in one; None if none does."""
    graph = evidence.graph
    scores = {index: graph.before_activation(index) for index in graph.outputs}
    found = {output: index for output, index in scores.items() if index is not None and _in_int8(evidence, index)}
    if not found:
        return None
    output = next(iter(found))
    classes = graph.tensors[output].shape[-1] if graph.tensors[output].shape else 1
    return Finding(
        NAME,
        "a softmax in int8 gives probabilities in steps of 1/256: save the model without it, and export that.",
        f"output {graph.tensors[output].name!r}",
        f"{classes} classes share steps of 1/256{_measured(evidence)}",
        evidence.commands.export(model="LOGITS.keras"),
        estimate=COSTS,
        gain=_gain(evidence),
    )


def _in_int8(evidence: Evidence, scores: int) -> bool:
    users = [user for user in evidence.graph.users(scores) if user.name == "SOFTMAX"]
    return bool(users) and evidence.graph.tensors[users[0].outputs[0]].dtype == "int8"


def _pairs(evidence: Evidence) -> list[tuple[float, float]]:
    """SQNR of the outputs, and of the same before their softmax."""
    outputs = evidence.comparison.outputs if evidence.comparison else ()
    ends = {each.name: each.measurement.sqnr_db for each in outputs if each.stage == "output"}
    return [(ends[each.name], each.measurement.sqnr_db) for each in outputs if each.stage != "output"]


def _measured(evidence: Evidence) -> str:
    pairs = _pairs(evidence)
    return ": {:.1f} dB behind it, {:.1f} dB before".format(*pairs[0]) if pairs else ""


def _gain(evidence: Evidence) -> float | None:
    return max((before - after for after, before in _pairs(evidence)), default=None)
