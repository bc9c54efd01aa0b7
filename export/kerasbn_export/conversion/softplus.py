"""A softplus that does not overflow: the converter writes ``log(1 + exp(x))``, which is infinite above 88.

    softplus(x) = log(1 + exp(x)) = relu(x) + log(1 + exp(-|x|))

The exponential is at most one then, in any precision; in int8 its range is that of a probability and not of ``exp(x)``.
``log_sigmoid(x) = -softplus(-x)`` and ``mish(x) = x*tanh(softplus(x))`` are made of it too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kerasbn_export.loading.saved_model import read_saved_model

OUTPUTS = {"Relu": "activations", "AddV2": "z"}
"""By what name a function refers to the output of an operation; the others here call theirs ``y``."""


def without_overflow(folder: Path) -> None:
    """Write every softplus of a SavedModel out, in its graph and in the functions that it calls."""
    saved = read_saved_model(folder)
    found = False
    for meta in saved.meta_graphs:
        found |= _written_out(meta.graph_def.node, None)
        for function in meta.graph_def.library.function:
            found |= _written_out(function.node_def, function.ret)
    if found:
        (folder / "saved_model.pb").write_bytes(saved.SerializeToString())


def _written_out(nodes: Any, returned: Any) -> bool:
    """Whether there was any in a graph, or in a function with what it returns by name."""
    found = [node for node in nodes if node.op == "Softplus"]
    for node in found:
        before = node.input[0]
        parts = {"relu": ("Relu", before), "abs": ("Abs", before), "neg": ("Neg", "abs"), "exp": ("Exp", "neg")}
        for name, (operation, source) in {**parts, "log": ("Log1p", "exp")}.items():
            made = nodes.add(op=operation, name=f"{node.name}/{name}", device=node.device)
            made.input.append(_output(node.name, source, parts, returned) if source in parts else source)
            made.attr["T"].CopyFrom(node.attr["T"])
        ends = [_output(node.name, "relu", parts, returned), _output(node.name, "log", parts, returned)]
        node.op, node.input[:] = "AddV2", [*ends, *node.input[1:]]
    if found and returned is not None:
        _renamed(nodes, returned, {f"{node.name}:activations:0": f"{node.name}:z:0" for node in found})
    return bool(found)


def _output(softplus: str, part: str, parts: dict[str, tuple[str, str]], returned: Any) -> str:
    """What the output of a part is called: by its node in a graph, in a function by its name there too."""
    operation = parts.get(part, ("Log1p", ""))[0]
    node = f"{softplus}/{part}"
    return node if returned is None else f"{node}:{OUTPUTS.get(operation, 'y')}:0"


def _renamed(nodes: Any, returned: Any, names: dict[str, str]) -> None:
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
    for key, name in returned.items():
        returned[key] = names.get(name, name)
