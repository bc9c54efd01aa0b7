"""What a model that keeps no graph is called with: symbolic inputs from what Keras recorded of its first call."""

from __future__ import annotations

import inspect
from typing import Any

from kerasbn.errors import UnsupportedModelError
from kerasbn.flavour import Flavour
from kerasbn_export.capture.symbolic import own_graph, plain
from kerasbn_export.graph.structure import map_leaves

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def first_call_arguments(flavour: Flavour, model: Any) -> Arguments:
    """Symbolic inputs for ``model.call``: of its own graph if it has one, else of the first call's shapes.

    The batch size of recorded shapes is left open.

    Raises:
        UnsupportedModelError: The model was never called, so that no shape is known.
    """
    function = own_graph(model)
    if function is not None:
        inputs = function._inputs_struct if flavour.name == "keras" else function._nested_inputs
        return (map_leaves(lambda tensor: _like(flavour, tensor), plain(inputs)),), {}
    args, kwargs = _keras_shapes(model) if flavour.name == "keras" else _tf_keras_specs(model)
    if not args and not kwargs:
        raise UnsupportedModelError(
            f"{type(model).__qualname__} {model.name!r} has no input shape: it was never called. Call it once on "
            "data, or call model.build(input_shape), before folding or exporting it."
        )
    names = _parameters(model, args, kwargs) if len(args) + len(kwargs) > 1 else [None]
    named = tuple(_inputs(flavour, arg, name) for arg, name in zip(args, names, strict=False))
    return named, {k: _inputs(flavour, v, k) for k, v in kwargs.items()}


def _parameters(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
    """The names that ``call`` gives to what it is called with."""
    return list(inspect.signature(model.call).bind_partial(*args, **kwargs).arguments)


def _like(flavour: Flavour, tensor: Any) -> Any:
    dtype = tensor.dtype if isinstance(tensor.dtype, str) else tensor.dtype.name
    name = tensor._keras_history[0].name if flavour.name == "tf_keras" else tensor.name
    return flavour.keras.Input(batch_shape=tuple(tensor.shape), dtype=dtype, name=name)


def _keras_shapes(model: Any) -> Arguments:
    """Keras 3 keeps the shape of the first argument, and those of all if ``build`` takes them by name."""
    recorded = {name.removesuffix("_shape"): shape for name, shape in (model._build_shapes_dict or {}).items()}
    if any(shape is None for shape in recorded.values()):
        return (), {}
    parameters = inspect.signature(model.call).parameters
    if len(recorded) > 1 and all(name in parameters for name in recorded):
        return (), recorded
    if recorded:
        _refuse_unknown_shapes(model, list(parameters.values()))
    return tuple(recorded.values())[:1], {}


def _refuse_unknown_shapes(model: Any, parameters: list[inspect.Parameter]) -> None:
    """Raises for a call with more tensors than the first."""
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p.name for p in parameters if p.default is inspect.Parameter.empty and p.kind in positional]
    if len(needed) > 1:
        shapes = ", ".join(f"{name}_shape" for name in needed)
        raise UnsupportedModelError(
            f"{type(model).__qualname__} {model.name!r}: its call takes {', '.join(needed)}, and Keras 3 keeps only "
            f"the shape of the first. Give the model a method build(self, {shapes}) that builds its layers, or wrap "
            "it: keras.Model(inputs, model(*inputs))."
        )


def _tf_keras_specs(model: Any) -> Arguments:
    """tf_keras keeps a specification of every argument, or the shape that ``build`` was given."""
    if model._saved_model_arg_spec is not None:
        args, kwargs = model._saved_model_arg_spec
        return tuple(args), {name: spec for name, spec in kwargs.items() if name != "training" and spec is not None}
    return ((), {}) if model._build_input_shape is None else ((model._build_input_shape,), {})


def _inputs(flavour: Flavour, structure: Any, name: str | None) -> Any:
    """The structure with an input where a shape or a tensor specification stands, named by its key in a dict."""
    if isinstance(structure, dict):
        return {key: _inputs(flavour, value, str(key).replace("/", "_")) for key, value in structure.items()}
    if structure is None or isinstance(structure, (bool, str)):
        return structure
    shape = getattr(structure, "shape", structure)
    if isinstance(shape, (list, tuple)) and any(not (size is None or isinstance(size, int)) for size in shape):
        return [_inputs(flavour, value, None) for value in shape]
    dtype = getattr(getattr(structure, "dtype", None), "name", None)
    return flavour.keras.Input(batch_shape=(None, *list(shape)[1:]), dtype=dtype, name=name)
