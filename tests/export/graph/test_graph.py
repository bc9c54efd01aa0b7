"""The graph as data: order, users, and what a rewrite does to them."""

import numpy as np
import pytest

from kerasbn.flavour import KERAS
from kerasbn_export.graph.model import Call, Graph, Value, new_layer
from kerasbn_export.graph.structure import leaves, map_leaves

pytestmark = pytest.mark.quick


def value():
    return Value((None, 3), "float32")


def call(name, *inputs, kind="ReLU"):
    return Call(new_layer(kind, name, {}), tuple(inputs), {}, [value()])


@pytest.fixture
def diamond():
    """One input, two branches of unequal length, one sum; the calls are given in the wrong order."""
    start = call("in", kind="InputLayer")
    left = call("left", start.output)
    long = call("long", left.output)
    right = call("right", start.output)
    both = Call(new_layer("Add", "sum", {}), ([long.output, right.output],), {}, [value()])
    graph = Graph(KERAS, "g", [both, right, long, left, start], start.output, both.output, ["sum"])
    return graph, {c.layer.name: c for c in graph}


def test_order_puts_producers_first(diamond):
    graph, calls = diamond
    order = graph.in_order()
    assert len(order) == len(graph) == 5
    for later in order:
        assert all(order.index(v.producer) < order.index(later) for v in later.inputs)
    assert order[0] is calls["in"]


def test_users_and_sole_user(diamond):
    graph, calls = diamond
    assert {c.layer.name for c in graph.users(calls["in"].output)} == {"left", "right"}
    assert graph.sole_user(calls["in"].output) is None
    assert graph.sole_user(calls["left"].output) is calls["long"]
    assert graph.sole_user(calls["sum"].output) is None, "the model gives it to its user"


def test_a_value_taken_twice_by_one_call_has_no_sole_user():
    start = call("in", kind="InputLayer")
    square = Call(new_layer("Multiply", "square", {}), ([start.output, start.output],), {}, [value()])
    graph = Graph(KERAS, "g", [start, square], start.output, square.output, ["square"])
    assert graph.users(start.output) == [square]
    assert graph.sole_user(start.output) is None


def test_a_use_in_a_keyword_counts():
    start = call("in", kind="InputLayer")
    keyed = Call(new_layer("MultiHeadAttention", "att", {}), (), {"query": start.output, "value": value()}, [value()])
    graph = Graph(KERAS, "g", [start, keyed], start.output, keyed.output, ["att"])
    assert graph.users(start.output) == [keyed]


def test_bypass_joins_what_was_around(diamond):
    graph, calls = diamond
    graph.bypass(calls["long"])
    assert graph.users(calls["left"].output) == [calls["sum"]]
    assert calls["sum"].inputs[0] is calls["left"].output
    assert len(graph) == 4


def test_bypass_of_the_last_call_moves_the_output(diamond):
    graph, calls = diamond
    graph.bypass(calls["sum"], calls["right"].output)
    assert graph.outputs is calls["right"].output
    assert graph.is_output(calls["right"].output)


def test_a_chain_of_thousands_is_no_recursion():
    calls = [call("in", kind="InputLayer")]
    for index in range(5000):
        calls.append(call(f"c{index}", calls[-1].output))
    graph = Graph(KERAS, "g", reversed(calls), calls[0].output, calls[-1].output, ["last"])
    assert graph.in_order() == calls


def test_leaves_come_in_the_order_of_keras(keras_flavour):
    keras = keras_flavour.keras
    structure = {"b": [1, (2, {"z": 3, "a": 4})], "a": 5}
    if keras_flavour.name == "keras":
        expected = keras.tree.flatten(structure)
    else:
        expected = __import__("tensorflow").nest.flatten(structure)
    assert list(leaves(structure)) == expected


def test_map_leaves_keeps_the_structure():
    structure = {"b": [1, (2,)], "a": None}
    assert map_leaves(lambda leaf: (leaf, "x"), structure) == {"b": [(1, "x"), ((2, "x"),)], "a": (None, "x")}
    assert np.all(map_leaves(lambda leaf: leaf, np.arange(3)) == np.arange(3))
