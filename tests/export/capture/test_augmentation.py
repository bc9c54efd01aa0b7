"""Augmentation: a layer is in training mode only where the user said so, and one that does nothing is not there."""

import inspect

import numpy as np
import pytest
from kerasbn_testing.judging import relative_error
from kerasbn_testing.statistics import randomise

from kerasbn.errors import UnsupportedModelError
from kerasbn.flavour import KERAS, TF_KERAS
from kerasbn_export import export_tflite, fold, verify
from kerasbn_export.capture import augmentation, capture

ARGUMENTS = {
    "RandomRotation": (0.1,), "RandomZoom": (0.1,), "RandomContrast": (0.1,), "RandomBrightness": (0.1,),
    "RandomTranslation": (0.1, 0.1), "RandomShear": (0.1, 0.1), "RandomHue": (0.1,), "RandomSaturation": (0.1,),
    "RandomSharpness": (0.1,), "RandomPosterization": (4,), "RandomHeight": (0.1,), "RandomWidth": (0.1,),
    "RandomCrop": (8, 8), "CenterCrop": (8, 8), "Resizing": (8, 8), "RandomColorDegeneration": (0.1,),
    "MaxNumBoundingBoxes": (3,), "Rescaling": (2.0,), "Pipeline": ([],),
}  # fmt: skip
"""What a constructor needs."""

WORKING = ("AutoContrast", "CenterCrop", "ContrastLimitedAdaptiveHistogramEqualization", "Rescaling", "Resizing")
"""Those that do something at inference."""

NOT_OF_IMAGES = (
    *("CategoryEncoding", "Discretization", "HashedCrossing", "Hashing", "IntegerLookup", "StringLookup"),
    *("MaxNumBoundingBoxes", "MelSpectrogram", "Normalization", "STFTSpectrogram", "TextVectorization", "Pipeline"),
)


def image_layers(flavour):
    """Every preprocessing layer of images that this Keras has, made."""
    for name, cls in sorted(vars(flavour.keras.layers).items()):
        home = getattr(cls, "__module__", "")
        if inspect.isclass(cls) and home.startswith(augmentation.MODULES) and name not in NOT_OF_IMAGES:
            try:
                yield name, cls(*ARGUMENTS.get(name, ()))
            except TypeError:  # some ask for the range of the values
                yield name, cls(*ARGUMENTS.get(name, ()), value_range=(0, 255))


def image_model(flavour, layer):
    """How the tutorials begin: the layer, then Conv, BatchNorm, ReLU."""
    keras, layers = flavour.keras, flavour.keras.layers
    inputs = keras.Input((12, 12, 3))
    x = layers.BatchNormalization(name="bn")(layers.Conv2D(4, 3, use_bias=False)(layer(inputs)))
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.ReLU()(x))))


def judged(model, rng):
    """The verdicts and the kinds of layers left, after the fold was compared with what the model gives."""
    randomise(model, rng)
    data = rng.uniform(0, 255, (4, *model.input_shape[1:])).astype("float32")
    result = fold(model)
    found, expected = (np.asarray(each(data, training=False)) for each in (result.model, model))
    assert relative_error([found], [expected]) <= 2e-5
    return {verdict.layer: verdict for verdict in result.verdicts}, [
        type(layer).__name__ for layer in result.model.layers
    ]


def test_every_image_layer_before_a_batchnorm(keras_flavour, rng):
    names = []
    for name, layer in image_layers(keras_flavour):
        verdicts, left = judged(image_model(keras_flavour, layer), rng)
        assert verdicts["bn"].gone, name
        stays = name in WORKING or (name == "RandomCrop" and keras_flavour.name == "keras")
        assert name == "Rescaling" or (name in left) is stays, name  # a Rescaling goes into the convolution
        names.append(name)
    assert len(names) > (25 if keras_flavour.name == "keras" else 8)


def test_a_random_crop_of_keras_2_resizes_at_inference(rng):
    layer = TF_KERAS.keras.layers.RandomCrop(6, 9)
    model = TF_KERAS.keras.Sequential([TF_KERAS.keras.Input((12, 12, 3)), layer, TF_KERAS.keras.layers.Conv2D(2, 1)])
    data = rng.uniform(0, 255, (2, 12, 12, 3)).astype("float32")
    assert relative_error([fold(model).model.predict(data, verbose=0)], [model.predict(data, verbose=0)]) <= 1e-6


def test_the_shape_behind_a_random_crop_of_keras_3_is_not_believed(rng):
    """It says 8 x 8, and gives back 12 x 12 at inference: no rule may rely on either."""
    keras = KERAS.keras
    inputs = keras.Input((12, 12, 3))
    x = keras.layers.Conv2D(4, 3, padding="same")(keras.layers.RandomCrop(8, 8)(inputs))
    x = keras.layers.Activation("tanh")(x)
    x = keras.layers.Conv2D(4, 3, padding="same")(keras.layers.BatchNormalization()(x))
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
    randomise(model, rng)
    assert all(None in call.output.shape[1:3] for call in capture(model) if call.layer.kind == "Conv2D")
    data = rng.normal(size=(2, 12, 12, 3)).astype("float32")
    assert relative_error([fold(model).model.predict(data, verbose=0)], [model.predict(data, verbose=0)]) <= 2e-5


def test_augmentation_in_a_model_of_its_own(keras_flavour, rng, tmp_path):
    layers = keras_flavour.keras.layers
    augment = keras_flavour.keras.Sequential(
        [layers.RandomFlip(), layers.RandomRotation(0.1), layers.Rescaling(1 / 255)]
    )
    model = image_model(keras_flavour, augment)
    verdicts, left = judged(model, rng)
    assert verdicts["bn"].gone
    assert not any(name.startswith("Random") for name in left)
    export_tflite(model, tmp_path / "m.tflite")
    assert verify(model, tmp_path / "m.tflite", data=rng.uniform(0, 255, (4, 12, 12, 3)).astype("float32"))


def own_block(flavour):
    """A layer of the user's whose `call` trains by default, with a BatchNorm inside."""
    layers = flavour.keras.layers

    class Block(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.conv, self.bn = layers.Conv2D(4, 3), layers.BatchNormalization(name="inside")

        def build(self, shape):
            self.conv.build(shape)
            self.bn.build(self.conv.compute_output_shape(shape))
            self.built = True

        def call(self, x, training=True):
            return self.bn(self.conv(x), training=training)

    return Block(name="block")


def test_a_default_of_the_users_own_layer_does_not_count(keras_flavour, rng):
    verdicts, _ = judged(image_model(keras_flavour, own_block(keras_flavour)), rng)
    assert verdicts["bn"].gone
    assert verdicts["block/inside"].gone


def test_the_users_own_words_count(keras_flavour):
    layers = keras_flavour.keras.layers
    block = own_block(keras_flavour)
    inputs = keras_flavour.keras.Input((12, 12, 3))
    if keras_flavour.name == "tf_keras":  # Keras 3 writes a default down as if it had been given
        verdicts = fold(keras_flavour.keras.Model(inputs, block(inputs, training=True))).verdicts
        assert [verdict.reason.value for verdict in verdicts] == ["training"]
    live = layers.BatchNormalization(name="live")(layers.Conv2D(4, 3)(inputs), training=True)
    with pytest.raises(UnsupportedModelError, match="'live' is called with training=True"):
        export_tflite(keras_flavour.keras.Model(inputs, live), "never.tflite")
    inner = keras_flavour.keras.Sequential(
        [keras_flavour.keras.Input((12, 12, 3)), layers.BatchNormalization(name="in")]
    )
    verdicts = fold(keras_flavour.keras.Model(inputs, inner(inputs, training=True))).verdicts
    assert [verdict.reason.value for verdict in verdicts] == ["training"]


def test_augmentation_that_is_to_run_stays():
    """tf_keras keeps the user's word in `predict`; Keras 3 takes it back."""
    layers = TF_KERAS.keras.layers
    inputs = TF_KERAS.keras.Input((12, 12, 3))
    flipped = layers.RandomFlip("horizontal")(inputs, training=True)
    kinds = [call.layer.kind for call in capture(TF_KERAS.keras.Model(inputs, layers.Conv2D(2, 1)(flipped)))]
    assert "RandomFlip" in kinds


def test_only_what_gives_back_bit_for_bit_is_left_out(keras_flavour, monkeypatch):
    layer = keras_flavour.keras.layers.RandomContrast(0.1)
    inputs = keras_flavour.keras.Input((12, 12, 3))
    model = keras_flavour.keras.Model(inputs, layer(inputs))
    assert "RandomContrast" not in [call.layer.kind for call in capture(model)]
    right = type(layer).call
    monkeypatch.setattr(
        type(layer), "call", lambda self, x, training=True: right(self, x, training=training) * 1.0000001
    )
    assert "RandomContrast" in [call.layer.kind for call in capture(model)]


def test_whole_numbers_keep_what_makes_floats_of_them(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((12, 12, 3), dtype="uint8")
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(keras.layers.RandomFlip()(inputs)))
    model = keras.Model(inputs, x)
    randomise(model, rng)
    data = rng.integers(0, 255, (2, 12, 12, 3)).astype("uint8")
    result = fold(model)
    assert all(verdict.gone for verdict in result.verdicts)
    assert relative_error([result.model.predict(data, verbose=0)], [model.predict(data, verbose=0)]) <= 2e-5


def test_dropout_in_training_mode_does_not_reach_a_batchnorm(keras_flavour, rng):
    """`model.predict` normalises with the moving statistics behind it, in both Kerases."""
    layers = keras_flavour.keras.layers
    inputs = keras_flavour.keras.Input((5,))
    x = layers.Dropout(0.0)(layers.Dense(4)(inputs), training=True)
    model = keras_flavour.keras.Model(inputs, layers.BatchNormalization()(layers.Dense(3)(x)))
    randomise(model, rng)
    result = fold(model)
    data = np.asarray(rng.normal(size=(8, 5)), "float32")
    assert relative_error([result.model.predict(data, verbose=0)], [model.predict(data, verbose=0)]) <= 2e-5
    assert all(verdict.gone for verdict in result.verdicts)
