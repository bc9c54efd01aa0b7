"""Every cause is seeded on five networks and found, first or behind its root; without it nothing is found."""

from types import SimpleNamespace

import pytest
from kerasbn_testing.seeded_causes import HEALTHY, NETWORKS, SEEDS, Subject, found, rank
from kerasbn_testing.sweeps import ALL

from kerasbn.flavour import Flavour
from kerasbn_export.explanation import explain as explaining
from kerasbn_export.explanation.causes import CAUSES
from kerasbn_export.explanation.causes.batchnorm_left import batchnorm_left
from kerasbn_export.explanation.causes.few_steps import NAME as FEW_STEPS
from kerasbn_export.folding.verdict import Action, Reason

NAMES, KERASES = list(NETWORKS), ("keras", "tf_keras")


def places(rows):
    """Every row on every network in both Kerases; in a short run each row on one, and each network in one Keras."""
    one = [(row, NAMES[i % 5], KERASES[i % 5 % 2]) for i, row in enumerate(rows)]
    return [(row, name, keras) for row in rows for name in NAMES for keras in KERASES] if ALL else one


@pytest.fixture(scope="module")
def subjects(tmp_path_factory):
    made = {}

    def subject(name, keras):
        if (name, keras) not in made:
            made[name, keras] = Subject(name, Flavour(keras), tmp_path_factory.mktemp("files"))
        return made[name, keras]

    return subject


@pytest.fixture(scope="module")
def cases(subjects):
    made = {}

    def case(cause, name, keras):
        if (cause, name, keras) not in made:
            made[cause, name, keras] = SEEDS[cause](subjects(name, keras))
        return made[cause, name, keras]

    return case


def name_of(cause):
    """The name of the finding that a detector gives."""
    return cause.__name__.replace("_", "-")


@pytest.mark.quick
def test_every_cause_has_a_seed():
    assert list(SEEDS) == [*map(name_of, CAUSES), FEW_STEPS]
    assert len(NETWORKS) == 5


@pytest.mark.parametrize(("cause", "name", "keras"), places(SEEDS))
def test_a_seeded_cause_is_found_first(subjects, cases, cause, name, keras):
    explanation = subjects(name, keras).explained(cases(cause, name, keras), measure=ALL)
    assert rank(explanation, cause) == 1, explanation.findings
    assert found(explanation, cause).number
    assert not explanation


@pytest.mark.sweep
@pytest.mark.parametrize(("cause", "name", "keras"), places(SEEDS)[: 65 if ALL else None])
def test_without_its_detector_a_cause_is_not_found(subjects, cases, cause, name, keras, monkeypatch):
    monkeypatch.setattr(explaining, "CAUSES", tuple(each for each in CAUSES if name_of(each) != cause))
    if cause == FEW_STEPS:
        monkeypatch.setattr(explaining, "few_steps", lambda _: None)
    explanation = subjects(name, keras).explained(cases(cause, name, keras), measure=False)
    assert rank(explanation, cause) == 0


@pytest.mark.parametrize(("options", "name", "keras"), places(HEALTHY))
def test_a_healthy_file_has_no_finding(subjects, options, name, keras):
    subject = subjects(name, keras)
    explanation = subject.explained(subject.case(**HEALTHY[options]))
    assert (explanation.findings, explanation.exit_code) == ((), 0), explanation


@pytest.mark.quick
@pytest.mark.parametrize(("reason", "there"), [(Reason.COARSER, False), (Reason.TRAINING, True)])
def test_what_was_kept_because_it_measured_better_is_no_cause(reason, there):
    verdict = {"action": Action.KEPT.value, "reason": reason.value, "layer": "bn", "sentence": "It stays."}
    file = SimpleNamespace(affine_ops=[SimpleNamespace(name="MUL")])
    commands = SimpleNamespace(inspect=lambda: "kerasbn inspect MODEL")
    evidence = SimpleNamespace(file=file, unfolded=False, record={"verdicts": [verdict]}, commands=commands)
    assert (batchnorm_left(evidence) is not None) is there
