"""Pages made of templates: everything is escaped but what a template calls safe, which are drawings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = "kerasbn_export.verification.report"
"""Where ``page.css`` is, which every page has."""


def environment(package: str = HERE) -> Environment:
    """The templates of a package.

    Args:
        package: Has them in a folder ``templates``.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader

    loader = ChoiceLoader([PackageLoader(package), PackageLoader(HERE)])
    return Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
