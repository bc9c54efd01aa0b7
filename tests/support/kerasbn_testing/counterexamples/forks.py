"""Linear layers whose output a BatchNorm and others see, and branches whose taps do not meet."""

from __future__ import annotations

from typing import Any

from patterns.pattern import BN, Make, conv, conv1d, dense, layer

from kerasbn_testing.counterexamples.building import (
    ADD,
    IMAGE,
    RELU,
    SEQUENCE,
    TANH,
    TRAINED,
    VECTOR,
    enter,
    merging,
    through,
    two_way,
)


def fork(name: str, shape: tuple[int | None, ...], first: Make, *ways: list[Make], outputs: bool = False) -> None:
    """Put one layer with several users into the table, perhaps an output of the model as well."""

    def build(keras: Any) -> Any:
        inputs = keras.Input(shape)
        shared = through(keras, inputs, first)
        found = [through(keras, shared, *way) for way in ways]
        return keras.Model(inputs, [*found, shared] if outputs else found)

    enter(name, build)


DEPTHWISE = layer("DepthwiseConv2D", 3, padding="same")
SMALL = layer("DepthwiseConv2D", 1)

fork("fork of two linear layers", VECTOR, dense(4), [BN, RELU], [dense(3)])
fork("fork that the model gives too", VECTOR, dense(4), [BN, RELU], [dense(3)], outputs=True)
fork("fork of two norms and a layer", VECTOR, dense(4), [BN, RELU], [BN, RELU], [dense(3)])
fork("fork of which one user is not linear", VECTOR, dense(4), [BN, RELU], [dense(3)], [TANH])
fork("fork of two kinds", IMAGE, conv(4, 1), [BN, RELU], [dense(3)])
fork("fork that would be slow", (40, 40, 16), conv(4, 3), [BN, RELU], [conv(16, 1)])
fork("fork of a norm alone that is trained", VECTOR, dense(4), [TRAINED, RELU], [dense(3)])
fork("fork of an active layer", VECTOR, dense(4, activation="tanh"), [BN, RELU], [dense(3)])
fork("fork with an inverse", IMAGE, conv(4, 3), [layer("Rescaling", 2.0, 1.0), TANH], [conv(40, 1)])
fork("fork with an inverse for two", IMAGE, conv(4, 3), [BN, TANH], [conv(40, 1)], [conv(40, 1), TANH])
fork("fork with an inverse for two depthwise", IMAGE, conv(4, 3), [BN, TANH], [layer("DepthwiseConv2D", 2)],
     [layer("DepthwiseConv2D", 2), TANH])  # fmt: skip
fork("fork with an inverse, output", IMAGE, conv(4, 3), [BN, TANH], [conv(40, 1)], outputs=True)
fork("fork with an inverse that a ReLU follows", IMAGE, conv(4, 3), [BN, RELU], [layer("DepthwiseConv2D", 2)])
fork("fork with an inverse of zero", IMAGE, conv(40, 3), [layer("BatchNormalization", center=False), TANH],
     [layer("DepthwiseConv2D", 2)])  # fmt: skip
fork("fork with an inverse of a composed norm", IMAGE, conv(4, 3), [layer("Rescaling", 2.0, 1.0), BN, TANH],
     [layer("DepthwiseConv2D", 2)])  # fmt: skip

two_way("depthwise branches", IMAGE, ADD, [DEPTHWISE, BN], [SMALL])
two_way("depthwise branches, in a difference", IMAGE, merging("Subtract"), [DEPTHWISE, BN], [SMALL])
two_way("depthwise branch and a grouped one", IMAGE, ADD, [DEPTHWISE, BN], [conv(4, 1, groups=2)])
two_way("a branch of a separable convolution", IMAGE, ADD,
        [layer("SeparableConv2D", 4, 3, padding="same"), BN], [conv(4, 1)])  # fmt: skip
two_way("branches of unknown size, valid and same", (None, None, 4), ADD,
        [conv(4, 3, padding="same"), BN], [conv(4, 1, padding="valid")])  # fmt: skip
two_way("strided depthwise branches of unknown size", (None, None, 4), ADD,
        [layer("DepthwiseConv2D", 3, strides=2, padding="same"), BN],
        [layer("DepthwiseConv2D", 1, strides=2)])  # fmt: skip
two_way("alike strided depthwise branches of unknown size", (None, None, 4), ADD,
        [layer("DepthwiseConv2D", 3, strides=2, padding="same"), BN],
        [layer("DepthwiseConv2D", 3, strides=2, padding="same")])  # fmt: skip
two_way("one position, from valid and from strided taps", (3, 3, 4), ADD,
        [layer("DepthwiseConv2D", 3, strides=2), BN], [layer("DepthwiseConv2D", 2, strides=2)])  # fmt: skip
two_way("causal and same", SEQUENCE, ADD, [conv1d(3, 3, padding="causal"), BN], [conv1d(3, 3, padding="same")])
two_way("depthwise branch and the value itself", IMAGE, ADD, [DEPTHWISE, BN], [])
two_way("strided kernels of two sizes, of unknown size", (None, None, 4), ADD,
        [layer("DepthwiseConv2D", 5, strides=2, padding="same"), BN],
        [layer("DepthwiseConv2D", 3, strides=2, padding="same")])  # fmt: skip
