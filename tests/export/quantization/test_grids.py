"""The grids are TensorFlow's: numbers of `fake_quant_with_min_max_vars` are integers of the grid."""

import numpy as np
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from kerasbn_testing.sweeps import random_examples

from kerasbn.quantized.kernels import straight_through
from kerasbn.quantized.numbers import fitted
from kerasbn_export.quantization.grids import grid, kernel_steps, on_grid

ENDS = st.floats(0, 1e3, width=32)


@random_examples(60)
@given(ENDS, ENDS, st.sampled_from([8, 16]))
def test_a_range_of_tensorflow_is_the_grid(low, high, bits):
    low, high = fitted(-low, high, bits)
    found = grid(low, high, bits)
    x = np.linspace(low * 1.2 - 1, high * 1.2 + 1, 97).astype("float32")
    rounded = tf.quantization.fake_quant_with_min_max_vars(x, low, high, num_bits=bits).numpy()
    stored = rounded / found.scale + found.zero_point
    limits = np.iinfo(found.dtype)
    np.testing.assert_allclose(stored, np.rint(stored), atol=0.02)
    assert limits.min - 0.02 <= stored.min() <= stored.max() <= limits.max + 0.02
    if bits == 16:
        assert found.zero_point == 0


@random_examples(40)
@given(st.integers(0, 2**31), st.sampled_from([(-1,), (-2, -1), (-2,), ()]), st.sampled_from([-1.0, 1.0]))
def test_scaling_a_channel_leaves_its_integers_alone(seed, kept, sign):
    """``Q(s*W) = s*Q(W)``: why a live BatchNorm may be folded behind its quantized kernel."""
    rng = np.random.default_rng(seed)
    kernel = rng.normal(size=(3, 3, 4, 5)) * (rng.random((3, 3, 4, 5)) > 0.1)
    sizes = [kernel.shape[axis] if axis - 4 in kept else 1 for axis in range(4)]
    scale = sign * np.exp(rng.normal(size=sizes) * 3)
    np.testing.assert_allclose(on_grid(scale * kernel, kept), scale * on_grid(kernel, kept), rtol=1e-9, atol=1e-300)
    found = straight_through(tf.constant(kernel, tf.float32), kept).numpy()
    np.testing.assert_allclose(found, on_grid(kernel, kept), atol=1e-5 * np.abs(kernel).max())


def test_a_kernel_of_zeros_has_a_grid():
    assert np.all(kernel_steps(np.zeros((3, 4)), (-1,)) > 0)
    assert not np.any(on_grid(np.zeros((3, 4)), (-1,)))
    assert not np.any(straight_through(tf.zeros((3, 4)), (-1,)).numpy())
