"""This Python once more, in a process of its own: whatever it dies of is an answer here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys


def run_child(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs Python with some arguments to its end, quietly.

    A file in the user's folder does not stand in for a module there (``PYTHONSAFEPATH``).
    """
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONSAFEPATH": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603


def crash_of(done: subprocess.CompletedProcess[str]) -> str | None:
    """The name of the signal that a process died of; None if it ended by itself."""
    return signal.Signals(-done.returncode).name if done.returncode < 0 else None


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """The last that a process said, on standard error if it said something there."""
    lines = done.stderr.strip().splitlines() or done.stdout.strip().splitlines()
    return lines[-1] if lines else "no message"
