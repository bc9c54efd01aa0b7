"""Branches that a ZeroPadding before them pads: some are branches that pad themselves, some only look so."""

from __future__ import annotations

from typing import Any

from patterns.pattern import BN, conv, dense, layer

from kerasbn_testing.counterexamples.building import ADD, IMAGE, RELU, TANH, counterexample, through, two_way

ZEROS = layer("ZeroPadding2D", 1)
WIDE, NARROW = conv(4, 3), conv(4, 1)

two_way("padded branch", IMAGE, ADD, [ZEROS, WIDE], [NARROW], BN, TANH)
two_way("padded branch and a function", IMAGE, ADD, [ZEROS, WIDE], [TANH], BN, TANH)
two_way("branch behind a function", IMAGE, ADD, [RELU, NARROW], [NARROW], BN, TANH)
two_way("branch padded on one side", IMAGE, ADD, [layer("ZeroPadding2D", ((2, 0), (1, 1))), WIDE], [NARROW], BN, TANH)
two_way("padded branch of a function", IMAGE, ADD, [TANH, ZEROS, WIDE], [NARROW], BN, TANH)
two_way("padded dense branch", (1, 1, 4), ADD, [ZEROS, dense(4)], [NARROW], BN, TANH)
two_way("padded twice", (1, 1, 4), ADD, [ZEROS, conv(4, 3, padding="same")], [NARROW], BN, TANH)


@counterexample()
def padded_branch_seen_elsewhere(keras: Any) -> Any:
    """The zeros are seen by another layer as well."""
    inputs = keras.Input(IMAGE)
    padded = through(keras, inputs, ZEROS)
    total = keras.layers.Add()([through(keras, padded, WIDE), through(keras, inputs, NARROW)])
    return keras.Model(inputs, [through(keras, total, BN, TANH), through(keras, padded, TANH)])
