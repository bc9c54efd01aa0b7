"""Several ``.tflite`` files side by side: latency, size, operations, memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kerasbn.arguments import AtLeastOne, Seed, checks_arguments
from kerasbn_export.benchmark.latency import compare_latency
from kerasbn_export.devices.memory import activation_bytes, resident_bytes
from kerasbn_export.tflite.file import read_tflite


@dataclass(frozen=True)
class FileMeasurement:
    """What one file takes.

    Attributes:
        path: The file.
        precision: By the types of its tensors.
        milliseconds: Median time of one run.
        ratio: Median, over the rounds, of its time over the time of the first file.
        quartiles: Of that ratio.
        bytes: Its size.
        ops: Its operations with their counts.
        activation_bytes: See `kerasbn_export.devices.memory`.
        resident_bytes: See `kerasbn_export.devices.memory`.
    """

    path: Path
    precision: str
    milliseconds: float
    ratio: float
    quartiles: tuple[float, float]
    bytes: int
    ops: dict[str, int]
    activation_bytes: int
    resident_bytes: int

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values."""
        return {**asdict(self), "path": str(self.path), "quartiles": list(self.quartiles)}


@checks_arguments
def measure_files(
    paths: Sequence[Path],
    on_step: Callable[[str], None] = lambda _: None,
    *,
    rounds: AtLeastOne = 60,
    threads: AtLeastOne = 1,
    backend: str = "xnnpack",
    delegate: str | None = None,
    seed: Seed = 0,
) -> list[FileMeasurement]:
    """One record per file, in the order given; see `kerasbn_export.benchmark.latency.compare_latency` for the options.

    Raises:
        InvalidArgumentError: An option is not accepted.
        ModelFileError: A file is missing, is no ``.tflite``, or LiteRT cannot run it.
    """
    files = [read_tflite(path) for path in paths]
    on_step("take turns")
    latencies = compare_latency(paths, rounds=rounds, threads=threads, seed=seed, backend=backend, delegate=delegate)
    on_step("measure memory")
    resident = [resident_bytes(path, backend=backend, threads=threads, delegate=delegate) for path in paths]
    return [
        FileMeasurement(
            path=path,
            precision=file.precision,
            milliseconds=latency.milliseconds,
            ratio=latency.ratio,
            quartiles=latency.spread,
            bytes=file.size,
            ops=file.op_counts,
            activation_bytes=activation_bytes(file),
            resident_bytes=memory,
        )
        for path, file, latency, memory in zip(paths, files, latencies, resident, strict=True)
    ]
