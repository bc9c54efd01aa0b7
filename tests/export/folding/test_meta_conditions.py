"""Without any one condition of the rules, some small model folds wrongly, or otherwise: the table says which."""

from collections import defaultdict

import pytest
from kerasbn_testing.guards import guards, watching
from kerasbn_testing.witnesses import ERROR, OTHER, WRONG, Subject, models, read_table, unshown

from kerasbn_export.folding.rules import consumer

SHOWN = 342
"""Conditions that have a witness: more may come, none may go."""

BY_MODEL = defaultdict(list)
for guard, (keras, model, _) in read_table().items():
    BY_MODEL[keras, model].append(guard)


@pytest.mark.sweep
@pytest.mark.parametrize(("keras", "model"), BY_MODEL)
# Keras 3 says so of a convolution, where the mask ends.
@pytest.mark.either_keras
@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask:UserWarning")
def test_a_condition_taken_away_is_seen(keras, model):
    build, target = models()[model]
    subject = Subject(keras, build, target)
    shown = {name: subject.without(guards()[name]) for name in BY_MODEL[keras, model]}
    assert shown == {name: read_table()[name][2] for name in shown}


def test_every_condition_is_in_the_table():
    """`python benchmarks/conditions.py --search` enters new ones, with a witness where it finds one."""
    listed = [*read_table(), *unshown()]
    assert len(set(listed)) == len(listed)
    assert set(guards()) == set(listed)
    assert {shown for _, _, shown in read_table().values()} <= {WRONG, ERROR, OTHER}
    assert all(unshown().values()), "a condition has neither a witness nor a reason"
    assert len(read_table()) >= SHOWN


def test_a_guard_is_found_watched_and_taken_away():
    name = "consumer.forward: not push.affine.keeps_zero and sees_padding(call, push)"
    code = consumer.forward.__code__
    build, target = models()["shift before padding"]
    subject = Subject("keras", build, target)
    seen = set()
    with watching(seen.add):
        subject.planned()
    assert name in seen
    assert subject.without(guards()[name]) == WRONG
    assert consumer.forward.__code__ is code
