"""A branch of values so small that rounding explains whatever a tensor of it holds: the closest is taken there."""

import numpy as np
import pytest

from kerasbn_export import export_tflite, verify

pytestmark = pytest.mark.either_keras


def faint(flavour):
    """A branch of about 1e-11, with a scale of one's own class that the converter puts into the kernel before it."""
    keras, layers = flavour.keras, flavour.keras.layers

    class Scale(layers.Layer):
        def build(self, shape):
            spread = keras.initializers.RandomUniform(0.3, 1.0)
            self.gamma = self.add_weight(shape=(shape[-1],), initializer=spread, name="gamma")

        def call(self, x):
            return x * self.gamma

    def small(size):
        return keras.initializers.RandomNormal(stddev=size)

    image = keras.Input((4, 4, 16))
    gate = layers.Conv2D(16, 1, kernel_initializer=small(1e-7))(image)
    x = layers.DepthwiseConv2D(3, padding="same", depthwise_initializer=small(1e-4))(image)
    x = layers.Conv2D(16, 1, name="conv")(layers.Multiply()([x, gate]))
    x = layers.Add()([image, Scale(name="scale")(x)])
    return keras.Model(image, layers.Conv2D(4, 1)(x))


@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic"])
def test_a_scale_in_the_kernel_is_recognised_and_a_wrong_kernel_is_not(keras_flavour, rng, tmp_path, precision):
    model, path = faint(keras_flavour), tmp_path / "m.tflite"
    x = rng.normal(size=(8, 4, 4, 16)).astype("float32")
    export_tflite(model, path, precision=precision)
    report = verify(model, path, data=x)
    assert report, str(report)
    kernel, bias = model.get_layer("conv").get_weights()
    model.get_layer("conv").set_weights([np.flip(kernel, -1), bias])
    wrong = verify(model, path, data=x)
    assert wrong.exit_code == 1
    assert "conv" in str(wrong)
