"""From a `Layer` back to a Keras layer."""

from __future__ import annotations

import copy
import functools
import importlib
import inspect
from typing import Any

import numpy as np

from kerasbn.errors import UnsupportedModelError
from kerasbn.flavour import Flavour
from kerasbn_export.algebra.affine import round_to
from kerasbn_export.emit.copied import copied_layer
from kerasbn_export.emit.state import complete, has_vocabulary, make_alike
from kerasbn_export.graph.model import Layer, weight_names
from kerasbn_export.graph.recurrent_layers import make
from kerasbn_export.graph.structure import map_leaves

FLOATS = ("float16", "bfloat16", "float32", "float64")
"""The names by which a function may be told a floating dtype."""


def build_layer(flavour: Flavour, layer: Layer, name: str, dtype: str | None) -> Any:
    """A new Keras layer or operation that does what the `Layer` says; its weights come later.

    Args:
        flavour: The Keras to build in.
        layer: What to build.
        name: Its name in the new model.
        dtype: The precision of the new layer, None for its own.

    Raises:
        UnsupportedModelError: The layer cannot be made again from its configuration.
    """
    source = layer.source
    if layer.kind in ("MergeTime", "SplitTime"):
        return _reshape(flavour, layer.config["shape"], name)
    if source is not None and not isinstance(source, flavour.keras.layers.Layer):
        return _copy_operation(source, name, dtype)
    if is_function_layer(source):
        return _copy_function_layer(source, name, dtype)
    try:
        target = _from_config(flavour, layer, name, dtype)
    except UnsupportedModelError:
        if source is None or layer.changed or has_vocabulary(source) or dtype not in (None, source.compute_dtype):
            raise
        return copied_layer(flavour, source, name)
    if source is not None and not layer.changed:
        make_alike(flavour, source, target, retyped=dtype is not None)
    return target


def can_be_copied(layer: Layer, target: Any, dtype: str | None) -> bool:
    """Whether a layer of the user's, made again from its configuration, may be a copy of the layer instead."""
    source = layer.source
    of_a_class = hasattr(source, "get_config") and hasattr(source, "compute_dtype")
    copied = getattr(target, "has_its_weights", False)
    return bool(of_a_class and not copied and not layer.changed and dtype in (None, source.compute_dtype))


def _from_config(flavour: Flavour, layer: Layer, name: str, dtype: str | None) -> Any:
    source = layer.source
    cls = getattr(flavour.keras.layers, str(layer.kind)) if source is None else _class(flavour, source)
    try:
        fresh = map_leaves(lambda leaf: leaf, {**layer.config, "name": name})  # some from_config take entries out
        config = complete(source, retyped(fresh, dtype))
        with flavour.keras.utils.custom_object_scope(_custom_objects(source)):
            return make(flavour, cls, config)
    except UnsupportedModelError:
        raise
        # A layer of the user's may raise anything here.
    except Exception as error:
        raise UnsupportedModelError(
            f"Layer {layer.path!r} ({cls.__module__}.{cls.__qualname__}) cannot be made again from its get_config(): "
            f"{type(error).__name__}: {error}. Its get_config() must return all that its constructor needs."
        ) from error


def _class(flavour: Flavour, source: Any) -> Any:
    """Where a class of the user's only has a constructor of its own, that may not take the configuration."""
    return flavour.stock_class(source) or type(source)


def _reshape(flavour: Flavour, shape: list[int], name: str) -> Any:
    """A reshape that may change the batch size, which Keras' own Reshape layer may not."""
    if flavour.name == "keras":
        dummy = flavour.keras.KerasTensor(tuple(abs(size) for size in shape))
        return _copy_operation(flavour.keras.ops.reshape(dummy, tuple(shape))._keras_history[0], name, None)
    tensorflow = importlib.import_module("tensorflow")
    dummy = flavour.keras.Input(batch_shape=tuple(abs(size) for size in shape))
    operation = tensorflow.reshape(dummy, shape)._keras_history[0]
    layer = type(operation)(operation.function, name=name)
    return functools.partial(layer, shape=shape)


def _copy_operation(operation: Any, name: str, dtype: str | None) -> Any:
    """A Keras 3 operation has no weights: a shallow copy with no past is a new one."""
    twin = copy.copy(operation)
    twin.name = name
    twin._inbound_nodes, twin._outbound_nodes = [], []
    if dtype is not None and "float" in str(getattr(operation, "dtype", "")):
        twin.dtype = dtype
    return twin


def is_function_layer(source: Any) -> bool:
    """Lambda, and the layers that tf_keras makes of TensorFlow functions called on symbolic tensors."""
    return type(source).__name__ in ("Lambda", "TFOpLambda", "SlicingOpLambda")


def _copy_function_layer(source: Any, name: str, dtype: str | None) -> Any:
    """The same function in a new layer: no code is written to a configuration and read back."""
    if type(source).__name__ != "Lambda":
        return type(source)(source.function, name=name)
    options = {"mask": source.mask, "arguments": source.arguments, "output_shape": source._output_shape}
    return type(source)(source.function, name=name, dtype=dtype or source.dtype_policy, **options)


def _custom_objects(source: Any) -> dict[str, Any]:
    """The user's own functions and classes that a configuration names, from the attributes of the layer itself."""
    found: dict[str, Any] = {}
    for value in vars(source).values() if source is not None else ():
        if inspect.isfunction(value):
            found[value.__name__] = value
        elif not type(value).__module__.startswith(("keras.", "tf_keras.", "builtins", "tensorflow.", "numpy")):
            found[type(value).__name__] = type(value)
    return found


def retyped(config: dict[str, Any], dtype: str | None) -> dict[str, Any]:
    """The configuration with every floating dtype policy in it, also of layers inside, replaced."""
    if dtype is None:
        return config
    return {key: _retyped_entry(config, key, value, dtype) for key, value in config.items()}


def _retyped_entry(config: dict[str, Any], key: str, value: Any, dtype: str) -> Any:
    if key == "dtype" and "name" in config and "float" in str(value):
        return dtype
    if isinstance(value, dict):
        return retyped(value, dtype)
    if isinstance(value, (list, tuple)) and any(isinstance(entry, dict) for entry in value):
        return [retyped(entry, dtype) if isinstance(entry, dict) else entry for entry in value]
    return value


def retyped_arguments(arguments: Any, dtype: str | None) -> Any:
    """Call arguments with floating numpy constants and dtypes in them replaced."""

    def one(leaf: Any) -> Any:
        if hasattr(leaf, "is_floating"):  # a TensorFlow dtype
            return dtype if leaf.is_floating else leaf
        if isinstance(leaf, str):
            return dtype if leaf in FLOATS else leaf
        if isinstance(leaf, (np.ndarray, np.generic)) and "float" in leaf.dtype.name:
            return leaf.astype(dtype)
        return leaf

    return arguments if dtype is None else map_leaves(one, arguments)


def set_weights(layer: Layer, target: Any) -> None:
    """Give a built layer its weights, each rounded once to the dtype of its variable.

    Raises:
        UnsupportedModelError: The layer made again has other weights than its source.
    """
    if layer.new_weights is not None:
        variables = list(getattr(target, "weights", ()))
        names = weight_names(variables)
        if set(names) != set(layer.new_weights):  # Keras 2 numbers the cells of a wrapper anew; their order stays
            names = list(layer.new_weights)
        for name, variable in zip(names, variables, strict=True):
            variable.assign(round_to(layer.new_weights[name], _numpy_dtype(variable)))
        return
    if has_vocabulary(layer.source) or getattr(target, "has_its_weights", False):
        return
    sources = getattr(layer.source, "weights", [])
    if [tuple(v.shape) for v in sources] != [tuple(v.shape) for v in getattr(target, "weights", [])]:
        raise UnsupportedModelError(
            f"Layer {layer.path!r} ({type(layer.source).__qualname__}), made again from its get_config(), has other "
            "weights than the original. Its get_config() must return all that its constructor needs."
        )
    for old, new in zip(sources, getattr(target, "weights", []), strict=True):
        new.assign(old.numpy())
    if sources and hasattr(target, "finalize_state"):  # it computes with what it derives from its weights
        target.finalize_state()


def _numpy_dtype(variable: Any) -> Any:
    dtype = variable.dtype
    return dtype if isinstance(dtype, str) else dtype.as_numpy_dtype
