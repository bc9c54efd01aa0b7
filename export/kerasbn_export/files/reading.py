"""Reading a file that may be anything: what goes wrong on the way is said of the file, in one line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kerasbn.errors import KerasBNError

LARGEST_JSON = 1 << 28
"""Bytes of a description in JSON; that of the largest model of ``keras.applications`` has two million."""


@contextmanager
def reading(path: str | Path, said: str, error: type[KerasBNError], *, missing: str = "no such file") -> Iterator[None]:
    """Turns whatever goes wrong within into an error of one kind that names the file.

    The libraries that read archives, arrays and flatbuffers raise anything on a damaged file: zlib's own errors,
    OverflowError, RecursionError, MemoryError, those of Python's tokenizer.

    Args:
        path: The file.
        said: What is said of it, as the end of a sentence that begins with its path; the first cause follows.
        error: What is raised instead; what kerasbn itself has raised is left as it is.
        missing: What is said where there is no such file.
    """
    try:
        yield
    except KerasBNError:
        raise
    except FileNotFoundError as found:
        raise error(f"{path}: {missing}.") from found
    except Exception as found:
        raise error(f"{path}: {_said(said, found)}.") from found


@contextmanager
def told_of(path: str | Path) -> Iterator[None]:
    """Puts the name of a file before what is said of its content."""
    try:
        yield
    except KerasBNError as error:
        if str(path) in str(error):
            raise
        raise type(error)(f"{path}: {error}") from error


def _said(said: str, found: Exception) -> str:
    if isinstance(found, OSError) and found.errno:
        return f"cannot be read: {found.strerror or found}"
    if "password required" in str(found):
        return "is encrypted; kerasbn reads no encrypted files"
    return f"{said} ({first_line(str(found)) or type(found).__name__})"


def first_line(text: str) -> str:
    """The first line of what an error says; empty where it says nothing."""
    return next(iter(text.strip().splitlines()), "").strip(" .")


def read_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: It is none, is larger than any description of a model, or holds a number that is not finite.
        RecursionError: It is nested too deeply.
    """
    if len(text) > LARGEST_JSON:
        raise ValueError(f"{len(text):,} bytes of JSON; at most {LARGEST_JSON:,} are read")
    return json.loads(text)


def check_memory(needed: int) -> None:
    """Raises `ValueError` if a file says that it holds more than this machine has memory."""
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 1 << 40
    if needed > there:
        raise ValueError(f"it says that it holds {needed:,} bytes, and this machine has {there:,} bytes of memory")
