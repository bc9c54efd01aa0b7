"""What the networks share: their table, and the operations that both Kerases have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import tensorflow as tf
from tutorial_networks.network import KERAS_2 as FEWER

NETWORKS: dict[str, Callable[[Any], Any]] = {}


def _pad(x: Any, widths: Sequence[Sequence[int]], mode: str) -> Any:
    return tf.pad(x, widths, mode.upper())


def _patches(x: Any, size: int) -> Any:
    return tf.image.extract_patches(x, [1, size, size, 1], [1, size, size, 1], [1, 1, 1, 1], "VALID")


KERAS_2 = SimpleNamespace(
    **vars(FEWER),
    abs=tf.abs,
    cast=tf.cast,
    conv=lambda x, kernel: tf.nn.conv2d(x, kernel, 1, "VALID"),
    cumsum=tf.cumsum,
    einsum=tf.einsum,
    image=SimpleNamespace(extract_patches=_patches, resize=tf.image.resize),
    max=lambda x, axis, keepdims=False: tf.reduce_max(x, axis, keepdims),
    pad=_pad,
    sigmoid=tf.sigmoid,
    split=tf.split,
    stack=tf.stack,
    take=tf.gather,
    top_k=tf.math.top_k,
    where=tf.where,
)
"""TensorFlow's operations by the names of ``keras.ops``, which tf_keras does not have."""


def network(build: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Puts a network into the table."""
    NETWORKS[build.__name__] = build
    return build


def operations(keras: Any) -> Any:
    """What users of this Keras call on tensors."""
    return getattr(keras, "ops", KERAS_2)
