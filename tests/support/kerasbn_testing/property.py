"""The property: a random model folds to the same function, and every BatchNorm is gone or has its reason."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf
from hypothesis import strategies as st

from kerasbn_export.capture import capture
from kerasbn_export.emit.emit import emit
from kerasbn_export.folding.fold import plan
from kerasbn_testing.coverage import Coverage
from kerasbn_testing.eager import evaluate
from kerasbn_testing.judging import assert_same_interface, in_float64, run
from kerasbn_testing.random_graphs import RandomModel
from kerasbn_testing.statistics import data_for, randomise, restart
from kerasbn_testing.targets import FORMS

ALGEBRA = 1e-6
"""What float64 may lose between two ways to compute the same. Keras 3's Rescaling keeps its numbers in float32."""

SINGLE = 1e-3
"""What float32 may, where a CPU has no kernel for float64."""

CAPTURE = 1e-4
"""What the captured model may differ from the original in float32: it is the same operations in the same order."""

HUGE = 1e30
"""Numbers that no random model computes: TensorFlow read memory that was never written, as for kernels too large."""

MISSING_KERNEL = (tf.errors.OpError, TypeError)
"""What TensorFlow says of operations that a CPU has for float32 only; tf_keras says the second."""


def programs(most_steps):
    """A strategy for programs of `RandomModel`."""
    step = st.lists(st.integers(0, 5039), min_size=4, max_size=18)
    return st.lists(step, min_size=2, max_size=1 + most_steps)


@dataclass(frozen=True)
class Outcome:
    """What came of one program.

    Attributes:
        batchnorms: How many there were.
        gone: How many are gone.
        exact: Whether it was judged in float64.
        algebra: The error of the folded graph, in the precision of the judge.
        original: The error of the original in float32.
        folded: The error of the folded model in float32.
        coverage: What was reached.
    """

    batchnorms: int
    gone: int
    exact: bool
    algebra: float
    original: float
    folded: float
    coverage: Coverage = field(default_factory=Coverage)


def check(flavour, program):
    """Fold the model of a program and judge it; raises AssertionError with the model in words.

    None for a model that does not run: sizes that were not known turned out not to fit.
    """
    random_model = RandomModel(flavour, program)
    model = random_model.model
    rng = np.random.default_rng(len(program))
    randomise(model, rng, wild=random_model.wild)
    data = data_for(model, rng, size=int(rng.integers(5, 8)))
    expected = _expected(model, data)
    if expected is None:
        return None
    story = "\n".join(["", f"target={random_model.target} wild={random_model.wild}", *random_model.log])
    coverage = Coverage()
    coverage.refused.update(random_model.refused)
    with coverage.watching():
        planned = plan(model, **FORMS[random_model.target], merge_branches=random_model.merge)
    captured = capture(model)
    coverage.saw(captured)
    precision, reference = _reference(captured, data)
    if any(ours.shape != theirs.shape for ours, theirs in zip(expected, reference, strict=True)):
        return None  # a kernel larger than what it is given: TensorFlow makes of it what it likes
    folded = emit(planned.graph)
    assert_same_interface(model, folded)
    exact = precision == "float64"
    given = in_float64(data) if exact else data
    algebra = worst(evaluate(planned.graph, given, precision), reference)
    error32 = worst(run(folded, data), reference)
    original = worst(expected, reference)
    verdicts = "\n".join(f"{v.layer}: {v.action.value} {v.rules} {v.sentence}" for v in planned.verdicts)
    assert algebra <= (ALGEBRA if exact else SINGLE), (
        f"folded differs by {algebra:.2g} in {precision}{story}\n{verdicts}"
    )
    assert error32 <= 1e-4 + 100 * original, f"folded differs by {error32:.2g} in float32{story}\n{verdicts}"
    if original > CAPTURE:  # float32 loses so much here, or what was captured is another model
        difference = worst(expected, run(emit(captured), data))
        assert difference <= CAPTURE, f"captured differs from the original by {difference:.2g}{story}"
    for verdict in planned.verdicts:
        assert (verdict.reason is None) is verdict.gone, f"{verdict}{story}"
        assert verdict.gone or verdict.sentence, f"{verdict}{story}"
        coverage.forms.update(verdict.rules)
        coverage.reasons.update([] if verdict.reason is None else [verdict.reason.value])
    gone = sum(verdict.gone for verdict in planned.verdicts)
    return Outcome(len(planned.verdicts), gone, exact, algebra, original, error32, coverage)


def _expected(model, data):
    """What the model gives; None where it gives an error, or something else each time.

    Sizes that were not known may not fit, TensorFlow may read memory that was never written, and Keras 3 hands a
    training flag on to any Dropout behind it.
    """
    restart(model)
    try:
        first = run(model, data)
        restart(model)
        again = run(model, data)
    except (tf.errors.InvalidArgumentError, ValueError):
        return None
    restart(model)
    known = all(np.array_equal(a, b) and a.size and np.max(np.abs(a)) < HUGE for a, b in zip(first, again, strict=True))
    return first if known else None


def _reference(captured, data):
    """The outputs of the captured model in float64, or in float32 where the CPU lacks a kernel; and which it was."""
    try:
        return "float64", evaluate(captured, in_float64(data), "float64")
    except MISSING_KERNEL:
        return "float32", evaluate(captured, data, "float32")


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
