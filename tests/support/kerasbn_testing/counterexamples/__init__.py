"""Small models on the other side of the rules' conditions: each is folded wrongly where some condition is missing."""

from kerasbn_testing.counterexamples import (
    adapted,
    attention,
    chains,
    constants,
    declared,
    forks,
    functions,
    masked,
    merges,
    ones,
    padded,
    placing,
    rows,
    sharing,
    swish,
)
from kerasbn_testing.counterexamples.building import COUNTEREXAMPLES

__all__ = [
    "COUNTEREXAMPLES",
    "adapted",
    "attention",
    "chains",
    "constants",
    "declared",
    "forks",
    "functions",
    "masked",
    "merges",
    "ones",
    "padded",
    "placing",
    "rows",
    "sharing",
    "swish",
]
