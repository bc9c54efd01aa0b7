"""Folding: a Keras model in, a Keras model without its BatchNorms out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kerasbn.arguments import AtLeastOne, checks_arguments
from kerasbn.errors import NotFoldedError
from kerasbn.shown import Rows, Shown
from kerasbn_export.capture import capture
from kerasbn_export.emit.emit import emit
from kerasbn_export.folding.choices import Choices, choices, weight_bytes
from kerasbn_export.folding.engine import fold_batchnorms
from kerasbn_export.folding.verdict import Verdict, count_of, left, table_of
from kerasbn_export.graph.model import Graph


@dataclass(frozen=True)
class Plan:
    """What folding would give, before a Keras layer is built.

    Attributes:
        graph: The rewritten graph.
        verdicts: One for each BatchNorm layer, in the order of the model.
        chosen: Which of several exact forms were used.
    """

    graph: Graph
    verdicts: tuple[Verdict, ...]
    chosen: Choices

    @property
    def left(self) -> tuple[Verdict, ...]:
        """The verdicts of the BatchNorms that are not gone."""
        return tuple(left(self.verdicts))


@dataclass(frozen=True, repr=False)
class FoldResult(Shown):
    """A folded model.

    Attributes:
        model: A new model of the same Keras; it shares no variable with the one given.
        verdicts: One for each BatchNorm layer, in the order of the model.
        chosen: Which of several exact forms were used.
        merged: For layers that took others in by merging, the names of those.
    """

    model: Any
    verdicts: tuple[Verdict, ...]
    chosen: Choices
    merged: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def summary(self) -> list[str]:
        """How many BatchNorms are gone, and what is left."""
        return [f"{self.model.name}: {count_of(self.verdicts)}", *map(str, left(self.verdicts))]

    def table(self) -> Rows:
        """A row for each BatchNorm."""
        return table_of(self.verdicts)


def plan(
    model: Any,
    *,
    dtype: str | None = None,
    merge_branches: bool = True,
    through_averages: bool = True,
    forward: bool = True,
    target: str = "latency",
    precision: str = "float32",
) -> Plan:
    """Find out what folding does with each BatchNorm; nothing is built and the model is not changed.

    Args:
        model: A model of Keras 3 or tf_keras.
        dtype: The precision of the folded model, None for the model's own.
        merge_branches: Merge linear layers, side by side or in a row, into one.
        through_averages: Let BatchNorms go back through average pooling.
        forward: Let BatchNorms go forward into the layers behind them.
        target: What to prefer among exact forms: see `kerasbn_export.folding.choices`.
        precision: What the folded model is to be converted to.

    Raises:
        UnsupportedModelError: The model cannot be read as a graph of layers.
        InvalidModelError: A BatchNorm holds numbers that mean nothing, as a NaN in its moving variance.
    """
    forms = choices(target, merge=merge_branches, averages=through_averages, forward=forward, precision=precision)
    plans = [_planned(model, dtype, chosen) for chosen in forms]
    return min(plans, key=lambda planned: weight_bytes(planned.graph)) if len(plans) > 1 else plans[0]


def _planned(model: Any, dtype: str | None, chosen: Choices) -> Plan:
    graph = capture(model)
    if dtype is not None:
        graph.retype(dtype)
    return Plan(graph, tuple(fold_batchnorms(graph, chosen).verdicts()), chosen)


@checks_arguments
def fold(
    model: Any,
    *,
    strict: bool = False,
    dtype: str | None = None,
    batch_size: AtLeastOne | None = None,
    merge_branches: bool = True,
    through_averages: bool = True,
    forward: bool = True,
    target: str = "latency",
    precision: str = "float32",
) -> FoldResult:
    """Fold every BatchNorm of a model into the weights around it.

    At inference a BatchNorm is ``y = s*x + t`` per channel with ``s = gamma / sqrt(variance + epsilon)`` and
    ``t = beta - mean*s``; folding carries s and t into neighbouring weights, in float64, rounded once at the end. A
    BatchNorm that has no exact way stays as it is, and its verdict says why.

    Args:
        model: A model of Keras 3 or tf_keras. It is not changed.
        strict: Refuse to give a model in which a BatchNorm is left.
        dtype: The precision of the folded model, as ``"float32"`` for a model trained in mixed precision; None for
            the model's own.
        batch_size: A fixed batch size for the folded model; None for the model's own.
        merge_branches: Merge parallel linear branches, as in a RepVGG block, and linear layers in a row that are
            smaller as one. It is exact and faster; in int8 one kernel may be coarser than several.
        through_averages: Let BatchNorms go back through average pooling, which is exact too, and may be coarser in
            int8.
        forward: Let BatchNorms go forward into the layers behind them, as a whole or in part: the same again. Without,
            one that cannot go backward is one operation, or stays.
        target: What to prefer among exact forms, ``"latency"``, ``"ops"`` or ``"size"``: see
            `kerasbn_export.folding.choices`.
        precision: What the folded model is to be converted to. Where weights become int8, the magnitude of a scale
            goes backward before anything goes forward; for ``"int8"`` a ReLU that nothing fuses gets what fuses it.

    Raises:
        UnsupportedModelError: The model cannot be read as a graph of layers, or a layer not made again.
        InvalidModelError: A BatchNorm holds numbers that mean nothing.
        InvalidArgumentError: The target or the precision is not known.
        NotFoldedError: ``strict`` and a BatchNorm is left.
    """
    planned = plan(
        model,
        dtype=dtype,
        merge_branches=merge_branches,
        through_averages=through_averages,
        forward=forward,
        target=target,
        precision=precision,
    )
    if strict and planned.left:
        lines = "; ".join(f"{v.layer}: {v.sentence}" for v in planned.left)
        raise NotFoldedError(
            f"{len(planned.left)} of {len(planned.verdicts)} BatchNorms of {model.name!r} cannot be folded: {lines}"
        )
    merged = {call.layer.name: call.layer.holds for call in planned.graph if call.layer.holds}
    emitted = emit(planned.graph, dtype=dtype, batch_size=batch_size)
    return FoldResult(emitted, planned.verdicts, planned.chosen, merged)
