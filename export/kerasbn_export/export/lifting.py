"""Lifts as few layers of an int8 file to float or int16 as a target needs, by measuring.

1. The file is made with every single layer lifted. What that gives orders the layers. One that has no such form is out.
2. In this order, the shortest beginning that reaches the target is found by halving.
3. Each layer of it, the least useful first, is put back if the target is reached without it.

Ranges are measured once: each file is one more step of the converter on the same calibrated file. Files are judged on
samples that no ranges were measured on. An operation that only moves numbers, as RESHAPE, goes with its neighbours. The
set is the smallest of those that were measured: no layer of it can be put back alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from kerasbn.errors import ConversionError, MetricError
from kerasbn_export.benchmark.latency import compare_latency
from kerasbn_export.conversion.origins import Origins
from kerasbn_export.export.lifted import Lifted, Point
from kerasbn_export.program.program import Program
from kerasbn_export.tflite.file import CONVERSIONS, Op, Tensor, TFLiteFile, read_tflite
from kerasbn_export.tflite.same_grid import SAME_GRID

MOVING = SAME_GRID - {"AVERAGE_POOL_2D", "RESIZE_BILINEAR"}
"""Operations that compute no new number."""
ROUNDS = 20
"""Rounds in which the files of the curve are timed."""

Layers = frozenset[str]


@dataclass(frozen=True)
class Target:
    """What is to be reached.

    Attributes:
        value: In its unit.
        unit: For people.
        measure: From a file to its quality in the same unit.
        higher: Whether more is better.
    """

    value: float
    unit: str
    measure: Callable[[bytes], float]
    higher: bool = True

    def rank(self, quality: float) -> float:
        """More is better."""
        return quality if self.higher else -quality

    def reached(self, quality: float) -> bool:
        """Whether a quality is enough; a NaN is not."""
        return self.rank(quality) >= self.rank(self.value)


@dataclass
class _Search:
    """The files that were made so far."""

    make: Callable[[Layers], bytes]
    target: Target
    on_step: Callable[[str], None]
    neighbours: _Neighbours
    made: dict[Layers, tuple[bytes, float]] = field(default_factory=dict)

    def quality(self, layers: Layers) -> float:
        """That of the file with some layers lifted."""
        if layers not in self.made:
            self.on_step(f"lift layers: file {len(self.made) + 1}")
            data = self.make(self.neighbours.closed(layers))
            self.made[layers] = (data, self.target.measure(data))
        return self.made[layers][1]

    def can_lift(self, name: str) -> bool:
        """Whether there is such a file: of some operations there is none of 16 bits."""
        try:
            self.quality(frozenset({name}))
        except ConversionError:
            return False
        return True

    def reaches(self, layers: Layers) -> bool:
        """Whether that is enough."""
        return self.target.reached(self.quality(layers))


class _Neighbours:
    """Which layers stand beside which in a file.

    Args:
        file: The file in int8 alone.
        programs: What it was made of.
    """

    def __init__(self, file: TFLiteFile, programs: Sequence[Program]) -> None:
        origins = Origins(file, programs)
        self.ops = [op for op in file.ops if op.name not in CONVERSIONS and op.outputs]
        self.layer = {id(op): layer.name for op in self.ops if (layer := origins.layer(op)) is not None}

    def computing(self) -> list[str]:
        """The layers that compute numbers of 8 bits, in their order."""
        ops = [op for op in self.ops if op.name not in MOVING and op.outputs[0].dtype == "INT8"]
        return list(dict.fromkeys(self.layer[id(op)] for op in ops if id(op) in self.layer))

    def closed(self, layers: Layers) -> Layers:
        """Some layers, and those between them that only move numbers."""
        grown = layers | {name for name in self._moving() if all(other in layers for other in self._beside(name))}
        return grown if grown == layers else self.closed(grown)

    def _moving(self) -> Iterator[str]:
        named = {name: [op for op in self.ops if self.layer.get(id(op)) == name] for name in set(self.layer.values())}
        yield from (name for name, ops in named.items() if all(op.name in MOVING for op in ops))

    def _beside(self, name: str) -> Iterator[str | None]:
        own = [op for op in self.ops if self.layer.get(id(op)) == name]
        takes = {tensor.name for op in own for tensor in _activations(op)}
        gives = {tensor.name for op in own for tensor in op.outputs}
        for op in self.ops:
            if any(op is each for each in own):
                continue
            if takes & {t.name for t in op.outputs} or gives & {t.name for t in op.inputs}:
                yield self.layer.get(id(op))


def _activations(op: Op) -> Iterator[Tensor]:
    return (tensor for tensor in op.inputs if not tensor.constant)


def lift_layers(
    make: Callable[[Layers], bytes],
    programs: Sequence[Program],
    target: Target,
    to: str,
    on_step: Callable[[str], None] = lambda _: None,
) -> tuple[Layers, Lifted]:
    """The layers to lift, those between them that only move numbers included.

    Args:
        make: From the layers that are lifted to the file.
        programs: What is converted.
        target: What is to be reached.
        to: ``"float"`` or ``"int16"``, for the report.
        on_step: Called as each file is made.

    Raises:
        MetricError: The target is not reached with all of them lifted.
    """
    none: Layers = frozenset()
    neighbours = _Neighbours(read_tflite(make(none)), programs)
    search, names = _Search(make, target, on_step, neighbours), neighbours.computing()
    chosen: Layers = none
    if not search.reaches(none):
        names = [name for name in names if search.can_lift(name)]
        chosen = _smallest(search, names, to)
    found = Lifted(target.value, target.unit, to, _ordered(chosen, names), len(names), len(search.made), ())
    return neighbours.closed(chosen), replace(found, curve=tuple(_curve(search.made, chosen, target)))


def _smallest(search: _Search, names: Sequence[str], to: str) -> Layers:
    everything = frozenset(names)
    if not search.reaches(everything):
        raise MetricError(
            f"auto_precision: {search.target.value:g} {search.target.unit} are not reached; all {len(names)} layers "
            f"that can be in {to} give {search.quality(everything):.1f}. Inputs and outputs of 8 bits limit that, and "
            "with 'int16' the weights: use io_dtype='float32' and lift='float', or another target."
        )
    order = sorted(names, key=lambda name: -search.target.rank(search.quality(frozenset({name}))))
    low, high = 0, len(order)  # the first `low` are not enough, the first `high` are
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if search.reaches(frozenset(order[:middle])) else (middle, high)
    chosen = frozenset(order[:high])
    for name in reversed(order[:high]):
        if len(chosen) > 1 and search.reaches(chosen - {name}):
            chosen -= {name}
    return chosen


def _ordered(chosen: Layers, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name in chosen)


def _curve(made: Mapping[Layers, tuple[bytes, float]], chosen: Layers, target: Target) -> Iterator[Point]:
    """Of each number of layers the best file, where no smaller number was as good; and the chosen one."""
    best, shown = None, list[Layers]()
    for layers in sorted(made, key=lambda layers: (len(layers), -target.rank(made[layers][1]))):
        rank = target.rank(made[layers][1])
        if layers == chosen or ((best is None or rank > best) and (not shown or len(shown[-1]) < len(layers))):
            shown.append(layers)
            best = rank if best is None else max(best, rank)
    times = _times([made[layers][0] for layers in shown])
    for layers, time in zip(shown, times, strict=True):
        data, quality = made[layers]
        yield Point(len(layers), quality, len(data), len(read_tflite(data).ops), time, layers == chosen)


def _times(files: Sequence[bytes]) -> list[float]:
    with TemporaryDirectory(prefix="kerasbn_") as folder:
        paths = [Path(folder, f"{number}.tflite") for number in range(len(files))]
        for path, data in zip(paths, files, strict=True):
            path.write_bytes(data)
        return [latency.ratio for latency in compare_latency(paths, rounds=ROUNDS)]
