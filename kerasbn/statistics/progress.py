"""A line on standard error while a pass over data takes its time."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import TypeVar

PATIENCE_S = 2.0
Item = TypeVar("Item")


def told(items: Iterable[Item], what: str, count: int | None) -> Iterator[Item]:
    """The items; from two seconds on a line says how many are done."""
    begun = said = monotonic()
    index = 0
    for index, item in enumerate(items, 1):
        yield item
        now = monotonic()
        if now - said >= PATIENCE_S:
            said = now
            of = f" of {count}" if count else ""
            sys.stderr.write(f"\r{what}: {index}{of} batches, {now - begun:.0f} s ")
            sys.stderr.flush()
    if said != begun:
        sys.stderr.write(f"\r{what}: {index} batches, {monotonic() - begun:.0f} s \n")
