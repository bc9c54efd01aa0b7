"""YOLO11: object detection without anchor boxes, at three sizes of a picture's features.

Jocher and Qiu, "Ultralytics YOLO11", 2024. There is no paper; the code here is written from the published layout of
the network, and reads weights that ultralytics trained: see `kerasbn_models.yolo11.weights`.

::

    image -> 0 1 2 3 4 (1/8) -> 5 6 (1/16) -> 7 8 9 10 (1/32)      backbone; 9 is SPPF, 10 attention
                     |               |               |
                    16 <-----------  13 <------------'             neck: up, concatenate, C3k2
                     |`-> 17 18 19 <-'|   20 21 22 <-'             and down again
                     `-------.   19 --+----. 22
                          head at 1/8, 1/16 and 1/32: distances of four sides, scores of classes
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kerasbn.errors import InvalidArgumentError
from kerasbn.flavour import Flavour
from kerasbn_models.norm import Norm, norm_factory
from kerasbn_models.yolo11.blocks import NormFactory, c2psa, c3k2, conv, sppf
from kerasbn_models.yolo11.head import STRIDES, checked_head, head_logits, outputs_of


@dataclass(frozen=True)
class Scale:
    """What one letter of the family stands for.

    Attributes:
        repeats: Blocks in each C3k2 and C2PSA.
        width: Factor of the channels.
        most: Channels, before the factor, that no layer exceeds.
        nested: Whether every C3k2 is made of C3k blocks; else the deeper ones are.
    """

    repeats: int
    width: float
    most: int
    nested: bool

    def channels(self, filters: int) -> int:
        """The channels of a layer that has that many at width 1."""
        return int(min(filters, self.most) * self.width)


SIZES = {
    "n": Scale(1, 0.25, 1024, nested=False),
    "s": Scale(1, 0.5, 1024, nested=False),
    "m": Scale(1, 1.0, 512, nested=True),
    "l": Scale(2, 1.0, 512, nested=True),
    "x": Scale(2, 1.5, 512, nested=True),
}


def yolo11(
    size: str = "n",
    classes: int = 80,
    input_size: int | tuple[int, int] = 640,
    *,
    flavour: str = "keras",
    head: str = "boxes",
    channels: int = 3,
    sppf_activation: bool = True,
    momentum: float = 0.97,
    norm: Norm = None,
) -> Any:
    """Images (batch, height, width, channels) from 0 to 1, to boxes and scores of every anchor.

    ======  ============  ===========
    size    parameters    BatchNorms
    ======  ============  ===========
    n          2,624,080           81
    s          9,458,752           81
    m         20,114,688          106
    l         25,372,160          167
    x         56,966,176          167
    ======  ============  ===========

    Parameters are counted as ultralytics counts them: without moving statistics, with the 16 numbers of the
    distance head. An anchor is a pixel of a feature map: 8400 of them for 640 x 640.

    Args:
        size: One letter of the table.
        classes: How many classes there are.
        input_size: Height and width, or one number for both; multiples of 32.
        flavour: ``"keras"`` (Keras 3) or ``"tf_keras"`` (Keras 2).
        head: ``"boxes"``: outputs ``boxes`` (batch, anchors, 4), left, top, right, bottom in pixels, and
            ``scores`` (batch, anchors, classes), sigmoids. They are two outputs, since one int8 scale for both would
            cost accuracy. ``"distances"``: the same with ``distances`` of the four sides from the anchor, in strides,
            which suffer least from int8; `decode` makes boxes of them. ``"raw"``: the logits
            (batch, anchors, 64 + classes), for training with `detection_loss`; `with_head` makes the others of it.
        channels: Of the images.
        sppf_activation: Whether block 9 has a SiLU behind its first convolution. YOLO11 has one; False is for a
            network whose file says that it has none.
        momentum: Momentum of every BatchNorm; a training of a few hundred steps wants 0.9.
        norm: The normalization layer: see `kerasbn_models.norm`.

    Returns:
        A functional model that is not compiled. Its layers are named as ultralytics names them.

    Raises:
        InvalidArgumentError: The size, the head, the flavour or the input size is not accepted.
    """
    keras_flavour = Flavour(flavour)
    if size not in SIZES:
        raise InvalidArgumentError(f"size={size!r} is not known; accepted: {', '.join(SIZES)}.")
    height, width = _checked_size(input_size)
    layers = keras_flavour.keras.layers
    make_norm = norm_factory(keras_flavour, norm, momentum=momentum)
    checked_head(head)

    image = keras_flavour.keras.Input((height, width, channels), name="image")
    features = backbone(layers, make_norm, _matmul(keras_flavour), image, SIZES[size], sppf_activation)
    levels = neck(layers, make_norm, *features, SIZES[size])
    boxes, scores = head_logits(layers, make_norm, levels, classes, (height, width))
    outputs = outputs_of(layers, boxes, scores, (height, width), head)
    return keras_flavour.keras.Model(image, outputs, name=f"yolo11{size}")


def backbone(
    layers: Any,
    norm: NormFactory,
    matmul: Callable[[Any, Any], Any],
    x: Any,
    scale: Scale,
    sppf_activation: bool = True,
) -> tuple[Any, Any, Any]:
    """Features at 1/8, 1/16 and 1/32 of the picture's size."""
    of, repeats, nested = scale.channels, scale.repeats, scale.nested
    x = conv(layers, norm, x, of(64), 3, 2, name="model.0")
    x = conv(layers, norm, x, of(128), 3, 2, name="model.1")
    x = c3k2(layers, norm, x, of(256), repeats, nested=nested, expansion=0.25, name="model.2")
    x = conv(layers, norm, x, of(256), 3, 2, name="model.3")
    fine = c3k2(layers, norm, x, of(512), repeats, nested=nested, expansion=0.25, name="model.4")
    x = conv(layers, norm, fine, of(512), 3, 2, name="model.5")
    middle = c3k2(layers, norm, x, of(512), repeats, nested=True, name="model.6")
    x = conv(layers, norm, middle, of(1024), 3, 2, name="model.7")
    x = c3k2(layers, norm, x, of(1024), repeats, nested=True, name="model.8")
    x = sppf(layers, norm, x, of(1024), act=sppf_activation, name="model.9")
    return fine, middle, c2psa(layers, norm, matmul, x, repeats, name="model.10")


def neck(layers: Any, norm: NormFactory, fine: Any, middle: Any, coarse: Any, scale: Scale) -> tuple[Any, Any, Any]:
    """The features of each size, with what the other sizes know: first upwards, then downwards."""
    of, repeats, nested = scale.channels, scale.repeats, scale.nested

    def join(first: Any, second: Any, filters: int, nested: bool, number: int) -> Any:
        x = layers.Concatenate(name=f"model.{number - 1}")([first, second])
        return c3k2(layers, norm, x, of(filters), repeats, nested=nested, name=f"model.{number}")

    up = join(layers.UpSampling2D(2, name="model.11")(coarse), middle, 512, nested, 13)
    fine = join(layers.UpSampling2D(2, name="model.14")(up), fine, 256, nested, 16)
    middle = join(conv(layers, norm, fine, of(256), 3, 2, name="model.17"), up, 512, nested, 19)
    coarse = join(conv(layers, norm, middle, of(512), 3, 2, name="model.20"), coarse, 1024, True, 22)
    return fine, middle, coarse


def _matmul(flavour: Flavour) -> Callable[[Any, Any], Any]:
    """Matrix multiplication of two symbolic tensors; Keras 2 has no layer for more than three axes."""
    home = "keras.ops" if flavour.name == "keras" else "tensorflow"
    multiply: Callable[[Any, Any], Any] = importlib.import_module(home).matmul
    return multiply


def _checked_size(size: int | tuple[int, int]) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    if height < 1 or width < 1 or height % STRIDES[-1] or width % STRIDES[-1]:
        raise InvalidArgumentError(f"input_size={size} does not fit; height and width are multiples of {STRIDES[-1]}.")
    return height, width
