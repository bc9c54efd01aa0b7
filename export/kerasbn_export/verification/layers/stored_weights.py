"""The weights of a file decide too: each has to be within half a step of the float64 algebra.

An error of a weight can be smaller than the noise of the layer that has it, or behind a ReLU that lets nothing through.
So where a layer computes what the reference computes, as far as one can see, and it is known what its operation takes,
its weights are held against the algebra one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from kerasbn_export.graph.batchnorm import is_batchnorm
from kerasbn_export.graph.model import Call, Graph
from kerasbn_export.tflite.graph import LINEAR_OPS, Operation, TFLiteGraph
from kerasbn_export.verification.faults.folding import LINEAR, is_linear
from kerasbn_export.verification.layers.chains import chain_of
from kerasbn_export.verification.layers.forward import source_of, with_affine
from kerasbn_export.verification.layers.localise import Localiser
from kerasbn_export.verification.layers.steps import MERGED
from kerasbn_export.verification.layers.weights import Held, compare_layer, compare_weights, held_by
from kerasbn_export.verification.network.network import FLATTENING
from kerasbn_export.verification.records.layers import LayerComparison, WeightComparison

SCALING = ("Rescaling", "Normalization")

ACTIVATIONS = ("SOFTMAX", "LOGISTIC", "TANH")

Found = list[tuple[Call, LayerComparison]]


def by_weights(localiser: Localiser, file: TFLiteGraph, found: Found) -> tuple[Found, tuple[WeightComparison, ...]]:
    """The same records, failed where a weight is wrong; and the weights.

    Args:
        localiser: What has found them.
        file: The candidate.
        found: The layers, settled.
    """
    settled: Found = []
    weights: list[WeightComparison] = []
    for call, record in found:
        compared, known = _weights(localiser, file, call, record)
        wrong = [weight for weight in compared if not weight.passed]
        bounded = record.rounding is not None and (known or not localiser.exact)
        decides = record.passed and (bounded or (known and _activated(localiser.network.graph, call)))
        weights += compared if decides or not wrong or not record.passed else []
        rounding = max((weight.rounding for weight in wrong), default=0.0)
        settled.append((call, replace(record, passed=False, rounding=rounding) if wrong and decides else record))
    return settled, tuple(weights)


def bias_not_moved(localiser: Localiser, found: Found) -> Found:
    """Where a layer fails that was to make good for the bias that one before it lacks, that one fails instead."""
    failing = {v: its for call, its in found if not (its.passed or its.moved or its.clipping) for v in call.inputs}
    blamed = {value: its for value, its in failing.items() if value in localiser.lost}
    freed = {id(record) for record in blamed.values()}
    ends = [chain_of(localiser.network.graph, call, its)[-1].output for call, its in found]
    return [
        (call, replace(its, passed=False, rounding=blamed[end].rounding))
        if end in blamed
        else (call, replace(its, passed=True) if id(its) in freed else its)
        for (call, its), end in zip(found, ends, strict=True)
    ]


def in_float(localiser: Localiser, held: Callable[[Call], Held | None], found: Found) -> tuple[WeightComparison, ...]:
    """The weights of a file or a model without grids; a wrong one counts only where its layer is wrong.

    Args:
        localiser: What has found the layers.
        held: Gives the candidate's kernel and bias of a linear layer.
        found: The layers, settled.
    """
    graph = localiser.network.graph
    right = {record.layer for _, record in found if record.passed or record.moved}  # by whatever algebra
    bare = {its.layer for call, its in found if chain_of(graph, call, its)[-1].output in localiser.lacking}

    def given(call: Call) -> tuple[Call, bool]:
        lacking = localiser.lacking.get(call.inputs[0])
        changed, known = with_affine(call, None, lacking)
        return changed, known and call.layer.path not in bare

    def alone(call: Call) -> Held | None:
        return None if call.layer.path in localiser.written_out.layers else held(call)

    compared = compare_weights(graph, alone, given)
    return tuple(record for record in compared if record.passed or record.layer not in right)


def _activated(graph: Graph, call: Call) -> bool:
    """Whether an operation of its own behind the weights hides what rounding explains; a fused ReLU hides nothing."""
    if any(user.layer.config.get("activation") in FLATTENING for user in graph.users(call.output)):
        return True
    return call.layer.config.get("activation", "linear") not in ("linear", "relu", "relu6")


def _weights(
    localiser: Localiser, file: TFLiteGraph, call: Call, record: LayerComparison
) -> tuple[Sequence[WeightComparison], bool]:
    """The weights compared, and whether it is known what the operation that has them takes."""
    if call.layer.kind not in LINEAR or record.moved or not _by_the_algebra(localiser, call, record):
        return (), False
    end = chain_of(localiser.network.graph, call, record)[-1].output
    operation = _linear_operation(file, localiser.taken[end].index)
    held = held_by(file, operation) if operation else None
    if operation is None or held is None:
        return (), False
    source, before = source_of(call, localiser.taken)
    if source not in localiser.taken and source not in localiser.network.inputs:
        return (), False  # a layer before it, as a Rescaling, may have gone into it
    given, biases = with_affine(call, before, localiser.lacking.get(source))
    biases = biases and end not in localiser.lacking
    sources = {localiser.taken[source].index} if source in localiser.taken else set()
    known = file.takes(operation, sources)
    return compare_layer(localiser.network.graph, given, held, biases=biases), known


def _by_the_algebra(localiser: Localiser, call: Call, record: LayerComparison) -> bool:
    """Whether no BatchNorm is merged but one right behind the layer: a scale goes through a ReLU into a kernel too.

    Nor any other layer that may be a scale.
    """
    chain = chain_of(localiser.network.graph, call, record)
    if any(other.layer.kind not in MERGED or other.layer.kind in SCALING for other in chain[1:]):
        return False
    behind = [other for other in chain if is_batchnorm(other.layer)]
    return not behind or (len(behind) == 1 and is_linear(call) and behind[0].inputs[0] is call.output)


def _linear_operation(graph: TFLiteGraph, index: int) -> Operation | None:
    """The linear operation that gives a tensor, with at most one activation behind it."""
    operation = graph.producers.get(graph.beyond(index)[0])
    if operation is not None and operation.name in ACTIVATIONS:
        operation = graph.producers.get(graph.beyond(operation.inputs[0])[0])
    return operation if operation and operation.name in LINEAR_OPS else None
