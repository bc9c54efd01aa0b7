"""Keeps the log lines of TensorFlow, LiteRT and absl away from the terminal.

Some are written by C++ straight to file descriptor 2, some before any setting could stop them. So descriptor 2 itself
is pointed at a file that nobody reads, and Python's ``sys.stderr`` at the real one.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

STDERR = 2


@contextmanager
def quiet(*, enabled: bool = True) -> Iterator[None]:
    """Within it only what kerasbn itself writes reaches standard error.

    Args:
        enabled: If false, nothing is changed.
    """
    if not enabled:
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        for name in ("tensorflow", "absl", "h5py"):
            stack.enter_context(_muted(logging.getLogger(name)))
        stack.enter_context(_descriptor_muted())
        yield


@contextmanager
def _muted(logger: logging.Logger) -> Iterator[None]:
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _descriptor_muted() -> Iterator[None]:
    python_stream = sys.stderr
    real = os.dup(STDERR)
    with tempfile.TemporaryFile() as nowhere, os.fdopen(real, "w", buffering=1, errors="backslashreplace") as stream:
        if _writes_to_descriptor(python_stream):
            python_stream.flush()
            sys.stderr = stream
        os.dup2(nowhere.fileno(), STDERR)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(real, STDERR)
            sys.stderr = python_stream


def _writes_to_descriptor(stream: object) -> bool:
    """False where something stands in for standard error, as in a test."""
    try:
        return stream.fileno() == STDERR  # type: ignore[attr-defined, no-any-return]
    except (OSError, AttributeError, ValueError):
        return False
