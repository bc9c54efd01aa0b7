"""The property: a random model folds to the same function, and every BatchNorm is gone or has its reason."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from kerasbn_export.capture import capture
from kerasbn_export.emit import emit
from kerasbn_export.folding import plan
from kerasbn_testing.judging import in_float64, run
from kerasbn_testing.random_graphs import RandomModel
from kerasbn_testing.statistics import data_for, randomise

ALGEBRA = 1e-6
"""What float64 may lose between two ways to compute the same. Keras 3's Rescaling keeps its numbers in float32."""


def programs(most_steps):
    """A strategy for programs of `RandomModel`."""
    step = st.lists(st.integers(0, 719), min_size=3, max_size=14)
    return st.lists(step, min_size=2, max_size=1 + most_steps)


@dataclass(frozen=True)
class Outcome:
    """What came of one program: how many BatchNorms, how many gone, and the errors relative to the outputs."""

    batchnorms: int
    gone: int
    error64: float
    error32: float


def check(flavour, program):
    """Fold the model of a program and judge it; raises AssertionError with the model in words."""
    random_model = RandomModel(flavour, program)
    model = random_model.model
    rng = np.random.default_rng(len(program))
    randomise(model, rng)
    data = data_for(model, rng)
    story = "\n".join(["", *random_model.log])
    planned = plan(model)
    exact = in_float64(data)
    reference = run(emit(capture(model), dtype="float64"), exact)
    error64 = worst(run(emit(planned.graph, dtype="float64"), exact), reference)
    original = worst(run(model, data), reference)
    error32 = worst(run(emit(planned.graph), data), reference)
    verdicts = "\n".join(f"{v.layer}: {v.action.value} {v.rules} {v.sentence}" for v in planned.verdicts)
    assert error64 <= ALGEBRA, f"folded differs by {error64:.2g} in float64{story}\n{verdicts}"
    assert original <= 0.05, f"captured differs from the original by {original:.2g}{story}"
    assert error32 <= 1e-4 + 100 * original, f"folded differs by {error32:.2g} in float32{story}\n{verdicts}"
    for verdict in planned.verdicts:
        assert (verdict.reason is None) is verdict.gone, f"{verdict}{story}"
        assert verdict.gone or verdict.sentence, f"{verdict}{story}"
    gone = sum(verdict.gone for verdict in planned.verdicts)
    return Outcome(len(planned.verdicts), gone, error64, error32)


def worst(outputs, reference):
    """The largest difference over the largest number, or over 1 where an output is smaller."""
    assert len(outputs) == len(reference) > 0
    return max(_one(ours, theirs) for ours, theirs in zip(outputs, reference, strict=True))


def _one(ours, theirs):
    assert ours.shape == theirs.shape
    assert np.all(np.isfinite(theirs)), "the reference is not finite"
    if not np.all(np.isfinite(ours)):
        return np.inf
    scale = max(1.0, float(np.max(np.abs(theirs), initial=0.0)))
    return float(np.max(np.abs(ours - theirs), initial=0.0)) / scale
