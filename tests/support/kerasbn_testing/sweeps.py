"""Sweeps: many cases of one kind. A run of the tests takes a part of each, the same every time; or all of them.

``KERASBN_ALL_TESTS=1 python -m pytest`` takes all.
"""

from __future__ import annotations

import os
import zlib
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from hypothesis import HealthCheck, settings

ALL = os.environ.get("KERASBN_ALL_TESTS") == "1"
PARTS = 4
"""One case of so many is taken."""


def is_taken(name: str, *, everything: bool = ALL) -> bool:
    """Whether a case of a sweep is in this run, by its name alone."""
    return everything or zlib.crc32(name.encode()) % PARTS == 0


def left_out(items: Iterable[Any]) -> list[Any]:
    """Of pytest's items, all of them cases of sweeps, those that are not in this run.

    Of every test at least one case is in it, in each of the Kerases.
    """
    groups = defaultdict(list)
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        groups[item.nodeid.partition("[")[0], parameters.get("keras_flavour")].append(item)
    taken = [item for group in groups.values() for item in [i for i in group if is_taken(i.name)] or group[:1]]
    return [item for group in groups.values() for item in group if item not in taken]


def random_examples(count: int) -> Any:
    """Settings for hypothesis: that many examples in a run of all tests, a part of them else; always the same ones."""
    taken = count if ALL else max(count // PARTS, 5)
    ignored = list(HealthCheck)
    return settings(max_examples=taken, deadline=None, derandomize=True, database=None, suppress_health_check=ignored)
