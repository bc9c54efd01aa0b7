"""Sees what Python does while something runs: files opened for writing, imports, code executed, processes, sockets."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

ALWAYS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect", "socket.bind")
_listeners: list[list[tuple[str, str]]] = []


def _hook(event: str, arguments: tuple) -> None:
    if _listeners:
        found = _described(event, arguments)
        if found is not None:
            for listener in _listeners:
                listener.append(found)


def _described(event: str, arguments: tuple) -> tuple[str, str] | None:
    if event in ALWAYS:
        return event, str(arguments)
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        return "open for writing", str(arguments[0])
    if event == "import":
        return "import", str(arguments[0])
    if event == "exec":
        return "exec", str(getattr(arguments[0], "co_filename", ""))
    return None


sys.addaudithook(_hook)  # it stays, as Python wants it, and does nothing while nobody watches


@contextmanager
def watched() -> Iterator[list[tuple[str, str]]]:
    """Gives the list to which each event is added, as its kind and what it was about."""
    seen: list[tuple[str, str]] = []
    _listeners.append(seen)
    try:
        yield seen
    finally:
        _listeners.remove(seen)
