"""A model as a computation with named ends: all that conversion needs to know of it.

A functional Keras model is one. So are a signature of a SavedModel without Keras layers and a Keras model whose
``call`` cannot be traced layer by layer: these can be converted, but not folded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kerasbn.errors import UnsupportedModelError
from kerasbn.flavour import KERAS, flavour_of
from kerasbn_export.calibration import ModelInput
from kerasbn_export.structure import leaves, map_leaves
from kerasbn_export.verification.naming import named_leaves

SERVING = "serving_default"


@dataclass(frozen=True)
class Program:
    """A computation with named ends.

    Attributes:
        name: Of the model.
        source: What it was read from, in words.
        inputs: In order; what the model leaves open is None.
        outputs: The same.
        call: From the tensors of the inputs to those of the outputs, both in order.
        tracked: What TensorFlow has to keep of it: variables, or a loaded SavedModel.
        model: The Keras model, where there is one.
        signature: Its name in the file.
        unfolded: Why it cannot be folded; empty for a model of layers.
        digest: SHA-256 of what it was read from; empty where there is a Keras model.
    """

    name: str
    source: str
    inputs: tuple[ModelInput, ...]
    outputs: tuple[ModelInput, ...]
    call: Callable[[Sequence[Any]], list[Any]] = field(repr=False)
    tracked: tuple[Any, ...] = field(repr=False, default=())
    model: Any = field(repr=False, default=None)
    signature: str = SERVING
    unfolded: str = ""
    digest: str = ""

    @property
    def layers(self) -> dict[str, Any]:
        """The Keras layers in it, by name, as far as they are known."""
        return {} if self.model is None else {str(layer.name): layer for layer in self.model.layers}

    def fixed(self, batch_size: int | None) -> tuple[ModelInput, ...]:
        """The inputs with the batch fixed where it is open; None leaves it open."""
        return tuple(
            ModelInput(wanted.name, with_batch(wanted.shape, batch_size), wanted.dtype) for wanted in self.inputs
        )


def functional_program(model: Any) -> Program:
    """A functional or Sequential model of either Keras."""
    flavour = flavour_of(model)
    sequential = isinstance(model, flavour.keras.Sequential)
    takes = model.inputs[0] if sequential else model.input
    gives = model.outputs[0] if sequential else model.output
    originals = list(leaves(takes))

    def call(tensors: Sequence[Any]) -> list[Any]:
        given = {id(original): tensor for original, tensor in zip(originals, tensors, strict=True)}
        return list(leaves(model(map_leaves(lambda leaf: given[id(leaf)], takes), training=False)))

    return Program(
        name=str(model.name),
        source=f"{flavour.name} model {model.name!r}",
        inputs=_ends(_keys(takes) or [tensor.name for tensor in originals], originals),
        outputs=_ends(
            [model.layers[-1].name] if sequential else _keys(gives) or model.output_names, list(leaves(gives))
        ),
        call=call,
        tracked=tensorflow_variables(model),
        model=model,
    )


def subclassed_program(model: Any, reason: str) -> Program:
    """A Keras model whose ``call`` no symbolic tensor passes; it is run as a whole, in inference.

    Args:
        model: A model that was called or built, so that the shapes of its inputs are known.
        reason: Why no graph of its layers can be read.
    """
    from kerasbn_export.capture.arguments import first_call_arguments

    flavour = flavour_of(model)
    args, kwargs = first_call_arguments(flavour, model)
    originals = [leaf for leaf in leaves([list(args), kwargs]) if hasattr(leaf, "shape")]
    if not originals:
        raise UnsupportedModelError(f"{model.name!r} takes no tensor, so that there is nothing to convert.")

    def run(tensors: Sequence[Any]) -> Any:
        given = {id(original): tensor for original, tensor in zip(originals, tensors, strict=True)}
        new_args, new_kwargs = map_leaves(lambda leaf: given.get(id(leaf), leaf), (args, kwargs))
        return model(*new_args, **new_kwargs, training=False)

    names = [name for (name, leaf) in named_leaves([list(args), kwargs]) if hasattr(leaf, "shape")]
    inputs = _ends([name or str(leaf.name) for name, leaf in zip(names, originals, strict=True)], originals)
    gives = _traced_outputs(run, inputs)
    keys = [name for name, _ in named_leaves(gives)]
    outputs = list(leaves(gives))
    return Program(
        name=str(model.name),
        source=f"{flavour.name} model {model.name!r}",
        inputs=inputs,
        outputs=_ends([key or (f"output_{i}" if len(keys) > 1 else "output") for i, key in enumerate(keys)], outputs),
        call=lambda tensors: list(leaves(run(tensors))),
        tracked=tensorflow_variables(model),
        model=model,
        unfolded=reason,
    )


def _traced_outputs(run: Callable[[Sequence[Any]], Any], inputs: Sequence[ModelInput]) -> Any:
    """The structure of what a call gives, with symbolic tensors."""
    from kerasbn_export.servable import traced

    return traced(run, inputs).structured_outputs


def tensorflow_variables(model: Any) -> tuple[Any, ...]:
    """The variables of a Keras model as TensorFlow knows them."""
    return tuple(
        variable.value if type(variable).__module__.startswith(KERAS.name + ".") else variable
        for variable in model.variables
    )


def distinct(names: Sequence[str]) -> Iterator[str]:
    """The names, with a number behind those that came before."""
    taken: set[str] = set()
    for name in names:
        free, number = name, 0
        while free in taken:
            number += 1
            free = f"{name}_{number}"
        taken.add(free)
        yield free


def with_batch(shape: tuple[int | None, ...], batch_size: int | None) -> tuple[int | None, ...]:
    """The shape with its first dimension fixed where it is open."""
    return (batch_size, *shape[1:]) if shape and shape[0] is None else shape


def _keys(structure: Any) -> list[str]:
    """The keys of a dict of tensors, in the order in which Keras flattens it; none for any other structure."""
    if isinstance(structure, dict) and not any(isinstance(value, dict | list | tuple) for value in structure.values()):
        return [str(key) for key in sorted(structure)]
    return []


def _ends(names: Sequence[Any], tensors: Sequence[Any]) -> tuple[ModelInput, ...]:
    return tuple(
        ModelInput(name, tuple(tensor.shape), str(getattr(tensor.dtype, "name", tensor.dtype)))
        for name, tensor in zip(distinct([str(name) for name in names]), tensors, strict=True)
    )
