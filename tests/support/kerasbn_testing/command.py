"""The command line in a process of its own."""

import ast
import subprocess
import sys

HEAVY = ("tensorflow", "keras", "tf_keras", "ai_edge_litert", "h5py", "sklearn", "matplotlib")
"""Modules that take seconds to import."""


def run_process(folder, *arguments):
    """``kerasbn`` with some arguments in a folder: what `subprocess.run` gives."""
    command = [sys.executable, "-c", "from kerasbn_export.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def heavy_imports(*arguments):
    """The exit code of ``kerasbn`` with some arguments, which of `HEAVY` it imported, and the lines it printed."""
    script = f"import sys; from kerasbn_export.cli.main import run; code = run({list(arguments)!r})\n"
    script += f"print([code, [name for name in {HEAVY!r} if name in sys.modules]])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    *lines, last = done.stdout.splitlines()
    return *ast.literal_eval(last), lines
