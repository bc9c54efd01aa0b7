"""Standard output as it may be: closed, a pipe whose reader has gone, a terminal that knows few letters."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kerasbn.errors import OutputError

STDOUT = 1


def open_missing() -> None:
    """Opens the null device for each standard stream that is closed, so that no file of the user's gets its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest free number, which is this one
    for name, number in (("stdout", STDOUT), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", errors="backslashreplace", closefd=False))


@contextmanager
def patient_stdout() -> Iterator[None]:
    """Within it a command ends as it would, with the same exit code, where nobody reads its output to the end.

    A letter that the stream does not know is written as its number.

    Raises:
        OutputError: Standard output takes no more for another reason, as a full disk.
    """
    before = sys.stdout
    if not _is_descriptor(before):
        yield
        return
    before.flush()
    raw = io.BufferedWriter(_Patient())
    sys.stdout = io.TextIOWrapper(raw, before.encoding, "backslashreplace", line_buffering=before.isatty())
    try:
        yield
        sys.stdout.flush()
    finally:
        sys.stdout = before


def _is_descriptor(stream: Any) -> bool:
    """False where something stands in for standard output, as in a test."""
    try:
        return bool(stream.fileno() == STDOUT)
    except (OSError, AttributeError, ValueError):
        return False


class _Patient(io.RawIOBase):
    """Standard output; once it is broken, what is written is forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self._broken = False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return STDOUT

    def isatty(self) -> bool:
        return os.isatty(STDOUT)

    def write(self, data: Any) -> int:
        if not self._broken:
            try:
                return os.write(STDOUT, data)
            except BrokenPipeError:
                self._broken = True
            except OSError as error:
                self._broken = True
                raise OutputError(f"standard output: cannot be written: {error.strerror}.") from error
        return len(data)
