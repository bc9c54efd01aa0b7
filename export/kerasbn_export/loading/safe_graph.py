"""Says what in the graph of a SavedModel is more than arithmetic on values in memory, before TensorFlow loads it.

A SavedModel is a program: its functions may read and write files, and its initializers run when it is loaded. So every
operation of every function, and of the main graph, must be on a list (`graph.pure_operations`). Beyond the list stands
what TensorFlow itself writes into every SavedModel, where it cannot do harm: the functions that save and restore the
variables, which nothing else may call, and a table that is read from a file of the SavedModel's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from kerasbn.lazy import LazyModule
from kerasbn_export.graph.pure_operations import ALLOWED

tf: Any = LazyModule("tensorflow")  # importing this module is to import no TensorFlow

MAIN_GRAPH = ""
"""In place of a function's name."""
RESTORES = frozenset({"Restore", "RestoreSlice", "RestoreV2"})
SAVES = frozenset({"MergeV2Checkpoints", "Save", "SaveSlices", "SaveV2"})
PRINTS = frozenset({"Print", "PrintV2"})
STREAMS = frozenset({b"", b"stderr", b"stdout", b"log(info)", b"log(warning)", b"log(error)"})
TEXT_FILES = frozenset({"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"})
ASSET_COLLECTION = "saved_model_assets"
CALLS = frozenset(
    {
        "Case",
        "For",
        "If",
        "PartitionedCall",
        "StatefulPartitionedCall",
        "StatelessCase",
        "StatelessIf",
        "StatelessWhile",
    }
    | {"SymbolicGradient", "While"}
)
"""The allowed operations that call functions."""
NONE: frozenset[str] = frozenset()
INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")


@dataclass(frozen=True)
class GraphFinding:
    """One operation that is on no list.

    Attributes:
        operation: Its kind.
        node: Its name.
        function: The function that it sits in; empty for the main graph.
    """

    operation: str
    node: str
    function: str

    @property
    def where(self) -> str:
        """The place, in words."""
        return f"function {self.function!r}" if self.function else "main graph"


def find_operations(saved: Any) -> Iterator[GraphFinding]:
    """Every operation of a SavedModel that may do more than compute, and keep values in memory.

    Args:
        saved: Its description, as the protobuf that it is.
    """
    for meta in saved.meta_graphs:
        yield from _MetaGraph(meta).findings()


@dataclass(frozen=True)
class _Place:
    """A function or the main graph, and what its operations may do beyond the list.

    Attributes:
        function: Its name.
        nodes: Its operations by name.
        may: The further kinds of operations.
        prefixes: Where the path of the SavedModel's own checkpoint comes from.
        files: Where the path of a file of its own comes from.
    """

    function: str
    nodes: dict[str, Any]
    may: Set[str]
    prefixes: Set[str]
    files: Set[str]

    def source(self, tensor: str) -> str:
        """What a tensor is a copy of."""
        name = _node_name(tensor)
        for _ in range(len(self.nodes)):  # a broken graph may go in circles
            if name not in self.nodes or self.nodes[name].op != "Identity":
                break
            name = _node_name(self.nodes[name].input[0])
        return name


class _MetaGraph:
    """One graph with its functions, and who may call what."""

    def __init__(self, meta: Any) -> None:
        self.meta = meta
        self.functions = {function.signature.name: function for function in meta.graph_def.library.function}
        self.main = {node.name: node for node in meta.graph_def.node}
        self.calls = {name: self._called(body.node_def) for name, body in self.functions.items()}
        saver = meta.saver_def
        self.saving = _node_name(saver.save_tensor_name)
        self.restoring = _node_name(saver.restore_op_name)
        self.filename = _node_name(saver.filename_tensor_name)

    def findings(self) -> Iterator[GraphFinding]:
        saving, restoring = self._saver_functions()
        for name, body in self.functions.items():
            if all(node.op in ALLOWED for node in body.node_def):
                continue
            may = (RESTORES if name in restoring else NONE) | (SAVES if name in saving else NONE)
            place = _Place(
                name,
                {node.name: node for node in body.node_def},
                may,
                {argument.name for argument in body.signature.input_arg},
                self._asset_arguments(name, body),
            )
            yield from self._judged(body.node_def, place)
        yield from self._judged_main()

    def _judged(self, body: Iterable[Any], place: _Place) -> Iterator[GraphFinding]:
        for node in body:
            op = node.op
            if op in ALLOWED or (op in self.functions and not _is_operation(op)):
                continue
            if op in PRINTS and node.attr["output_stream"].s in STREAMS:
                continue
            if op in place.may and (op in SAVES or place.source(node.input[0]) in place.prefixes):
                continue
            if op in TEXT_FILES and place.source(node.input[1]) in place.files:
                continue
            yield GraphFinding(op, node.name, place.function)

    # The functions that save and restore

    def _saver_functions(self) -> tuple[Set[str], Set[str]]:
        """What only saving calls, and what only saving and restoring call."""
        saver = {self.saving, self.restoring}
        by_saving, by_restoring = (
            self._reached(self._called([self.main[name]] if name in self.main else []))
            for name in (self.saving, self.restoring)
        )
        others = set(self.functions) - by_saving - by_restoring
        others |= set(self.meta.object_graph_def.concrete_functions) & set(self.functions)
        others |= self._called(node for name, node in self.main.items() if name not in saver)
        running = self._reached(others)
        return by_saving - by_restoring - running, (by_saving | by_restoring) - running

    def _called(self, body: Iterable[Any]) -> set[str]:
        """The functions that the operations of a body name in any way."""
        names = set()
        for node in body:
            if node.op in ALLOWED and node.op not in CALLS:
                continue
            names.add(node.op)
            for value in node.attr.values():
                names.update((value.func.name, *(function.name for function in value.list.func)))
                names.add(value.s.decode("utf-8", "replace"))
        return names & self.functions.keys()

    def _reached(self, names: set[str]) -> set[str]:
        reached, waiting = set(names), list(names)
        while waiting:
            new = self.calls[waiting.pop()] - reached
            reached |= new
            waiting.extend(new)
        return reached

    # The main graph, in which TensorFlow 1 saves and restores without functions

    def _judged_main(self) -> Iterator[GraphFinding]:
        running = self._above(self._run_when_loaded())
        restoring = self._above({self.restoring}) - running
        saving = self._above({self.saving}) - running - restoring
        for node in self.meta.graph_def.node:
            if node.op not in ALLOWED:
                may = RESTORES | SAVES if node.name in saving else RESTORES if node.name in restoring else NONE
                place = _Place(MAIN_GRAPH, self.main, may, {self.filename}, self._asset_tensors())
                yield from self._judged([node], place)

    def _run_when_loaded(self) -> set[str]:
        """What a signature gives, and what initializes."""
        ends = {
            _node_name(tensor.name)
            for signature in self.meta.signature_def.values()
            for tensor in signature.outputs.values()
        }
        for key in INIT_COLLECTIONS:
            ends |= {_node_name(name) for name in self.meta.collection_def[key].node_list.value}
        return ends

    def _above(self, names: set[str]) -> set[str]:
        """Nodes of the main graph, and all that they are computed from."""
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name in self.main and name not in found:
                found.add(name)
                waiting.extend(map(_node_name, self.main[name].input))
        return found

    # Files of the SavedModel's own

    def _assets(self) -> list[Any]:
        """The files that the SavedModel says are its own; TensorFlow 1 lists them in a collection."""
        if self.meta.asset_file_def:
            return list(self.meta.asset_file_def)
        return [_unpacked(packed) for packed in self.meta.collection_def[ASSET_COLLECTION].any_list.value]

    def _asset_tensors(self) -> set[str]:
        return {_node_name(asset.tensor_info.name) for asset in self._assets() if _is_inside(asset.filename)}

    def _asset_arguments(self, name: str, body: Any) -> set[str]:
        """The arguments of a function that are bound to the path of one of these files."""
        bound = self.meta.object_graph_def.concrete_functions[name].bound_inputs
        arguments = [argument.name for argument in body.signature.input_arg]
        nodes, own = self.meta.object_graph_def.nodes, [_is_inside(asset.filename) for asset in self._assets()]
        captured = zip(arguments[len(arguments) - len(bound) :], bound, strict=False)
        return {
            argument
            for argument, index in captured
            if index < len(nodes)
            and nodes[index].WhichOneof("kind") == "asset"
            and nodes[index].asset.asset_file_def_index < len(own)
            and own[nodes[index].asset.asset_file_def_index]
        }


def _node_name(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]


def _unpacked(packed: Any) -> Any:
    asset = tf.compat.v1.MetaGraphDef().asset_file_def.add()
    packed.Unpack(asset)
    return asset


def _is_inside(filename: str) -> bool:
    path = PurePosixPath(filename)
    return not path.is_absolute() and ".." not in path.parts and ":" not in filename and "\\" not in filename


def _is_operation(name: str) -> bool:
    """Whether TensorFlow has an operation of this name, which a function of the file cannot stand for."""
    return hasattr(tf.raw_ops, name) or (name[:1] == "_" and name[1:2].isupper())
