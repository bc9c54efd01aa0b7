"""Sharing, in a row: a linear layer that a BatchNorm and other linear layers see is left to the BatchNorm.

    a(W1 x + b1), W2 (W1 x + b1) + b2   become   (s*W1) x + (s*b1 + t), (W2 W1) x + (W2 b1 + b2)

The other layers take the shared one in, as `kerasbn_export.folding.passes.series` has it, and read its input; the
BatchNorm then folds into it by rule 2.

Condition: every other user of the output is a linear layer that may merge with it in a row, whose kernel becomes so
little larger that it pays (`kerasbn_export.folding.choices.pays`). To call the shared layer once more for the BatchNorm
alone, as `kerasbn_export.folding.passes.clone` does, would pay nothing: it takes as many operations as the affine and
more products, 1.1 to 1.9 of the time.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from kerasbn_export.folding.choices import pays
from kerasbn_export.folding.passes import series
from kerasbn_export.folding.passes.clone import folds
from kerasbn_export.graph.model import Call, Graph, Layer


def release_producers(graph: Graph) -> None:
    """Leave every such layer to its BatchNorm."""
    uses = Counter(id(call.layer.source) for call in graph)
    for call in graph.in_order():
        if call.layer.kind in series.KINDS:
            _release(graph, call, uses)


def _release(graph: Graph, call: Call, uses: Mapping[int, int]) -> None:
    norms = [user for user in graph.users(call.output) if folds(graph, call, user)]
    others = [user for user in graph.users(call.output) if user not in norms]
    if len(norms) != 1 or graph.is_output(call.output):
        return
    layers = [_beside(graph, call, other, uses) for other in others]
    taken = [(other, layer) for other, layer in zip(others, layers, strict=True) if layer is not None]
    if len(taken) < len(others) or not _pays(call, taken):
        return
    for other, layer in taken:
        graph.replace(other, layer, call.args[0])


def _beside(graph: Graph, call: Call, other: Call, uses: Mapping[int, int]) -> Layer | None:
    """The other layer on the input of the shared one; None where there is none."""
    return series.product(call.layer, other.layer) if series.may_merge(graph, call, other, uses) else None


def _pays(call: Call, taken: list[tuple[Call, Layer]]) -> bool:
    more = sum(series.size(layer) - series.size(other.layer) for other, layer in taken)
    sizes = (call.output.shape or ())[1:-1]
    positions = None if None in sizes else math.prod(size or 0 for size in sizes)
    return pays(more, (call.output.shape or (0,))[-1] or 0, positions)
