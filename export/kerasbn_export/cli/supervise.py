"""Runs a command in a child process, so that a crash of TensorFlow or LiteRT in it is one line and an exit code.

The TFLite converter can abort the process that it runs in. The child is a fork made before anything heavy is imported:
it costs a few milliseconds.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from kerasbn_export.cli.exit_codes import FAILED, INTERRUPTED, INTERRUPTION
from kerasbn_export.cli.interrupts import interrupt

PASSED_ON = (signal.SIGINT, signal.SIGTERM)


def supervised(run: Callable[[], int]) -> int:
    """The exit code of `run`; if its process dies of a signal, a line on standard error and exit code 3.

    Within `run` SIGINT and SIGTERM raise KeyboardInterrupt, so that what is half-written is removed. What it left in
    the folder of temporary files is removed when it crashes. Where there is no fork, `run` runs in this process.
    """
    if not hasattr(os, "fork"):
        _interruptible()
        return run()
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)  # until someone is there to remove the folder
    try:
        scratch = Path(tempfile.mkdtemp(prefix="kerasbn_"))
    except OSError as error:
        sys.stderr.write(f"error: no folder for temporary files: {error.strerror}\n")
        return FAILED
    try:
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)  # Ctrl-C reaches this process only, and is passed on once
            os.environ["TMPDIR"] = tempfile.tempdir = str(scratch)
            _leave(run)
        return _watch(child)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _interruptible() -> None:
    for number in PASSED_ON:
        signal.signal(number, interrupt)


def _leave(run: Callable[[], int]) -> NoReturn:
    """Ends the child without returning into the parent's code."""
    code = FAILED
    try:
        _interruptible()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
        code = run()
    except KeyboardInterrupt:  # before the command began or after it ended
        sys.stderr.write(f"error: {INTERRUPTION}\n")
        code = INTERRUPTED
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _watch(child: int) -> int:
    for number in PASSED_ON:
        signal.signal(number, _pass_on(child))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return code
    name = signal.Signals(-code).name
    sys.stderr.write(f"error: TensorFlow or LiteRT crashed ({name}); nothing half-written is left\n")
    return FAILED


def _pass_on(child: int) -> Callable[[int, FrameType | None], None]:
    def handler(number: int, _: FrameType | None) -> None:
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(child, number)

    return handler
