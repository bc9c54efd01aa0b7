"""What a small model shows of a guard: whether folding it goes wrong, or otherwise, where the guard is taken away."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from patterns import CATALOGUE

from kerasbn.flavour import Flavour
from kerasbn_export.capture import capture
from kerasbn_export.folding.fold import plan
from kerasbn_export.graph.model import Call
from kerasbn_testing.counterexamples import COUNTEREXAMPLES
from kerasbn_testing.eager import evaluate
from kerasbn_testing.guards import Guard, guards
from kerasbn_testing.judging import in_float64
from kerasbn_testing.property import worst
from kerasbn_testing.random_graphs import Program, RandomModel
from kerasbn_testing.sessions import start_anew
from kerasbn_testing.statistics import data_for, randomise
from kerasbn_testing.targets import FORMS

SAME = 5e-7
"""Some layers compute in float32 also where they are asked for float64."""

TABLE = Path(__file__).with_name("witnesses.json")
"""For each guard a Keras, a model, and what the model shows without it; the guards that no model can show, each with
the reason; and the programs of the models that are random ones.

`benchmarks/conditions.py` writes it.
"""

WRONG, ERROR, OTHER = "wrong", "error", "other"
"""Another function; no model at all; the same function by other verdicts, or by more or larger layers."""


class Subject:
    """A model with numbers, what it gives in float64, and how it folds.

    Args:
        keras: The name of its Keras.
        build: Makes the model from a Keras package.
        target: What it is folded for: see `kerasbn_testing.targets`.
    """

    def __init__(self, keras: str, build: Callable[[Any], Any], target: str = "latency") -> None:
        flavour = Flavour(keras)
        start_anew(flavour)
        self.model = build(flavour.keras)
        self.target = target
        randomise(self.model, np.random.default_rng(7))
        self.data = in_float64(data_for(self.model, np.random.default_rng(8)))

    @cached_property
    def reference(self) -> list[Any]:
        """What the model gives in float64."""
        return evaluate(capture(self.model), self.data, "float64")

    @cached_property
    def form(self) -> Any:
        """How it folds with all guards: verdicts and layers."""
        outcome, form = self.folded()
        assert outcome is None, f"it folds to another function even with all guards: {form}"
        return form

    def planned(self) -> Any:
        """What folding would give."""
        return plan(self.model, **FORMS[self.target])

    def folded(self) -> tuple[str | None, Any]:
        """What is wrong with the fold, and its form."""
        expected = self.reference
        try:
            planned = self.planned()
            wrong = worst(evaluate(planned.graph, self.data, "float64"), expected) > SAME
        # Without a guard anything may happen, and all of it is seen.
        except Exception as error:
            return ERROR, error
        layers = sorted(_described(call) for call in planned.graph)
        verdicts = [(verdict.layer, verdict.action, verdict.reason, verdict.rules) for verdict in planned.verdicts]
        return (WRONG if wrong else None), (verdicts, layers)

    def without(self, guard: Guard) -> str | None:
        """What the model shows of a guard: `WRONG`, `ERROR`, `OTHER`, or None for nothing."""
        healthy = self.form
        with taken_away(guard):
            outcome, form = self.folded()
        return outcome or (OTHER if form != healthy else None)


def _described(call: Call) -> tuple[str, int, list[str]]:
    """The kind of a call, how many weights it has, and the kinds of what it takes its inputs from."""
    before = [str(value.producer.layer.kind) for value in call.inputs if value.producer is not None]
    return str(call.layer.kind), sum(array.size for array in call.layer.weights.values()), before


def models() -> dict[str, tuple[Callable[[Any], Any], str]]:
    """Builder and target of every model that is tried, the counterexamples first, random ones last."""
    patterns = {name: (entry.build, "latency") for name, entry in CATALOGUE.items()}
    drawn = {name: (random_builder(program), target) for name, (target, program) in read_programs().items()}
    return {**COUNTEREXAMPLES, **patterns, **drawn}


def random_builder(program: Program) -> Callable[[Any], Any]:
    """Makes the random model of a program from a Keras package."""
    return lambda keras: RandomModel(Flavour(keras.__name__), program).model


def read_table() -> dict[str, tuple[str, str, str]]:
    """Keras, model and what is shown, by the name of the guard."""
    return {name: tuple(entry) for name, entry in json.loads(TABLE.read_text())["witnesses"].items()}


def unshown() -> dict[str, str]:
    """Why no model shows it, by the name of the guard; an empty reason for one that was not looked into yet."""
    return json.loads(TABLE.read_text())["unshown"]


def read_programs() -> dict[str, tuple[str, Program]]:
    """Target and program of the random models in the table."""
    return {name: tuple(entry) for name, entry in json.loads(TABLE.read_text())["programs"].items()}


def write_table(table: dict[str, tuple[str, str, str]], programs: dict[str, tuple[str, Program]]) -> None:
    """Write the table down, sorted, with what it lacks and the programs that it uses."""
    used = {model for _, model, _ in table.values()}
    reasons = unshown()
    lines = [
        '{"witnesses": {',
        *_rows(dict(sorted(table.items()))),
        '}, "unshown": {',
        *_rows({name: reasons.get(name, "") for name in sorted(set(guards()) - set(table))}),
        '}, "programs": {',
        *_rows({name: program for name, program in programs.items() if name in used}),
        "}}",
    ]
    TABLE.write_text("\n".join(lines) + "\n")


def _rows(entries: dict[str, Any]) -> Iterator[str]:
    """One line for each entry."""
    for number, (name, entry) in enumerate(entries.items(), 1):
        yield f"{json.dumps(name)}: {json.dumps(entry)}{',' if number < len(entries) else ''}"


@contextmanager
def taken_away(guard: Guard) -> Iterator[None]:
    """The rules without one guard."""
    function = guard.owner
    before = function.__code__
    function.__code__ = guard.removed()
    try:
        yield
    finally:
        function.__code__ = before
