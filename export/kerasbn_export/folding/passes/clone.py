"""Sharing: a linear layer whose output goes to several BatchNorms and nowhere else is called once for each.

    a1(W x + b), a2(W x + b)   become   (s1*W) x + (s1*b + t1),  (s2*W) x + (s2*b + t2)

The stock converter does the same, so that neither operations nor bytes exceed its file's; two layers cost less than one
layer and two affines where the layer is small, and no more than stock where it is large.

Condition: every user of the output is a BatchNorm that rule 2 can fold into the layer.
"""

from __future__ import annotations

from kerasbn_export.algebra.linear import LINEAR, kernel_name, linear
from kerasbn_export.folding.affine_calls import read
from kerasbn_export.folding.rules.producer import has_no_activation
from kerasbn_export.graph.batchnorm import is_batchnorm
from kerasbn_export.graph.model import Call, Graph, Value


def clone_producers(graph: Graph) -> None:
    """Give each BatchNorm of such a layer a call of its own."""
    for call in graph.in_order():
        users = graph.users(call.output) if call.layer.kind in LINEAR else []
        if not graph.is_output(call.output) and all(folds(graph, call, user) for user in users):
            for user in users[1:]:
                _clone(graph, call, user)


def folds(graph: Graph, call: Call, user: Call) -> bool:
    """Whether the user is a BatchNorm that rule 2 folds into the call's layer."""
    layer = call.layer
    if not is_batchnorm(user.layer) or kernel_name(layer.kind, layer.weights) is None:
        return False
    push = read(user)
    if push is None or not has_no_activation(graph, layer):
        return False
    return linear(layer.kind, layer.config, layer.weights, push.value.rank or 0, push.axes) is not None


def _clone(graph: Graph, call: Call, user: Call) -> None:
    value = Value(call.output.shape, call.output.dtype, call.output.masked)
    graph.add(Call(call.layer, call.args, call.kwargs, [value]))
    graph.replace(user, user.layer, value)
