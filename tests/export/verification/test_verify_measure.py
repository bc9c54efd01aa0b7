"""The numbers, the gates and the judge: pure numpy."""

import math

import numpy as np
import pytest

from kerasbn.errors import InvalidArgumentError
from kerasbn_export.precision import coarsest
from kerasbn_export.verification.outputs.judge import appeal, judge
from kerasbn_export.verification.records.gates import GATES, Gate, gate_for
from kerasbn_export.verification.records.measure import Content, Measure, decibels, measure
from kerasbn_export.verification.records.outputs import Status
from kerasbn_export.verification.records.pieces import pieces

pytestmark = pytest.mark.quick

FLOAT32 = GATES["float32"]


def test_measurement_of_known_arrays():
    found = measure(np.array([[3.0, -4.0], [1.0, 2.0]]), np.array([[3.0, -4.0], [1.0, 2.5]]))
    assert (found.max_difference, found.max_reference, found.relative, found.worst_sample) == (0.5, 4.0, 0.125, 1)
    assert found.sqnr_db == pytest.approx(10 * math.log10(30 / 0.25))
    assert found.cosine == pytest.approx((9 + 16 + 1 + 5) / math.sqrt(30 * (9 + 16 + 1 + 6.25)))
    assert (found.samples, found.elements, found.agreement) == (2, 4, None)


def test_batches_add_up_to_the_whole(rng):
    reference, candidate = rng.normal(size=(2, 11, 5))
    running = Measure(scores=True)
    for start in range(0, 11, 4):
        running.update(reference[start : start + 4], candidate[start : start + 4])
    whole = measure(reference, candidate, scores=True)
    parts = running.result()
    assert (parts.worst_sample, parts.samples, parts.agreement) == (whole.worst_sample, 11, whole.agreement)
    assert parts.relative == whole.relative
    assert parts.sqnr_db == pytest.approx(whole.sqnr_db)


@pytest.mark.parametrize("shape", [(1,), (7,), (2, 3), (5, 0), (3, 4, 5), (1, 2, 40, 3), (2, 1, 1, 30)])
@pytest.mark.parametrize("block", [1, 4, 13, 1000])
def test_pieces_are_small_and_have_every_element_once(shape, block):
    counts = np.zeros(shape, int)
    for index in pieces(shape, block):
        counts[index] += 1
        assert counts[index].size <= block
    assert (counts == 1).all()


def test_an_error_is_found_in_whichever_piece_it_is(rng):
    reference = rng.normal(size=(3, 300, 100, 4))
    for place in ((0, 0, 0, 0), (1, 299, 99, 3), (2, 150, 7, 2)):
        candidate = reference.copy()
        candidate[place] += 7.0
        found = measure(reference, candidate)
        assert found.max_difference == pytest.approx(7.0)
        assert found.worst_sample == place[0]
        assert found.sqnr_db == pytest.approx(10 * math.log10(np.sum(reference**2) / 49.0))
        candidate[place] = np.nan
        assert measure(reference, candidate).candidate_content is Content.NOT_FINITE
    large = np.full((2, 300, 300), 3.0)
    assert measure(large, large).reference_content is Content.CONSTANT
    large[1, 299, 299] = 4.0
    assert measure(large, large).reference_content is Content.VARIES


def test_agreement_counts_equal_answers_and_takes_a_tie_as_one():
    reference = np.array([[1.0, 0.0, 1.0], [0.0, 2.0, 1.0]])
    candidate = np.array([[0.0, 0.0, 1.0], [3.0, 2.0, 1.0]])
    assert measure(reference, candidate, scores=True).agreement == 0.5


@pytest.mark.parametrize(
    ("array", "content"),
    [
        (np.zeros((2, 3)), Content.ZERO),
        (np.full((2, 3), 7.0), Content.CONSTANT),
        (np.array([[1.0, 2.0], [1.0, 2.0]]), Content.CONSTANT),
        (np.array([[1.0, 2.0]]), Content.VARIES),
        (np.array([[5.0]]), Content.VARIES),
        (np.array([[1.0, np.nan], [0.0, 1.0]]), Content.NOT_FINITE),
        (np.array([[1.0, 2.0], [-np.inf, 1.0]]), Content.NOT_FINITE),
    ],
)
def test_content(array, content):
    good = np.random.default_rng(0).normal(size=array.shape)
    assert measure(good, array).candidate_content is content
    assert measure(array, good).reference_content is content
    assert judge(measure(good, array), FLOAT32).status is Status.DIFFERS
    assert judge(measure(array, array), FLOAT32).status is (
        Status.EQUAL if content is Content.VARIES else Status.UNPROVEN
    )


def test_a_constant_candidate_is_no_pass_even_within_the_gate(rng):
    reference = 5 + 1e-7 * rng.normal(size=(4, 6))
    stuck = np.broadcast_to(reference[:1], reference.shape)
    found = judge(measure(reference, stuck), FLOAT32)
    assert found.status is Status.UNPROVEN
    assert "varies less than the gate can tell" in found.reason
    assert judge(measure(reference + rng.normal(size=(4, 1)), stuck), FLOAT32).status is Status.DIFFERS


def test_a_reference_that_proves_nothing_still_convicts():
    zeros, ones = np.zeros((2, 3)), np.array([[1.0, 2, 3], [4, 5, 6]])
    assert judge(measure(zeros, ones), FLOAT32).status is Status.DIFFERS
    assert judge(measure(ones * np.nan, ones), FLOAT32).status is Status.UNPROVEN


@pytest.mark.parametrize(("error", "passes"), [(0.0, True), (1.9e-5, True), (2.1e-5, False), (1.0, False)])
def test_the_float_gate_is_relative_to_the_largest_reference(rng, error, passes):
    reference = rng.uniform(-1, 1, size=(4, 100))
    reference[1, 7] = -50.0
    candidate = reference.copy()
    candidate[2, 3] += 50.0 * error
    answer = judge(measure(reference, candidate), FLOAT32)
    assert (answer.status is Status.EQUAL) == passes
    assert measure(reference, candidate).relative == pytest.approx(error, rel=1e-6)


def test_cosine_is_no_judge(rng):
    reference = rng.normal(size=(4, 100))
    found = measure(reference, reference * 1.01)
    assert found.cosine == pytest.approx(1.0)
    assert judge(found, FLOAT32).status is Status.DIFFERS


def test_the_quantised_gate_is_the_noise(rng):
    reference = rng.normal(size=(10, 100))
    noise = rng.normal(size=(10, 100))
    assert judge(measure(reference, reference + 0.1 * noise), GATES["int8"]).status is Status.EQUAL
    assert judge(measure(reference, reference + 0.3 * noise), GATES["int8"]).status is Status.DIFFERS


@pytest.mark.parametrize(
    ("reference_error", "candidate_error", "status", "inaccurate"),
    [
        (1e-3, 1e-6, Status.EQUAL, "reference"),
        (1e-3, 5e-4, Status.EQUAL, "reference"),
        (1e-3, 2e-3, Status.DIFFERS, "candidate"),
        (1e-7, 1e-3, Status.DIFFERS, "candidate"),
    ],
)
def test_the_referee_says_which_side_is_wrong(rng, reference_error, candidate_error, status, inaccurate):
    exact = rng.uniform(-1, 1, size=(3, 20))
    exact[0, 0] = 1.0
    reference, candidate = exact + reference_error, exact - candidate_error
    first = judge(measure(reference, candidate), FLOAT32)
    assert first.status is Status.DIFFERS
    answer = appeal(first, FLOAT32, measure(exact, reference), measure(exact, candidate))
    assert answer.status is status
    assert answer.referee.inaccurate == inaccurate
    assert answer.referee.reference_error == pytest.approx(reference_error, rel=1e-6)


def test_the_referee_frees_no_output_that_is_not_finite(rng):
    exact = rng.normal(size=(3, 20))
    candidate = exact.copy()
    candidate[1, 1] = np.nan
    first = judge(measure(exact, candidate), FLOAT32)
    assert appeal(first, FLOAT32, measure(exact, exact + 1), measure(exact, candidate)).status is Status.DIFFERS


def test_decibels():
    assert decibels(100.0, 1.0) == 20.0
    assert decibels(1.0, 0.0) == math.inf
    assert decibels(1.0, math.nan) == decibels(1.0, math.inf) == -math.inf
    assert decibels(0.0, 1.0) == -math.inf


def test_the_coarsest_precision_counts():
    assert coarsest("float32", "int8", "float16") == "int8"
    assert coarsest("float32") == "float32"


@pytest.mark.parametrize("tolerance", [1.0, -1e-9, math.nan, math.inf])
def test_a_tolerance_that_lets_everything_pass_is_refused(tolerance):
    with pytest.raises(InvalidArgumentError, match="0 <= tolerance < 1"):
        gate_for("float32", tolerance, None)


@pytest.mark.parametrize("min_sqnr", [0.0, -3.0, math.nan])
def test_a_noise_gate_that_lets_everything_pass_is_refused(min_sqnr):
    with pytest.raises(InvalidArgumentError, match="greater than 0"):
        gate_for("int8", None, min_sqnr)


def test_bounds_of_the_user_replace_the_defaults():
    assert gate_for("int8", None, 30.0) == Gate(min_sqnr=30.0)
    assert gate_for("int8", 0.1, None) == Gate(tolerance=0.1, min_sqnr=15.0)
    assert str(gate_for("float32", 1e-4, None)) == "max|difference| <= 0.0001 max|reference|"
