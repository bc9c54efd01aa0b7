"""`benchmarks/layer_options.py` in small: one row is right, and a wrong answer is a fault."""

from types import SimpleNamespace

import layer_options
import pytest
from layer_options import FAULTS, OPTIONS, prepare

pytestmark = pytest.mark.either_keras


def test_a_row_has_each_option_and_no_fault(keras_flavour):
    steps = list(prepare(keras_flavour.name)("Softmax"))
    assert [step.name for step in steps] == list(OPTIONS)
    assert {step.outcome for step in steps} == {"right"}


@pytest.mark.parametrize(("said", "outcome"), [(1, "false alarm"), (2, "cannot tell"), (None, "crash")])
def test_a_fault_is_seen(keras_flavour, monkeypatch, said, outcome):
    """An answer by its exit code: that of equal files is 0."""
    answer = SimpleNamespace(exit_code=said)
    monkeypatch.setattr(layer_options, "verify", (lambda *_, **__: answer) if said is not None else None)
    monkeypatch.setattr(layer_options, "OPTIONS", {"keep_float": OPTIONS["keep_float"]})
    (step,) = prepare(keras_flavour.name)("Softmax")
    assert step.outcome == outcome
    assert (outcome in FAULTS) == (outcome != "cannot tell")
