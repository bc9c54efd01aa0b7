"""Gathers the candidate's tensors on the worst sample and compares them layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from kerasbn.errors import KerasBNError
from kerasbn_export.arrays import Array
from kerasbn_export.capture import capture
from kerasbn_export.graph.model import Call, Value
from kerasbn_export.precision import CALIBRATED
from kerasbn_export.tflite.graph import TFLiteGraph
from kerasbn_export.tflite.layer_names import Provenance
from kerasbn_export.verification.layers.bisection import bisect
from kerasbn_export.verification.layers.clipped import failed_by_clipping
from kerasbn_export.verification.layers.divergence import first_divergence, settled, wrong_layers
from kerasbn_export.verification.layers.explained import unexplained
from kerasbn_export.verification.layers.fit import KeptTensor
from kerasbn_export.verification.layers.grids import Grids
from kerasbn_export.verification.layers.localise import Localiser
from kerasbn_export.verification.layers.own_operations import by_operations
from kerasbn_export.verification.layers.recurrent_steps import by_steps
from kerasbn_export.verification.layers.refolded import as_in_the_file
from kerasbn_export.verification.layers.stored_weights import bias_not_moved, by_weights, in_float
from kerasbn_export.verification.layers.weights import Held, weights_of_file, weights_of_model
from kerasbn_export.verification.network.network import Network
from kerasbn_export.verification.records.gates import Gate
from kerasbn_export.verification.records.layers import Divergence, LayerComparison, WeightComparison
from kerasbn_export.verification.records.measure import Content, measure
from kerasbn_export.verification.records.outputs import OutputComparison, Status
from kerasbn_export.verification.sides.keras_runner import KerasRunner
from kerasbn_export.verification.sides.sides import Batch, Sides
from kerasbn_export.verification.sides.tflite_runner import TFLiteRunner

Found = list[tuple[Call, LayerComparison]]


@dataclass(frozen=True)
class Located:
    """What the walk through the layers found."""

    layers: tuple[LayerComparison, ...]
    weights: tuple[WeightComparison, ...]
    divergence: Divergence | None
    coverage: tuple[int, int]
    note: str = ""


@dataclass(frozen=True)
class _Inside:
    """The candidate from inside: its tensors, which of them are outputs, and its weights."""

    tensors: list[KeptTensor]
    ends: dict[Value, KeptTensor]
    held: Callable[[Call], Held | None]
    graph: TFLiteGraph | None = None


def locate(
    sides: Sides, network: Network, batches: Sequence[Batch], gate: Gate, outputs: Sequence[OutputComparison]
) -> Located:
    """Compare layer by layer on the sample that differs most.

    Args:
        sides: The two sides.
        network: The reference in float64.
        batches: All samples.
        gate: What a layer has to reach.
        outputs: The outputs as judged: only where one differs, or rounding explains nothing, is a layer blamed.
    """
    worst = max(outputs, key=lambda output: output.required_tolerance).measurement.worst_sample
    size = sides.candidate.inputs[0].shape[0] or 1
    batch = next(b for b in batches if b.start <= worst < b.start + len(b))
    sample = batch.sample(worst, size)
    exact = gate.tolerance is not None and sides.candidate.precision == "float32"
    measured = sides.candidate.precision in CALIBRATED
    differs = any(output.status is Status.DIFFERS or (_stuck(output) and not measured) for output in outputs)
    try:
        network = as_in_the_file(sides, network, sample, exact=exact)
        inside = _inside(sides, network, sides.for_candidate(sample))
        grids = Grids(inside.graph, network) if inside.graph and not exact else None
        localiser = Localiser(network, inside.tensors, inside.ends, gate, exact, inside.graph, grids, differs)
        found = _compared(localiser, sample, sides.as_seen(sample))
        found, note = failed_by_clipping(sides, localiser, batch, worst, found)
    except KerasBNError as error:
        return Located((), (), None, (0, 0), f"layers not compared: {error}")
    found = settled(network.graph, found, gate, partial(_own_errors, network, sample))
    found = bias_not_moved(localiser, found)
    weights: tuple[WeightComparison, ...] = ()
    if inside.graph:
        found, weights = by_weights(localiser, inside.graph, found)
        found = found if exact else by_steps(localiser, inside.graph, found, own_data=batch.scale is None)
        found = by_operations(sides, localiser, batch, worst, found)
    if exact:
        weights = in_float(localiser, inside.held, found)
    divergence = first_divergence(network.graph, found, gate, outputs_differ=differs)
    if divergence is None and differs and isinstance(sides.candidate, TFLiteRunner):
        divergence = _where_nothing_is_kept(sides.candidate, network, sides.for_candidate(sample), gate)
    note = note if found else "layers not compared: no tensor of the candidate carries the name of a layer."
    return Located(tuple(r for _, r in found), weights, divergence, (len(found), len(inside.tensors)), note)


def _compared(localiser: Localiser, sample: Sequence[Array], seen: Sequence[Array]) -> Found:
    """The layers compared, without the tensors that turn out to be no layer's."""
    found = localiser.compare(sample, seen)
    while refused := unexplained(localiser, _blames(localiser, sample, found), seen):
        localiser.refused |= refused
        found = localiser.compare(sample, seen)
        # Behind a wrong layer the grids of a quantised file clip, which the reference does not.
        if localiser.grids and _blames(localiser, sample, found):
            localiser.refused -= refused
            return localiser.compare(sample, seen)
    return found


def _blames(localiser: Localiser, sample: Sequence[Array], found: Found) -> Found:
    """The layers that would be called wrong, but for those that clip values."""
    if all(record.passed for _, record in found):
        return []
    graph, gate = localiser.network.graph, localiser.gate
    marked = settled(graph, found, gate, partial(_own_errors, localiser.network, sample))
    wrong = wrong_layers(graph, marked, gate, outputs_differ=localiser.differs)
    return [(call, record) for call, record in wrong if not record.clipping]


def _own_errors(network: Network, sample: Sequence[Array]) -> dict[str, float]:
    """How far the reference in float32 is from float64, of the largest value, by layer; none where it cannot be run."""
    own = Network(network.graph, "float32")
    exact, rounded = network.start(sample), own.start(sample)
    errors: dict[str, float] = {}
    try:
        for call in network.computing():
            exact.update(network.evaluate(call, exact))
            rounded.update(own.evaluate(call, rounded))
            errors[call.layer.path] = measure(exact[call.output], rounded[call.output]).relative
            network.release(call, exact, rounded)
    except KerasBNError:
        return {}
    return errors


def _stuck(output: OutputComparison) -> bool:
    """Whether the candidate gives the same for every sample and the reference does not, if ever so little.

    On a grid it may well: one step may be more than the reference varies.
    """
    found = output.measurement
    return found.candidate_content is Content.CONSTANT and found.reference_content is Content.VARIES


def _where_nothing_is_kept(
    candidate: TFLiteRunner, network: Network, arrays: Sequence[Array], gate: Gate
) -> Divergence | None:
    """The first wrong layer of a file that computes the right thing as soon as its tensors are kept."""
    found = bisect(candidate, arrays, gate)
    if found is None:
        return None
    names = [candidate.graph.tensors[i].name for i in candidate.graph.dependent]
    layers = Provenance([call.layer.path for call in network.computing()], names).layers(found.tensor)
    return Divergence(
        layer=layers[-1] if layers else found.tensor,
        suspects=layers or (found.tensor,),
        tensor=found.tensor,
        local_error=found.error,
        cumulative_error=found.error,
        sentence=f"First wrong operation: number {found.number}, with tensor {found.tensor!r}: {found.error:.3g} of "
        f"max|value| off what it gives where all tensors are kept; found in {found.runs} runs of pieces of the file.",
    )


def _inside(sides: Sides, network: Network, arrays: Sequence[Array]) -> _Inside:
    paths = [call.layer.path for call in network.computing()]
    if isinstance(sides.candidate, TFLiteRunner):
        return _of_file(sides.candidate, sides, network, arrays, paths)
    if isinstance(sides.candidate, KerasRunner):
        return _of_model(sides.candidate, sides, network, arrays, paths)
    return _Inside([], {}, lambda _: None)


def _of_file(
    candidate: TFLiteRunner, sides: Sides, network: Network, arrays: Sequence[Array], paths: list[str]
) -> _Inside:
    graph = candidate.graph
    provenance = Provenance(paths, [graph.tensors[i].name for i in graph.dependent])
    kept = {
        i: KeptTensor(graph.tensors[i].name, provenance.layers(graph.tensors[i].name), shape, load, i)
        for i, (shape, load) in candidate.kept(graph.dependent, arrays).items()
    }
    indices = [candidate.output_indices[j] for j in sides.pairs]
    ends = {value: kept[i] for value, i in zip(network.outputs, indices, strict=True) if i in kept}
    return _Inside(list(kept.values()), ends, weights_of_file(graph, provenance.layers), graph)


def _of_model(
    candidate: KerasRunner, sides: Sides, network: Network, arrays: Sequence[Array], paths: list[str]
) -> _Inside:
    other = Network(capture(candidate.original), dtype=None)
    provenance = Provenance(paths, [call.layer.path for call in other.computing()])
    values = other.start(arrays)
    kept: dict[Value, KeptTensor] = {}
    for call in other.computing():
        values.update(other.evaluate(call, values))
        path = call.layer.path
        kept |= {
            value: KeptTensor(path, provenance.layers(path), values[value].shape, partial(values.__getitem__, value))
            for value in call.outputs
        }
    counterparts = [other.outputs[j] for j in sides.pairs]
    ends = {value: kept[end] for value, end in zip(network.outputs, counterparts, strict=True) if end in kept}
    return _Inside(list(kept.values()), ends, weights_of_model(other.graph, provenance.layers))
