"""Rule 15: TimeDistributed gives way to the layer inside it.

``TimeDistributed(f)`` calls f on each of the T steps, which the converter unrolls to T copies of every operation.

    TimeDistributed(f)(x) = f(x)                       f elementwise or Dense; BatchNorm with its axis moved by one
    TimeDistributed(f)(x) = split(f(merge(x)))         f a stock layer that treats every sample alike

where merge makes (batch, T, ...) to (batch*T, ...) and split undoes it. Elementwise layers behind a split move before
it, and a merge right behind a split cancels, so that a chain of such layers has one pair around it.

Condition: the layer is called without a mask and not in training mode, and for merge and split all sizes but the batch
size are known.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kerasbn_export.algebra.linear import CONVOLUTIONS, DEPTHWISE, SEPARABLE, TRANSPOSED
from kerasbn_export.folding.rules import identity, spatial
from kerasbn_export.folding.rules.step import in_training, stock_activation
from kerasbn_export.folding.rules.time_distributed import MERGE, SPLIT
from kerasbn_export.graph.batchnorm import KINDS as BATCHNORMS
from kerasbn_export.graph.batchnorm import layer_kind, true_config
from kerasbn_export.graph.configuration import configuration_of
from kerasbn_export.graph.model import Call, Graph, Layer, Value, new_layer

OF_ONE_RANK = tuple(kind for kind in identity.KINDS if kind.startswith("SpatialDropout"))
ELEMENTWISE = ("Activation", "ReLU", "LeakyReLU", "ELU", "Rescaling", *sorted({*identity.KINDS} - {*OF_ONE_RANK}))
SAMPLEWISE = (
    *(*CONVOLUTIONS, *TRANSPOSED, *DEPTHWISE, *SEPARABLE),
    *(*spatial.AVERAGES, *spatial.MAXIMA, *spatial.SELECTIONS, *spatial.PADDINGS),
    *("Flatten", "Reshape", "Permute", *OF_ONE_RANK),
)


def unroll_time(graph: Graph) -> None:
    """Open every TimeDistributed that can be opened."""
    opened: dict[tuple[Layer, str], Layer] = {}
    for call in graph.in_order():
        if call.layer.kind == "TimeDistributed" and _may_open(call):
            _open(graph, call, opened)
        elif _is_elementwise(call.layer) and _behind_split(graph, call):
            _before_split(graph, call, call.layer)
    graph.prune()


def _is_elementwise(layer: Layer) -> bool:
    """Whether the layer gives the same at any rank; an activation of the user's may count its axes from the front."""
    return layer.kind in ELEMENTWISE and (layer.kind != "Activation" or stock_activation(layer) is not None)


def _may_open(call: Call) -> bool:
    value = call.inputs[0]
    return len(call.inputs) == 1 and not value.masked and not in_training(call) and value.rank is not None


def _open(graph: Graph, call: Call, opened: dict[tuple[Layer, str], Layer]) -> None:
    inner = call.layer.source.layer
    kind = layer_kind(graph.flavour, inner) or ""
    behind = _behind_split(graph, call)
    if kind not in (*BATCHNORMS, *ELEMENTWISE, "Dense", *SAMPLEWISE):
        return
    if kind in ELEMENTWISE and not _is_elementwise(Layer(inner.name, inner.name, kind, inner)):
        return
    moved = kind in BATCHNORMS and not behind
    layer = opened.setdefault((call.layer, str(moved)), _inner(call.layer, inner, kind, moved, call.inputs[0]))
    if behind:
        _before_split(graph, call, layer)
    elif kind not in SAMPLEWISE:
        graph.replace(call, layer, call.inputs[0])
    elif _known(call.inputs[0]) and _known(call.output):
        _around(graph, call, layer)


def _inner(outer: Layer, inner: Any, kind: str, moved: bool, value: Value) -> Layer:
    """The layer inside, under the name of the TimeDistributed."""
    config = {**(true_config(inner) or configuration_of(inner)), "name": outer.name}
    layer = Layer(outer.name, f"{outer.path}/{inner.name}", kind, inner, outer.dtype)
    weights = None
    if moved:
        axes = [config["axis"]] if isinstance(config["axis"], int) else list(config["axis"])
        one = [axis % ((value.rank or 0) - 1) + 1 for axis in axes]
        config["axis"] = one[0] if len(one) == 1 else one
        if layer.weights["moving_mean"].ndim > 1:  # with ones for the other axes
            weights = {name: array[None] for name, array in layer.weights.items()}
    return replace(layer, new_config=config, new_weights=weights)


def _known(value: Value) -> bool:
    return value.shape is not None and None not in value.shape[1:]


def _behind_split(graph: Graph, call: Call) -> bool:
    """Whether the call takes the output of a split that nothing else sees."""
    value = call.inputs[0] if len(call.inputs) == 1 else None
    if value is None or value.producer is None or value.producer.layer.kind != SPLIT:
        return False
    return graph.sole_user(value) is call


def _before_split(graph: Graph, call: Call, layer: Layer) -> None:
    """``f(split(x))`` becomes ``split(f(x))``: the call becomes the split."""
    merged = call.inputs[0].producer.inputs[0]  # type: ignore[union-attr]  # the split's, which _behind_split found
    out = (call.output.shape or ())[2:]
    if layer.kind in SAMPLEWISE and None in out:
        return
    result = Value((None, *out), call.output.dtype)
    graph.add(Call(layer, (merged,), {}, [result]))
    graph.replace(call, _split(layer.name, call.output), result)


def _around(graph: Graph, call: Call, layer: Layer) -> None:
    """The call becomes ``split(f(merge(x)))``."""
    value = call.inputs[0]
    merged = Value((None, *(value.shape or ())[2:]), value.dtype)
    result = Value((None, *(call.output.shape or ())[2:]), call.output.dtype)
    merge = new_layer(MERGE, f"{layer.name}_merge", {"shape": [-1, *(value.shape or ())[2:]]})
    graph.add(Call(merge, (value,), {}, [merged]))
    graph.add(Call(layer, (merged,), {}, [result]))
    graph.replace(call, _split(layer.name, call.output), result)


def _split(name: str, value: Value) -> Layer:
    return new_layer(SPLIT, f"{name}_split", {"shape": [-1, *(value.shape or ())[1:]]})
