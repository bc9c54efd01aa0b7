"""Takes every condition of the rules away, one at a time, and looks for a small model that shows it.

    python benchmarks/conditions.py                 # what the table lacks, and what is not in the source any more
    python benchmarks/conditions.py --search        # look for witnesses of what the table lacks, and write them down

The table is `tests/support/kerasbn_testing/witnesses.json`: for each condition the Keras, the model and what happens
without it: ``wrong`` (another function), ``error`` (no model) or ``other`` (the same function by other layers or
verdicts). `tests/export/test_meta_conditions.py` asks for each again. Exit code 1 where a condition has no witness.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from kerasbn_testing.guards import Guard, guards, watching
from kerasbn_testing.witnesses import ERROR, OTHER, WRONG, Subject, models, read_table, unshown, write_table

from kerasbn.flavour import NAMES

TRIED = 12
"""Models that are tried for one condition, the smallest first."""


def main() -> int:
    """Compare the table with the source; 1 where they differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--search", action="store_true", help="look for witnesses and write them down")
    if parser.parse_args().search:
        _search()
    table, known = read_table(), guards()
    listed = {*table, *unshown()}
    for name in (
        *(f"not in the table: {n}" for n in known.keys() - listed),
        *(f"gone: {n}" for n in listed - known.keys()),
    ):
        print(name)
    for name in unshown():
        print(f"no witness yet: {name}")
    print(f"{len(known)} conditions: {dict(Counter(entry[2] for entry in table.values()))}, {len(unshown())} not shown")
    return 1 if unshown() or listed != known.keys() else 0


def _search() -> None:
    table = {name: entry for name, entry in read_table().items() if name in guards()}
    lacking = [name for name in guards() if table.get(name, ("", "", OTHER))[2] == OTHER]
    subjects, firing = _firing(set(lacking))
    for name in lacking:
        entry = _witness(guards()[name], [(key, subjects[key]) for key in firing.get(name, [])[:TRIED]])
        if entry is not None:
            table[name] = entry
            write_table(table)


def _firing(wanted: set[str]) -> tuple[dict[tuple[str, str], Subject], dict[str, list[tuple[str, str]]]]:
    """Which models each condition holds back, the smallest first."""
    subjects, seen, sizes = {}, {}, {}
    for number, (model, (build, target)) in enumerate(models().items()):
        key = (NAMES[number % 2], model)
        fired: set[str] = set()
        subject = Subject(key[0], build, target)
        with watching(fired.add):
            sizes[key] = len(subject.planned().graph)
        subjects[key] = subject
        for name in fired & wanted:
            seen.setdefault(name, []).append(key)
    return subjects, {name: sorted(keys, key=sizes.__getitem__) for name, keys in seen.items()}


def _witness(guard: Guard, candidates: list[tuple[tuple[str, str], Subject]]) -> tuple[str, str, str] | None:
    """The first model that folds wrongly without the guard, else one that shows it in another way."""
    found: dict[str, tuple[str, str, str]] = {}
    for (keras, model), subject in candidates:
        shown = subject.without(guard)
        if shown is not None:
            found.setdefault(shown, (keras, model, shown))
        if WRONG in found:
            break
    return found.get(WRONG) or found.get(ERROR) or found.get(OTHER)


if __name__ == "__main__":
    sys.exit(main())
