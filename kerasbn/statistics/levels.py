"""The depth of each BatchNorm among the others."""

from __future__ import annotations

from importlib import import_module

from kerasbn.statistics.layers import BatchNorm
from kerasbn.statistics.recording import Recorder


def levels(recorder: Recorder) -> list[list[BatchNorm]]:
    """The BatchNorms in groups: each depends on those of groups before only, as far as one order can have it.

    It is taken from the last pass. A BatchNorm that is called at several depths is in the group of its deepest call.
    """
    calls = recorder.calls
    if not recorder.tensorflow:
        return [[norm] for norm in dict.fromkeys(norm for norm, _, _ in calls)]
    sources = import_module("kerasbn.statistics.tensorflow_graphs").depends(calls)
    level: dict[BatchNorm, int] = {}
    for (norm, _, _), found in zip(calls, sources, strict=True):
        before = [level[calls[index][0]] for index in found if calls[index][0] is not norm]
        level[norm] = max([level.get(norm, 0), *(each + 1 for each in before)])
    groups: dict[int, list[BatchNorm]] = {}
    for norm, depth in level.items():
        groups.setdefault(depth, []).append(norm)
    return [groups[depth] for depth in sorted(groups)]


def called_more_than_once(recorder: Recorder) -> list[str]:
    """The BatchNorms that are called more than once in the last pass."""
    paths = [norm.path for norm, _, _ in recorder.calls]
    return sorted({path for path in paths if paths.count(path) > 1})
