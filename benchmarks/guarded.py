"""Runs one row after the other in a child process, so that a crash of the converter is a row and not the end."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

LIMIT = 1800.0
"""Seconds that one step of a row may take, on a machine with other work."""

Work = Callable[[str], Iterator[Any]]


class Died(str):
    """What a row ends with whose process died, or was ended: the reason."""


def run_guarded(
    prepare: Callable[..., Work], arguments: tuple[Any, ...], rows: Sequence[str]
) -> Iterator[tuple[str, Any]]:
    """Each row with each thing that the work on it yields, as it comes; a `Died` is the last thing of its row.

    Args:
        prepare: Makes the work, in the child; a function of a module, since it is sent there by name.
        arguments: Its arguments.
        rows: What the work is called with.
    """
    left = list(rows)
    while left:
        mine, theirs = multiprocessing.get_context("spawn").Pipe()
        child = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs, prepare, arguments, left))
        child.start()
        theirs.close()
        try:
            for row, thing in _received(mine, left[0]):
                if isinstance(thing, _Done):
                    left.remove(row)
                else:
                    yield row, thing
        except _EndedError as ended:
            child.kill()
            child.join()
            died = f"took more than {LIMIT:.0f} s" if ended.late else f"the process died (exit status {child.exitcode})"
            yield ended.row, Died(died)
            left = left[left.index(ended.row) + 1 :]
        child.join()


class _Done:
    """A row is over."""


class _EndedError(Exception):
    def __init__(self, row: str, *, late: bool) -> None:
        super().__init__(row)
        self.row, self.late = row, late


def _received(pipe: Connection, first: str) -> Iterator[tuple[str, Any]]:
    row: str | None = first
    while row is not None:
        if not pipe.poll(LIMIT):
            raise _EndedError(row, late=True)
        try:
            sent, thing = pipe.recv()
        except EOFError:
            raise _EndedError(row, late=False) from None
        yield sent, thing
        row = thing.following if isinstance(thing, _Last) else sent


class _Last(_Done):
    """The row is over, and what follows; None after the last of all."""

    def __init__(self, following: str | None) -> None:
        self.following = following


def _serve(pipe: Connection, prepare: Callable[..., Work], arguments: tuple[Any, ...], rows: Sequence[str]) -> None:
    work = prepare(*arguments)
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        for thing in work(row):
            pipe.send((row, thing))
        pipe.send((row, _Last(following)))
    pipe.close()
