"""A small CNN for 8x8 digits whose BatchNorms sit in every typical place.

::

    image 8x8x1
    Conv 3x3 -> BN -> ReLU                      bn_after_conv
    Depthwise 3x3 -> BN -> ReLU                 bn_after_depthwise
    Conv 3x3 valid with ReLU -> BN              bn_after_relu
    Conv 1x1 with ReLU -> MaxPool -> BN         bn_after_pool
    (Conv 1x1 | Conv 1x1 with ReLU -> Conv 3x3)
    Concat -> BN -> ReLU                        bn_after_concat
    GlobalAveragePooling -> BN                  bn_after_average
    Dense -> BN -> ReLU                         bn_after_dense
    Dense                                       logits

The stock TFLite converter folds a BatchNorm only if it directly follows a convolution or Dense.
"""

from __future__ import annotations

from typing import Any

from kerasbn.flavour import Flavour
from kerasbn_models.norm import Norm, batchnorm_class, norm_factory


def digits_cnn(
    flavour: str = "keras",
    *,
    filters: int = 16,
    classes: int = 10,
    momentum: float = 0.9,
    batchnorm: str = "kerasbn",
    norm: Norm = None,
) -> Any:
    """The CNN of ``kerasbn demo``: images (batch, 8, 8, 1) to logits (batch, classes).

    11,482 parameters and 7 BatchNorms.

    Args:
        flavour: ``"keras"`` (Keras 3) or ``"tf_keras"`` (Keras 2).
        filters: Channels of the first convolution; the later ones have as many or twice as many.
        classes: Length of the logits.
        momentum: Momentum of every BatchNorm. Short trainings want 0.9: with Keras' 0.99 the moving
            statistics still hold their initial values after a few hundred steps.
        batchnorm: ``"kerasbn"`` for the layer of kerasbn, ``"stock"`` for the one of Keras.
        norm: Another normalization layer in its place: see `kerasbn_models.norm`.

    Returns:
        A functional model that is not compiled.

    Raises:
        InvalidArgumentError: The flavour or the kind of BatchNorm is not known.
    """
    keras_flavour = Flavour(flavour)
    keras, layers = keras_flavour.keras, keras_flavour.keras.layers
    source = batchnorm_class(keras_flavour, batchnorm)
    batch_norm = norm_factory(keras_flavour, norm or source, momentum=momentum)

    image = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name="conv")(image)
    x = layers.ReLU(name="relu_conv")(batch_norm("bn_after_conv")(x))
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x)
    x = layers.ReLU(name="relu_depthwise")(batch_norm("bn_after_depthwise")(x))
    x = layers.Conv2D(2 * filters, 3, activation="relu", name="conv_relu")(x)
    x = batch_norm("bn_after_relu")(x)
    x = layers.Conv2D(2 * filters, 1, activation="relu", name="pointwise")(x)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = batch_norm("bn_after_pool")(x)
    x = layers.Concatenate(name="concat")([_narrow(layers, x, filters), _wide(layers, x, filters)])
    x = layers.ReLU(name="relu_concat")(batch_norm("bn_after_concat")(x))
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = batch_norm("bn_after_average")(x)
    x = layers.Dense(2 * filters, use_bias=False, name="dense")(x)
    x = layers.ReLU(name="relu_dense")(batch_norm("bn_after_dense")(x))
    return keras.Model(image, layers.Dense(classes, name="logits")(x), name="digits_cnn")


def _narrow(layers: Any, x: Any, filters: int) -> Any:
    return layers.Conv2D(filters, 1, name="branch_narrow")(x)


def _wide(layers: Any, x: Any, filters: int) -> Any:
    x = layers.Conv2D(filters, 1, activation="relu", name="branch_reduce")(x)
    return layers.Conv2D(filters, 3, padding="same", name="branch_wide")(x)
