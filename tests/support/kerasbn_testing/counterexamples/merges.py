"""Two branches of one input, merged."""

from __future__ import annotations

from patterns.pattern import BN, conv, conv1d, dense, layer

from kerasbn_testing.counterexamples.building import (
    ADD,
    AXIS_1,
    CONCATENATE,
    IMAGE,
    MASK,
    MULTIPLY,
    SEQUENCE,
    TANH,
    TRAINED,
    VECTOR,
    merging,
    own_norm,
    two_way,
)

two_way(
    "broadcast sum", (4, 4), ADD, [dense(4)], [dense(4), layer("GlobalAveragePooling1D", keepdims=True)], AXIS_1, TANH
)
two_way("broadcast before a sum", (1, 4), ADD, [TANH, AXIS_1], [layer("UpSampling1D", 4)], dense(3))
two_way("product and shift", VECTOR, MULTIPLY, [dense(4)], [dense(4)], BN, TANH)
two_way("shift before a product", VECTOR, MULTIPLY, [TANH, BN], [layer("Activation", "elu")], dense(3))
two_way("scale before a sum", VECTOR, ADD, [TANH, BN], [layer("Activation", "elu")], dense(3))
two_way("maximum of two", VECTOR, merging("Maximum"), [dense(4)], [dense(4)], BN, TANH)
two_way(
    "joined along another axis",
    SEQUENCE,
    merging("Concatenate", axis=1),
    [TANH, BN],
    [layer("Activation", "elu")],
    dense(3),
)
two_way("both joined along another axis", SEQUENCE, merging("Concatenate", axis=1), [dense(4)], [dense(4)], BN, TANH)
two_way("joined along its own axis", SEQUENCE, merging("Concatenate", axis=1), [dense(4)], [dense(4)], AXIS_1, TANH)
two_way("joined along its axis", SEQUENCE, CONCATENATE, [TANH, AXIS_1], [layer("Activation", "elu")], dense(3))
two_way(
    "dilated branch", IMAGE, ADD, [conv(4, 3, padding="same"), BN], [conv(4, 3, padding="same", dilation_rate=2)], TANH
)
two_way(
    "dilated branches",
    IMAGE,
    ADD,
    [conv(4, 3, padding="same", dilation_rate=2), BN],
    [conv(4, 1, padding="same")],
    TANH,
)
two_way(
    "active branch", IMAGE, ADD, [conv(4, 3, padding="same"), BN], [conv(4, 3, padding="same", activation="relu")], TANH
)
two_way("strided branch and itself", (1, 1, 4), ADD, [conv(4, 1, strides=2), BN], [], TANH)
two_way("branch of groups", IMAGE, ADD, [conv(4, 3, padding="same", groups=2), BN], [conv(4, 3, padding="same")], TANH)
two_way("causal branches", (6, 4), ADD, [conv1d(4, 3, padding="causal"), BN], [conv1d(4, 1, padding="causal")], TANH)
two_way("valid branches", (1, 1, 4), ADD, [conv(4, 1), BN], [conv(4, 2, padding="same")], TANH)
two_way("branch along another axis", (4, 4, 4), ADD, [conv(4, 3, padding="same")], [AXIS_1], TANH)
two_way("branches of two kinds", (6, 4), ADD, [conv1d(4, 1), BN], [dense(4)], TANH)
two_way("strided branches", (6, 6, 4), ADD, [conv(4, 3, strides=2, padding="same"), BN], [conv(4, 1, strides=2)], TANH)
two_way("strided branches of unknown size", (None, None, 4), ADD,
        [conv(4, 3, strides=2, padding="same"), BN], [conv(4, 1, strides=2)], TANH)  # fmt: skip
two_way("large branch and small", (7, 7, 4), ADD,
        [conv(4, 4, strides=2, padding="same")], [conv(4, 3, strides=2, padding="same"), BN], TANH)  # fmt: skip
two_way(
    "tall branch and wide", IMAGE, ADD, [conv(4, (3, 1), padding="same"), BN], [conv(4, (1, 3), padding="same")], TANH
)
two_way("valid branches of two sizes", IMAGE, ADD, [conv(4, 3), BN], [conv(4, 6)], TANH)
two_way("branches of four channels and one", IMAGE, ADD, [conv(4, 1), BN], [conv(1, 1)], TANH)
two_way("bn and the value itself", VECTOR, ADD, [BN], [], TANH)
two_way("trained branch", VECTOR, ADD, [dense(4)], [TRAINED], TANH)
two_way("joined along one of two axes", (4, 4, 2), CONCATENATE, [conv(2, 1)], [conv(2, 1)], own_norm([1, 3]), TANH)

STRIDED = {"strides": 2, "padding": "same"}
two_way("even branch and odd", IMAGE, ADD, [conv(4, (2, 4), padding="same"), BN], [conv(4, (3, 1), padding="same")])
two_way("flat branch and even", IMAGE, ADD, [conv(4, (1, 4), padding="same"), BN], [conv(4, (2, 1), padding="same")])
two_way("points of unknown size", (None, None, 4), ADD, [conv(4, 1, **STRIDED), BN], [conv(4, 1, **STRIDED)])
two_way("valid of unknown size", (None, None, 4), ADD, [conv(4, 3, strides=2), BN], [conv(4, 3, strides=2)])
two_way("one channel and four", (6, 6, 1), ADD, [conv(4, 1), BN], [], TANH)
two_way("branch that is broadcast", (3, 3, 4), ADD, [conv(4, 3), BN], [], TANH)
two_way(
    "branches dilated alike",
    IMAGE,
    ADD,
    [conv(4, 3, padding="same", dilation_rate=2), BN], [conv(4, 3, padding="same", dilation_rate=2)])  # fmt: skip
two_way("branches of an einsum", VECTOR, ADD,
        [layer("EinsumDense", "ab,bc->ac", (4,)), BN], [layer("EinsumDense", "ab,bc->ac", (4,))])  # fmt: skip
two_way("branches of depthwise", IMAGE, ADD, [layer("DepthwiseConv2D", 3), BN], [layer("DepthwiseConv2D", 3)])
two_way("branches of which one ends a mask", SEQUENCE, ADD,
        [MASK, conv1d(4, 1), BN], [MASK], layer("LSTM", 3))  # fmt: skip

ELU = layer("Activation", "elu")
two_way("product of two branches", VECTOR, MULTIPLY, [dense(4)], [dense(4)], dense(3))
two_way("shift in a difference", VECTOR, merging("Subtract"), [TANH], [ELU, layer("Rescaling", 1.0, 0.5)], dense(3))
two_way(
    "shift behind a sum of which one takes none", VECTOR, ADD, [dense(4)], [TANH], layer("Rescaling", 1.0, 0.5), TANH
)
two_way("several axes of two", (4, 2), CONCATENATE, [own_norm([1, 2])], [own_norm([1, 2])], own_norm([1, 2]), TANH)
SHIFTED = [dense(4), layer("Rescaling", 1.0, 2e38)]
two_way("branches that overflow", VECTOR, ADD, SHIFTED, SHIFTED, dense(3))
