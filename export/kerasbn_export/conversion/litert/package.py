"""The packages of the second route: whether they are here, and which version."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from kerasbn.errors import MissingPackageError

CONVERTER, QUANTIZER = "litert-converter", "litert-quantizer"
"""From StableHLO to a float file, and from a float file to all others."""


def installed(package: str = CONVERTER) -> str:
    """Its name and version; empty where it is not installed."""
    try:
        return f"{package} {version(package)}" if find_spec(package.replace("-", "_")) else ""
    except PackageNotFoundError:
        return ""


def needed(precision: str) -> tuple[str, ...]:
    """The packages that a file of some precision takes."""
    return (CONVERTER,) if precision == "float32" else (CONVERTER, QUANTIZER)


def require(precision: str = "float32") -> str:
    """Their names and versions.

    Args:
        precision: That of the file.

    Raises:
        MissingPackageError: One is not installed.
    """
    found = {package: installed(package) for package in needed(precision)}
    missing = [package for package in found if not found[package]]
    if missing:
        raise MissingPackageError(
            f"route='litert' needs the package {missing[0]}, which is not installed here; python -m pip install "
            "'kerasbn[litert]', or take route='tensorflow'."
        )
    return ", ".join(found.values())
