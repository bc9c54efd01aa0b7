"""The networks that `routes` measures, and what one of them gives by one route, in a process of its own."""

from __future__ import annotations

import importlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from applications import SIZES, give_statistics
from applications import build as build_application
from patterns import give_numbers

from kerasbn.errors import KerasBNError
from kerasbn.flavour import Flavour
from kerasbn_export import fold, verify
from kerasbn_export.conversion.convert import convert
from kerasbn_export.conversion.options import ConversionOptions
from kerasbn_export.conversion.recurrent_form import for_file
from kerasbn_export.conversion.routes import LITERT, TENSORFLOW
from kerasbn_export.tflite.file import read_tflite
from models import ROWS

NETWORKS = ("MobileNetV2", "EfficientNetB0", "DenseNet121", "digits_cnn", "ds_cnn", "tcn", "resnet1d")
MODELS = {row.name: row for row in ROWS if row.small is not None}
ROUTES = (TENSORFLOW, LITERT)
FRAME = "relu"
"""What `every_layer` puts around a layer."""
ANSWERS = {0: "yes", 1: "no", 2: "cannot tell"}
"""By the exit code of `verify`."""
LIMIT = 1500.0
"""Seconds that one file may take, on a machine with other work."""


def names(source: str, keras: str) -> list[str]:
    """The rows of a source in one Keras."""
    return NAMES_OF[source](keras)


def build(source: str, keras: str, name: str) -> Any:
    """A network with random numbers."""
    return BUILD_OF[source](keras, name)


def _network(keras: str, name: str) -> Any:
    flavour = Flavour(keras)
    if name in SIZES:
        return give_statistics(build_application(name, flavour))
    return give_numbers(MODELS[name].build(flavour.name, **MODELS[name].small or {}))


def _layers(keras: str) -> list[str]:
    from layer_table import NOT_TRIED, rows, same_as

    module = importlib.import_module(keras)
    left_out = {**NOT_TRIED, **same_as(module)}
    return [name for name in rows(module) if name not in left_out]


def _layer(keras: str, name: str) -> Any:
    from every_layer import build as build_layer

    return build_layer(keras, name, FRAME, 0)


def _tutorials(_: str) -> list[str]:
    from tutorial_networks import NETWORKS as TUTORIALS

    return list(TUTORIALS)


def _tutorial(keras: str, name: str) -> Any:
    from tutorials import build as build_tutorial

    return build_tutorial(keras, name, 0)


def _zoo(keras: str) -> list[str]:
    from zoo_networks import absent, rows

    return [name for name in rows(keras) if not absent(name)]


def _architecture(keras: str, name: str) -> Any:
    from zoo_networks import build as build_architecture

    return build_architecture(keras, name, 0)


NAMES_OF: dict[str, Callable[[str], list[str]]] = {
    "networks": lambda _: list(NETWORKS),
    "models": lambda _: list(MODELS),
    "layers": _layers,
    "tutorials": _tutorials,
    "zoo": _zoo,
}
BUILD_OF: dict[str, Callable[[str, str], Any]] = {
    "networks": _network,
    "models": _network,
    "layers": _layer,
    "tutorials": _tutorial,
    "zoo": _architecture,
}
SOURCES = tuple(NAMES_OF)


def in_child(source: str, keras: str, name: str, paths: Sequence[Path]) -> list[dict[str, Any]]:
    """`measured` in a process of its own; what it died of, where it did."""
    command = [sys.executable, __file__, source, keras, name, *map(str, paths)]
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": str(int(source == "zoo" and keras == "tf_keras"))}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=LIMIT)  # noqa: S603
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        return [{"right": "died", "why": f"{type(error).__name__}: {str(error)[-120:]}"} for _ in ROUTES]
    return list(json.loads(done.stdout.splitlines()[-1]))


def measured(source: str, keras: str, name: str, *paths: str) -> list[dict[str, Any]]:
    """Makes the file of a network by each route; what that took."""
    try:
        model = build(source, keras, name)
        folded = fold(model, dtype="float32", batch_size=1).model
    except Exception as error:  # what Keras cannot build, and what is not folded, `every_layer` tells of
        return [{"right": "absent", "why": f"{type(error).__name__}: {error}"[:160]} for _ in ROUTES]
    return [_by_route(folded, *pair) for pair in zip(ROUTES, paths, strict=True)]


def _by_route(folded: Any, route: str, path: str) -> dict[str, Any]:
    """Of the second route, the last: the memory of its own process is that of the largest so far."""
    model = for_file(folded, "float32", route).model
    before = start_of_memory()
    start = processor_seconds()
    try:
        data = convert(model, ConversionOptions(route=route))
    except KerasBNError as error:
        return {"right": "refused", "why": str(error)[:300]}
    seconds = processor_seconds() - start
    memory = of_memory("VmHWM") - before + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    Path(path).write_bytes(data)
    return {
        "seconds": round(seconds, 2),
        "memory": round(memory / 1024),
        "operations": sum(read_tflite(data).op_counts.values()),
        "right": _answer(model, path),
    }


def _answer(folded: Any, path: str) -> str:
    """What `verify` says; with the layers where it says no without, for its appeals."""
    try:
        code = verify(folded, path, layers=False).exit_code or 0
        return ANSWERS[code if code != 1 else verify(folded, path).exit_code]
    except KerasBNError as error:
        return f"not judged: {str(error)[:120]}"


def processor_seconds() -> float:
    """What this process took of processors, and those that it started and that ended."""
    return sum(os.times()[:4])


def start_of_memory() -> int:
    """The kilobytes that this process has now; the highest mark is put there."""
    Path("/proc/self/clear_refs").write_text("5")
    return of_memory("VmRSS")


def of_memory(field: str) -> int:
    """A line of the kernel's record of this process, in kilobytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def main(arguments: Sequence[str]) -> int:
    """Prints what is measured, as JSON."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    print(json.dumps(measured(*arguments)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
