"""A model as a computation with named ends: all that conversion needs to know of it.

A functional Keras model is one. So are a signature of a SavedModel without Keras layers and a Keras model whose
``call`` cannot be traced layer by layer: these can be converted, but not folded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kerasbn.errors import UnsupportedModelError
from kerasbn.flavour import KERAS, flavour_of
from kerasbn_export.ends import SERVING, ModelInput
from kerasbn_export.graph.structure import distinct, leaves, map_leaves, named_leaves


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
        return tuple(replace(wanted, shape=with_batch(wanted.shape, batch_size)) for wanted in self.inputs)


def functional_program(model: Any) -> Program:
    """A functional or Sequential model of either Keras."""
    flavour = flavour_of(model)
    takes, gives = (_unwrapped(model, ends) for ends in ("input", "output"))
    originals = list(leaves(takes))

    def call(tensors: Sequence[Any]) -> list[Any]:
        given = {id(original): tensor for original, tensor in zip(originals, tensors, strict=True)}
        return list(leaves(model(map_leaves(lambda leaf: given[id(leaf)], takes), training=False)))

    return Program(
        name=str(model.name),
        source=f"{flavour.name} model {model.name!r}",
        inputs=_model_ends(takes, [str(tensor.name) for tensor in originals]),
        outputs=_model_ends(gives, _output_names(model, gives)),
        call=call,
        tracked=as_tensorflow(model.variables),
        model=model,
    )


def _unwrapped(model: Any, ends: str) -> Any:
    """The inputs or outputs in the structure that the model takes or gives; those of a Sequential are a list."""
    if isinstance(model, flavour_of(model).keras.Sequential):
        found = getattr(model, f"{ends}s")
        return found[0] if len(found) == 1 else found
    return getattr(model, ends)


def _output_names(model: Any, gives: Any) -> list[str]:
    """What Keras calls each output, which it lists in an order of its own where a dict is an ordered one."""
    if isinstance(model, flavour_of(model).keras.Sequential):
        return [str(model.layers[-1].name)] * len(model.outputs)
    named: dict[int, list[str]] = {}
    for tensor, name in zip(model.outputs, model.output_names, strict=True):
        named.setdefault(id(tensor), []).append(str(name))
    return [named[id(tensor)].pop(0) for tensor in leaves(gives)]


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
        tracked=as_tensorflow(model.variables),
        model=model,
        unfolded=reason,
    )


def _traced_outputs(run: Callable[[Sequence[Any]], Any], inputs: Sequence[ModelInput]) -> Any:
    """The structure of what a call gives, with symbolic tensors."""
    from kerasbn_export.program.traced import traced

    return traced(run, inputs).structured_outputs


def as_tensorflow(variables: Iterable[Any]) -> tuple[Any, ...]:
    """Variables of either Keras as TensorFlow knows them."""
    return tuple(
        variable.value if type(variable).__module__.startswith(KERAS.name + ".") else variable for variable in variables
    )


def with_batch(shape: tuple[int | None, ...], batch_size: int | None) -> tuple[int | None, ...]:
    """The shape with its first dimension fixed where it is open."""
    return (batch_size, *shape[1:]) if shape and shape[0] is None else shape


def _model_ends(structure: Any, names: Sequence[str]) -> tuple[ModelInput, ...]:
    """The ends of a model: the keys of a dict are their names, of any other structure what Keras calls them."""
    keys = [path for path, _ in named_leaves(structure)]
    paths = [number if key else "" for key, number in zip(keys, distinct(keys), strict=True)]
    own, others = (paths, names) if _is_flat_dict(structure) else (names, paths)
    pairs = zip(own, others, strict=True)
    aliases = [tuple(filter(None, (other, *_without_number(name, other)))) for name, other in pairs]
    return _ends(own, list(leaves(structure)), aliases)


def _is_flat_dict(structure: Any) -> bool:
    return isinstance(structure, dict) and not any(isinstance(v, dict | list | tuple) for v in structure.values())


def _without_number(*names: str) -> list[str]:
    """What is left of names such as ``image:0``, as TensorFlow numbers its tensors."""
    return [name.partition(":")[0] for name in names if ":" in name]


def _ends(
    names: Sequence[Any], tensors: Sequence[Any], aliases: Sequence[tuple[str, ...]] = ()
) -> tuple[ModelInput, ...]:
    others = aliases or [()] * len(tensors)
    return tuple(
        ModelInput(name, tuple(tensor.shape), str(getattr(tensor.dtype, "name", tensor.dtype)), alias)
        for name, tensor, alias in zip(distinct([str(name) for name in names]), tensors, others, strict=True)
    )
