"""A run takes a part of each sweep, and never none of it; and of what works behind the Kerases one of the two."""

from types import SimpleNamespace

import pytest
from kerasbn_testing.sweeps import ALL, is_taken, left_out

NAMES = [f"test_a[{keras}-{number}]" for keras in ("keras", "tf_keras") for number in range(40)]


class Item:
    """What `left_out` asks of a case."""

    def __init__(self, name, *marks, chosen_by=()):
        keras = name.partition("[")[2].partition("-")[0]
        self.name, self.nodeid, self._marks = name, f"tests/test_x.py::{name}", marks
        self.args = chosen_by
        self.callspec = SimpleNamespace(params={"keras_flavour": keras, "number": object()})

    def get_closest_marker(self, name):
        return self if name in self._marks else None


def taken_of(names, *marks):
    items = [Item(name, *marks) for name in names]
    left = left_out(items)
    return [item.name for item in items if item not in left]


def test_what_has_no_mark_runs():
    assert taken_of(NAMES) == NAMES


def test_a_part_is_taken_by_the_names():
    taken = [name for name in NAMES if is_taken(name, everything=False)]
    assert 5 <= len(taken) <= 40
    assert taken_of(NAMES, "sweep") == (NAMES if ALL else taken)


def test_where_no_name_is_in_the_part_one_case_of_each_keras_is():
    others = [name for name in NAMES if not is_taken(name, everything=False)]
    firsts = [next(name for name in others if f"[{keras}-" in name) for keras in ("keras", "tf_keras")]
    assert taken_of(others, "sweep") == (others if ALL else firsts)


def test_each_case_is_in_one_keras_and_each_keras_has_many():
    taken = taken_of(NAMES, "either_keras")
    numbers = sorted(int(name.strip("]").rpartition("-")[2]) for name in taken)
    assert numbers == sorted([*range(40)] * (2 if ALL else 1))
    assert 10 <= sum("[keras" in name for name in taken) <= (40 if ALL else 30)


def test_what_is_shared_is_in_one_keras_alone():
    items = [Item(name, "either_keras", chosen_by=("demo",)) for name in NAMES]
    left = left_out(items)
    assert {item.callspec.params["keras_flavour"] for item in items if item not in left} == (
        {"keras", "tf_keras"} if ALL else {"keras"}
    )


@pytest.mark.parametrize("name", ["test_a[keras-1]", "test_a[keras]", "test_a[3-tf_keras-keras_like]"])
def test_a_case_without_its_like_in_the_other_keras_runs(name):
    assert taken_of([name], "either_keras") == [name]


def test_both_marks():
    taken = taken_of(NAMES, "either_keras", "sweep")
    assert all(any(f"[{keras}-" in name for name in taken) for keras in ("keras", "tf_keras"))
    assert len(taken) <= (80 if ALL else 20)


def test_a_sweep_without_parameters_runs():
    plain = Item("test_b", "sweep", "either_keras")
    del plain.callspec
    assert left_out([plain]) == set()
