"""Outputs outside the gate where every layer is right: networks in which rounding grows.

Where no layer errs by its own inputs, an output is as far from float64 as rounding in float32 takes it, if it is not
further than some times the reference in float32, or than the file of the reference as it is, without a fold, on the
same runtime: some kernels add up one by one what TensorFlow adds up in pairs::

    |candidate - float64| <= 4*(1 + 4/n)*|reference - float64|      or      1.5*|unfolded file - float64|
                             or      2*max over k of |reference with weights rounded anew - float64|

The largest of a few errors may be small by chance, and n is how many numbers were compared: a Siamese network with one
number a sample was seen at 5.8 times its own error, on four samples, with every layer right. A network that amplifies
rounding a thousandfold errs by 1e-6 on one sample and by 0.1 on the next: four draws of what rounding does to each
weight, by half of its last bit at most, show how far that goes.

A file that is worse than that differs, however bad the reference is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np

from kerasbn.errors import KerasBNError
from kerasbn_export.capture import capture
from kerasbn_export.conversion.convert import convert
from kerasbn_export.graph.model import Graph
from kerasbn_export.verification.appeals.case import Case, Key, Outputs, is_open
from kerasbn_export.verification.network.network import Network
from kerasbn_export.verification.outputs.judge import CHANCE, Judgement, judge_referee
from kerasbn_export.verification.outputs.outputs import BEFORE, Distances, against_float64
from kerasbn_export.verification.records.measure import Measure
from kerasbn_export.verification.records.outputs import OutputComparison
from kerasbn_export.verification.sides.keras_runner import KerasRunner
from kerasbn_export.verification.sides.matching import match_ports
from kerasbn_export.verification.sides.sides import Batch, Sides
from kerasbn_export.verification.sides.tflite_runner import TFLiteRunner

GROWTH = 4.0
FEW = 4.0
ROUNDINGS, ANEW = 4, 2.0
"""How many roundings of the weights are drawn, and how much further than the furthest of them an output may be."""
HALF = 2.0**-24
"""Half of the last bit of a number in float32."""

Found = dict[Key, Distances]
Allowed = dict[Key, float]


def allowing_for_growth(case: Case, outputs: Outputs) -> Outputs:
    """The same records; those that rounding explains are equal.

    Args:
        case: What was compared.
        outputs: The outputs as judged.
    """
    if not case.is_heard(outputs, "float32"):
        return outputs
    sides, network, batches = case.sides, case.network, case.batches
    found = [against_float64(sides, batch, network) for batch in batches]
    allowed = [{key: _explained(distances) for key, distances in each.items()} for each in found]
    outputs = _judged(batches, outputs, found, allowed)
    if any(map(_open, outputs)) and (unfolded := _unfolded(sides)):
        for batch, each in zip(batches, allowed, strict=True):
            for key, (_, error, _) in against_float64(unfolded, batch, network).items():
                each[key] = max(each[key], CHANCE * error.relative)
        outputs = _judged(batches, outputs, found, allowed)
    if any(map(_open, outputs)) and isinstance(sides.reference, KerasRunner):
        for batch, each in zip(batches, allowed, strict=True):
            for key, most in _rounded_anew(sides.reference, batch, network).items():
                each[key] = max(each.get(key, 0.0), ANEW * most)
        outputs = _judged(batches, outputs, found, allowed)
    return outputs


def _rounded_anew(reference: KerasRunner, batch: Batch, network: Network) -> Allowed:
    """How far the reference is from float64 with other roundings of its weights, at most."""
    largest: Allowed = {}
    for seed in range(ROUNDINGS):
        graph = capture(reference.original)
        _round_anew(graph, np.random.default_rng(seed))
        rounded, running = Network(graph, "float32"), dict[Key, Measure]()
        for part in batch.chunks():
            exact, near = network.run_with_scores(part), rounded.run_with_scores(part)
            for number, stage in enumerate(("output", BEFORE)):
                for index, (wanted, given) in enumerate(zip(exact[number], near[number], strict=True)):
                    if wanted is not None and given is not None:
                        running.setdefault((index, stage), Measure()).update(wanted, given)
        largest |= {key: max(largest.get(key, 0.0), its.result().relative) for key, its in running.items()}
    return largest


def _round_anew(graph: Graph, rng: np.random.Generator) -> None:
    """Moves every weight by half of its last bit at most."""
    for layer in dict.fromkeys(call.layer for call in graph):
        if layer.kind is not None and layer.weights:
            layer.new_weights = {
                name: (held * (1 + HALF * rng.uniform(-1, 1, held.shape))).astype(held.dtype)
                if held.dtype.kind == "f"
                else held
                for name, held in layer.weights.items()
            }


def _open(output: OutputComparison) -> bool:
    """Whether the referee was asked as well."""
    return is_open(output) and output.referee is not None


def _explained(distances: Distances) -> float:
    """How far the error of the reference in float32 lets a right candidate be."""
    reference, _, own = distances
    rounded = own or reference
    return GROWTH * (1.0 + FEW / rounded.elements) * rounded.relative


def _judged(batches: Sequence[Batch], outputs: Outputs, found: Sequence[Found], allowed: Sequence[Allowed]) -> Outputs:
    """The outputs, equal where rounding explains them in every batch."""
    ends = accumulate(output.stage == "output" for output in outputs)
    judged = []
    for number, output in zip(ends, outputs, strict=True):
        key = (number - 1, output.stage)
        limits = zip(found, allowed, strict=True)
        excused = _open(output) and all(_within(each, limit, key, output) for each, limit in limits)
        scale = next(i for i, batch in enumerate(batches) if batch.scale == output.input_scale)
        judged.append(_again(output, allowed[scale][key]) if excused else output)
    return tuple(judged)


def _within(found: Found, allowed: Allowed, key: Key, output: OutputComparison) -> bool:
    candidate = found[key][1].relative
    return candidate <= max(output.gate.tolerance or 0.0, allowed[key])


def _again(output: OutputComparison, explained: float) -> OutputComparison:
    """The record judged by what rounding explains."""
    if output.referee is None or output.gate.tolerance is None:
        return output
    first = Judgement(output.status, output.reason)
    answer = judge_referee(first, output.gate.tolerance, replace(output.referee, explained=explained))
    reason = f"every layer is right by its own inputs; {answer.reason}"
    return replace(output, status=answer.status, reason=reason, referee=answer.referee)


def _unfolded(sides: Sides) -> Sides | None:
    """The reference and the file of it as it is, on the candidate's backend; None where there is none."""
    if not (isinstance(sides.candidate, TFLiteRunner) and isinstance(sides.reference, KerasRunner)):
        return None
    try:
        content = convert(sides.reference.model, batch_size=sides.candidate.inputs[0].shape[0] or 1)
    except KerasBNError:  # the converter refuses the model as it is
        return None
    file = TFLiteRunner(content, "the unfolded file", sides.candidate.backend)
    feeds, _ = match_ports(sides.reference.inputs, file.inputs, "input")
    pairs, _ = match_ports(sides.reference.outputs, file.outputs, "output")
    return replace(sides, candidate=file, feeds=feeds, pairs=pairs)
