"""A call as a concrete function of TensorFlow, with named ends."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kerasbn.lazy import LazyModule
from kerasbn_export.ends import ModelInput
from kerasbn_export.graph.structure import distinct

tf: Any = LazyModule("tensorflow")  # importing this module is to import no TensorFlow


@dataclass(frozen=True)
class End:
    """An input or output: its name in the model, and in the SavedModel, whose names are more restricted."""

    name: str
    key: str


def traced(call: Callable[[Sequence[Any]], Any], inputs: Sequence[ModelInput]) -> Any:
    """The concrete function of a call on a list of tensors, whose names are the keys of the inputs."""
    ends = keyed([wanted.name for wanted in inputs])
    specs = [tf.TensorSpec(wanted.shape, wanted.dtype, name=end.key) for wanted, end in zip(inputs, ends, strict=True)]
    return tf.function(call, autograph=False).get_concrete_function(specs)


def keyed(names: Sequence[str]) -> tuple[End, ...]:
    """Distinct names, each with a distinct key that TensorFlow takes as an identifier."""
    return tuple(map(End, distinct(names), distinct([re.sub(r"\W", "_", f"x{name}") for name in names])))
