"""Sweeps: many cases of one kind. A run of the tests takes a part of each, the same every time; or all of them.

``KERASBN_ALL_TESTS=1 python -m pytest`` takes all. Two marks name what a run takes in part:

===================  ==============================================================================================
mark                 what a run takes
===================  ==============================================================================================
``sweep``            one case of `PARTS`, and of every test at least one in each of the Kerases
``either_keras``     of every case one Keras, the one that its name chooses: for what works on files and numbers,
                     behind the code that knows the Kerases apart. ``either_keras("demo")`` gives the name, the same for
                     all tests that share what takes long to make
===================  ==============================================================================================
"""

from __future__ import annotations

import os
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from hypothesis import HealthCheck, settings

ALL = os.environ.get("KERASBN_ALL_TESTS") == "1"
PARTS = 8
"""One case of so many is taken."""
KERAS = r"(?<=[\[-])(tf_)?keras(?=[\]-])"
"""The Kerases' name among the parameters in the name of a case."""


def is_taken(name: str, *, everything: bool = ALL) -> bool:
    """Whether a case of a sweep is in this run, by its name alone."""
    return everything or zlib.crc32(name.encode()) % PARTS == 0


def left_out(items: Iterable[Any]) -> set[Any]:
    """Of pytest's items, those that are not in this run."""
    rest = list(items)
    in_other_keras = _in_the_other_keras(item for item in rest if item.get_closest_marker("either_keras"))
    rest = [item for item in rest if item not in in_other_keras]
    return in_other_keras | _of_sweeps(item for item in rest if item.get_closest_marker("sweep"))


def _of_sweeps(items: Iterable[Any]) -> set[Any]:
    """Cases of sweeps that are left out; of every test at least one case stays, in each of the Kerases."""
    groups = defaultdict(list)
    for item in items:
        groups[item.nodeid.partition("[")[0], _flavour(item)].append(item)
    taken = {item for group in groups.values() for item in [i for i in group if is_taken(i.name)] or group[:1]}
    return {item for group in groups.values() for item in group} - taken


def _in_the_other_keras(items: Iterable[Any]) -> set[Any]:
    """Of each pair of items that differ by their Keras alone, the one that its name does not choose."""
    pairs = defaultdict(list)
    for item in items:
        name = re.sub(KERAS, "", item.name, count=1)
        chosen_by = (*item.get_closest_marker("either_keras").args, name)[0]
        pairs[item.nodeid.partition("[")[0], name, chosen_by].append(item)
    return {
        item
        for (*_, chosen_by), pair in pairs.items()
        for item in pair
        if not ALL and len(pair) == 2 and item is not pair[zlib.crc32(chosen_by.encode()) % 2]
    }


def _flavour(item: Any) -> str | None:
    """The Kerases' name among the parameters of an item."""
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return next((value for value in parameters if value in ("keras", "tf_keras")), None)


def random_examples(count: int) -> Any:
    """Settings for hypothesis: that many examples in a run of all tests, a part of them else; always the same ones."""
    taken = count if ALL else max(count // PARTS, 5)
    ignored = list(HealthCheck)
    return settings(max_examples=taken, deadline=None, derandomize=True, database=None, suppress_health_check=ignored)
