"""The package ``litert-converter``: whether it is here, and which version."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from kerasbn.errors import MissingPackageError

PACKAGE, MODULE = "litert-converter", "litert_converter"


def installed() -> str:
    """Its name and version; empty where it is not installed."""
    try:
        return f"{PACKAGE} {version(PACKAGE)}" if find_spec(MODULE) else ""
    except PackageNotFoundError:
        return ""


def require() -> str:
    """Its name and version.

    Raises:
        MissingPackageError: It is not installed.
    """
    found = installed()
    if not found:
        raise MissingPackageError(
            f"route='litert' needs the package {PACKAGE}, which is not installed here; python -m pip install "
            "'kerasbn[litert]', or take route='tensorflow'."
        )
    return found
