"""Damages model files, data and reports at random, and asserts that every command ends as it should.

    python benchmarks/fuzz.py 10                  for ten minutes
    python benchmarks/fuzz.py 10 --seed 1 --only tflite
    python benchmarks/fuzz.py --case 4711         one case again, with its traceback

Bits are flipped, ends cut off, parts of another file put in, and values rewritten where the format allows it. Each
file goes through the commands that read its kind. Wrong is: another exit code than 0, 1 or 2; more than one line on
standard error, or a traceback; a line that does not name the file; a file left behind or changed; no end within a
minute; a death by a signal. The exit code is 1 where something is wrong, and each case can be run again by its number.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import queue
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np

from kerasbn.flavour import NAMES, Flavour

CASES_OF_A_WORKER, LIMIT_S = 150, 60
COMMANDS = {
    ".keras": ["inspect FILE", "fold FILE -o made.keras", "verify FILE FILE --samples 1"],
    ".h5": ["inspect FILE", "fold FILE -o made.keras"],
    "sm": ["inspect FILE", "verify FILE FILE --samples 1"],
    ".tflite": ["inspect FILE", "verify keras.keras FILE --samples 1", "verify FILE FILE --samples 1"],
    ".npy": ["verify keras.keras keras.tflite --data FILE"],
    ".npz": ["verify keras.keras keras.tflite --data FILE"],
    ".json": ["recheck FILE --html made.html --junit made.xml", "recheck FILE --json made.json --tolerance 0.01"],
}
MADE = ("made.keras", "made.html", "made.xml", "made.json")
VALUES = [
    None,
    True,
    -1,
    0,
    2**70,
    1e400,
    0.5,
    "",
    "norm",
    "\ud800",
    "é" * 300,
    [],
    {},
    [[[]]],
    {"class_name": "Dense"},
]

Mutation = Callable[[random.Random, bytes, bytes], bytes]


def main() -> int:
    """Runs cases until the time is over; 1 where something is wrong."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="fuzz_") as name:
        stock = Path(arguments.stock or name)
        if arguments.worker is not None:
            return _work(stock, arguments)
        _make_stock(stock)
        if arguments.case is not None:
            print(_case(stock, arguments.case, arguments.only, debug=True) or "right")
            return 0
        return _supervise(stock, arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("minutes", nargs="?", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0, help="the number of the first case, in millions")
    parser.add_argument("--only", default="", help="a part of the names of the files")
    parser.add_argument("--case", type=int, help="the one to run again")
    parser.add_argument("--stock", help=argparse.SUPPRESS)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


# The right files


def _small(flavour: Flavour) -> Any:
    layers, rng = flavour.keras.layers, np.random.default_rng(0)
    x = flavour.keras.Input((6, 6, 2), name="x")
    y = layers.Conv2D(3, 3, name="conv")(x)
    y = layers.ReLU(name="relu")(flavour.batch_normalization(name="norm")(y))
    y = layers.Dense(2, name="dense")(layers.GlobalAveragePooling2D(name="pool")(y))
    model = flavour.keras.Model(x, y, name="small")
    model.set_weights([np.abs(rng.normal(size=weight.shape)) + 0.1 for weight in model.get_weights()])
    return model


def _make_stock(stock: Path) -> None:
    from kerasbn_export import export_tflite, verify

    data = np.random.default_rng(1).normal(size=(4, 6, 6, 2)).astype("float32")
    for name in NAMES:
        model = _small(Flavour(name))
        model.save(stock / f"{name}.keras")
        model.save(stock / f"{name}.h5")
        export_tflite(model, stock / f"{name}.tflite")
    model.save(stock / "sm")
    export_tflite(model, stock / "int8.tflite", precision="int8", calibration=data)
    np.save(stock / "x.npy", data)
    np.savez_compressed(stock / "x.npz", x=data)
    report = verify(stock / "keras.keras", stock / "keras.tflite").to_json()
    (stock / "report.json").write_text(json.dumps(report))


# How a file is damaged


def _flipped(rng: random.Random, data: bytes, _: bytes) -> bytes:
    changed = bytearray(data)
    for _number in range(rng.choice([1, 1, 2, 4, 16])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(rng: random.Random, data: bytes, _: bytes) -> bytes:
    begin = rng.randrange(len(data))
    return rng.choice([data[:begin], data[:begin] + data[begin + rng.randrange(1, 64) :]])


def _spliced(rng: random.Random, data: bytes, other: bytes) -> bytes:
    begin, size = rng.randrange(len(data)), rng.randrange(1, 200)
    source = rng.choice([data, other])
    taken = rng.randrange(len(source))
    return data[:begin] + source[taken : taken + size] + data[begin + rng.choice([0, size]) :]


def _extreme(rng: random.Random, data: bytes, _: bytes) -> bytes:
    """Four bytes become a number at the end of a range."""
    begin = rng.randrange(len(data))
    number = rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 0x7F800000, 0x7FC00000])
    return data[:begin] + number.to_bytes(4, "little") + data[begin + 4 :]


def _rewritten(rng: random.Random, data: bytes, _: bytes) -> bytes:
    """One value of what is written in JSON becomes another; other formats are flipped."""
    if data[:2] == b"PK" and b"config.json" in data:
        return _rezipped(rng, data)
    if data[:1] == b"{":
        return json.dumps(_changed(rng, json.loads(data))).encode()
    if data.startswith(b"\x89HDF"):
        return _rewritten_hdf5(rng, data)
    return _extreme(rng, data, b"")


def _rezipped(rng: random.Random, data: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w") as new:
        for member in old.namelist():
            content = old.read(member)
            if member == "config.json":
                content = json.dumps(_changed(rng, json.loads(content))).encode()
            new.writestr(member, content)
    return made.getvalue()


def _rewritten_hdf5(rng: random.Random, data: bytes) -> bytes:
    import h5py

    held = io.BytesIO(data)
    with h5py.File(held, "r+") as file:
        config = _changed(rng, json.loads(file.attrs["model_config"]))
        file.attrs["model_config"] = json.dumps(config)
    return held.getvalue()


def _changed(rng: random.Random, value: Any) -> Any:
    places = list(_places(value))
    holder, key = rng.choice(places)
    what = rng.randrange(4)
    if what == 0:
        del holder[key]
    elif what == 1:
        other, its = rng.choice(places)
        holder[key] = json.loads(json.dumps(other[its] if its in other or isinstance(other, list) else None))
    else:
        holder[key] = rng.choice(VALUES)
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in list(items):
        yield value, key
        yield from _places(child)


MUTATIONS: tuple[Mutation, ...] = (_flipped, _flipped, _cut, _spliced, _extreme, _rewritten, _rewritten)


# One case


def _case(stock: Path, number: int, only: str, *, debug: bool = False) -> str:
    """Damages one file and runs one command; what is wrong, or nothing."""
    rng = random.Random(number)  # noqa: S311 - nothing is hidden
    name = rng.choice([path.name for path in sorted(stock.iterdir()) if only in path.name])
    mutation = rng.choice(MUTATIONS)
    line = rng.choice(COMMANDS.get(Path(name).suffix, COMMANDS["sm"])).replace("FILE", f"bad-{name}")
    with tempfile.TemporaryDirectory(prefix="case_") as folder:
        place = Path(folder)
        (place / "tmp").mkdir()
        for path in stock.iterdir():
            (shutil.copytree if path.is_dir() else shutil.copy)(path, place / path.name)
        target = place / f"bad-{name}"
        (place / name).rename(target) if name not in line.split() else shutil.copy(place / name, target)
        damaged = (
            rng.choice(sorted(path for path in target.rglob("*") if path.is_file())) if target.is_dir() else target
        )
        other = (stock / rng.choice([path.name for path in sorted(stock.iterdir()) if path.is_file()])).read_bytes()
        damaged.write_bytes(mutation(rng, damaged.read_bytes(), other) if damaged.stat().st_size else b"x")
        before = _snapshot(place)
        code, text = _run(place, line.split(), debug=debug)
        wrong = [*_faults(code, text, f"bad-{name}"), *_changes(before, _snapshot(place))]
    where = f"case {number}: {mutation.__name__[1:]} {damaged.name}: {line}"
    return f"{where}: {'; '.join(wrong)}" if wrong else ""


def _run(place: Path, line: list[str], *, debug: bool) -> tuple[int, str]:
    run, text = import_module("kerasbn_export.cli.main").run, io.StringIO()
    tempfile.tempdir = str(place / "tmp")
    try:
        errors = contextlib.nullcontext() if debug else contextlib.redirect_stderr(text)
        with contextlib.chdir(place), contextlib.redirect_stdout(io.StringIO()), errors:
            return run([*line, "--debug"] if debug else line), text.getvalue()
    finally:
        tempfile.tempdir = None


def _snapshot(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def _faults(code: int, text: str, name: str) -> Iterator[str]:
    if code not in (0, 1, 2):
        yield f"exit code {code}: {text.strip()[:300]}"
    elif "Traceback" in text or text.count("\n") > 1:
        yield f"more than one line: {text[:300]}"
    elif code == 2 and text and name not in text:
        yield f"does not name {name}: {text.strip()[:300]}"


def _changes(before: dict[str, bytes], after: dict[str, bytes]) -> Iterator[str]:
    for path in sorted({*before, *after} - set(MADE)):
        if before.get(path) != after.get(path):
            yield f"{path} is changed, gone or left behind"


# Many cases


def _work(stock: Path, arguments: argparse.Namespace) -> int:
    """A process that runs cases until it is stopped; a line before and after each."""
    for number in range(arguments.worker, arguments.worker + CASES_OF_A_WORKER):
        print(f"begin {number}", flush=True)
        print(f"end {_case(stock, number, arguments.only)}", flush=True)
    return 0


def _supervise(stock: Path, arguments: argparse.Namespace) -> int:
    end, number, tried, wrong = time.monotonic() + 60 * arguments.minutes, arguments.seed * 1_000_000, 0, Counter[str]()
    while time.monotonic() < end:
        for began, found in _answers(stock, number, arguments.only, end):
            number, tried = began + 1, tried + 1
            if found:
                wrong[found] += 1
                print(f"wrong: {found}", flush=True)
    print(f"{tried} damaged files, {len(wrong)} wrong")
    return 1 if wrong else 0


def _answers(stock: Path, first: int, only: str, end: float) -> Iterator[tuple[int, str]]:
    """What one worker finds: the number of each case and what is wrong, a hang and a death among it."""
    command = [sys.executable, __file__, "--stock", str(stock), "--worker", str(first), "--only", only]
    lines: queue.Queue[str] = queue.Queue()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as worker:  # noqa: S603
        threading.Thread(target=lambda: [*map(lines.put, worker.stdout or ()), lines.put("")], daemon=True).start()
        case = first
        try:
            while time.monotonic() < end:
                line = lines.get(timeout=LIMIT_S)
                if line.startswith("begin "):
                    case = int(line.split()[1])
                elif line.startswith("end"):
                    yield case, line[4:].strip()
                    case += 1
                elif not line:
                    if worker.wait():
                        yield case, f"case {case}: the process ended with code {worker.returncode}"
                    return
        except queue.Empty:
            yield case, f"case {case}: no end after {LIMIT_S} s"
        finally:
            worker.kill()


if __name__ == "__main__":
    sys.exit(main())
