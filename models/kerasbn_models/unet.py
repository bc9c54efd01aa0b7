"""U-Net: a picture in, a mask of the same size out.

Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", 2015. As in most code
since, convolutions are padded, and each one is followed by BatchNorm.

::

    image -> double_conv(f) ----------------------------- skip --> concat -> double_conv(f) -> 1x1 -> logits
                 | pool                                              | up
             double_conv(2f) ------------- skip --> concat -> double_conv(2f)
                 | pool                               | up
                 ...          double_conv(2^depth f)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kerasbn.flavour import Flavour
from kerasbn_models.norm import Norm, norm_factory

NormFactory = Callable[[str], Any]


def unet(
    flavour: str = "keras",
    *,
    input_shape: tuple[int | None, int | None, int] = (256, 256, 1),
    classes: int = 1,
    filters: int = 64,
    depth: int = 4,
    momentum: float = 0.9,
    norm: Norm = None,
) -> Any:
    """Images (batch, height, width, channels) to logits (batch, height, width, classes).

    31,051,137 parameters and 22 BatchNorms as it stands; ``filters=16, depth=3`` has 486,961 and 17.

    Args:
        flavour: ``"keras"`` (Keras 3) or ``"tf_keras"`` (Keras 2).
        input_shape: Height and width, both multiples of ``2 ** depth``, and channels.
        classes: Channels of the output; 1 for a mask with a sigmoid behind it.
        filters: Channels of the first level; each deeper level has twice as many.
        depth: How many times the picture is halved.
        momentum: Momentum of every BatchNorm.
        norm: The normalization layer: see `kerasbn_models.norm`.

    Returns:
        A functional model that is not compiled.
    """
    keras_flavour = Flavour(flavour)
    keras, layers = keras_flavour.keras, keras_flavour.keras.layers
    make_norm = norm_factory(keras_flavour, norm, momentum=momentum)

    image = x = keras.Input(input_shape, name="image")
    skips = []
    for level in range(depth):
        x = double_conv(layers, make_norm, x, filters * 2**level, name=f"down{level}")
        skips.append(x)
        x = layers.MaxPooling2D(2, name=f"down{level}_pool")(x)
    x = double_conv(layers, make_norm, x, filters * 2**depth, name="bottom")
    for level in reversed(range(depth)):
        x = up(layers, make_norm, x, skips[level], filters * 2**level, name=f"up{level}")
    return keras.Model(image, layers.Conv2D(classes, 1, name="logits")(x), name="unet")


def double_conv(layers: Any, norm: NormFactory, x: Any, filters: int, *, name: str) -> Any:
    """(Conv 3x3, BatchNorm, ReLU) twice."""
    for step in ("a", "b"):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv_{step}")(x)
        x = layers.ReLU(name=f"{name}_relu_{step}")(norm(f"{name}_norm_{step}")(x))
    return x


def up(layers: Any, norm: NormFactory, x: Any, skip: Any, filters: int, *, name: str) -> Any:
    """Doubles the picture with a 2x2 transposed convolution, puts the skip beside it, then `double_conv`."""
    x = layers.Conv2DTranspose(filters, 2, strides=2, use_bias=False, name=f"{name}_conv")(x)
    x = layers.ReLU(name=f"{name}_relu")(norm(f"{name}_norm")(x))
    x = layers.Concatenate(name=f"{name}_concat")([skip, x])
    return double_conv(layers, norm, x, filters, name=name)
