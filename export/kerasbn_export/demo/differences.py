"""How far each layer's value is from the trained model's, where a form of the network still holds that value.

Folding and the stock converter move scales through layers: what lies between holds another value then, and is left
out. Float32 shows which: there a value that is held is equal to the verifier's tolerance.
"""

from __future__ import annotations

from collections.abc import Mapping

from kerasbn_export.demo.variant import Variant
from kerasbn_export.verification.records.comparison import Comparison

Differences = dict[str, dict[str, float]]


def layer_differences(measured: Mapping[Variant, Comparison]) -> Differences:
    """Per form of the network ``max|difference| / max|reference|`` by layer, counted from the model's inputs.

    A quantised file is read at the layers that the float32 file of the same maker holds.
    """
    float32 = {_key(variant): held(found) for variant, found in measured.items() if variant.precision == "float32"}
    return {variant.name: _cumulative(found, float32[_key(variant)]) for variant, found in measured.items()}


def _key(variant: Variant) -> tuple[bool, bool]:
    return variant.latency is None, variant.ours


def held(comparison: Comparison) -> frozenset[str]:
    """The layers whose value a float32 form holds; all that could be read if the whole is not equal."""
    tolerance = comparison.outputs[0].gate.tolerance
    if not comparison or tolerance is None:
        return frozenset(found.position for found in comparison.per_layer)
    return frozenset(found.position for found in comparison.per_layer if found.cumulative_error <= tolerance)


def _cumulative(comparison: Comparison, layers: frozenset[str]) -> dict[str, float]:
    inside = {found.position: found.cumulative_error for found in comparison.per_layer if found.position in layers}
    return inside | {output.name: output.measurement.relative for output in comparison.outputs}
