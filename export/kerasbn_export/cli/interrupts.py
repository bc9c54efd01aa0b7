"""The user asks to stop: an exception, and a note of it, since a library may turn the exception into another error."""

from __future__ import annotations

from typing import NoReturn

_arrived: list[int] = []


def interrupt(number: int, _: object) -> NoReturn:
    """Handles a signal."""
    _arrived.append(number)
    raise KeyboardInterrupt


def was_interrupted() -> bool:
    """Whether the user has asked to stop, whatever became of the exception."""
    return bool(_arrived)
