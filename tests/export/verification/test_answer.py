"""The answer of a comparison: at most four lines that say what, where, why and what to do."""

from dataclasses import replace

import numpy as np
import pytest

from kerasbn_export.precision import PRECISIONS
from kerasbn_export.verification.records.clipping import Clipping
from kerasbn_export.verification.records.comparison import Comparison
from kerasbn_export.verification.records.gates import GATES
from kerasbn_export.verification.records.layers import Divergence, LayerComparison, WeightComparison
from kerasbn_export.verification.records.measure import measure
from kerasbn_export.verification.records.outputs import OutputComparison, Status

pytestmark = pytest.mark.quick

WRONG = OutputComparison(
    "y", "y", "output", Status.DIFFERS, "far.", GATES["float32"], measure(np.ones((2, 3)), np.eye(2, 3))
)
RIGHT = replace(WRONG, status=Status.EQUAL, reason="max|difference| is 1e-07 of max|reference|.")
LAYER = LayerComparison("conv", "t", "bn", ("bn",), 0.1, 0.1, 20.0, 50.0, passed=False)
FIRST = Divergence("conv", ("conv", "bn"), "t", 0.1, 0.1, "First wrong layer: 'conv'.")
BIAS = WeightComparison("conv", "bn", "bias", 0.5, 1.0, (0,), passed=False, diagnosis="The bias is forgotten.")
CLIPPED = replace(LAYER, clipping=Clipping(0.2, 9.0, (0.0, 1.0), (0.0, 3.0), 40.0))

CASES = {
    "equal": ({"outputs": (RIGHT,)}, "Equal: 1 output over 2 samples; max|difference| is 1e-07", None),
    "wrong output alone": ({}, "Differs: output 'y'.", "same weights"),
    "wrong layer": (
        {"per_layer": (LAYER,), "first_divergence": FIRST},
        "layer 'conv', merged with 'bn'; what it is given is right.",
        "--html",
    ),
    "known mistake": (
        {"per_layer": (LAYER,), "first_divergence": FIRST, "weights": (BIAS,)},
        "Why: as if: The bias is forgotten.",
        "make the file again",
    ),
    "unknown mistake": (
        {"per_layer": (LAYER,), "first_divergence": FIRST, "weights": (replace(BIAS, diagnosis=""),)},
        "Why: the bias of this layer is another one.",
        "make the file again",
    ),
    "clipped": ({"per_layer": (CLIPPED,), "first_divergence": FIRST}, "the range of its tensor", "--calibration"),
    "a layer alone": ({"outputs": (RIGHT,), "first_divergence": FIRST}, "every output passes", "--html"),
    "noise": ({"precision": "int8", "per_layer": (replace(LAYER, passed=True),)}, "no single layer", "--best"),
    "proves nothing": (
        {"outputs": (replace(WRONG, status=Status.UNPROVEN, reason="it is all zero."),)},
        "Unproven: y: it is all zero.",
        "--data",
    ),
    "no outputs": ({"outputs": ()}, "Unproven: there is no output to compare.", "--data"),
    "a check failed": ({"failures": ("the layers: KeyError: 3",)}, "Could not be judged: the layers", "report"),
}


def comparison(**changes):
    fixed = {"reference": "a", "candidate": "b", "precision": "float32", "seed": 0, "samples": 2}
    return Comparison(**{**fixed, "inputs": (), "matches": (), "outputs": (WRONG,), **changes})


@pytest.mark.parametrize("name", CASES)
def test_the_answer_says_what_where_why_and_what_to_do(name):
    changes, said, advice = CASES[name]
    found = comparison(**changes)
    assert said in "\n".join(found.answer)
    assert 1 <= len(found.answer) <= 4
    assert all(len(line.split()) <= 25 for line in found.answer)
    assert (found.answer[-1].startswith("What to do: ") and advice in found.answer[-1]) if advice else bool(found)


def test_many_names_are_counted():
    outputs = tuple(replace(WRONG, name=f"y{i}") for i in range(9))
    assert comparison(outputs=outputs).answer[0] == "Differs: output 'y0', 'y1', 'y2' and 6 more."


def test_every_calibrated_precision_has_the_advice_of_int8():
    for name, precision in PRECISIONS.items():
        advice = comparison(precision=name).answer[-1]
        assert ("--best" in advice) is precision.calibrated
