"""The packages that only the demo needs, asked for before any work is done."""

from __future__ import annotations

from importlib.util import find_spec

from kerasbn.errors import MissingPackageError

PACKAGES = {"sklearn": "scikit-learn", "matplotlib": "matplotlib"}


def require_packages() -> None:
    """Checks that the data and the picture can be made.

    Raises:
        MissingPackageError: One of the packages is not installed; the message says how to get it.
    """
    missing = [package for module, package in PACKAGES.items() if find_spec(module) is None]
    if missing:
        raise MissingPackageError(
            f"The demo needs {' and '.join(missing)}, not installed here; "
            "install with: python -m pip install 'kerasbn[demo]'"
        )
