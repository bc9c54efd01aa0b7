"""Loads a model file with the Keras that wrote it, and runs no code from the file unless told so."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from kerasbn.errors import InvalidArgumentError, ModelFileError, UnsafeModelError
from kerasbn_export.files.reading import first_line
from kerasbn_export.loading.describe import ModelFile, read_model_file
from kerasbn_export.loading.safety import find_code
from kerasbn_export.loading.saved_model import refuse_operations
from kerasbn_export.loading.signatures import is_foreign, is_saved_model, signature_programs


def load_model(path: str | Path, *, allow_code: bool = False) -> Any:
    """Loads a Keras model for inference: not compiled, by the Keras that wrote it.

    Args:
        path: A ``.keras`` file, a ``.h5``/``.hdf5`` file or a SavedModel folder of Keras 2 or Keras 3.
        allow_code: Whether code that the file carries or names may run: Lambda layers, classes and functions that are
            neither Keras' nor kerasbn's nor registered in this process, operations that read or write files.

    Returns:
        A model of Keras 3 or of tf_keras.

    Raises:
        ModelFileError: The file is missing, is no Keras model, or Keras cannot load it.
        UnsafeModelError: Loading would run code from the file, and ``allow_code`` is false.
    """
    file = read_model_file(path)
    _ = file.flavour.batch_normalization  # importing the layer registers it
    if file.flavour.name == "keras":
        importlib.import_module("kerasbn_export.capture.tensorflow_function")  # and so does this
    if not allow_code:
        _refuse_code(file)
    return _load(file, allow_code)


def load_source(path: str | Path, *, allow_code: bool = False, signature: str | None = None) -> Any:
    """Loads whatever can be exported: a Keras model, or the programs of a SavedModel that carries no Keras layers.

    Args:
        path: As for `load_model`, or the folder of any SavedModel.
        allow_code: As for `load_model`.
        signature: Of a SavedModel the signature to take, as it is; ``"*"`` for all. None is the Keras model where the
            path holds one, else ``serving_default``, or all signatures where there is none of that name.

    Returns:
        A model of either Keras, or a tuple of `Program`.

    Raises:
        InvalidArgumentError: A signature was asked for that the file does not have.
        ModelFileError: See `load_model`. UnsafeModelError: See `load_model`.
    """
    path = Path(path)
    if is_foreign(path) or (signature is not None and is_saved_model(path)):
        return signature_programs(path, signature, allow_code=allow_code)
    if signature is not None:
        raise InvalidArgumentError(
            f"{path}: signature={signature!r} was asked for, but this is a Keras model, which has no signatures."
        )
    return load_model(path, allow_code=allow_code)


def _refuse_code(file: ModelFile) -> None:
    registered = file.flavour.keras.saving.get_registered_object
    for finding in find_code(file.configs, registered):
        who = f"layer {finding.layer!r}" if finding.layer else "the model"
        raise UnsafeModelError(
            f"{file.path}: {who} {finding.what}; loading would run it. "
            "If you trust the file, load it with allow_code=True (on the command line: --allow-code)."
        )
    if file.format == "saved_model":
        refuse_operations(file.path)


def _load(file: ModelFile, allow_code: bool) -> Any:
    load = file.flavour.keras.models.load_model
    try:
        model = load(str(file.path), compile=False, safe_mode=not allow_code)
    except Exception as error:  # whatever Keras stumbles over, the file is what it stumbled over
        raise ModelFileError(f"{file.path}: {file.flavour.name} cannot load it: {_cause(error)}.") from error
    if not isinstance(model, file.flavour.keras.Model):
        raise ModelFileError(f"{file.path}: no Keras model: it describes a {type(model).__name__}.")
    return model


def _cause(error: Exception) -> str:
    """The innermost cause that Keras tells, in one line."""
    return first_line(str(error).rpartition("Exception encountered: ")[2]) or type(error).__name__
