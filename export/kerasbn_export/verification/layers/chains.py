"""From a record of a layer back to the calls that it is about.

A record names layers, and a layer may be called at several places: two calls of it have one name.
"""

from __future__ import annotations

from kerasbn_export.graph.model import Call, Graph
from kerasbn_export.verification.records.layers import LayerComparison


def chain_of(graph: Graph, call: Call, record: LayerComparison) -> tuple[Call, ...]:
    """The call, and those behind it that the record found merged into it, in order.

    Args:
        graph: The reference.
        call: The call that the record is of.
        record: What was found of it.
    """
    chain = [call]
    for path in record.merged:
        chain.append(next(user for user in graph.users(chain[-1].output) if user.layer.path == path))
    return tuple(chain)
