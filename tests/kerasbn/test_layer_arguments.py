"""What the constructor accepts and refuses, and affine()."""

import inspect

import numpy as np
import pytest
from tf_keras.src.layers.normalization.batch_normalization import BatchNormalizationBase

from kerasbn.batch_normalization import BatchNormMixin
from kerasbn.errors import InvalidArgumentError
from kerasbn.flavour import KERAS, TF_KERAS

BAD = [
    ({"axis": "last"}, "axis='last'"),
    ({"axis": []}, r"axis=\[\]"),
    ({"axis": 1.5}, "axis=1.5"),
    ({"axis": True}, "axis=True"),
    ({"momentum": 1.5}, "momentum=1.5; accepted: a number from 0 to 1"),
    ({"momentum": float("nan")}, "momentum=nan"),
    ({"momentum": "high"}, "momentum='high'"),
    ({"epsilon": -1e-3}, "epsilon=-0.001"),
    ({"renorm_clipping": {"max": 3}}, "renorm_clipping=.*rmin, rmax, dmax"),
    ({"renorm_clipping": {"rmin": 2, "rmax": 1}}, "rmin at most rmax"),
    ({"renorm_clipping": {"dmax": -1}}, "dmax at least 0"),
    ({"virtual_batch_size": 0}, "virtual_batch_size=0; accepted: a positive int"),
    ({"virtual_batch_size": 2.0}, "virtual_batch_size=2.0"),
    ({"virtual_batch_size": 4, "synchronized": True}, "together with synchronized"),
    ({"virtual_batch_size": 4, "adjustment": lambda _: (1, 0)}, "together with adjustment"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_values_are_refused(keras_flavour, options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        keras_flavour.batch_normalization(**options)


@pytest.mark.parametrize(
    ("axis", "shape", "message"),
    [
        (4, (None, 3), r"axis=4 for inputs of shape \(None, 3\) in BatchNormalization layer 'bn'; .* -2 to 1"),
        (-3, (None, 3), "from -2 to 1"),
        ([1, -1], (None, 3), "names an axis twice"),
        (-1, (None, None), "size is unknown"),
    ],
)
def test_axes_that_do_not_fit_are_refused(keras_flavour, axis, shape, message):
    with pytest.raises(InvalidArgumentError, match=message):
        keras_flavour.batch_normalization(axis=axis, name="bn").build(shape)


@pytest.mark.parametrize(
    "stock",
    [KERAS.keras.layers.BatchNormalization, TF_KERAS.keras.layers.BatchNormalization, BatchNormalizationBase],
    ids=["keras", "tf_keras", "tf_keras v1"],
)
def test_every_argument_of_the_stock_layers_with_its_default(stock):
    ours = inspect.signature(BatchNormMixin.__init__).parameters
    base = {"trainable", "name"}  # of the base layer, which takes them from **kwargs
    for name, parameter in inspect.signature(stock.__init__).parameters.items():
        if parameter.kind is not parameter.VAR_KEYWORD and name not in base:
            assert ours[name].default == parameter.default


def test_base_layer_arguments(keras_flavour):
    layer = keras_flavour.batch_normalization(name="bn", dtype="float64", trainable=False)
    assert (layer.name, layer.compute_dtype, layer.trainable) == ("bn", "float64", False)


@pytest.mark.parametrize(("given", "kept"), [(1, 1), ([1], 1), ((2,), 2), (np.int64(3), 3), ([3, 1], [3, 1])])
def test_axis_of_one_is_an_int(keras_flavour, given, kept):
    assert keras_flavour.batch_normalization(axis=given).get_config()["axis"] == kept


@pytest.mark.parametrize("options", [{}, {"center": False}, {"scale": False}, {"axis": [1, 3]}])
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "float64"])
def test_affine_is_what_inference_computes(keras_flavour, options, dtype, rng, make_weights, assert_close):
    layer = keras_flavour.batch_normalization(dtype=dtype, **options)
    layer.build((None, 4, 5, 3))
    layer.set_weights(make_weights(layer, rng))
    scale, shift = layer.affine()
    assert scale.dtype == shift.dtype == np.float64
    assert scale.shape == shift.shape == layer.moving_mean.shape
    x = rng.normal(size=(2, 4, 5, 3))
    tolerance = {"float32": 1e-5, "mixed_bfloat16": 2e-2, "float64": 1e-12}[dtype]
    assert_close(np.asarray(layer(x)).astype("float64"), scale * x + shift, tolerance)


def test_affine_needs_weights(keras_flavour):
    with pytest.raises(InvalidArgumentError, match="'bn' has no weights yet"):
        keras_flavour.batch_normalization(name="bn").affine()
