"""Opens whatever can be verified: a Keras model, a fold's result, a model file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kerasbn.errors import InvalidArgumentError, ModelFileError, UnsupportedModelError
from kerasbn_export.files.reading import reading
from kerasbn_export.verification.sides.keras_runner import KerasRunner
from kerasbn_export.verification.sides.ports import Runnable
from kerasbn_export.verification.sides.runtimes import open_file


def open_sides(
    reference: Any, candidate: Any, *, backend: str, allow_code: bool, signature: str | None
) -> tuple[Runnable, Runnable]:
    """Both sides of a comparison; see `open_runnable`.

    Raises:
        InvalidArgumentError: A signature was asked for, and neither side has any.
    """
    first, second = (
        open_runnable(side, backend=backend, allow_code=allow_code, signature=signature)
        for side in (reference, candidate)
    )
    if signature is not None and not any(getattr(side, "signature", "") for side in (first, second)):
        raise InvalidArgumentError(
            f"signature={signature!r} was asked for, but neither {first.label} nor {second.label} has signatures."
        )
    return first, second


def open_runnable(side: Any, *, backend: str, allow_code: bool, signature: str | None = None) -> Runnable:
    """One side of a comparison.

    Args:
        side: A Keras model, a `FoldResult`, or the path of a ``.tflite``, ``.keras``, ``.h5`` or SavedModel.
        backend: What runs a ``.tflite``.
        allow_code: Whether code in a file may run.
        signature: Of a ``.tflite`` or a SavedModel the signature to run; None for the Keras model that a SavedModel
            holds, else the only one, or ``serving_default``.

    Raises:
        ModelFileError: The file is missing or is no model.
        InvalidArgumentError: It is no model of either Keras, or has no such signature.
        UnsupportedModelError: The model was never called, so that the shapes of its inputs are not known.
    """
    if hasattr(side, "run_with_scores"):  # a `Runnable` already
        runnable: Runnable = side
        return runnable
    if not isinstance(side, (str, Path)):
        return _runner(side.model if hasattr(side, "verdicts") else side, "")
    path = Path(side)
    missing = "no such file. Accepted: .tflite, .keras, .h5 or a SavedModel folder"
    with reading(path, "cannot be opened", ModelFileError, missing=missing):
        path.stat()
        content = path.read_bytes() if path.is_file() and _is_tflite(path) else None
    if content is None:
        return _opened(path, allow_code, signature)
    return open_file(content, path.name, backend, signature)


def _opened(path: Path, allow_code: bool, signature: str | None) -> Runnable:
    """A Keras model, or a signature of a SavedModel."""
    from kerasbn_export.loading.load import load_model
    from kerasbn_export.loading.signatures import is_foreign, is_saved_model, one_program
    from kerasbn_export.verification.sides.program_runner import ProgramRunner

    if is_foreign(path) or (signature is not None and is_saved_model(path)):
        return ProgramRunner(one_program(path, signature, allow_code=allow_code))
    return _runner(load_model(path, allow_code=allow_code), path.name)


def _is_tflite(path: Path) -> bool:
    with path.open("rb") as file:
        return path.suffix == ".tflite" or file.read(8)[4:] == b"TFL3"


def _runner(model: Any, name: str) -> Runnable:
    """A model that is not functional is run as the functional one that its graph gives; as a whole if it has none."""
    from kerasbn.flavour import flavour_of
    from kerasbn_export.emit.emit import functional

    flavour = flavour_of(model)
    label = " ".join(part for part in (name, f"({flavour.name} model {model.name!r})") if part)
    try:
        plain = functional(model)
        if type(plain).__name__ == "Sequential":  # in Keras 3 it knows its inputs only once it was called
            plain = flavour.keras.Model(model.inputs, model.outputs, name=model.name)
        return KerasRunner(plain, label, model)
    except UnsupportedModelError as error:
        return _whole(model, str(error))


def _whole(model: Any, reason: str) -> Runnable:
    from kerasbn_export.program.program import subclassed_program
    from kerasbn_export.verification.sides.program_runner import ProgramRunner

    return ProgramRunner(subclassed_program(model, reason))
