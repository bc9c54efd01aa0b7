"""Functions of TensorFlow on symbolic tensors of Keras 3, as tf_keras has them: each call is an operation.

Keras 3 refuses ``tf.nn.relu(x)`` where ``x`` is symbolic. On real tensors its layers may call it, and the ``call`` of a
user often does. TensorFlow asks a dispatcher about every argument that it does not know. Ours answers with a
`TensorFlowFunction` while a model is traced, for functions that only compute (`graph.pure_functions`) and get no
function to call: what happens inside such a function would not be seen.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.util.tf_export import get_canonical_name_for_symbol

from kerasbn_export.capture.symbolic import is_symbolic
from kerasbn_export.graph.pure_functions import is_pure
from kerasbn_export.graph.structure import leaves, map_leaves

RECORDING: ContextVar[bool] = ContextVar("recording", default=False)


@keras.saving.register_keras_serializable("kerasbn")
class TensorFlowFunction(keras.Operation):  # type: ignore[misc]  # Keras has no types
    """A pure function of TensorFlow as an operation of Keras 3.

    A model that was folded has them where its ``call`` used TensorFlow's functions. Import this class before
    ``keras.models.load_model`` reads such a model; the commands of kerasbn do.

    Args:
        function: Its public name below ``tf``, as ``"nn.relu"``.
        name: The name of the operation.

    Raises:
        ValueError: TensorFlow has no such function, or it does more than compute.
    """

    def __init__(self, function: str, name: str | None = None) -> None:
        super().__init__(name=name)
        self.symbol = function
        self.function = _found(function)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """What the function gives."""
        return self.function(*args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Of dense tensors: Keras takes a product of a tensor and a number for a sparse one."""
        return super().compute_output_spec(*map_leaves(_dense, args), **map_leaves(_dense, kwargs))

    def get_config(self) -> dict[str, Any]:
        """The name alone: arguments stand in the graph."""
        return {"function": self.symbol, "name": self.name}


@contextlib.contextmanager
def recorded_functions() -> Iterator[None]:
    """Inside, TensorFlow's functions take symbolic tensors of Keras 3."""
    _register_once()
    token = RECORDING.set(True)
    try:
        yield
    finally:
        RECORDING.reset(token)


class _Dispatcher(tf.__internal__.dispatch.GlobalOpDispatcher):  # type: ignore[misc]
    """What TensorFlow asks when it does not know the type of an argument."""

    def handle(self, op: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        given = list(leaves([list(args), kwargs])) if RECORDING.get() else []
        if not any(map(is_symbolic, given)) or any(callable(leaf) and not isinstance(leaf, type) for leaf in given):
            return self.NOT_SUPPORTED
        name = get_canonical_name_for_symbol(op, add_prefix_to_v1_names=True)
        return self.NOT_SUPPORTED if name is None or not is_pure(name) else TensorFlowFunction(name)(*args, **kwargs)


@functools.cache
def _register_once() -> None:
    """For good: TensorFlow has no way to take a dispatcher out."""
    _Dispatcher().register()


def _dense(leaf: Any) -> Any:
    return keras.KerasTensor(leaf.shape, leaf.dtype) if is_symbolic(leaf) else leaf


def _found(name: str) -> Callable[..., Any]:
    found = functools.reduce(lambda place, part: getattr(place, part, None), name.split("."), tf)
    if not is_pure(name) or not callable(found):
        raise ValueError(f"tf.{name} is no function of TensorFlow that only computes. Take it out of the model.")
    return found  # type: ignore[no-any-return]
