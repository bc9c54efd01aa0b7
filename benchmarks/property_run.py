"""Folds random models by the thousand and judges each in float64.

    python benchmarks/property_run.py --keras tf_keras --examples 5000 --seed 1 --results tf_keras.json
    python benchmarks/property_run.py --summary keras.json tf_keras.json

Works in chunks; `--results` keeps what is done, and the same command goes on from there. Ends with a line of counts,
with how often each layer, rule and reason occurred, and with exit code 1 where a model folds to another function, a
rule never fired, or, in a run of thousands, a kind of layer that a rule knows never occurred.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as seeded
from kerasbn_testing.coverage import Coverage
from kerasbn_testing.property import Outcome, check, programs

from kerasbn.flavour import NAMES, Flavour

ENOUGH_FOR_RULES, ENOUGH_FOR_ALL = 300, 2000
"""Models of one Keras from which on every rule, and everything, must have occurred."""

Chunk = dict[str, Any]


def main() -> int:
    """Run or summarise; 1 where something is wrong."""
    arguments = _arguments()
    if arguments.summary:
        return _report([json.loads(path.read_text()) for path in arguments.summary], arguments.verbose)
    record = _resumed(arguments)
    for number in _missing(record, arguments):
        size = min(arguments.chunk, arguments.examples - number * arguments.chunk)
        record["chunks"][str(number)] = _chunk(arguments, number, size)
        if arguments.results:
            _write(arguments.results, record)
    return _report([record], arguments.verbose)


def _resumed(arguments: argparse.Namespace) -> dict[str, Any]:
    new = {key: getattr(arguments, key) for key in ("keras", "seed", "steps", "chunk", "examples")}
    if arguments.results and arguments.results.exists():
        known = json.loads(arguments.results.read_text())
        if {**known, "examples": arguments.examples} != {**new, "chunks": known["chunks"]}:
            sys.exit(f"{arguments.results} is of another run: { ({k: v for k, v in known.items() if k != 'chunks'}) }")
        return {**new, "chunks": known["chunks"]}
    return {**new, "chunks": {}}


def _missing(record: dict[str, Any], arguments: argparse.Namespace) -> Iterator[int]:
    for number in range(-(-arguments.examples // arguments.chunk)):
        if str(number) not in record["chunks"]:
            yield number


def _write(path: Path, record: dict[str, Any]) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(record, indent=1))
    part.replace(path)


def _chunk(arguments: argparse.Namespace, number: int, examples: int) -> Chunk:
    """The counts of one chunk; its first failure, if there is one, ends it."""
    flavour = Flavour(arguments.keras)
    outcomes: list[Outcome] = []

    @seeded(arguments.seed * 100_000 + number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink) if arguments.shrink else (Phase.generate,),
        verbosity=Verbosity.quiet,
        print_blob=False,
        report_multiple_bugs=False,
    )
    @given(programs(arguments.steps))
    def one(program: list[list[int]]) -> None:
        flavour.keras.backend.clear_session()
        outcome = check(flavour, program)
        outcomes.extend([] if outcome is None else [outcome])

    start, failure = time.monotonic(), None
    try:
        one()
    # A run goes on with its next chunk: whatever one model raises is its result.
    except Exception as error:
        failure = f"{type(error).__name__}: {error}"
        print(f"chunk {number}: {failure}", flush=True)
    return {**_counts(outcomes), "seconds": time.monotonic() - start, "failure": failure}


def _counts(outcomes: list[Outcome]) -> Chunk:
    coverage = Coverage()
    for outcome in outcomes:
        coverage.add(outcome.coverage)
    exact = [outcome for outcome in outcomes if outcome.exact]
    ratios = [outcome.folded / outcome.original for outcome in exact if outcome.original > 0]
    return {
        "models": len(outcomes),
        "exact": len(exact),
        "batchnorms": sum(outcome.batchnorms for outcome in outcomes),
        "gone": sum(outcome.gone for outcome in outcomes),
        "algebra": max((outcome.algebra for outcome in exact), default=0.0),
        "single": max((outcome.algebra for outcome in outcomes if not outcome.exact), default=0.0),
        "ratios": [float(f"{ratio:.3g}") for ratio in ratios],
        "coverage": coverage.to_json(),
    }


def _report(records: list[dict[str, Any]], verbose: bool) -> int:
    wrong = 0
    for keras in dict.fromkeys(record["keras"] for record in records):
        chunks = [chunk for record in records if record["keras"] == keras for chunk in record["chunks"].values()]
        wrong += _report_one(keras, chunks, verbose)
    return 1 if wrong else 0


def _report_one(keras: str, chunks: list[Chunk], verbose: bool) -> int:
    """Print the counts of one Keras; the number of things that are wrong."""
    total = {key: sum(chunk[key] for chunk in chunks) for key in ("models", "exact", "batchnorms", "gone", "seconds")}
    failures = [chunk["failure"] for chunk in chunks if chunk["failure"]]
    coverage = Coverage()
    for chunk in chunks:
        coverage.add(Coverage(chunk["coverage"]))
    ratios = np.array([ratio for chunk in chunks for ratio in chunk["ratios"]] or [0.0])
    print(
        f"{total['models']} models of {keras} folded and equal, {len(failures)} not; {total['gone']} of "
        f"{total['batchnorms']} BatchNorms gone. {total['exact']} models were judged in float64, largest error "
        f"{max(chunk['algebra'] for chunk in chunks):.1e}; the others in float32, "
        f"{max(chunk['single'] for chunk in chunks):.1e}. "
        f"Error in float32 over that of the unfolded model: median {np.median(ratios):.2f}, nine in ten below "
        f"{np.quantile(ratios, 0.9):.2f}. {total['seconds'] / max(1, total['models']):.2f} s per model."
    )
    if verbose:
        for field, counts in coverage.to_json().items():
            print(f"\n{field}: " + ", ".join(f"{name} {count}" for name, count in counts.items()))
    spots = _blind_spots(coverage, keras, total["models"])
    for line in (*failures, *(f"never occurred: {spot}" for spot in spots)):
        print(line)
    return len(failures) + len(spots)


def _blind_spots(coverage: Coverage, keras: str, models: float) -> list[str]:
    spots = coverage.blind_spots(Flavour(keras)) if models >= ENOUGH_FOR_RULES else []
    return spots if models >= ENOUGH_FOR_ALL else [spot for spot in spots if spot.startswith("rule")]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keras", choices=NAMES, default="keras")
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=10, help="operations in one model at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--chunk", type=int, default=100, help="models in one chunk")
    parser.add_argument("--results", type=Path, help="a JSON file to keep what is done, and to go on from")
    parser.add_argument("--summary", type=Path, nargs="+", metavar="JSON", help="only summarise files of --results")
    parser.add_argument("--verbose", action="store_true", help="print how often everything occurred")
    parser.add_argument("--no-shrink", dest="shrink", action="store_false", help="print a failure as it is")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
