"""What absorbing biases could give: much where a channel is always high, nothing where all come down to zero."""

import numpy as np
from absorption import gains


def test_a_channel_that_is_always_high_gives_decibels():
    rng = np.random.default_rng(0)
    values = np.abs(rng.normal(size=(1000, 4))).clip(0, 3)
    assert gains(values)[1] == 0
    assert gains(values)[0] < 0.1
    values[:, 2] += 97
    assert gains(values)[0] > 20
    assert gains(values)[1] > 20
