"""What random models reached: which layers they had, which rules fired on them, and which reasons were given."""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from kerasbn_export.algebra import linear
from kerasbn_export.folding import affine_calls, passes, route, rules
from kerasbn_export.folding.rules.step import Refusal, Step
from kerasbn_export.folding.verdict import Reason
from kerasbn_export.graph.batchnorm import layer_kind
from kerasbn_export.graph.model import Layer

SEPARATOR = " < "
"""Between a wrapper and what it wraps."""


class Coverage:
    """Counts, by name.

    Attributes:
        layers: Calls of each kind of layer, ``TimeDistributed < Conv2D`` for one that is wrapped.
        rules: Answers of each rule and direction that were a step.
        refusals: Answers that were a refusal, by rule, direction and reason.
        taken: Ways that were taken over each kind of layer by each rule.
        reasons: Verdicts of each reason.
        forms: Verdicts in which each rule was used.
        refused: Operations that Keras itself refused, by name.
    """

    FIELDS = ("layers", "rules", "refusals", "taken", "reasons", "forms", "refused")

    def __init__(self, counts: dict[str, dict[str, int]] | None = None) -> None:
        for field in self.FIELDS:
            setattr(self, field, Counter((counts or {}).get(field, {})))

    def add(self, other: Coverage) -> None:
        """Add what another run reached."""
        for field in self.FIELDS:
            getattr(self, field).update(getattr(other, field))

    def to_json(self) -> dict[str, dict[str, int]]:
        """A dict of JSON values."""
        return {field: dict(sorted(getattr(self, field).items())) for field in self.FIELDS}

    def saw(self, graph) -> None:
        """Count the layers of a captured graph."""
        for call in graph:
            self.layers[kind_of(call.layer)] += 1
            inner = getattr(call.layer.source, "layer", None)
            if inner is not None:
                self.layers[f"{kind_of(call.layer)}{SEPARATOR}{layer_kind(graph.flavour, inner)}"] += 1

    def blind_spots(self, flavour) -> list[str]:
        """What was never reached, though a rule speaks of it."""
        missing = [f"layer {kind}" for kind in sorted(known_kinds(flavour) - set(self.layers))]
        missing += [f"rule {name}" for name in sorted(rule_names()) if not self.rules[name]]
        reasons = [reason.value for reason in Reason if reason not in ELSEWHERE]
        missing += [f"reason {reason}" for reason in reasons if not self.reasons[reason]]
        missing += [f"form {form}" for form in FORMS if not self.forms[form]]
        return missing

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count what the rules answer and which ways are taken."""
        before = route.BACKWARD, route.FORWARD, route.Way.take
        route.BACKWARD = tuple(self._asked(rule) for rule in route.BACKWARD)
        route.FORWARD = tuple(self._asked(rule) for rule in route.FORWARD)
        route.Way.take = self._counted(route.Way.take)
        try:
            yield
        finally:
            route.BACKWARD, route.FORWARD, route.Way.take = before

    def _asked(self, rule):
        name = rule_name(rule)

        def asked(graph, call, push):
            answer = rule(graph, call, push)
            if isinstance(answer, Step):
                self.rules[name] += 1
            elif isinstance(answer, Refusal):
                self.refusals[f"{name}: {answer.reason.value}"] += 1
            return answer

        return asked

    def _counted(self, take):
        def counted(taken):
            outcome = take(taken)
            if outcome is None:
                for step in taken.steps:
                    self.taken[f"{step.rule}: {kind_of(step.call.layer)}"] += 1
            return outcome

        return counted


ELSEWHERE = (Reason.OVERFLOW, Reason.COARSER)
"""No random weights are that large (`tests/export/folding/test_reasons.py` has them); and what an export measures."""

FORMS = (
    *("backward", "forward", "compose", "pass", "commute", "concatenate", "sum", "homogeneous"),
    *(
        "embedding",
        "norm",
        "attention",
        "recurrent",
        "time",
        "branches",
        "constant-one",
        "magnitude",
        "depthwise",
        "add",
        "multiply",
    ),
)
"""The rules that a verdict may name; "identity" is not among them, for no random weights are the identity."""


def kind_of(layer: Layer) -> str:
    """The kind of a layer, its class in brackets where no rule may know it."""
    return layer.kind or f"({type(layer.source).__name__})"


def rule_name(rule) -> str:
    """As ``homogeneous.backward``."""
    return f"{rule.__module__.rpartition('.')[2]}.{rule.__name__}"


def rule_names() -> set[str]:
    """The name of every rule in each direction."""
    return {rule_name(rule) for rule in (*rules.BACKWARD, *rules.FORWARD)}


def rule_modules() -> list:
    """The modules of `kerasbn_export.folding.rules` and `kerasbn_export.folding.passes`."""
    return [
        importlib.import_module(f"{package.__name__}.{found.name}")
        for package in (rules, passes)
        for found in pkgutil.iter_modules(package.__path__)
    ]


ARITHMETIC = ("op.add", "op.subtract", "op.multiply", "op.divide", "op.negative")
"""The operations of random models; `tests/export/folding/test_fold_operations.py` has random chains of all others."""


def known_kinds(flavour) -> set[str]:
    """Every kind of layer of one Keras that some rule knows by name."""
    modules = [*rule_modules(), linear, affine_calls]
    tuples = [value for module in modules for value in vars(module).values() if isinstance(value, tuple)]
    names = {name for names in tuples for name in names if isinstance(name, str)}
    return {name for name in names if name in ARITHMETIC or hasattr(flavour.keras.layers, name)}
