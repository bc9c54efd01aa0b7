"""Folds random models by the thousand and judges each in float64.

    python benchmarks/property_run.py --keras tf_keras --examples 10000 --seed 1

Ends with the first model that folds to another function, shrunk, or with a line of counts.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as seeded
from kerasbn_testing.property import check, programs

from kerasbn.flavour import NAMES, Flavour


def main() -> None:
    """Run, and print the counts."""
    arguments = _arguments()
    flavour = Flavour(arguments.keras)
    outcomes = []

    @seeded(arguments.seed)
    @settings(
        max_examples=arguments.examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink) if arguments.shrink else (Phase.generate,),
        verbosity=Verbosity.quiet,
        print_blob=False,
    )
    @given(programs(arguments.steps))
    def one(program):
        flavour.keras.backend.clear_session()
        outcomes.append(check(flavour, program))

    start = time.monotonic()
    one()
    folded, total = sum(o.gone for o in outcomes), sum(o.batchnorms for o in outcomes)
    print(
        f"{len(outcomes)} models of {arguments.keras} folded and equal; {folded} of {total} BatchNorms gone; largest "
        f"error {max(o.error64 for o in outcomes):.1e} in float64, {max(o.error32 for o in outcomes):.1e} in float32; "
        f"{(time.monotonic() - start) / len(outcomes):.2f} s per model"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keras", choices=NAMES, default="keras")
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=12, help="operations in one model at most")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--no-shrink", dest="shrink", action="store_false", help="print the first failure as it is")
    return parser.parse_args()


if __name__ == "__main__":
    main()
