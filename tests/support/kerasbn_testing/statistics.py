"""Weights that no untrained model has: gammas of both signs and zero, means off zero, variances over decades."""

from __future__ import annotations

import numpy as np

from kerasbn_export.graph.structure import map_leaves


def randomise(model, rng, *, wild=False):
    """Give every floating variable of a model random numbers; integer state is left alone.

    Args:
        model: A built model or layer of either Keras.
        rng: A numpy generator.
        wild: Variances from 1e-12 to 1e4 and means up to hundreds, instead of numbers that float32 copes with.
    """
    for variable in model.weights:
        if not hasattr(variable, "dtype") or None in tuple(variable.shape):  # a table, or what adapt() makes
            continue
        dtype = variable.dtype if isinstance(variable.dtype, str) else variable.dtype.name
        if "float" in dtype:
            variable.assign(_numbers(own_name(variable), tuple(variable.shape), rng, wild).astype("float32"))


def restart(model):
    """Set the states of recurrent layers to zero, as they are in a new model."""
    for layer in model._flatten_layers():
        restart_layer(layer)


def restart_layer(layer):
    """Set the states of one layer to zero if it is a recurrent one that keeps them."""
    if type(layer).__name__ in ("LSTM", "GRU", "SimpleRNN") and layer.stateful:
        layer.reset_states()


def own_name(variable):
    """The name of a variable without the names of its layers."""
    return variable.name.rpartition("/")[2].partition(":")[0]


def _numbers(name, shape, rng, wild):
    normal = rng.normal(size=shape)
    if name == "gamma":
        return np.where(rng.random(shape) < 0.15, 0.0, normal + 0.5 * np.sign(normal))
    if name.endswith(("variance", "stddev")):
        return 10.0 ** (rng.uniform(-12, 4, shape) if wild else rng.uniform(-1.5, 1.5, shape))
    if name.endswith("mean"):
        return normal * (100.0 if wild else 2.0)
    fan_in = max(1, int(np.prod(shape[:-1])))
    return normal / np.sqrt(fan_in) if len(shape) > 1 else normal


def data_for(model, rng, batch=2, size=6):
    """Random data for a functional model's inputs, in their structure; integers are 0 to 4, unknown sizes ``size``."""
    return map_leaves(lambda tensor: _one(tensor, rng, batch, size), input_structure(model))


def input_structure(model):
    """The symbolic inputs of a functional or Sequential model, in the structure in which it takes them."""
    function = getattr(model, "_functional", None) or model
    return function._inputs_struct if hasattr(function, "_inputs_struct") else function._nested_inputs


def _one(tensor, rng, batch, size):
    shape = [batch if tensor.shape[0] is None else tensor.shape[0]]
    shape += [size if dimension is None else dimension for dimension in tensor.shape[1:]]
    dtype = tensor.dtype if isinstance(tensor.dtype, str) else tensor.dtype.name
    if "int" in dtype:
        numbers = rng.integers(0, 5, shape).astype(dtype)
        numbers[:, :1] = 1  # zeros are masked, but never a whole sequence
        return numbers
    return rng.normal(size=shape).astype("float32" if dtype == "bfloat16" else dtype)
