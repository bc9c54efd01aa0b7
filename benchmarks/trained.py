"""Networks that others trained: what folds, and how float32 and int8 files do against the stock converter's.

    python benchmarks/trained.py --corpus FOLDER --nsfwjs FOLDER       every network that is there, both Kerases
    python benchmarks/trained.py --keras tf_keras --only CREPE fer     the rows whose name holds a word
    python benchmarks/trained.py --list                                the rows, and the licences of the weights
    python benchmarks/trained.py --results FILE                        keeps each row, and goes on where it was
    python benchmarks/trained.py --markdown                            the table of docs/models.md

A network whose package or folder is absent is left out by name; the line says how to get it. `against_stock` says what
the columns are.

The exit code is 1 if more BatchNorms are left than `LEFT` says, the verifier says no to our float32 file, our
int8 file is more than 0.3 dB below stock's, or ours is slower: the lower quartile of the time is above 1.03 of stock's.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from against_stock import COLUMNS, Cell, faults_of, keep, kept, measured, measured_rows, texts
from guarded import Work
from trained_networks import SOURCES, Absent, Folders, Source

from kerasbn.flavour import NAMES
from models import print_table

LEFT = {
    "CREPE tiny": "5: each between a ReLU and a max pooling before a padded convolution; one operation stays of each",
    "CREPE full": "6: the same, and some gammas are negative, which no max pooling lets through",
}
"""BatchNorms that are not gone, and why."""


def main() -> int:
    """Prints the table; 1 if there is a fault."""
    arguments = parsed()
    if arguments.list:
        for source in SOURCES.values():
            print(f"{source.name:30} {source.licence:14} {', '.join(source.flavours)}")
        return 0
    done, wanted_rows = kept(arguments.results), []
    for flavour in [arguments.keras] if arguments.keras else NAMES:
        names = [source.name for source in SOURCES.values() if wanted(source, flavour, arguments.only)]
        wanted_rows += [(name, flavour) for name in names]
        new = [name for name in names if (name, flavour) not in done]
        for name, cells in measured_rows(prepare, (flavour, Folders(arguments.corpus, arguments.nsfwjs)), new):
            done[name, flavour] = cells
            keep(arguments.results, name, flavour, cells)
    rows = [row for row in wanted_rows if row in done]
    heads = ("network", "Keras", *COLUMNS.values())
    print_table(heads, [[*row, *texts(done[row])] for row in rows], arguments.markdown)
    faults = [fault for row in rows for fault in faults_of(*row, done[row])]
    print("\n".join(faults))
    return int(bool(faults))


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keras", choices=NAMES, help="one Keras only")
    parser.add_argument("--only", nargs="+", default=[""], metavar="WORD", help="rows whose name holds one of these")
    parser.add_argument("--corpus", type=Path, metavar="FOLDER", help="with ad01.h5 and resnet8.h5 of MLPerf Tiny")
    parser.add_argument("--nsfwjs", type=Path, metavar="FOLDER", help="the unpacked npm package nsfwjs")
    parser.add_argument("--results", type=Path, metavar="FILE", help="keeps each row, and goes on where it was")
    parser.add_argument("--markdown", action="store_true", help="the table of docs/models.md")
    parser.add_argument("--list", action="store_true", help="the rows, and no more")
    return parser.parse_args()


def wanted(source: Source, flavour: str, words: Sequence[str]) -> bool:
    """Whether the row is asked for."""
    return flavour in source.flavours and any(word.lower() in source.name.lower() for word in words)


def prepare(flavour: str, folders: Folders) -> Work:
    """What a child process does with a row."""

    def work(name: str) -> Iterator[Cell | Absent]:
        try:
            network = SOURCES[name].build(flavour, folders)
        except Absent as absent:
            yield absent
            return
        yield from measured(network, int(LEFT.get(name, "0").partition(":")[0]))

    return work


if __name__ == "__main__":
    sys.exit(main())
