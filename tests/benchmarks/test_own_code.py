"""`benchmarks/own_code.py` in small: a spread of its networks, and that its table is made of its own networks."""

import numpy as np
import own_code
import pytest
import tutorials
from judged_model import Step, inputs_of, judge_model
from own_code import build
from own_code_networks import NETWORKS
from tutorials import Network

pytestmark = pytest.mark.either_keras

SPREAD = (
    "sublayers_made_in_build",
    "dict_of_sublayers",
    "subclassed_of_two_inputs",
    "call_that_adds_to_its_graph",
    "leaky_relu_by_where",
    "cell_of_weights",
    "batchnorm_subclass_that_doubles",
    "input_that_nothing_reads",
)


@pytest.mark.parametrize("name", SPREAD)
def test_a_spread_of_networks_has_no_fault(keras_flavour, name):
    steps = list(judge_model(lambda seed: build(keras_flavour.name, name, seed), ("float32",)))
    assert Network(name, steps=steps).faults == []
    assert {step.outcome for step in steps} == {"right"}


def test_the_sweep_judges_its_own_networks(monkeypatch):
    monkeypatch.setattr(tutorials, "run_guarded", _in_this_process)
    monkeypatch.setattr(tutorials, "judge_model", lambda build, _: [Step("float32", "right", type(build(0)).__name__)])
    (row,) = tutorials.sweep("keras", ("float32",), ["call_that_adds_to_its_graph"], own_code.prepare)
    assert row.detail("float32") == "Net"
    assert row.detail("left") == "0 of 1"
    assert row.detail("operations").startswith("2 of ")


def _in_this_process(prepare, arguments, names):
    work = prepare(*arguments)
    return ((name, step) for name in names for step in work(name))


def test_a_subclass_of_batchnorm_gets_statistics_too(keras_flavour):
    model = build(keras_flavour.name, "batchnorm_subclass", 0)
    (layer,) = [layer for layer in model.layers if type(layer).__name__ == "Norm"]
    assert not any(np.allclose(weight, np.round(weight)) for weight in layer.get_weights())


@pytest.mark.parametrize(
    ("name", "shapes"), [("subclassed_loop", [(16, 16, 3)]), ("subclassed_of_two_inputs", [(5,), (3,)])]
)
def test_a_model_without_a_graph_is_asked_with_the_shapes_of_its_first_call(keras_flavour, name, shapes):
    model = build(keras_flavour.name, name, 0)
    assert [tuple(tensor.shape[1:]) for tensor in inputs_of(model)] == shapes


def test_more_operations_that_have_a_reason_are_no_fault():
    more = [Step("operations", tutorials.MORE, "22 of 18")]
    assert Network("mish_function", steps=more).faults == []
    assert Network("film", steps=more).faults == ["more operations: 22 of 18"]
    assert set(tutorials.EXPLAINED) <= {*NETWORKS, *tutorials.NETWORKS}


def test_there_are_networks_of_every_kind():
    assert len(NETWORKS) > 70
    assert all(build.__doc__ for build in NETWORKS.values())
