"""The layer refuses by name what it cannot take: constructor, call, mask, conversions."""

import numpy as np
import pytest

from kerasbn.errors import InvalidArgumentError
from kerasbn.replace import replace_batchnorm
from kerasbn.stock import to_stock

X = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
HUGE = 10**400


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("momentum", HUGE), ("momentum", "0.9"), ("momentum", True), ("momentum", float("nan")), ("momentum", 1j),
        ("epsilon", HUGE), ("epsilon", "x"), ("epsilon", float("inf")), ("epsilon", [1, 2]),
        ("renorm_momentum", HUGE), ("adjustment", "x"), ("adjustment", 5),
        ("center", "no"), ("scale", 2), ("scale", None), ("renorm", "yes"), ("synchronized", 0.5),
        ("fused", "no"), ("unbiased_variance", 2),
        ("renorm_clipping", {"rmin": "a"}), ("renorm_clipping", {"rmax": float("nan")}),
        ("renorm_clipping", {"dmax": HUGE}),
        ("renorm_clipping", {"rmin": [1, 2]}), ("virtual_batch_size", 2.5), ("virtual_batch_size", "2"),
        ("beta_initializer", 5), ("gamma_initializer", "nothing"), ("moving_mean_initializer", 5),
        ("beta_regularizer", 5), ("gamma_constraint", "nothing"), ("axis", "x"), ("axis", None),
    ],
)  # fmt: skip
def test_the_constructor_refuses_by_name(argument, value, keras_flavour):
    with pytest.raises(InvalidArgumentError, match=argument):
        keras_flavour.batch_normalization(**{argument: value})


@pytest.mark.parametrize(
    "options",
    [
        {"momentum": np.float32(0.5)}, {"epsilon": 0}, {"center": 1, "scale": np.bool_(False)}, {"fused": None},
        {"renorm": True, "renorm_clipping": {"rmin": 0, "rmax": np.float64(3), "dmax": 5}},
        {"renorm": True, "renorm_clipping": {"rmax": lambda _: 1.0}},
        {"beta_initializer": "ones", "gamma_regularizer": "l2", "beta_constraint": None},
    ],
)  # fmt: skip
def test_the_constructor_takes_what_it_took(options, keras_flavour):
    layer = keras_flavour.batch_normalization(**options)
    assert layer(X, training=True).shape == X.shape


@pytest.mark.parametrize("mask", ["abc", np.ones(3, bool), np.ones((4, 3), bool), np.ones((4, 1), bool), ["a"] * 4, 5])
def test_a_mask_that_does_not_fit_is_refused(mask, keras_flavour):
    layer = keras_flavour.batch_normalization(name="norm")
    layer(X)
    with pytest.raises(InvalidArgumentError, match="'norm' got a mask"):
        layer(X, training=True, mask=mask)


@pytest.mark.parametrize("mask", [np.array([1, 1, 0, 1], bool), [True, True, False, True], np.array([1, 1, 0, 1.0])])
def test_a_mask_that_fits_counts(mask, keras_flavour):
    layer = keras_flavour.batch_normalization(name="norm", momentum=0.0)
    layer(X, training=True, mask=mask)
    np.testing.assert_allclose(np.asarray(layer.moving_mean), X[[0, 1, 3]].mean(0), rtol=1e-5)


def test_no_inputs(keras_flavour):
    with pytest.raises((InvalidArgumentError, ValueError), match="input"):
        keras_flavour.batch_normalization(name="norm")(None)


def test_what_is_no_layer_of_ours_and_no_model(keras_flavour):
    dense = keras_flavour.keras.layers.Dense(2, name="dense")
    with pytest.raises(InvalidArgumentError, match="'dense'"):
        to_stock(dense)
    with pytest.raises(InvalidArgumentError, match="BatchNormalization"):
        to_stock(None)
    with pytest.raises(InvalidArgumentError, match="'dense'"):
        replace_batchnorm(dense)
    with pytest.raises(InvalidArgumentError, match="model"):
        replace_batchnorm(None)
