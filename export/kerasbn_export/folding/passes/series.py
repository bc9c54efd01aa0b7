"""Rule 10, in a row: two linear layers with nothing between them are one linear layer.

    W2 (W1 x + b1) + b2 = (W2 W1) x + (W2 b1 + b2)

For convolutions the product is a convolution of the kernels: tap u of the one kernel is the sum of ``W1[u1] W2[u2]``
over ``u1 + u2 = u``, a matrix product for each pair, and there are ``k1 + k2 - 1`` taps.

Condition: both are Dense, or convolutions of the same rank without groups, channels last; no activation in the first;
nothing else sees what flows between, neither layer is called elsewhere, and the one layer has fewer weights, hence
fewer products, than the two. Where one of them has a single tap, the other's padding, strides and dilation stay; two
kernels with several taps need ``valid`` padding, no dilation, and a first one without strides. Padding of the second
with zeros means that ``b1 = 0``, for its border sees 0 and not b1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasbn_export.algebra.affine import Float64
from kerasbn_export.algebra.linear import CONVOLUTIONS, kernel_name
from kerasbn_export.folding.rules.producer import checked, has_no_activation
from kerasbn_export.folding.rules.step import Merge, takes_only
from kerasbn_export.graph.model import Call, Graph, Layer

KINDS = ("Dense", *CONVOLUTIONS)


def merge_series(graph: Graph) -> list[Merge]:
    """Merge every two linear layers in a row that are smaller as one."""
    merges = []
    uses = Counter(id(call.layer.source) for call in graph)
    for first in graph.in_order():
        second = graph.sole_user(first.output) if first.layer.kind in KINDS else None
        if second is not None and may_merge(graph, first, second, uses):
            layer = product(first.layer, second.layer)
            if layer is not None and _is_smaller(layer, first.layer, second.layer):
                layer = second.layer = layer.holding([first])
                graph.bypass(first)
                merges.append(Merge("series", (first,), layer))
    return merges


def may_merge(graph: Graph, first: Call, second: Call, uses: Mapping[int, int]) -> bool:
    """Whether both are linear layers of one kind and precision, each called here only, with nothing between them."""
    one, other = first.layer, second.layer
    return (
        one.kind == other.kind
        and one.dtype == other.dtype
        and has_no_activation(graph, one)
        and takes_only(second, first.output)
        and all(uses[id(layer.source)] == 1 and _is_plain(layer) for layer in (one, other))
    )


def _is_plain(layer: Layer) -> bool:
    """Whether the layer is its kernel and bias, for all channels and in the last axis."""
    config = layer.config
    grouped = config.get("groups", 1) != 1 or config.get("data_format") == "channels_first"
    return not grouped and kernel_name(layer.kind, layer.weights) is not None


def product(first: Layer, second: Layer) -> Layer | None:
    """The one layer, a version of the second; None where there is none."""
    one, other = _float64(first, "kernel"), _float64(second, "kernel")
    options = {} if first.kind == "Dense" else _geometry(first.config, second.config)
    if options is None:
        return None
    if _pads(second) and np.any(_float64(first, "bias") != 0):
        return None
    carried = _float64(first, "bias") @ other.reshape(-1, *other.shape[-2:]).sum(axis=0)
    bias = carried + _float64(second, "bias")
    layer = checked(second.with_weights({"kernel": _product(one, other), "bias": bias}, use_bias=True, **options))
    return layer if isinstance(layer, Layer) else None


def _float64(layer: Layer, name: str) -> Float64:
    weights = layer.weights
    return weights[name].astype(np.float64) if name in weights else np.zeros(weights["kernel"].shape[-1])


def _taps(config: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(config["kernel_size"])


def _pads(layer: Layer) -> bool:
    """Whether some tap of the layer sees zeros from beyond the border."""
    config = layer.config
    return layer.kind != "Dense" and config["padding"] in ("same", "causal") and max(_taps(config)) > 1


def _geometry(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any] | None:
    """The options of the one convolution; None where there is none."""
    steps = [tuple(config["strides"]) for config in (first, second)]
    rates = [tuple(config["dilation_rate"]) for config in (first, second)]
    if max(_taps(second)) == 1:
        leading, fits = first, max(steps[1]) == 1 or first["padding"] == "valid"
    else:
        several = max(_taps(first)) > 1
        leading, fits = second, max(steps[0]) == 1 and not (several and _moves_taps(first, second))
    strides = tuple(a * b for a, b in zip(*steps, strict=True))
    dilation = tuple(leading["dilation_rate"])
    if not fits or (max(strides) > 1 and max(max(rate) for rate in rates) > 1):
        return None
    size = tuple(a + b - 1 for a, b in zip(_taps(first), _taps(second), strict=True))
    return {"kernel_size": size, "strides": strides, "dilation_rate": dilation, "padding": leading["padding"]}


def _moves_taps(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether the taps of two kernels with several fall on other elements than those of their product."""
    dilated = max(*first["dilation_rate"], *second["dilation_rate"]) > 1
    return dilated or {first["padding"], second["padding"]} != {"valid"}


def _is_smaller(layer: Layer, first: Layer, second: Layer) -> bool:
    """Whether the one kernel has fewer numbers than the two."""
    return size(layer) < size(first) + size(second)


def size(layer: Layer) -> int:
    """How many numbers the kernel has."""
    return int(layer.weights["kernel"].size)


def _product(one: Float64, other: Float64) -> Float64:
    """``sum over u1 + u2 = u of W1[u1] W2[u2]``."""
    result = np.zeros((*(np.add(one.shape[:-2], other.shape[:-2]) - 1), one.shape[-2], other.shape[-1]))
    for tap in np.ndindex(other.shape[:-2]):
        window = tuple(slice(start, start + size) for start, size in zip(tap, one.shape[:-2], strict=True))
        result[window] += one @ other[tap]
    return result
