"""A run takes a part of each sweep, and never none of it."""

from types import SimpleNamespace

from kerasbn_testing.sweeps import ALL, is_taken, left_out

NAMES = [f"test_a[{keras}-{number}]" for keras in ("keras", "tf_keras") for number in range(40)]


def item(name):
    keras = name.partition("[")[2].partition("-")[0]
    return SimpleNamespace(
        name=name, nodeid=f"tests/test_x.py::{name}", callspec=SimpleNamespace(params={"keras_flavour": keras})
    )


def taken_of(names):
    items = [item(name) for name in names]
    left = left_out(items)
    return [each.name for each in items if each not in left]


def test_a_part_is_taken_by_the_names():
    taken = [name for name in NAMES if is_taken(name, everything=False)]
    assert 5 <= len(taken) <= 40
    assert taken_of(NAMES) == (NAMES if ALL else taken)


def test_where_no_name_is_in_the_part_one_case_of_each_keras_is():
    others = [name for name in NAMES if not is_taken(name, everything=False)]
    firsts = [next(name for name in others if f"[{keras}-" in name) for keras in ("keras", "tf_keras")]
    assert taken_of(others) == (others if ALL else firsts)


def test_a_sweep_without_parameters_runs():
    plain = SimpleNamespace(name="test_b", nodeid="tests/test_x.py::test_b")
    assert left_out([plain]) == []
