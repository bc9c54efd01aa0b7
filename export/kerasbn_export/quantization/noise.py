"""Noise that training would add: gone before a model is tuned, as it is gone from the file.

A tuned model differs from the float model by what rounding does, some hundredths of its output. Dropout changes an
output by some tenths. A model that learns through it learns the noise: one that was taught by the float model fell from
36.8 dB to 21.2.
"""

from __future__ import annotations

from kerasbn_export.folding.rules import identity
from kerasbn_export.folding.rules.step import in_training
from kerasbn_export.graph.model import Graph, Layer
from kerasbn_export.graph.recurrent_layers import with_options

RATES = {"dropout": 0.0, "recurrent_dropout": 0.0, "dropout_rate": 0.0}
"""Options of layers that have a dropout inside."""


def without_noise(graph: Graph) -> None:
    """Takes the layers out that do nothing at inference, and the dropout out of others."""
    quiet: dict[Layer, Layer] = {}
    for call in graph.in_order():
        if identity.does_nothing(graph, call) and len(call.inputs) == 1 and not in_training(call):
            graph.bypass(call)
        elif call.layer.kind is not None:
            call.layer = quiet.setdefault(call.layer, with_options(call.layer, RATES))
