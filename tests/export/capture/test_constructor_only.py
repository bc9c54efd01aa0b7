"""A class of the user's that is a stock layer with other defaults folds as that layer; one that may do more not."""

import numpy as np
import pytest

from kerasbn_export import fold


def small(flavour, conv, norm):
    layers = flavour.keras.layers
    x = flavour.keras.Input((8, 8, 3))
    y = layers.ReLU()(norm(name="norm")(conv(4, name="conv")(x)))
    return flavour.keras.Model(x, layers.Conv2D(2, 1, name="last")(norm(name="second")(y)))


def classes(flavour):
    layers = flavour.keras.layers

    class Conv(layers.Conv2D):
        """3 x 3."""

        def __init__(self, filters, name=None):
            super().__init__(filters, 3, padding="same", use_bias=False, name=name)

    class Norm(layers.BatchNormalization):
        def __init__(self, name=None):
            super().__init__(momentum=0.9, epsilon=0.01, name=name)

    return Conv, Norm


def randomised(model, rng):
    for layer in model.layers:
        layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    return model


def test_other_defaults_are_no_other_layer(keras_flavour, rng, tmp_path):
    model = randomised(small(keras_flavour, *classes(keras_flavour)), rng)
    folded = fold(model)
    assert [verdict.gone for verdict in folded.verdicts] == [True, True]
    x = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(folded.model(x), model(x), rtol=1e-4, atol=1e-5)
    folded.model.save(tmp_path / "folded.keras")  # and is read without the classes of the user
    again = keras_flavour.keras.models.load_model(tmp_path / "folded.keras")
    np.testing.assert_allclose(again(x), model(x), rtol=1e-4, atol=1e-5)


def changed_call(base):
    class Changed(base):
        def call(self, inputs, training=None):
            return super().call(inputs, training=training) * 2.0

    return Changed


def mixed_in(base):
    class Doubling:
        def call(self, inputs, training=None):
            return 2.0 * super().call(inputs, training=training)

    class Changed(Doubling, base):
        pass

    return Changed


def own_attribute(base):
    class Changed(base):
        epsilon = property(lambda _: 0.5, lambda *_: None)

    return Changed


@pytest.mark.parametrize("change", [changed_call, mixed_in, own_attribute])
def test_what_may_do_more_stays_closed(keras_flavour, rng, change):
    conv, norm = classes(keras_flavour)
    model = randomised(small(keras_flavour, conv, change(norm)), rng)
    folded = fold(model)
    x = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(folded.model(x), model(x), rtol=1e-4, atol=1e-5)
    assert {verdict.reason.value for verdict in folded.verdicts} == {"opaque"}


@pytest.mark.parametrize(("which", "method"), [(1, "call"), (0, "convolution_op"), (0, "compute_mask")])
def test_a_method_of_the_instance_is_another_layer(keras_flavour, which, method):
    layer = classes(keras_flavour)[which](*([4] if which == 0 else []), name="mine")
    assert keras_flavour.stock_name(layer) == ("Conv2D", "BatchNormalization")[which]
    setattr(layer, method, lambda *given, **_: given[0])
    assert keras_flavour.stock_name(layer) is None
