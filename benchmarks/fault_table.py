"""Does the verifier see what goes wrong, and does it say where? Every fault on every model in both Kerases.

    python benchmarks/fault_table.py                             folded Keras models: all faults, models, Kerases
    python benchmarks/fault_table.py --tflite --backend builtin  the same as .tflite files
    python benchmarks/fault_table.py --models plain signal --faults "bias dropped" --keras tf_keras

A row is a fault: on how many models it was caught, on how many blamed on the right layer, and on how many the checks
that people use by default miss it. The last rows are the conversions without a fault, at three input scales: how many
each check rejects.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import contextlib
import io
import math
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import track
from rich.table import Table

from kerasbn.flavour import NAMES, Flavour
from kerasbn_export.capture import capture
from kerasbn_export.emit import emit
from kerasbn_export.graph import Graph
from kerasbn_export.verification.compare import Question, compare
from kerasbn_export.verification.faults import FAULTS, SUBJECTS, convert
from kerasbn_export.verification.measure import measure
from kerasbn_export.verification.open import open_runnable
from kerasbn_export.verification.ports import Array, Runnable
from kerasbn_export.verification.tflite_runner import BACKENDS

QUESTION = Question(data=None, seed=0, samples=4, scales=(1.0, 0.1, 10.0), tolerance=None, min_sqnr=None, layers=True)

Check = Callable[[Array, Array], bool]

DEFAULT_CHECKS: dict[str, Check] = {
    "allclose 1e-5": lambda r, c: np.allclose(r, c, rtol=1e-5, atol=1e-5),
    "allclose 1e-3": lambda r, c: np.allclose(r, c, rtol=1e-3, atol=1e-3),
    "cosine 0.99": lambda r, c: measure(r, c).cosine >= 0.99,
    "SNR 20 dB": lambda r, c: measure(r, c).sqnr_db >= 20,
    "PSNR 30 dB": lambda r, c: _psnr(r, c) >= 30,
    "same argmax": lambda r, c: bool(np.all(r.argmax(-1) == c.argmax(-1))),
}
"""Each says whether two outputs are equal; what people have in their conversion scripts."""


def _psnr(r: Array, c: Array) -> float:
    mse = float(np.mean((r - c) ** 2))
    return math.inf if mse == 0 else 10 * math.log10(float(np.max(np.abs(r))) ** 2 / mse)


def _opened(graph: Graph, options: argparse.Namespace) -> Runnable:
    model: Any = emit(graph)
    if not options.tflite:
        return open_runnable(model, backend=options.backend, allow_code=False)
    with contextlib.redirect_stdout(io.StringIO()):
        content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "candidate.tflite"
        path.write_bytes(content)
        return open_runnable(path, backend=options.backend, allow_code=False)


def _default_verdicts(reference: Runnable, candidate: Runnable) -> set[str]:
    """The default checks that take the two for equal."""
    x = np.random.default_rng(0).normal(size=(8, *reference.inputs[0].shape[1:])).astype(np.float32)
    pairs = list(zip(reference.run([x]), candidate.run([x]), strict=True))
    return {name for name, check in DEFAULT_CHECKS.items() if all(check(r, c) for r, c in pairs)}


def _tally(options: argparse.Namespace) -> dict[str, Counter[str]]:
    """For each fault, and for the conversion without one, how often what happened."""
    tallies: dict[str, Counter[str]] = {fault.name: Counter() for fault in FAULTS} | {"no fault": Counter()}
    cases = [(flavour, subject) for flavour in options.keras for subject in SUBJECTS if subject.name in options.models]
    for flavour, subject in track(cases, description="models", console=Console(stderr=True)):
        reference = open_runnable(subject.build(Flavour(flavour)), backend=options.backend, allow_code=False)
        graph = capture(reference.original)  # type: ignore[attr-defined]
        convert(graph)
        _control(tallies["no fault"], reference, _opened(graph, options), f"{flavour} {subject.name}")
        for fault in FAULTS:
            if fault.name not in options.faults:
                continue
            graph = capture(reference.original)  # type: ignore[attr-defined]
            blamed = fault.damage(graph)
            if blamed is not None:
                where = f"{flavour} {subject.name}: {fault.name}"
                _damaged(tallies[fault.name], reference, _opened(graph, options), blamed, where)
    return tallies


def _control(tally: Counter[str], reference: Runnable, candidate: Runnable, where: str) -> None:
    report = compare(reference, candidate, QUESTION)
    tally["models"] += 1
    tally["equal"] += bool(report)
    tally.update(set(DEFAULT_CHECKS) - _default_verdicts(reference, candidate))
    if not report:
        print(f"FALSE ALARM {where}: {report.verdict}", file=sys.stderr)


def _damaged(tally: Counter[str], reference: Runnable, candidate: Runnable, blamed: frozenset[str], where: str) -> None:
    report = compare(reference, candidate, QUESTION)
    divergence = report.first_divergence
    tally["models"] += 1
    tally["caught"] += report.exit_code == 1
    tally["blamed"] += divergence is not None and divergence.layer in blamed
    tally.update(_default_verdicts(reference, candidate))
    if report.exit_code != 1 or divergence is None or divergence.layer not in blamed:
        print(f"{where}: expected {sorted(blamed)}; {report.verdict}", file=sys.stderr)


def _print(tallies: dict[str, Counter[str]]) -> bool:
    """Print the table; whether all faults were caught, 95 % blamed rightly, and nothing else rejected."""
    table = Table("fault", "models", "caught", "right layer", *(f"missed by {name}" for name in DEFAULT_CHECKS))
    control = tallies.pop("no fault")
    total: Counter[str] = Counter()
    for name, tally in tallies.items():
        total += tally
        if tally["models"]:
            table.add_row(name, *_cells(tally))
    table.add_section()
    table.add_row("all", *_cells(total))
    rejected = [str(control[name]) for name in DEFAULT_CHECKS]
    table.add_row(
        "no fault: rejected", str(control["models"]), str(control["models"] - control["equal"]), "", *rejected
    )
    Console(width=150).print(table)
    caught, right = total["caught"] / total["models"], total["blamed"] / total["models"]
    print(f"caught {caught:.1%}, right layer {right:.1%}, false alarms {control['models'] - control['equal']}")
    return caught == 1.0 and right >= 0.95 and control["equal"] == control["models"]


def _cells(tally: Counter[str]) -> list[str]:
    return [str(tally[key]) for key in ("models", "caught", "blamed", *DEFAULT_CHECKS)]


def main() -> int:
    """Run and print; exit 0 if the numbers to reach are reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tflite", action="store_true", help="convert each model to .tflite and judge the file")
    parser.add_argument("--backend", choices=sorted(BACKENDS), default="xnnpack")
    parser.add_argument("--keras", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--models", nargs="+", default=[subject.name for subject in SUBJECTS])
    parser.add_argument("--faults", nargs="+", default=[fault.name for fault in FAULTS])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    return 0 if _print(_tally(options)) else 1


if __name__ == "__main__":
    sys.exit(main())
