"""Every fault is caught and blamed on the right layer, and no correct conversion is."""

import functools

import pytest

from kerasbn.flavour import Flavour
from kerasbn_export.capture import capture
from kerasbn_export.emit.emit import emit
from kerasbn_export.folding.fold import fold
from kerasbn_export.verification.compare import Question, compare
from kerasbn_export.verification.faults import FAULTS, NUMBERS, SUBJECTS, convert
from kerasbn_export.verification.sides.open import open_runnable

pytestmark = pytest.mark.either_keras

QUESTION = Question(data=None, seed=0, samples=3, scales=(1.0, 10.0), tolerance=None, min_sqnr=None, layers=True)
NAMES = [subject.name for subject in SUBJECTS]
CHEAP = ["plain", "signal", "depthwise", "branches"]


@functools.lru_cache
def opened(subject, flavour):
    model = SUBJECTS[NAMES.index(subject)].build(Flavour(flavour))
    return open_runnable(model, backend="builtin", allow_code=False)


def compared(reference, graph):
    return compare(reference, open_runnable(emit(graph), backend="builtin", allow_code=False), QUESTION)


def place_for(fault, number, flavour):
    """One of the subjects on which the fault has a place; another one for each fault."""
    for name in CHEAP[number % len(CHEAP) :] + CHEAP:
        reference = opened(name, flavour)
        graph = capture(reference.original)
        blamed = fault.damage(graph)
        if blamed is not None:
            return reference, graph, blamed
    raise LookupError(f"no subject has a place for {fault.name}")


def test_there_are_at_least_25_faults_with_names_of_their_own():
    assert len(FAULTS) >= 25
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert all(fault.text.endswith(".") for fault in FAULTS)


@pytest.mark.sweep
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_the_fault_is_caught_and_named(keras_flavour, fault):
    reference, graph, blamed = place_for(fault, FAULTS.index(fault), keras_flavour.name)
    report = compared(reference, graph)
    assert report.exit_code == 1, f"{fault.name} passed: {report.verdict}"
    assert report.first_divergence is not None
    assert report.first_divergence.layer in blamed, report.verdict
    assert blamed & set(report.first_divergence.suspects)
    wrong = [weight for weight in report.weights if not weight.passed]
    assert {weight.layer for weight in wrong} <= blamed
    if fault in NUMBERS and fault.name != "batchnorm forgotten":  # then the weights are right, and a layer is missing
        assert {weight.diagnosis for weight in wrong} == {fault.text}
        assert f"as if: {fault.text}" in report.verdict


@pytest.mark.sweep
@pytest.mark.parametrize("subject", NAMES)
def test_the_same_conversion_without_a_fault_is_equal(keras_flavour, subject):
    reference = opened(subject, keras_flavour.name)
    graph = capture(reference.original)
    convert(graph)
    assert len(graph) < len(capture(reference.original))
    report = compared(reference, graph)
    assert report, report.verdict
    assert report.first_divergence is None
    assert report.required_tolerance < 5e-6
    assert all(layer.passed for layer in report.per_layer)


def test_a_fault_leaves_the_model_as_it_was(keras_flavour):
    """Or the faults after it would be measured against a damaged reference."""
    model = opened("plain", keras_flavour.name).original
    before = [array.copy() for array in model.get_weights()]
    for fault in FAULTS:
        fault.damage(capture(model))
    assert all((old == new).all() for old, new in zip(before, model.get_weights(), strict=True))


def test_weights_that_no_known_mistake_gives_have_no_diagnosis():
    reference = opened("plain", "keras")
    graph = capture(reference.original)
    convert(graph)
    call = next(call for call in graph if call.layer.name == "b_conv")
    kernel = call.layer.weights["kernel"].copy()
    kernel[0, 0, 0, 2] += 0.1
    call.layer = call.layer.with_weights({**call.layer.weights, "kernel": kernel})
    report = compared(reference, graph)
    assert report.first_divergence.layer == "b_conv"
    wrong = [weight for weight in report.weights if not weight.passed]
    assert [(weight.weight, weight.worst_index, weight.diagnosis) for weight in wrong] == [("kernel", (0, 0, 0, 2), "")]
    assert wrong[0].max_difference == pytest.approx(0.1, rel=1e-4)


@pytest.mark.parametrize("subject", ["signal", "volume"])
def test_layers_across_which_a_fold_moved_a_scale_are_not_blamed(keras_flavour, subject):
    """Scales of one sign go through ReLU, pooling and addition: layers on the way give other numbers on purpose."""
    reference = opened(subject, keras_flavour.name)
    folded = open_runnable(fold(reference.original), backend="builtin", allow_code=False)
    report = compare(reference, folded, QUESTION)
    assert report, report.verdict
    assert report.first_divergence is None
    assert all(layer.passed or layer.moved for layer in report.per_layer)
