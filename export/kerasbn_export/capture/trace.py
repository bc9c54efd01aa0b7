"""Traces a subclassed model: one symbolic run of its ``call``."""

from __future__ import annotations

import inspect
from typing import Any

from kerasbn.errors import UnsupportedModelError
from kerasbn.flavour import Flavour
from kerasbn_export.capture.symbolic import Symbolic, is_symbolic, plain, read_graph
from kerasbn_export.structure import leaves


def trace(flavour: Flavour, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Symbolic:
    """The graph of one run of ``layer.call`` in inference.

    Args:
        flavour: The layer's Keras.
        layer: A model or a layer made of layers.
        args: Its positional arguments, symbolic inputs where tensors are.
        kwargs: Its keyword arguments, likewise.

    Raises:
        UnsupportedModelError: The run failed, or gave something that is no symbolic tensor.
    """
    try:
        outputs = plain(layer.call(*args, **_in_inference(layer, args, kwargs)))
        # Keras and TensorFlow raise nearly every type when user code meets a symbolic tensor.
    except Exception as error:
        raise UnsupportedModelError(_refusal(layer, f"{type(error).__name__}: {_first_line(error)}")) from error
    for leaf in leaves(outputs):
        if not is_symbolic(leaf):
            raise UnsupportedModelError(_refusal(layer, f"it returned a {type(leaf).__name__}"))
    inputs = [leaf for leaf in leaves([list(args), kwargs]) if is_symbolic(leaf)]
    graph = read_graph(flavour, flavour.keras.Model(inputs, list(leaves(outputs))))
    if graph is None:  # pragma: no cover - a functional model always has its graph
        raise UnsupportedModelError(_refusal(layer, "Keras recorded nothing"))
    return Symbolic([*args, kwargs], outputs, graph.events)


def _in_inference(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    parameters = list(inspect.signature(layer.call).parameters)
    given = {**dict(zip(parameters, args, strict=False)), **kwargs}
    if "training" in parameters and given.get("training") is None and parameters.index("training") >= len(args):
        return {**kwargs, "training": False}
    return kwargs


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip() if lines else "no message"


def _refusal(layer: Any, found: str) -> str:
    kind = type(layer)
    return (
        f"{kind.__module__}.{kind.__qualname__} {layer.name!r} cannot be traced: calling it on symbolic tensors gave "
        f"{found}. kerasbn needs a `call` that uses Keras layers and operations only; build the model "
        "functionally, or move what needs concrete values into a layer of its own."
    )


def first_call_arguments(flavour: Flavour, model: Any) -> tuple[Any, ...]:
    """Symbolic inputs of the shapes that a subclassed model was first called with, the batch size left open.

    Raises:
        UnsupportedModelError: The model was never called, so that no shape is known.
    """
    recorded = _recorded_shapes(flavour, model)
    if not recorded:
        raise UnsupportedModelError(
            f"{type(model).__qualname__} {model.name!r} has no input shape: it was never called. Call it once on "
            "data, or call model.build(input_shape), before folding or exporting it."
        )
    return tuple(_symbolic_inputs(flavour, structure) for structure in recorded)


def _recorded_shapes(flavour: Flavour, model: Any) -> list[Any]:
    if flavour.name == "keras":
        return list((model._build_shapes_dict or {}).values())
    if model._saved_model_arg_spec is not None:
        return list(model._saved_model_arg_spec[0])
    return [] if model._build_input_shape is None else [model._build_input_shape]


def _symbolic_inputs(flavour: Flavour, structure: Any) -> Any:
    """The structure with an input where a shape or a tensor specification stands."""
    if isinstance(structure, dict):
        return {key: _symbolic_inputs(flavour, value) for key, value in structure.items()}
    shape = getattr(structure, "shape", structure)
    if isinstance(shape, (list, tuple)) and any(not _is_dimension(size) for size in shape):
        return [_symbolic_inputs(flavour, value) for value in shape]
    dtype = getattr(getattr(structure, "dtype", None), "name", None)
    return flavour.keras.Input(batch_shape=(None, *list(shape)[1:]), dtype=dtype)


def _is_dimension(size: Any) -> bool:
    return size is None or isinstance(size, int)
