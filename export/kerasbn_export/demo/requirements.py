"""The packages that only the demo needs, asked for before any work is done."""

from __future__ import annotations

from importlib.util import find_spec

from kerasbn.errors import MissingPackageError
from kerasbn_export.demo.task import Task

EXTRA = "'kerasbn[demo]'"
"""What pip installs for matplotlib."""


def missing_packages(task: Task) -> dict[str, list[str]]:
    """What pip is to be told, and for which packages: those of the data and of the picture that are not there."""
    needed = ((task.module, task.package, task.install), ("matplotlib", "matplotlib", EXTRA))
    missing: dict[str, list[str]] = {}
    for module, package, install in needed:
        if find_spec(module) is None:
            missing.setdefault(install, []).append(package)
    return missing


def pip_line(install: str) -> str:
    """The command that installs it."""
    return f"python -m pip install {install}"


def require_packages(task: Task) -> None:
    """Checks that the data and the picture can be made.

    Raises:
        MissingPackageError: One of the packages is not installed; the message says how to get it.
    """
    missing = missing_packages(task)
    if missing:
        packages = [package for group in missing.values() for package in group]
        raise MissingPackageError(
            f"The demo needs {' and '.join(packages)}, not installed here; "
            f"install with: {' && '.join(map(pip_line, missing))}"
        )
