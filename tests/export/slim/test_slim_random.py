"""Random networks in which half of the gammas are zero compute the same with fewer channels."""

import numpy as np
import pytest
from kerasbn_testing.judging import assert_same_interface, assert_unchanged, in_float64, run, state
from kerasbn_testing.property import worst
from kerasbn_testing.random_slimmable import RandomSlimmable
from kerasbn_testing.statistics import data_for

from kerasbn_export import remove_constant_channels
from kerasbn_export.capture import capture
from kerasbn_export.emit.emit import emit
from kerasbn_export.slim.remove import slim

SEEDS = range(20261128, 20261134)


@pytest.mark.either_keras
def test_random_networks_compute_the_same_with_fewer_channels(keras_flavour):
    removed = 0
    for seed in SEEDS:
        drawn = RandomSlimmable(keras_flavour, seed)
        story = f"seed {seed}\n" + "\n".join(drawn.log)
        data, before = data_for(drawn.model, drawn.rng, size=9), state(drawn.model)
        result = remove_constant_channels(drawn.model)
        assert_unchanged(drawn.model, before)
        assert_same_interface(drawn.model, result.model)
        graph = capture(drawn.model)
        reference = run(emit(graph, dtype="float64"), in_float64(data))
        slim(graph)
        assert worst(run(emit(graph, dtype="float64"), in_float64(data)), reference) <= 1e-12, story
        assert worst(run(result.model, data), reference) <= 1e-5, story
        assert result.exact
        for record in result.removed:
            stay = sum(count for _, count in record.stays)
            assert record.removed >= record.silent - stay, story
        removed += sum(record.removed for record in result.removed)
    assert removed >= 40


def test_a_network_without_a_gamma_of_zero_stays_as_it_is(keras_flavour):
    drawn = RandomSlimmable(keras_flavour, SEEDS[0], zeros=0.0)
    result = remove_constant_channels(drawn.model)
    assert not result
    assert "no gamma is zero" in str(result)
    data = data_for(drawn.model, drawn.rng, size=9)
    assert all(np.array_equal(*pair) for pair in zip(run(drawn.model, data), run(result.model, data), strict=True))
