"""The option grid of test_layer_grid.py: a sample in which every two values of two options meet."""

from __future__ import annotations

import itertools
import random
from dataclasses import asdict, make_dataclass

SHAPES = [
    ((8, 5), -1), ((8, 5), 1), ((8, 6, 5), 2), ((8, 6, 5), 1), ((64, 5, 4, 6), -1), ((48, 6, 5, 5), 1),
    ((4, 3, 6, 5), 2), ((4, 3, 4, 3, 5), -1), ((4, 5, 3, 4, 3), 1), ((4, 2, 5, 4, 3), 2),
]  # fmt: skip
CLIPPING = {"rmin": 0.5, "rmax": 1.5, "dmax": 0.3}
OPTIONS = {
    "shape": SHAPES,
    "dtype": ["float32", "float64", "mixed_float16", "mixed_bfloat16"],
    "center": [True, False],
    "scale": [True, False],
    "momentum": [0.5, 0.75],
    "epsilon": [1e-3, 1e-2],
    "renorm": [None, {}, CLIPPING],
    "training": [True, False, None, "tensor"],
    "trainable": [True, False],
    "how": ["eager", "graph", "xla"],
    "mask": [False, True],
    "synchronized": [False, True],
}
ONLY_TF_KERAS = {"fused": [None, False], "virtual_batch_size": [None, 2, 4]}


def _text(case: object) -> str:
    """What pytest shows."""
    return "-".join(str(value) for value in asdict(case).values()).replace(" ", "")


Case = make_dataclass(
    "Case",
    ["flavour", *OPTIONS, *((name, object, None) for name in ONLY_TF_KERAS)],
    namespace={"__str__": _text},
    frozen=True,
)
"""One point of the grid."""


def possible(case: Case) -> bool:
    """Whether the stock layer has such a point: what is left out it refuses, ignores or gets wrong."""
    (shape, axis), in_tf_keras = case.shape, case.flavour == "tf_keras"
    last = axis in (-1, len(shape) - 1)
    if case.mask and (not last or case.renorm is not None or case.virtual_batch_size or case.synchronized):
        return False
    if in_tf_keras and case.mask and len(shape) > 3 and case.fused is not False:
        return False  # Ignores the mask.
    if in_tf_keras and case.renorm is not None and case.dtype != "float32":
        return False  # Fails in float64, computes in 16 bits.
    if case.virtual_batch_size and (
        case.synchronized or case.fused is False or case.how == "xla" or not case.trainable
    ):
        return False
    if in_tf_keras and case.synchronized and (case.renorm is not None or case.fused is not None):
        return False
    if case.synchronized and case.training == "tensor":
        return False  # A collective in a branch.
    return not (case.how == "xla" and case.training == "tensor")


def covering(flavour: str, seed: int = 0) -> list[Case]:
    """Cases that hold every pair of values that 400 random ones do, found greedily."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    options = OPTIONS | (ONLY_TF_KERAS if flavour == "tf_keras" else {})

    def random_case() -> Case:
        while True:
            case = Case(flavour, **{name: draw.choice(values) for name, values in options.items()})
            if possible(case):
                return case

    pool = [random_case() for _ in range(400)]
    pairs = [pairs_of(case, options) for case in pool]
    left, chosen = set().union(*pairs), []
    while left:
        best = max(range(len(pool)), key=lambda index: len(pairs[index] & left))
        chosen.append(pool[best])
        left -= pairs[best]
    return chosen


def pairs_of(case: Case, options: dict[str, list]) -> set[tuple]:
    """Every two options with their values."""
    chosen = [(name, options[name].index(getattr(case, name))) for name in options]
    return set(itertools.combinations(chosen, 2))
