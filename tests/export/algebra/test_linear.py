"""Where linear layers keep their output channels, against np.einsum and sums of taps written out."""

import numpy as np
import pytest

from kerasbn_export.algebra.affine import Affine
from kerasbn_export.algebra.linear import kernel_name, linear, output_axis

pytestmark = pytest.mark.quick

LAST = {"data_format": "channels_last"}
FIRST = {"data_format": "channels_first"}


def affine(rng, *shape):
    return Affine(rng.normal(size=shape), rng.normal(size=shape))


def folded(kind, config, weights, rank, axes, given):
    form = linear(kind, config, weights, rank, axes)
    assert form is not None
    return form.fold_after(weights, given), form


def test_a_kernel_with_the_output_last(rng):
    kernel, bias, given = rng.normal(size=(3, 2, 5)), rng.normal(size=5), affine(rng, 5)
    new, form = folded("Conv1D", LAST, {"kernel": kernel, "bias": bias}, 3, (2,), given)
    patch = rng.normal(size=(3, 2))
    expected = given.scale * (np.einsum("ki,kio->o", patch, kernel) + bias) + given.shift
    np.testing.assert_allclose(np.einsum("ki,kio->o", patch, new["kernel"]) + new["bias"], expected, rtol=1e-12)
    assert form.options == {"use_bias": True}


def test_a_transposed_kernel_has_the_output_before_the_input(rng):
    kernel, given = rng.normal(size=(2, 2, 4, 3)), affine(rng, 4)
    new, _ = folded("Conv2DTranspose", LAST, {"kernel": kernel}, 4, (3,), given)
    pixel = rng.normal(size=3)
    expected = given.scale * np.einsum("i,hwoi->hwo", pixel, kernel)
    np.testing.assert_allclose(np.einsum("i,hwoi->hwo", pixel, new["kernel"]), expected, rtol=1e-12)
    np.testing.assert_allclose(new["bias"], given.shift, rtol=1e-15)


def test_a_depthwise_channel_is_input_times_multiplier(rng):
    kernel, bias, given = rng.normal(size=(2, 3, 2)), rng.normal(size=6), affine(rng, 6)
    new, _ = folded("DepthwiseConv1D", LAST, {"depthwise_kernel": kernel, "bias": bias}, 3, (2,), given)
    patch = rng.normal(size=(2, 3))
    for i in range(3):
        for m in range(2):
            channel = 2 * i + m
            expected = given.scale[channel] * (patch[:, i] @ kernel[:, i, m] + bias[channel]) + given.shift[channel]
            ours = patch[:, i] @ new["depthwise_kernel"][:, i, m] + new["bias"][channel]
            np.testing.assert_allclose(ours, expected, rtol=1e-12)


def test_a_separable_layer_folds_into_its_pointwise_kernel(rng):
    weights = {"depthwise_kernel": rng.normal(size=(3, 3, 2, 1)), "pointwise_kernel": rng.normal(size=(1, 1, 2, 4))}
    given = affine(rng, 4)
    new, _ = folded("SeparableConv2D", LAST, weights, 4, (3,), given)
    assert new["depthwise_kernel"] is weights["depthwise_kernel"]
    np.testing.assert_allclose(new["pointwise_kernel"], weights["pointwise_kernel"] * given.scale, rtol=1e-15)


# equation, bias axes, shapes of input and kernel, affine axes, whether they can be folded
EQUATIONS = [
    ("ab,bc->ac", "c", (2, 3), (3, 4), (1,), True),
    ("ab,bc->ac", None, (2, 3), (3, 4), (1,), True),
    ("abc,cde->abde", "de", (2, 3, 4), (4, 5, 6), (2, 3), True),
    ("abc,cde->abde", "e", (2, 3, 4), (4, 5, 6), (3,), True),
    ("abc,cde->abde", "e", (2, 3, 4), (4, 5, 6), (2,), True),
    ("abc,cde->abde", "e", (2, 3, 4), (4, 5, 6), (2, 3), True),
    ("abc,ced->abde", None, (2, 3, 4), (4, 6, 5), (3,), True),
    ("abc,ced->abde", None, (2, 3, 4), (4, 6, 5), (2, 3), False),
    ("abcd,cde->abe", "e", (2, 3, 4, 5), (4, 5, 6), (2,), True),
    ("abc,bcd->abd", "bd", (2, 3, 4), (3, 4, 5), (2,), True),
    ("abc,bcd->abd", "bd", (2, 3, 4), (3, 4, 5), (1,), True),
    ("abc,cd->abd", "d", (2, 3, 4), (4, 5), (1,), False),
    ("...x,xy->...y", "y", (2, 3, 4), (4, 5), (2,), True),
    ("...x,xy->...y", "y", (2, 3, 4), (4, 5), (1,), False),
    (" abc , cd -> abd ", None, (2, 3, 4), (4, 5), (2,), True),
    ("ab...,bc->ac...", "c", (2, 3, 4), (3, 5), (1,), False),
]


@pytest.mark.parametrize(("equation", "bias_axes", "shape", "kernel_shape", "axes", "possible"), EQUATIONS)
def test_einsum_equations(keras_flavour, rng, equation, bias_axes, shape, kernel_shape, axes, possible):
    """Against np.einsum, and the bias in the shape that Keras' own layer gives it."""
    del keras_flavour
    kernel = rng.normal(size=kernel_shape)
    output = np.einsum(equation.replace(" ", ""), rng.normal(size=shape), kernel)
    config = {"equation": equation, "bias_axes": bias_axes}
    weights = {"kernel": kernel}
    letters = equation.replace(" ", "").split("->")[1]
    if bias_axes and "..." not in letters:
        tail = letters[min(letters.index(letter) for letter in bias_axes) :]
        sizes = dict(zip(letters, output.shape, strict=True))
        weights["bias"] = rng.normal(size=tuple(sizes[letter] if letter in bias_axes else 1 for letter in tail))
    form = linear("EinsumDense", config, weights, output.ndim, axes)
    assert (form is not None) is possible
    if form is None:
        return
    given = affine(rng, *(output.shape[axis] for axis in axes))
    view = tuple(output.shape[axis] if axis in axes else 1 for axis in range(output.ndim))
    x = rng.normal(size=shape)
    plain = np.einsum(equation.replace(" ", ""), x, kernel) + weights.get("bias", 0.0)
    new = form.fold_after(weights, given)
    ours = np.einsum(equation.replace(" ", ""), x, new["kernel"]) + new["bias"]
    np.testing.assert_allclose(
        ours, given.scale.reshape(view) * plain + given.shift.reshape(view), rtol=1e-10, atol=1e-12
    )


def test_channels_first_counts_its_channels_at_one():
    assert output_axis("Conv2D", FIRST, 4) == 1
    assert output_axis("Conv2D", LAST, 4) == 3
    assert output_axis("Dense", {}, 3) == 2
    weights = {"kernel": np.ones((3, 3, 2, 4))}
    assert linear("Conv2D", FIRST, weights, 4, (1,)) is not None
    assert linear("Conv2D", FIRST, weights, 4, (3,)) is None
    assert linear("Conv2D", LAST, weights, 4, (1,)) is None
    assert linear("Conv2D", LAST, weights, 4, (2, 3)) is None


@pytest.mark.parametrize(
    "names", [("kernel", "lora_kernel_a", "lora_kernel_b"), ("kernel", "kernel_scale"), ("kernels",)]
)
def test_a_layer_with_other_weights_is_not_linear(names):
    assert kernel_name("Dense", {name: np.ones(1) for name in names}) is None


def test_nothing_else_is_linear():
    weights = {"kernel": np.ones((2, 2)), "bias": np.ones(2)}
    assert kernel_name("Dense", weights) == "kernel"
    for kind in (None, "LSTM", "BatchNormalization", "LocallyConnected1D"):
        assert kernel_name(kind, weights) is None
