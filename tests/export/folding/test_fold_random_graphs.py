"""Random models fold to the same function; `benchmarks/property_run.py` asks the same of thousands."""

from hypothesis import HealthCheck, given, settings
from kerasbn_testing.property import check, programs

from kerasbn.flavour import KERAS, TF_KERAS

CI = settings(max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


@CI
@given(programs(most_steps=7))
def test_random_models_of_keras(program):
    KERAS.keras.backend.clear_session()
    check(KERAS, program)


@CI
@given(programs(most_steps=7))
def test_random_models_of_tf_keras(program):
    TF_KERAS.keras.backend.clear_session()
    check(TF_KERAS, program)
