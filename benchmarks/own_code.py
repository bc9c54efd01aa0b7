"""Networks with layers, models, functions and cells of one's own: fold, export, verify, against the stock converter.

    python benchmarks/own_code.py                      both Kerases: half an hour or so on two cores
    python benchmarks/own_code.py keras --only cell    the networks whose name holds a word
    python benchmarks/own_code.py --markdown           the table of docs/compatibility.md
    python benchmarks/own_code.py --list               the names

`own_code_networks` has the networks, each a function that works in both Kerases. The columns, the options and the exit
code are those of `tutorials.py`.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import sys
from collections.abc import Sequence
from typing import Any

import tutorials
from guarded import Work
from own_code_networks import NETWORKS


def build(flavour: str, name: str, seed: int) -> Any:
    """A network with its statistics drawn."""
    return tutorials.build(flavour, name, seed, NETWORKS)


def prepare(flavour: str, precisions: Sequence[str]) -> Work:
    """What a child process does with a network."""
    return tutorials.prepare(flavour, precisions, NETWORKS)


if __name__ == "__main__":
    sys.exit(tutorials.main(NETWORKS, prepare, __doc__ or ""))
