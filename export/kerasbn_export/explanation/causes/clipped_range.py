"""The range of a tensor is too narrow: values are cut off at its ends."""

from __future__ import annotations

from kerasbn_export.explanation.causes.wide_activation import widest
from kerasbn_export.explanation.evidence import Evidence
from kerasbn_export.explanation.records import Finding

NAME = "clipped-range"
MOST = 0.02
"""The part of the values that may lie at the ends of a range."""
RIGHT = 45.0
"""What a range that fits gives in dB, about."""

Clipped = tuple[str, str, float, tuple[str, ...]]
"""Where, the number, the estimate, and what else it may be a consequence of."""


def clipped_range(evidence: Evidence) -> Finding | None:
    """The tensor that loses most; None if none loses more than samples do that no range was measured on."""
    found = _against_the_model(evidence) or _at_the_ends(evidence)
    if found is None:
        return None
    where, number, estimate, follows = found
    return Finding(
        NAME,
        "values are clipped: the range was measured on samples that do not reach as far.",
        where,
        number,
        evidence.commands.export(),
        estimate=estimate,
        options={},
        follows=("input-range", "calibration-samples", "one-scale", *follows),
    )


def _against_the_model(evidence: Evidence) -> Clipped | None:
    layers = evidence.comparison.per_layer if evidence.comparison else ()
    found = [(layer.layer, layer.clipping) for layer in layers if layer.clipping]
    if not found:
        return None
    layer, worst = min(found, key=lambda pair: pair[1].sqnr_db)
    held, reached = "{:.3g} to {:.3g}".format(*worst.held), "{:.3g} to {:.3g}".format(*worst.reached)
    number = f"{worst.share:.1%} of its values lie outside of {held}: they reach from {reached}"
    return f"layer {layer!r}", number, RIGHT - max(worst.sqnr_db, 0.0), ()


def _at_the_ends(evidence: Evidence) -> Clipped | None:
    found = {index: spread.saturated for index, spread in evidence.spreads.items() if _is_dense(evidence, index)}
    index = max(found, key=found.__getitem__, default=None)
    if index is None or found[index] <= MOST:
        return None
    share, wide = found[index], widest(evidence)
    follows = ("wide-activation",) if wide is not None and _reaches(evidence, wide, index) else ()
    where, number = f"tensor {evidence.name(index)!r}", f"{share:.1%} of its values lie at the ends of its range"
    return where, number, 100 * share, follows


def _reaches(evidence: Evidence, one: int, other: int) -> bool:
    """Whether a tensor is made of another one: what comes from steps too large goes beyond ranges that fit."""
    graph, made = evidence.graph, {one}
    for operation in graph.operations:
        if made.intersection(operation.inputs):
            made.update(operation.outputs)
    return other != one and other in made


def _is_dense(evidence: Evidence, index: int) -> bool:
    """Whether its values are sums of many: only there are equal ones at an end a sign, since those of a ReLU stay."""
    producer = evidence.graph.producers.get(index)
    return producer is not None and producer.name in ("CONV_2D", "FULLY_CONNECTED")
