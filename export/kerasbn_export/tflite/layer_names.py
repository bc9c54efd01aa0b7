"""Names of the Keras layers behind a TFLite tensor.

A tensor of a converted model carries the path of the layers it came from, the last operation first::

    tf_keras   model/r2/Relu;model/b2/FusedBatchNormV3;model/c2/Conv2D
    Keras 3    functional_1/r1_1/Relu;functional_1/b1_1/batchnorm/add_1;functional_1/c1_1/convolution

Keras 3 puts ``_1`` behind every name when it traces a model a second time: ``conv2d_1`` is the layer ``conv2d`` in
such a file, and another one in all others. Which kind a file is, all its names decide together.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

_COUNT = re.compile(r"_\d+$")

Words = tuple[str, ...]


class Provenance:
    """Finds the layers that the names of a file's tensors tell of.

    Args:
        paths: The paths of the model's layers, as ``"backbone/conv1"``.
        tensor_names: The names of all tensors of the file.
    """

    def __init__(self, paths: Iterable[str], tensor_names: Iterable[str]) -> None:
        self._paths: dict[Words, str] = {}
        for path in paths:
            self._paths[tuple(path.split("/"))] = path
            self._paths.setdefault((path.replace("/", "_"),), path)
        ends = Counter(path.rpartition("/")[2] for path in set(self._paths.values()))
        for path in list(self._paths.values()):  # a fold makes one model of nested ones
            if ends[path.rpartition("/")[2]] == 1:
                self._paths.setdefault((path.rpartition("/")[2],), path)
        names = list(tensor_names)
        self._root = _root(names)
        self._counted = len(self._known(names, counted=True)) > len(self._known(names, counted=False))

    def layers(self, tensor_name: str) -> Words:
        """The paths of the layers behind a tensor, the last to run first."""
        return self._layers(tensor_name, self._counted)

    def _known(self, names: list[str], *, counted: bool) -> set[str]:
        return {path for name in names for path in self._layers(name, counted)}

    def _layers(self, name: str, counted: bool) -> Words:
        found = (self._layer(part, counted) for part in name.split(";"))
        return tuple(dict.fromkeys(path for path in found if path is not None))

    def _layer(self, part: str, counted: bool) -> str | None:
        """The path that begins first in the words, behind the model's own name; of several the longest.

        No layer is inside another: what stands further in is an operation, as the ``add`` of ``model/bn/add``, and a
        layer of that name is another.
        """
        words = tuple(_COUNT.sub("", word) if counted else word for word in part.split("/"))
        words = words[1:] if len(words) > 1 and part.partition("/")[0] == self._root else words
        spans = [(start, -end) for start in range(len(words)) for end in range(start + 1, len(words) + 1)]
        inside = [(start, end) for start, end in spans if words[start:-end] in self._paths]
        if not inside:
            return None
        start, end = min(inside)
        return self._paths[words[start:-end]]


def _root(names: Iterable[str]) -> str | None:
    """The word that most of the names begin with: the model's; None where there is none."""
    parts = [part for name in names for part in name.split(";")]
    first, count = next(iter(Counter(part.partition("/")[0] for part in parts if "/" in part).most_common(1)), ("", 0))
    return first if 2 * count > len(parts) else None
