"""The reference as kerasbn folded it for a file: what the layers of that file are compared with.

Folding moves scales and shifts from layer to layer, and the tensors of a folded file are not those of the model. The
file says how it was folded. Folded in the same way again, the model has just these tensors, layer by layer, and nothing
has to be guessed about what was moved where. The outputs are compared with the model itself all the same, and before
the folded network stands for it, it has to be the same function of the sample in float64:

    max|folded(x) - reference(x)| <= 1e-6 * max|reference(x)|      (some layers have no kernel in float64)

A file of another version of kerasbn, whose rules may be others, or of other weights is compared with the model as it
is: `kerasbn_export.verification.layers.divergence` then tells what a fold moved from what is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import kerasbn
from kerasbn.errors import KerasBNError
from kerasbn_export.arrays import Array
from kerasbn_export.capture import capture
from kerasbn_export.conversion.provenance import read_provenance, weights_hash
from kerasbn_export.folding.choices import Choices
from kerasbn_export.folding.engine import fold_batchnorms
from kerasbn_export.graph.model import Graph
from kerasbn_export.tflite.file import read_tflite
from kerasbn_export.verification.layers.activations_apart import with_activations_apart
from kerasbn_export.verification.network.network import Network
from kerasbn_export.verification.records.measure import measure
from kerasbn_export.verification.sides.keras_runner import KerasRunner
from kerasbn_export.verification.sides.sides import Sides
from kerasbn_export.verification.sides.tflite_runner import TFLiteRunner

SAME = 1e-6


def as_in_the_file(sides: Sides, network: Network, sample: Sequence[Array], *, exact: bool) -> Network:
    """The reference with the layers that the candidate has, as far as that is known.

    Args:
        sides: The two sides.
        network: The reference in float64.
        sample: What the layers are compared on.
        exact: Whether the candidate computes in float32.
    """
    if not (isinstance(sides.candidate, TFLiteRunner) and isinstance(sides.reference, KerasRunner)):
        return network
    folded = refolded(sides, network, sample, exact=exact)
    return folded or (network if exact else Network(with_activations_apart(capture(sides.reference.original))))


def refolded(sides: Sides, network: Network, sample: Sequence[Array], *, exact: bool = False) -> Network | None:
    """The folded network in float64; None where the file does not say how to fold, or it is another function.

    Args:
        sides: The two sides.
        network: The reference in float64.
        sample: What the layers are compared on.
        exact: Whether the candidate computes in float32.
    """
    graph = folded_graph(sides)
    if graph is None:
        return None
    folded = Network(graph if exact else with_activations_apart(graph))
    try:
        pairs = zip(network.run(sample), folded.run(sample), strict=True)
        return folded if all(measure(*pair).relative <= SAME for pair in pairs) else None
    except KerasBNError:  # a layer cannot be run alone
        return None


def folded_graph(sides: Sides) -> Graph | None:
    """The reference folded as the file says; None where the file does not say how."""
    if not (isinstance(sides.candidate, TFLiteRunner) and isinstance(sides.reference, KerasRunner)):
        return None
    chosen = _chosen(sides.candidate.content, sides.reference.original)
    if chosen is None:
        return None
    graph = capture(sides.reference.original)
    graph.retype("float32")
    fold_batchnorms(graph, replace(chosen, accompany=False))  # what fuses a ReLU has the ReLU's name in the file
    return graph


def _chosen(content: bytes, model: Any) -> Choices | None:
    """How this version of kerasbn folded just this model for a file; None if it did not."""
    record = read_provenance(read_tflite(content)) or {}
    options = record.get("folding")
    if record.get("kerasbn") != kerasbn.__version__ or not isinstance(options, dict):
        return None
    if options.keys() != Choices().__dict__.keys() or record.get("sha256") != weights_hash(model):
        return None
    return Choices(**options)
