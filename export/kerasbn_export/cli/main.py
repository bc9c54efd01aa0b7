"""The entry point: sees to signals and streams first, then imports what takes time."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

COMMANDS = ("demo", "check", "recalibrate", "inspect", "fold", "export", "verify", "recheck", "benchmark")
INTERRUPTED = 130
INTERRUPTION = "interrupted; nothing half-written is left"


def main() -> NoReturn:
    """Runs the command line and exits."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    from kerasbn_export.cli.streams import open_missing

    open_missing()
    from kerasbn_export.cli.supervise import supervised

    sys.exit(supervised(lambda: run(sys.argv[1:])))


def run(arguments: Sequence[str]) -> int:
    """Runs one command; gives its exit code."""
    from kerasbn_export.cli.dispatch import run

    return run(arguments)


def _leave(*_: object) -> NoReturn:
    """Nothing is begun yet, so nothing is there to remove."""
    os.write(2, f"error: {INTERRUPTION}\n".encode())
    os._exit(INTERRUPTED)


def __getattr__(name: str) -> Any:
    if name != "kerasbn_command":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kerasbn_export.cli import dispatch

    return dispatch.kerasbn_command
