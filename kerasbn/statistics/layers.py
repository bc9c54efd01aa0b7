"""The BatchNorms of a model, stock or kerasbn's, wherever they sit: in nested models, wrappers and subclasses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasbn.batch_normalization import BatchNormMixin
from kerasbn.errors import InvalidArgumentError, UnsupportedModelError
from kerasbn.flavour import Flavour, flavour_of
from kerasbn.layout import Layout
from kerasbn.normalization import Normalization
from kerasbn.stock import _input_shape

Array = NDArray[np.float64]
AVERAGES = ("moving_mean", "moving_variance", "moving_stddev", "renorm_mean", "renorm_stddev")


@dataclass(frozen=True, eq=False)
class BatchNorm:
    """One built BatchNorm layer.

    Attributes:
        path: Its name with the names of the models and wrappers it sits in.
        layer: The layer.
        flavour: Its Keras.
    """

    path: str
    layer: Any
    flavour: Flavour

    @cached_property
    def layout(self) -> Layout:
        """Its channel axes."""
        shape = _input_shape(self.layer)
        return Layout.of([axis for axis, size in enumerate(shape) if size is not None], shape, self.path)

    @cached_property
    def normalization(self) -> Normalization:
        """Its arithmetic, by kerasbn's kernel for a stock layer as well."""
        library = self.flavour.batch_normalization._library
        kernel, dtype = library.kernel, self.compute_dtype
        if kernel is not None and not kernel.accepts(self.layout, dtype):
            kernel = None
        plain = "float64" if dtype == "float64" else "float32"
        return Normalization(library.ops, kernel, self.layout, self.layer.epsilon, plain)

    @property
    def compute_dtype(self) -> str:
        """What it computes in."""
        return str(self.layer.compute_dtype)

    @property
    def unbiased(self) -> bool:
        """Whether its own training averages the unbiased variance: where tf_keras' kernel is fused."""
        if isinstance(self.layer, BatchNormMixin):
            return self.layer.averages_unbiased
        return self.flavour.name == "tf_keras" and bool(self.layer.fused)

    @property
    def takes_masks(self) -> bool:
        """Whether its own training leaves out what is masked; the fused kernel of tf_keras does not."""
        return isinstance(self.layer, BatchNormMixin) or not self.unbiased

    @property
    def frozen(self) -> bool:
        """Whether it is at inference always."""
        return not self.layer.trainable

    def read(self, name: str) -> Array | None:
        """A weight with one entry for each channel; None where there is no such weight."""
        weight = getattr(self.layer, name, None)
        if weight is None:
            return None
        return np.asarray(_numpy(weight), np.float64).reshape(self.layout.weight_shape)

    @property
    def averages(self) -> list[Any]:
        """The weights that are statistics."""
        found = [getattr(self.layer, name, None) for name in AVERAGES]
        return [variable for variable in found if variable is not None]

    def put(self, name: str, values: Array) -> None:
        """Puts values in the place of a weight."""
        weight = getattr(self.layer, name)
        weight.assign(np.asarray(values, np.float64).reshape(tuple(weight.shape)).astype(_dtype(weight)))


def batchnorms(model: Any) -> list[BatchNorm]:
    """Every BatchNorm of a model in the order of its layers, each once.

    Raises:
        InvalidArgumentError: It is no model of either Keras.
        UnsupportedModelError: A BatchNorm is not built, or of a subclass with a ``call`` of its own.
    """
    flavour = flavour_of(model)
    if not isinstance(model, flavour.keras.Model):
        raise InvalidArgumentError(f"Expected a model, found the layer {model.name!r} ({type(model).__name__}).")
    found = {id(layer): BatchNorm(path, layer, flavour) for path, layer in _walk(model, (), set()) if _is_one(layer)}
    for norm in found.values():
        _check(norm)
    return list(found.values())


def is_built(model: Any) -> bool:
    """Whether every layer of a model has its weights."""
    layers = [layer for _, layer in _walk(model, (), set())]
    return bool(layers) and model.built and all(layer.built for layer in layers if _is_one(layer))


def _walk(layer: Any, path: Sequence[str], seen: set[int]) -> Iterator[tuple[str, Any]]:
    for child in layer._flatten_layers(include_self=False, recursive=False):
        if id(child) not in seen:
            seen.add(id(child))
            here = (*path, child.name)
            yield "/".join(here), child
            yield from _walk(child, here, seen)


def _is_one(layer: Any) -> bool:
    stock = flavour_of(layer).keras.layers.BatchNormalization
    bases = [base for base in stock.__mro__ if base.__name__ in ("BatchNormalization", "BatchNormalizationBase")]
    return isinstance(layer, (BatchNormMixin, *bases))


def _check(norm: BatchNorm) -> None:
    layer = norm.layer
    stock, own = norm.flavour.keras.layers.BatchNormalization, norm.flavour.batch_normalization
    if type(layer).call not in (stock.call, own.call):
        raise UnsupportedModelError(
            f"BatchNormalization {norm.path!r} is of class {type(layer).__module__}.{type(layer).__qualname__}, which "
            "has a call of its own: what it computes is not known. Use Keras' layer or kerasbn's."
        )
    if not layer.built:
        raise UnsupportedModelError(
            f"BatchNormalization {norm.path!r} has no weights yet; call the model once on a batch of its inputs."
        )


def _numpy(weight: Any) -> NDArray[Any]:
    value = weight.numpy()
    return np.asarray(value, np.float64)


def _dtype(weight: Any) -> str:
    name = getattr(weight.dtype, "name", None) or str(weight.dtype)
    return "float32" if name == "bfloat16" else name
