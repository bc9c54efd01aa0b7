"""Takes every condition of the rules away, one at a time, and looks for a small model that shows it.

    python benchmarks/conditions.py                 # what the table lacks, and what is not in the source any more
    python benchmarks/conditions.py --search        # look for witnesses of what the table lacks, and write them down
    python benchmarks/conditions.py --random 2000   # the same among random models, cut down to what shows it

The table is `tests/support/kerasbn_testing/witnesses.json`: for each condition the Keras, the model and what happens
without it: ``wrong`` (another function), ``error`` (no model) or ``other`` (the same function by other layers or
verdicts). `tests/export/folding/test_meta_conditions.py` asks for each again. What no model can show has its reason
there.
Exit code 1 where a condition has neither a witness nor a reason.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import signal
import sys
from collections import Counter
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

import numpy as np
from kerasbn_testing.guards import Guard, guards, watching
from kerasbn_testing.random_graphs import Program
from kerasbn_testing.targets import DRAWN
from kerasbn_testing.witnesses import (
    ERROR,
    OTHER,
    WRONG,
    Subject,
    models,
    random_builder,
    read_programs,
    read_table,
    unshown,
    write_table,
)

from kerasbn.flavour import NAMES

ENDLESS = 20
"""Seconds after which a fold without a condition counts as endless."""

TRIED = 12
"""Models that are tried for one condition, the smallest first, unless --tries says otherwise."""


class Endless(BaseException):
    """A fold that takes too long, past every handler of the subject."""


def _interrupt(*_: object) -> None:
    raise Endless


def main() -> int:
    """Compare the table with the source; 1 where they differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--search", action="store_true", help="look for witnesses and write them down")
    parser.add_argument("--random", type=int, default=0, metavar="N", help="try N random models as witnesses")
    parser.add_argument("--seed", type=int, default=1, help="where the random models start")
    parser.add_argument("--tries", type=int, default=TRIED, help="models that are tried for one condition")
    arguments = parser.parse_args()
    if arguments.search:
        _search(arguments.tries)
    for number in range(arguments.random):
        _try_random(arguments.seed + number, arguments.tries)
    table, known = read_table(), guards()
    listed = {*table, *unshown()}
    for name in (
        *(f"not in the table: {n}" for n in known.keys() - listed),
        *(f"gone: {n}" for n in listed - known.keys()),
    ):
        print(name)
    for name, reason in unshown().items():
        print(f"{name}\n    {reason or 'no witness yet'}")
    print(f"{len(known)} conditions: {dict(Counter(entry[2] for entry in table.values()))}, {len(unshown())} not shown")
    return 1 if not all(unshown().values()) or listed != known.keys() else 0


def _search(tries: int) -> None:
    table = {name: entry for name, entry in read_table().items() if name in guards()}
    lacking = [name for name in guards() if name not in table]
    subjects, firing = _firing(set(lacking))
    for name in lacking:
        entry = _witness(guards()[name], [(key, subjects[key]) for key in firing.get(name, [])[:tries]])
        if entry is not None:
            print(f"{entry[2]}: {name}", flush=True)
            table[name] = entry
            write_table(table, read_programs())


def _firing(wanted: set[str]) -> tuple[dict[tuple[str, str], Subject], dict[str, list[tuple[str, str]]]]:
    """Which models each condition holds back, the smallest first."""
    subjects, seen, sizes = {}, {}, {}
    fired: set[str] = set()
    with watching(fired.add):
        for key in itertools.product(NAMES, models()):
            subject = subjects[key] = Subject(key[0], *models()[key[1]])
            fired.clear()
            sizes[key] = len(subject.planned().graph)
            for name in fired & wanted:
                seen.setdefault(name, []).append(key)
    return subjects, {name: sorted(keys, key=sizes.__getitem__) for name, keys in seen.items()}


def _witness(guard: Guard, candidates: list[tuple[tuple[str, str], Subject]]) -> tuple[str, str, str] | None:
    """The first model that folds wrongly without the guard, else one that shows it in another way."""
    found: dict[str, tuple[str, str, str]] = {}
    for (keras, model), subject in candidates:
        shown = _shown(subject, guard.name)
        if shown is not None:
            found.setdefault(shown, (keras, model, shown))
        if WRONG in found:
            break
    return found.get(WRONG) or found.get(ERROR) or found.get(OTHER)


TRIES: Counter[str] = Counter()
"""How many random models each condition has been tried on."""


def _try_random(seed: int, tries: int) -> None:
    """Enter every condition that the random model of this seed shows and the table lacks."""
    dice = random.Random(seed)  # noqa: S311  # nothing secret
    keras, target = NAMES[seed % 2], dice.choice(DRAWN)
    program = [[dice.randrange(5040) for _ in range(18)] for _ in range(dice.randrange(3, 9))]
    subject, fired = _random_subject(keras, target, program), set[str]()
    if subject is None:
        return
    with watching(fired.add):
        subject.planned()
    for name in sorted(fired & unshown().keys()):
        TRIES[name] += 1
        shown = _shown(subject, name) if TRIES[name] <= tries else None
        if shown is not None:
            smaller = _cut_down(keras, target, program, name, shown)
            key = f"random {keras} {seed} {name.partition(':')[0]}"
            write_table({**read_table(), name: (keras, key, shown)}, {**read_programs(), key: (target, smaller)})
            print(f"{shown}: {name}", flush=True)


def _random_subject(keras: str, target: str, program: Program) -> Subject | None:
    """The model with numbers; None where it does not run, or not in float64."""
    try:
        subject = Subject(keras, random_builder(program), target)
        finite = all(np.all(np.isfinite(output)) for output in subject.reference)
        return subject if finite and subject.form else None
    # Whatever is wrong with a random model, the next one may do.
    except Exception:
        return None


def _shown(subject: Subject, name: str) -> str | None:
    """What the model shows without a condition; None also where folding does not come to an end."""
    previous = signal.signal(signal.SIGALRM, _interrupt)
    signal.alarm(ENDLESS)
    try:
        return subject.without(guards()[name])
    except Endless:
        return None
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def _cut_down(keras: str, target: str, program: Program, name: str, shown: str) -> Program:
    """The program without the steps that it does not take to show the same."""
    for position in range(len(program) - 1, 0, -1):
        smaller = [*program[:position], *program[position + 1 :]]
        subject = _random_subject(keras, target, smaller)
        if subject is not None and _shown(subject, name) == shown:
            program = smaller
    return program


if __name__ == "__main__":
    sys.exit(main())
