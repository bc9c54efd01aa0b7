"""Opens a ``.tflite`` file in LiteRT to be timed or measured: kernels, threads, a delegate of the user's."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

from kerasbn.errors import InvalidArgumentError, ModelFileError

BACKENDS = {
    "xnnpack": "AUTO",
    "builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "reference": "BUILTIN_REF",
}
"""LiteRT's three sets of kernels, by the name of its op resolver: three independent results."""


def open_interpreter(
    path: str | Path, *, backend: str = "xnnpack", threads: int = 1, delegate: str | None = None
) -> Any:
    """An interpreter with its tensors allocated.

    Args:
        path: The file.
        backend: A key of `BACKENDS`.
        threads: How many it uses.
        delegate: The shared library of a delegate; None for none but what the backend has.

    Raises:
        InvalidArgumentError: The backend is not known, or the delegate cannot be loaded.
        ModelFileError: LiteRT cannot open or prepare the file.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType, load_delegate

    if backend not in BACKENDS:
        raise InvalidArgumentError(f"backend={backend!r} is not known; accepted: {', '.join(BACKENDS)}.")
    try:
        if delegate:
            ctypes.CDLL(delegate)  # LiteRT's own loader complains on standard error besides
        delegates = [load_delegate(delegate)] if delegate else None
    except (ValueError, RuntimeError, OSError) as error:
        raise InvalidArgumentError(f"{delegate}: cannot be loaded as a delegate: {_first_line(error)}.") from error
    try:
        interpreter = Interpreter(
            model_path=str(path),
            num_threads=threads,
            experimental_delegates=delegates,
            experimental_op_resolver_type=getattr(OpResolverType, BACKENDS[backend]),
        )
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise ModelFileError(f"{path}: LiteRT cannot open it: {_first_line(error)}.") from error
    return interpreter


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1].strip(" .") if lines else type(error).__name__
