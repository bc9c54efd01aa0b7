"""Random models fold to the same function; `benchmarks/property_run.py` asks the same of thousands."""

from hypothesis import given
from kerasbn_testing.property import check, programs
from kerasbn_testing.sessions import start_anew
from kerasbn_testing.sweeps import random_examples

from kerasbn.flavour import KERAS, TF_KERAS


@random_examples(100)
@given(programs(most_steps=7))
def test_random_models_of_keras(program):
    start_anew(KERAS)
    check(KERAS, program)


@random_examples(100)
@given(programs(most_steps=7))
def test_random_models_of_tf_keras(program):
    start_anew(TF_KERAS)
    check(TF_KERAS, program)
