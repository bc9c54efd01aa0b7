"""Random linear layers with any options that Keras accepts together."""

from __future__ import annotations

import itertools

import numpy as np

SPATIAL = {3: "1D", 4: "2D", 5: "3D"}
ACTIVATIONS = (None, None, None, "linear", "relu", "tanh", "relu6", "sigmoid", "leaky_relu", "softmax")


def linear_options(dice, *, units=2):
    activation = dice.one_of(ACTIVATIONS)
    if activation == "softmax" and units == 1:  # of one number: Keras warns
        activation = None
    return {"use_bias": not dice.odds(30), "activation": activation}


def dense(flavour, x, dice):
    units = 1 + dice.below(4)
    return flavour.keras.layers.Dense(units, **linear_options(dice, units=units))(x)


def conv(flavour, x, dice):
    return convolution(flavour.keras, "Conv{}", x, dice)


def depthwise(flavour, x, dice):
    return convolution(flavour.keras, "DepthwiseConv{}", x, dice)


def separable(flavour, x, dice):
    return convolution(flavour.keras, "SeparableConv{}", x, dice)


def transpose(flavour, x, dice):
    return convolution(flavour.keras, "Conv{}Transpose", x, dice)


def convolution(keras, name, x, dice):
    """Any convolution with any options that Keras and a CPU accept together."""
    axes = len(x.shape) - 2
    cls = getattr(keras.layers, name.format(SPATIAL.get(axes + 2)), None)
    if cls is None:
        return None
    data_format = dice.data_format()
    options = {**_window(name, axes, dice), "data_format": data_format}
    channels = x.shape[1 if data_format == "channels_first" else -1]
    if channels is None:
        return None
    if name.startswith(("Depthwise", "Separable")):
        options["depth_multiplier"] = 1 + dice.below(2)
    if not name.startswith("Depthwise"):
        options["filters"] = 1 + dice.below(4)
    if name == "Conv{}" and channels > 1 and dice.odds(20):
        options["groups"] = channels if dice.odds(30) else next(n for n in range(2, channels + 1) if channels % n == 0)
        options["filters"] = options["groups"] * (1 + dice.below(2))
    return cls(**options, **linear_options(dice, units=options.get("filters", channels)))(x)


def _window(name, axes, dice):
    """Kernel, strides, dilation and padding; one number or, now and then, one for each axis."""

    def sizes(make):
        return tuple(make() for _ in range(axes)) if dice.odds(20) and not name.startswith("Depthwise") else make()

    options = {"kernel_size": sizes(lambda: 1 + dice.below(3)), "padding": dice.one_of(("valid", "same"))}
    options["strides"] = sizes(lambda: dice.one_of((1, 1, 2)))
    unstrided = np.all(np.equal(options["strides"], 1))
    if unstrided and dice.odds(20):
        options["dilation_rate"] = sizes(lambda: 1 + dice.below(2))
    if axes == 1 and name in ("Conv{}", "SeparableConv{}") and unstrided and dice.odds(20):
        options["padding"] = "causal"
    return options


EQUATIONS = {
    2: (("ab,bc->ac", 1), ("ab,cb->ac", 1), ("ab,bcd->acd", 2), ("ab,bcd->adc", 2), ("...b,bc->...c", 1)),
    3: (
        *(("abc,cd->abd", 2), ("abc,cd->adb", 2), ("abc,cde->abde", 3), ("abc,cde->abed", 3), ("abc,bcd->ad", 1)),
        *(("abc,cbd->ad", 1), ("abc,bd->adc", 2), ("...c,cd->...d", 1), ("ab...,bd->ad...", 1), ("abc,cd->dab", 2)),
    ),
    4: (("abcd,cde->abe", 2), ("abcd,dce->abe", 2), ("abcd,de->abce", 3), ("abcd,ce->abed", 3), ("...d,de->...e", 1)),
}
"""Equation, and the rank of one sample of the output."""


def einsum(flavour, x, dice):
    """An EinsumDense whose new letters have the sizes 2 and 3."""
    equations = EQUATIONS.get(len(x.shape), (("...d,de->...e", 1),))
    equation, _ = dice.one_of(equations)
    (inputs, kernel), output = equation.split("->")[0].split(","), equation.split("->")[1]
    sizes = dict(zip(inputs.replace("...", ""), _letters(inputs, x.shape), strict=True))
    if any(sizes.get(letter, 0) is None for letter in kernel):
        return None
    fresh = dict(zip((letter for letter in kernel if letter not in inputs), (3, 2), strict=False))
    if "..." in output:
        shape = tuple({**sizes, **fresh}[letter] for letter in output.replace("...", "") if letter != "a")
        if output.endswith("..."):
            shape = (*shape, *(None,) * (len(x.shape) - 2))
    else:
        shape = tuple({**sizes, **fresh}[letter] for letter in output[1:])
    letters = [letter for letter in output if letter not in ".a"]
    subsets = [None, *("".join(s) for n in (1, 2) for s in itertools.combinations(letters, n))]
    known = [s for s in subsets if s is None or all({**sizes, **fresh}[letter] is not None for letter in s)]
    activation = dice.one_of((None, None, None, "relu", "tanh"))
    return flavour.keras.layers.EinsumDense(
        equation, output_shape=shape, bias_axes=dice.one_of(known), activation=activation
    )(x)


def _letters(inputs, shape):
    """The sizes of the letters of the input, without the axes of an ellipsis."""
    letters = inputs.replace("...", "")
    if inputs.endswith("..."):
        return shape[: len(letters)]
    return shape[len(shape) - len(letters) :]


LINEAR = {
    "dense": dense, "conv": conv, "depthwise": depthwise, "separable": separable, "transpose": transpose,
    "einsum": einsum,
}  # fmt: skip
