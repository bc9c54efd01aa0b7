"""A channel of ones, past layers and into layers that do not keep it (rule 9)."""

from __future__ import annotations

from patterns.pattern import BN, conv, layer

from kerasbn_testing.counterexamples.building import AXIS_1, IMAGE, RELU, SILENT, TANH, chain, training

for way in ("latency", "ops", "size"):
    first = (IMAGE, conv(4, 2), RELU, BN)
    chain(f"ones past a tanh, {way}", IMAGE, conv(4, 2), TANH, BN, conv(3, 3, padding="same"), target=way)
    chain(f"ones past a relu, {way}", *first, conv(3, 3, padding="same"), target=way)
    chain(f"ones into groups, {way}", *first, conv(4, 3, padding="same", groups=2), target=way)
    chain(f"ones out of groups, {way}", IMAGE, conv(4, 2, groups=2), RELU, BN, conv(3, 3, padding="same"), target=way)
    chain(f"ones past a prelu, {way}", IMAGE, conv(4, 2), layer("PReLU"), BN, conv(3, 3, padding="same"), target=way)
    chain(
        f"ones of a tanh inside, {way}",
        IMAGE,
        conv(4, 2, activation="tanh"),
        BN,
        conv(3, 3, padding="same"),
        target=way,
    )
    chain(
        f"ones along another axis, {way}", (4, 4, 4), conv(4, 1), RELU, AXIS_1, conv(3, 3, padding="same"), target=way
    )
    chain(
        f"ones past a dropout, {way}", IMAGE, conv(4, 2), training(SILENT), BN, conv(3, 3, padding="same"), target=way
    )
    chain(f"ones from the input, {way}", IMAGE, RELU, BN, conv(3, 3, padding="same"), target=way)
    chain(f"ones into a depthwise, {way}", *first, layer("DepthwiseConv2D", 3, padding="same"), target=way)
    chain(f"ones of unknown size, {way}", (None, None, 3), conv(4, 2), RELU, BN, conv(3, 3, padding="same"), target=way)
    pool, pad, last = layer("MaxPooling2D", 2), layer("ZeroPadding2D", 1), conv(3, 3, padding="same")
    chain(f"ones past a pooling, {way}", IMAGE, conv(4, 2), RELU, pool, BN, last, target=way)
    chain(f"ones past a padding, {way}", IMAGE, conv(4, 2), RELU, pad, BN, last, target=way)
    chain(f"ones to a padding, {way}", IMAGE, conv(4, 2), RELU, BN, pad, last, target=way)
    chain(f"ones to a padding and on, {way}", IMAGE, conv(4, 2), RELU, BN, pad, TANH, last, target=way)
    chain(f"ones to two paddings, {way}", IMAGE, conv(4, 2), RELU, BN, pad, pad, last, target=way)
    turned = layer("ZeroPadding2D", 1, data_format="channels_first")
    chain(f"ones to padded channels, {way}", IMAGE, conv(4, 2), RELU, BN, turned, last, target=way)
    chain(f"ones to a padding that ends, {way}", IMAGE, conv(4, 2), RELU, BN, pad, target=way)
    chain(f"ones to a tanh, {way}", IMAGE, conv(4, 2), RELU, BN, TANH, last, target=way)
