"""A .tflite file as something to run, on any LiteRT backend."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasbn.errors import ModelFileError, NotComparableError
from kerasbn_export.arrays import Array
from kerasbn_export.files.reading import reading
from kerasbn_export.tflite.graph import TFLiteGraph
from kerasbn_export.tflite.interpreter import BACKENDS
from kerasbn_export.verification.sides.ports import Port

if TYPE_CHECKING:
    from kerasbn_export.verification.network.network import Network

Ends = list[tuple[str, int]]
"""Names of inputs or outputs, each with its tensor."""


class TFLiteRunner:
    """Runs a file sample by sample, or in its own batch size.

    Args:
        content: The bytes of the file.
        label: What to call it in the report.
        backend: A key of `BACKENDS`.

    Attributes:
        signature: The name of the signature it runs, where that is known.

    Raises:
        ModelFileError: The bytes are no .tflite model, or this interpreter cannot run it.
    """

    signature = ""

    def __init__(self, content: bytes, label: str, backend: str = "xnnpack") -> None:
        self.graph = TFLiteGraph(content, label)
        self.content, self.backend = content, backend
        self.label = f"{label} on {backend}"
        self.precision = self.graph.precision
        self._interpreter = self._new_interpreter(keep=False)
        with self._named():
            names = _names_of_ends(self._interpreter)
            self._input_indices, self.inputs = self._ends(names["inputs"], self._interpreter.get_input_details())
            self._output_indices, self.outputs = self._ends(names["outputs"], self._interpreter.get_output_details())

    @property
    def referee(self) -> tuple[Network | None, str]:
        """None: a file has one precision, its own."""
        return None, "referee unavailable: the reference is a .tflite file, which has no float64 form."

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The real values of every output."""
        with self._named():
            return self.values(self._interpreter, self._output_indices, arrays)

    def run_with_scores(self, arrays: Sequence[Array]) -> tuple[list[Array], list[Array | None]]:
        """The outputs, and each before its own softmax or sigmoid.

        The latter come from a second run that keeps all tensors: the first is the one that users have.
        """
        found = [self.graph.before_activation(index) for index in self._output_indices]
        wanted = [index for index in found if index is not None]
        with self._named():
            values = iter(self.values(self.keeping, wanted, arrays) if wanted else ())
            return self.run(arrays), [None if index is None else next(values) for index in found]

    def _named(self) -> AbstractContextManager[None]:
        """Whatever LiteRT stumbles over, the file is what it stumbled over."""
        return reading(self.label, "LiteRT cannot run it", ModelFileError)

    @cached_property
    def keeping(self) -> Any:
        """An interpreter that keeps the values of all tensors."""
        return self._new_interpreter(keep=True)

    def values(self, interpreter: Any, indices: Sequence[int], arrays: Sequence[Array]) -> list[Array]:
        """The real values of some tensors, the batches joined."""
        batch, count = self._prepare(interpreter, arrays), len(arrays[0])
        parts: list[list[Array]] = [[] for _ in indices]
        for start in range(0, count, batch):
            self._invoke(interpreter, [_padded(array[start : start + batch], batch) for array in arrays])
            for part, index in zip(parts, indices, strict=True):
                part.append(self.restore(index, interpreter.get_tensor(index)))
        return [self.joined(part, batch, count, index) for part, index in zip(parts, indices, strict=True)]

    def restore(self, index: int, stored: Array) -> Array:
        """The real values behind what a tensor stores."""
        quantization = self.graph.tensors[index].quantization
        if quantization is not None and np.issubdtype(stored.dtype, np.integer):
            return quantization.restore(stored)
        return np.array(stored)

    def first_batch(self, indices: Sequence[int], arrays: Sequence[Array], *, keep: bool = True) -> list[Array]:
        """The real values of some tensors, as the file has them, for one batch.

        Args:
            indices: The tensors.
            arrays: The inputs.
            keep: Whether all tensors are kept; if not, only those of outputs can be asked for.
        """
        interpreter = self.keeping if keep else self._interpreter
        self._prepare(interpreter, arrays)
        self._invoke(interpreter, list(arrays))
        return [self.restore(index, interpreter.get_tensor(index)) for index in indices]

    def kept(
        self, indices: Sequence[int], arrays: Sequence[Array]
    ) -> dict[int, tuple[tuple[int, ...], Callable[[], Array]]]:
        """The shape of some tensors for one batch, and what gives their real values until the next run.

        A tensor that the interpreter does not show is not among them: one that no operation takes is never computed.

        Args:
            indices: The tensors.
            arrays: The inputs.
        """
        interpreter = self.keeping
        self._prepare(interpreter, arrays)
        self._invoke(interpreter, list(arrays))
        shapes = {detail["index"]: tuple(detail["shape"].tolist()) for detail in interpreter.get_tensor_details()}
        return {i: (shapes[i], partial(self._load, interpreter, i)) for i in indices if _is_shown(interpreter, i)}

    def _load(self, interpreter: Any, index: int) -> Array:
        return self.restore(index, interpreter.get_tensor(index))

    @property
    def output_indices(self) -> tuple[int, ...]:
        """The tensor of each output."""
        return self._output_indices

    def batch(self, arrays: Sequence[Array]) -> int:
        """How many samples the file takes at a time."""
        return self._prepare(self._interpreter, arrays)

    def ends_by_name(self) -> dict[str, int]:
        """The tensors of inputs and outputs by their names in the signature."""
        names = _names_of_ends(self._interpreter)
        return {name: index for ends in names.values() for name, index in ends}

    def _new_interpreter(self, *, keep: bool) -> Any:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Warning: Enabling `experimental_preserve_all_tensors`")  # on purpose
                return Interpreter(
                    model_content=self.content,
                    experimental_op_resolver_type=getattr(OpResolverType, BACKENDS[self.backend]),
                    experimental_preserve_all_tensors=keep,
                )
        except (RuntimeError, ValueError) as error:
            raise ModelFileError(f"{self.label}: LiteRT cannot open it: {error}.") from error

    def _ends(self, named: Ends, details: list[dict[str, Any]]) -> tuple[tuple[int, ...], tuple[Port, ...]]:
        """The tensors of the ends and the ends, in the order of the file; one tensor may be several outputs."""
        by_index = {detail["index"]: detail for detail in details}
        if {index for _, index in named} != set(by_index):
            known = {index: name for name, index in named}
            named = [(known.get(index, ""), index) for index in _by_number(details)]
        else:
            named = sorted(named, key=lambda end: list(by_index).index(end[1]))
        return tuple(index for _, index in named), tuple(self._port(by_index[index], name) for name, index in named)

    def _port(self, detail: dict[str, Any], signature_name: str) -> Port:
        index, quantization = detail["index"], self.graph.calibrated(detail["index"])
        shape = [None if size < 0 else int(size) for size in detail["shape_signature"]] or detail["shape"].tolist()
        dtype = "float32" if self.graph.tensors[index].quantization else np.dtype(detail["dtype"]).name
        bare = re.sub(r"^serving_default_|:\d+$", "", detail["name"])
        aliases = (bare,) if signature_name and bare != signature_name else ()
        return Port(signature_name or bare, tuple(shape), dtype, quantization, aliases, self.graph.ids(index))

    def _prepare(self, interpreter: Any, arrays: Sequence[Array]) -> int:
        """Give every input the shape of the data, the batch as the file has it; returns the batch."""
        current = {detail["index"]: detail for detail in interpreter.get_input_details()}
        batch = int(current[self._input_indices[0]]["shape"][0])
        for index, array in zip(self._input_indices, arrays, strict=True):
            if tuple(current[index]["shape"][1:]) != array.shape[1:]:
                interpreter.resize_tensor_input(index, (batch, *array.shape[1:]))
        try:
            interpreter.allocate_tensors()
        except RuntimeError as error:
            raise ModelFileError(f"{self.label}: LiteRT cannot prepare it: {error}.") from error
        return batch

    def stored(self, arrays: Sequence[Array], batch: int) -> dict[int, Array]:
        """What the file's inputs store of some samples, by tensor, the last sample repeated to fill the batch."""
        tensors = [self.graph.tensors[index] for index in self._input_indices]
        return {
            tensor.index: np.ascontiguousarray(
                tensor.quantization.store(_padded(array, batch)) if tensor.quantization else _padded(array, batch),
                np.dtype(tensor.dtype),
            )
            for tensor, array in zip(tensors, arrays, strict=True)
        }

    def _invoke(self, interpreter: Any, arrays: list[Array]) -> None:
        """Run one batch from a fresh state: a recurrent operation keeps its own from one run to the next."""
        interpreter.reset_all_variables()
        for index, array in self.stored(arrays, len(arrays[0])).items():
            interpreter.set_tensor(index, array)
        try:
            interpreter.invoke()
        except RuntimeError as error:
            raise ModelFileError(f"{self.label}: LiteRT cannot run it: {error}.") from error

    def joined(self, parts: list[Array], batch: int, count: int, index: int) -> Array:
        """The batches of one tensor as one array, without what filled the last.

        Raises:
            NotComparableError: The batch is not its first dimension.
        """
        if not parts[0].ndim or len(parts[0]) % batch:
            raise NotComparableError(
                f"Tensor {self.graph.tensors[index].name!r} of {self.label} has shape {parts[0].shape} for a batch "
                f"of {batch}: verify compares sample by sample, so the batch has to be the first dimension."
            )
        return np.concatenate(parts)[: count * (len(parts[0]) // batch)]


def _is_shown(interpreter: Any, index: int) -> bool:
    """Whether the interpreter has values of a tensor."""
    try:
        interpreter.tensor(index)()
    except ValueError:  # "Tensor data is null"
        return False
    return True


def _padded(array: Array, batch: int) -> Array:
    missing = batch - len(array)
    return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)]) if missing else array


def _names_of_ends(interpreter: Any) -> dict[str, Ends]:
    """For inputs and outputs the names in the signature, each with its tensor; none if the file has no signature."""
    signatures = interpreter.get_signature_list()
    if not signatures:
        return {"inputs": [], "outputs": []}
    runner = interpreter.get_signature_runner(next(iter(signatures)))
    return {
        "inputs": [(name, detail["index"]) for name, detail in runner.get_input_details().items()],
        "outputs": [(name, detail["index"]) for name, detail in runner.get_output_details().items()],
    }


def _by_number(details: list[dict[str, Any]]) -> list[int]:
    """The order that names as ``StatefulPartitionedCall:1`` or ``Identity_1`` tell, else the file's own."""
    numbers = [re.match(r"^.*?[:_](\d+)$", detail["name"]) for detail in details]
    ranks = [int(match.group(1)) if match else -1 for match in numbers]
    order = sorted(range(len(details)), key=ranks.__getitem__) if len(set(ranks)) == len(ranks) else range(len(details))
    return [details[i]["index"] for i in order]
