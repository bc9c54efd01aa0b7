"""Random layers over time: recurrent layers, attention, masks, and TimeDistributed of any other layer."""

from __future__ import annotations

from kerasbn_testing.random_elementwise import activation, inert, softmax
from kerasbn_testing.random_history import layer_of
from kerasbn_testing.random_linear import conv, dense, depthwise, einsum, separable, transpose
from kerasbn_testing.random_norms import batchnorm, group_norm, layer_norm, normalise, rescale
from kerasbn_testing.random_positions import (
    crop,
    flatten,
    global_pool,
    permute,
    pool,
    repeat,
    reshape,
    upsample,
    zero_pad,
)

CELLS = ("LSTM", "GRU", "SimpleRNN")


def recurrent(flavour, x, dice):
    if len(x.shape) != 3 or x.shape[-1] is None:
        return None
    name = dice.one_of(CELLS)
    layer = getattr(flavour.keras.layers, name)(3, **_options(name, dice, stateful=x.shape[0] is not None))
    return layer(x, training=True) if dice.odds(5) else layer(x)


def _options(name, dice, *, stateful):
    options = {"return_sequences": dice.odds(50), "use_bias": not dice.odds(20), "go_backwards": dice.odds(10)}
    if name == "GRU":
        options["reset_after"] = not dice.odds(30)
    if stateful and dice.odds(40):
        options["stateful"] = True
    return options


def bidirectional(flavour, x, dice):
    layers = flavour.keras.layers
    if len(x.shape) != 3 or x.shape[-1] is None:
        return None
    name = dice.one_of(CELLS)
    options = {**_options(name, dice, stateful=False), "go_backwards": False}
    other = None
    if dice.odds(30):
        other = getattr(layers, name)(2, **{**options, "go_backwards": True, "use_bias": not dice.odds(30)})
    modes = ("concat", "sum", "mul", "ave")
    layer = getattr(layers, name)(2, **options)
    return layers.Bidirectional(layer, merge_mode=dice.one_of(modes), backward_layer=other)(x)


def attention(flavour, x, dice):
    """Self-attention, in all roles or with a query of its own."""
    if len(x.shape) != 3 or x.shape[-1] is None:
        return None
    layer = flavour.keras.layers.MultiHeadAttention(2, 2, use_bias=not dice.odds(30), value_dim=dice.one_of((None, 3)))
    if dice.odds(30):
        query = flavour.keras.layers.Activation("tanh")(x)
        return layer(query, x) if dice.odds(50) else layer(x, query, key=x)
    return layer(x, x) if dice.odds(50) else layer(query=x, value=x, key=x)


def other_sequence(flavour, x, dice):
    """Layers over time that no rule knows."""
    layers = flavour.keras.layers
    if x.shape[-1] is None:
        return None
    if len(x.shape) == 3:
        return dice.one_of((
            lambda: layers.RNN(layers.LSTMCell(2), return_sequences=dice.odds(50))(x),
            lambda: layers.RNN([layers.GRUCell(2), layers.SimpleRNNCell(3)])(x),
            lambda: layers.Attention()([x, x]),
            lambda: layers.AdditiveAttention()([x, x]),
        ))()  # fmt: skip
    return layers.ConvLSTM1D(2, 2, padding="same")(x) if len(x.shape) == 4 and None not in x.shape[1:] else None


def masking(flavour, x, _dice):
    return flavour.keras.layers.Masking(0.0)(x) if len(x.shape) == 3 else None


INNER = (
    *(dense, batchnorm, batchnorm, batchnorm, activation, activation, conv, depthwise, separable, transpose, einsum),
    *(inert, rescale, normalise, layer_norm, group_norm, pool, global_pool, upsample, crop, zero_pad, flatten, reshape),
    *(permute, repeat, recurrent, bidirectional, softmax),
)


def time_distributed(flavour, x, dice):
    """TimeDistributed of a layer that fits one step; now and then of a TimeDistributed."""
    keras = flavour.keras
    if len(x.shape) < 3 or x.shape[1] is None:
        return None
    step = keras.Input(tuple(x.shape[2:]))
    make = time_distributed if dice.odds(5) else dice.one_of(INNER)
    result = make(flavour, step, dice)
    layer = None if result is None else layer_of(flavour, result)
    if layer is None or layer.name.startswith("lambda"):
        return None
    fresh = type(layer).from_config({**layer.get_config(), "name": f"inner_{layer.name}"})
    return keras.layers.TimeDistributed(fresh)(x)


SEQUENCES = {
    "recurrent": recurrent, "bidirectional": bidirectional, "attention": attention,
    "other_sequence": other_sequence, "masking": masking, "time_distributed": time_distributed,
}  # fmt: skip
