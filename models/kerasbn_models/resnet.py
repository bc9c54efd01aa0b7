"""Residual networks in both block orders.

* ``order="post"``: conv, BatchNorm, ReLU; add; ReLU. He et al., "Deep Residual Learning", 2015 ("v1").
* ``order="pre"``: BatchNorm, ReLU, conv; add. He et al., "Identity Mappings in Deep Residual Networks", 2016 ("v2").

The first block of a ``"pre"`` network reads behind the stem's ReLU, and a last BatchNorm and ReLU follow the last sum
(section 4.1 of the 2016 paper). A sum has two readers, the next BatchNorm and the next sum, so that the first BatchNorm
of a ``"pre"`` block can go neither back nor, with its ReLU behind it, forward: one operation of it stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kerasbn.errors import InvalidArgumentError
from kerasbn.flavour import Flavour
from kerasbn_models.convolution import conv2d
from kerasbn_models.norm import Norm, norm_factory

NormFactory = Callable[[str], Any]
ORDERS = ("post", "pre")


def resnet20(
    flavour: str = "keras",
    *,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    filters: int = 16,
    blocks: Sequence[int] = (3, 3, 3),
    order: str = "post",
    momentum: float = 0.9,
    norm: Norm = None,
) -> Any:
    """The small ResNet of the paper's CIFAR section: images to logits (batch, classes).

    274,042 parameters and 21 BatchNorms, with 1x1 convolutions where a shortcut changes its size (option B).

    Args:
        flavour: ``"keras"`` (Keras 3) or ``"tf_keras"`` (Keras 2).
        input_shape: Height, width and channels.
        classes: Length of the logits.
        filters: Channels of the first stage; each later stage has twice as many.
        blocks: Residual blocks of each stage; (3, 3, 3) is ResNet-20, (9, 9, 9) is ResNet-56.
        order: ``"post"`` (v1) or ``"pre"`` (v2).
        momentum: Momentum of every BatchNorm.
        norm: The normalization layer: see `kerasbn_models.norm`.

    Returns:
        A functional model that is not compiled.

    Raises:
        InvalidArgumentError: The flavour or the order is not known.
    """
    keras_flavour = Flavour(flavour)
    keras, layers = keras_flavour.keras, keras_flavour.keras.layers
    make_norm = norm_factory(keras_flavour, norm, momentum=momentum)

    image = keras.Input(input_shape, name="image")
    x = conv2d(layers, image, filters, 3, name="stem_conv")
    x = _norm_relu(layers, make_norm, x, "stem")
    x = _stages(layers, make_norm, x, basic_block, filters, blocks, _checked(order))
    name = f"resnet{2 * sum(blocks) + 2}"
    return keras.Model(image, _classifier(layers, make_norm, x, classes, order), name=name)


def resnet18(
    flavour: str = "keras",
    *,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    filters: int = 64,
    blocks: Sequence[int] = (2, 2, 2, 2),
    order: str = "post",
    momentum: float = 0.9,
    norm: Norm = None,
) -> Any:
    """The ImageNet network of basic blocks; 11,699,112 parameters and 20 BatchNorms (17 with ``order="pre"``).

    Args:
        flavour: ``"keras"`` (Keras 3) or ``"tf_keras"`` (Keras 2).
        input_shape: Height, width and channels.
        classes: Length of the logits.
        filters: Channels of the first stage; each later stage has twice as many.
        blocks: Residual blocks of each stage; (3, 4, 6, 3) is ResNet-34.
        order: ``"post"`` (v1) or ``"pre"`` (v2).
        momentum: Momentum of every BatchNorm.
        norm: The normalization layer: see `kerasbn_models.norm`.

    Returns:
        A functional model that is not compiled.

    Raises:
        InvalidArgumentError: The flavour or the order is not known.
    """
    name = f"resnet{2 * sum(blocks) + 2}"
    return _imagenet(flavour, basic_block, input_shape, classes, filters, blocks, order, momentum, norm, name)


def resnet50(
    flavour: str = "keras",
    *,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    filters: int = 64,
    blocks: Sequence[int] = (3, 4, 6, 3),
    order: str = "post",
    momentum: float = 0.9,
    norm: Norm = None,
) -> Any:
    """The ImageNet network of bottleneck blocks; 25,610,152 parameters and 53 BatchNorms (49 with ``order="pre"``).

    The stride is that of the 3x3 convolution, as in PyTorch ("v1.5").

    Args:
        flavour: ``"keras"`` (Keras 3) or ``"tf_keras"`` (Keras 2).
        input_shape: Height, width and channels.
        classes: Length of the logits.
        filters: Channels inside the first stage's blocks; each later stage has twice as many.
        blocks: Residual blocks of each stage; (3, 4, 23, 3) is ResNet-101.
        order: ``"post"`` (v1) or ``"pre"`` (v2).
        momentum: Momentum of every BatchNorm.
        norm: The normalization layer: see `kerasbn_models.norm`.

    Returns:
        A functional model that is not compiled.

    Raises:
        InvalidArgumentError: The flavour or the order is not known.
    """
    name = f"resnet{3 * sum(blocks) + 2}"
    return _imagenet(flavour, bottleneck_block, input_shape, classes, filters, blocks, order, momentum, norm, name)


def basic_block(layers: Any, norm: NormFactory, x: Any, filters: int, stride: int, order: str, *, name: str) -> Any:
    """Two 3x3 convolutions beside a shortcut; the orders are those of `BLOCKS`."""
    return BLOCKS[order](layers, norm, x, ((filters, 3, stride), (filters, 3, 1)), name)


def bottleneck_block(
    layers: Any, norm: NormFactory, x: Any, filters: int, stride: int, order: str, *, name: str
) -> Any:
    """1x1, 3x3 and 1x1 convolutions beside a shortcut; the output has four times the filters."""
    return BLOCKS[order](layers, norm, x, ((filters, 1, 1), (filters, 3, stride), (4 * filters, 1, 1)), name)


Kernels = Sequence[tuple[int, int, int]]
"""Filters, kernel size and stride of each convolution of a block."""


def post_block(layers: Any, norm: NormFactory, x: Any, kernels: Kernels, name: str) -> Any:
    """Convolution, norm, ReLU; the last ReLU follows the sum."""
    shortcut, last = x, len(kernels) - 1
    if (stride := _changes(x, kernels)) is not None:
        shortcut = conv2d(layers, x, kernels[-1][0], 1, stride=stride, name=f"{name}_shortcut_conv")
        shortcut = norm(f"{name}_shortcut_norm")(shortcut)
    for number, (filters, kernel, step) in enumerate(kernels):
        x = conv2d(layers, x, filters, kernel, stride=step, name=f"{name}_conv{number}")
        x = norm(f"{name}_conv{number}_norm")(x)
        x = x if number == last else layers.ReLU(name=f"{name}_conv{number}_relu")(x)
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([shortcut, x]))


def pre_block(layers: Any, norm: NormFactory, x: Any, kernels: Kernels, name: str) -> Any:
    """Norm, ReLU, convolution; a shortcut that changes its size reads behind the first ReLU."""
    return _activated(layers, norm, x, _norm_relu(layers, norm, x, f"{name}_conv0"), kernels, name)


def first_pre_block(layers: Any, norm: NormFactory, x: Any, kernels: Kernels, name: str) -> Any:
    """A `pre_block` whose first norm and ReLU are those of the stem; its shortcut is behind them."""
    return _activated(layers, norm, x, x, kernels, name)


BLOCKS = {"post": post_block, "pre": pre_block, "first pre": first_pre_block}


def _activated(layers: Any, norm: NormFactory, shortcut: Any, x: Any, kernels: Kernels, name: str) -> Any:
    """What follows the first ReLU of a `pre_block`."""
    if (stride := _changes(shortcut, kernels)) is not None:
        shortcut = conv2d(layers, x, kernels[-1][0], 1, stride=stride, name=f"{name}_shortcut_conv")
    for number, (filters, kernel, step) in enumerate(kernels):
        x = _norm_relu(layers, norm, x, f"{name}_conv{number}") if number else x
        x = conv2d(layers, x, filters, kernel, stride=step, name=f"{name}_conv{number}")
    return layers.Add(name=f"{name}_add")([shortcut, x])


def _changes(x: Any, kernels: Kernels) -> int | None:
    """The stride of the shortcut's convolution; None if the shortcut is the input as it is."""
    stride = max(step for _, _, step in kernels)
    return stride if stride > 1 or x.shape[-1] != kernels[-1][0] else None


def _imagenet(
    flavour: str,
    block: Callable[..., Any],
    input_shape: tuple[int, int, int],
    classes: int,
    filters: int,
    blocks: Sequence[int],
    order: str,
    momentum: float,
    norm: Norm,
    name: str,
) -> Any:
    """A 7x7 convolution and a pool, which quarter the picture; the stages; the classifier."""
    keras_flavour = Flavour(flavour)
    keras, layers = keras_flavour.keras, keras_flavour.keras.layers
    make_norm = norm_factory(keras_flavour, norm, momentum=momentum)

    image = keras.Input(input_shape, name="image")
    x = conv2d(layers, image, filters, 7, stride=2, name="stem_conv")
    x = _norm_relu(layers, make_norm, x, "stem")
    x = layers.ZeroPadding2D(1, name="stem_pool_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="stem_pool")(x)
    x = _stages(layers, make_norm, x, block, filters, blocks, _checked(order))
    return keras.Model(image, _classifier(layers, make_norm, x, classes, order), name=name)


def _stages(
    layers: Any, norm: NormFactory, x: Any, block: Callable[..., Any], filters: int, blocks: Sequence[int], order: str
) -> Any:
    """The blocks of each stage; the first block of every later stage halves the picture."""
    for stage, count in enumerate(blocks):
        for number in range(count):
            stride = 2 if stage and not number else 1
            kind = "first pre" if order == "pre" and not (stage or number) else order
            x = block(layers, norm, x, filters * 2**stage, stride, kind, name=f"stage{stage}_block{number}")
    return x


def _classifier(layers: Any, norm: NormFactory, x: Any, classes: int, order: str) -> Any:
    x = _norm_relu(layers, norm, x, "last") if order == "pre" else x
    return layers.Dense(classes, name="logits")(layers.GlobalAveragePooling2D(name="average")(x))


def _norm_relu(layers: Any, norm: NormFactory, x: Any, name: str) -> Any:
    return layers.ReLU(name=f"{name}_relu")(norm(f"{name}_norm")(x))


def _checked(order: str) -> str:
    if order not in ORDERS:
        raise InvalidArgumentError(f"order={order!r} is not known; accepted: {', '.join(ORDERS)}.")
    return order
