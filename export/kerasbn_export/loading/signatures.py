"""The signatures of a SavedModel that carries no Keras layers: programs that can be converted, but not folded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from kerasbn.errors import InvalidArgumentError, ModelFileError
from kerasbn.lazy import LazyModule
from kerasbn_export.ends import SERVING, ModelInput
from kerasbn_export.files.paths import is_there
from kerasbn_export.loading.saved_model import keras_metadata, refuse_operations
from kerasbn_export.program.program import Program
from kerasbn_export.tflite.signature import chosen

tf: Any = LazyModule("tensorflow")  # importing this module is to import no TensorFlow

UNFOLDED = "the SavedModel carries no Keras layers, so its BatchNorms cannot be told from other arithmetic"
CHOSEN = "a signature was asked for, and it holds no layers; leave it out to fold the layers of the model"
ALL = "*"
"""In place of a name: every signature."""
OF_KERAS = "serve"
"""Keras 3 writes its one signature a second time under this name."""


def is_saved_model(path: Path) -> bool:
    """Whether the path is the folder of a SavedModel."""
    return is_there(path) and (path / "saved_model.pb").is_file()


def is_foreign(path: Path) -> bool:
    """Whether the path is a SavedModel without a description of Keras layers."""
    return is_saved_model(path) and not keras_metadata(path)


def one_program(path: Path, signature: str | None, *, allow_code: bool = False) -> Program:
    """The program of the signature asked for, else of the only one or ``serving_default``.

    Raises:
        InvalidArgumentError: There is no signature of that name, or several and none was asked for.
        ModelFileError: See `signature_programs`. UnsafeModelError: See `signature_programs`.
    """
    programs = signature_programs(path, signature, allow_code=allow_code)
    names = tuple(program.signature for program in programs)
    return programs[names.index(chosen(names, None, str(path)))]


def signature_programs(path: Path, signature: str | None, *, allow_code: bool = False) -> tuple[Program, ...]:
    """A program for the signature asked for; without one, for the one that TensorFlow serves by default.

    Args:
        path: The folder.
        signature: The one to take, or ``"*"`` for all; None is ``serving_default``, or all where it is missing.
        allow_code: Whether the graph may hold operations that do more than compute, as reading and writing files.

    Raises:
        InvalidArgumentError: There is no signature of that name.
        ModelFileError: TensorFlow cannot load it, or it has no signature.
        UnsafeModelError: The graph holds such an operation, and ``allow_code`` is false.
    """
    if not allow_code:
        refuse_operations(path)
    try:
        loaded = tf.saved_model.load(str(path))
        found = dict(loaded.signatures)
    except Exception as error:  # TensorFlow raises many types
        raise ModelFileError(f"{path}: TensorFlow cannot load it: {str(error).splitlines()[0]}") from error
    if len(found) == 2 and OF_KERAS in found:
        del found[OF_KERAS]
    if not found:
        raise ModelFileError(f"{path}: the SavedModel has no signature, so nothing in it says what to convert.")
    digest = _digest(path)
    return tuple(_program(path, loaded, name, found[name], digest) for name in _chosen(path, signature, found))


def _chosen(path: Path, signature: str | None, found: Collection[str]) -> list[str]:
    if signature in (None, ALL):
        served = signature is None and SERVING in found
        return [SERVING] if served else sorted(found, key=lambda name: (name != SERVING, name))
    if signature not in found:
        raise InvalidArgumentError(f"{path}: has no signature {signature!r}; it has {', '.join(sorted(found))}.")
    return [str(signature)]


def _program(path: Path, loaded: Any, name: str, function: Any, digest: str) -> Program:
    specs = function.structured_input_signature[1]
    outputs = function.structured_outputs
    if not specs:
        raise ModelFileError(f"{path}: its signature {name!r} takes no inputs: there is nothing to convert or compare.")
    return Program(
        name=path.name,
        source=f"signature {name!r} of {path.name}",
        inputs=_ends(specs),
        outputs=_ends(outputs),
        call=_call(function, list(specs), list(outputs)),
        tracked=(loaded,),
        signature=name,
        unfolded=UNFOLDED if is_foreign(path) else CHOSEN,
        digest=digest,
    )


def _call(function: Any, inputs: Sequence[str], outputs: Sequence[str]) -> Callable[[Sequence[Any]], list[Any]]:
    def call(tensors: Sequence[Any]) -> list[Any]:
        results = function(**dict(zip(inputs, tensors, strict=True)))
        return [results[key] for key in outputs]

    return call


def _ends(specs: dict[str, Any]) -> tuple[ModelInput, ...]:
    return tuple(
        ModelInput(name, tuple(() if spec.shape.rank is None else spec.shape.as_list()), spec.dtype.name)
        for name, spec in specs.items()
    )


def _digest(path: Path) -> str:
    """SHA-256 over the names and contents of its files."""
    digest = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(path)}:{len(content)}".encode())
        digest.update(content)
    return digest.hexdigest()
