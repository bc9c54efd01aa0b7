"""Finds in a model's configuration what would run foreign code if the model were loaded.

A saved Keras model is a description of layers, and a description can name code: a Lambda layer carries
marshalled bytecode, and a class or function is looked up by importing the module written beside it.
Keras' own ``safe_mode`` covers the ``.keras`` format only, so the description is read here, before any
Keras sees it, by the same rules for every format. What remains is Keras' own code with the weights as data.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

TRUSTED_PACKAGES = frozenset({"keras", "tf_keras", "kerasbn"})
# Parts of Keras that load, download or write: an attacker may name their functions as an activation.
REFUSED_PARTS = frozenset({"utils", "saving", "config", "datasets", "callbacks", "export", "distribution"})
# The TensorFlow functions that a layer made from an operator may name; the rest of the API reads and writes files.
TRUSTED_OP_PREFIXES = frozenset(
    {
        "__operators__", "bitwise", "debugging", "dtypes", "image", "linalg", "math", "nn", "ragged", "random",
        "signal", "sparse", "strings",
    }
)  # fmt: skip
REFUSED_OPS = frozenset({"load_library", "load_op_library", "numpy_function", "py_function", "py_func", "group"})


@dataclass(frozen=True)
class CodeFinding:
    """One place in a configuration that needs foreign code.

    Attributes:
        layer: The name of the layer it belongs to; empty if it belongs to none.
        what: What it is, as the end of a sentence that begins with the layer.
    """

    layer: str
    what: str


def find_code(config: Any, is_registered: Callable[[str], bool] = lambda _: False) -> Iterator[CodeFinding]:
    """Every place in a configuration where loading would run code that is not Keras' or kerasbn's.

    Args:
        config: The configuration as JSON values, of any Keras and any format.
        is_registered: Whether a name is a class that this process has registered itself: such a class is
            used as it is, and nothing is imported for it.
    """
    yield from _walk(config, "", is_registered)


def _walk(node: Any, layer: str, is_registered: Callable[[str], bool]) -> Iterator[CodeFinding]:
    if isinstance(node, dict):
        layer = _layer_name(node, layer)
        what = _judge(node, is_registered)
        if what is not None:
            yield CodeFinding(layer, what)
            return
        for child in node.values():
            yield from _walk(child, layer, is_registered)
    elif isinstance(node, (list, tuple)):
        for child in node:
            yield from _walk(child, layer, is_registered)


def _layer_name(node: dict[str, Any], inherited: str) -> str:
    config = node.get("config")
    name = config.get("name") if isinstance(config, dict) and "class_name" in node else None
    # A dtype policy has a name too, but no layer is described inside it.
    return name if isinstance(name, str) and "Policy" not in str(node["class_name"]) else inherited


def _judge(node: dict[str, Any], is_registered: Callable[[str], bool]) -> str | None:
    """What in this node needs foreign code, or None."""
    class_name = node.get("class_name")
    if class_name == "Lambda":
        return "is a Lambda layer, which carries Python code"
    if class_name == "__lambda__" or node.get("function_type") == "lambda":
        return "carries a Python lambda"
    if class_name == "TFOpLambda":
        return _judge_operator(node)
    if not isinstance(class_name, str) or is_registered(str(node.get("registered_name") or class_name)):
        return None
    return _judge_module(node, class_name)


def _judge_operator(node: dict[str, Any]) -> str | None:
    config = node.get("config")
    name = str(config.get("function") if isinstance(config, dict) else None)
    plain = name.removeprefix("compat.v1.").removeprefix("compat.v2.")
    prefix, dot, _ = plain.partition(".")
    if (dot and prefix not in TRUSTED_OP_PREFIXES) or plain in REFUSED_OPS:
        return f"calls tf.{name}, which is no mathematical operation"
    return None


def _judge_module(node: dict[str, Any], class_name: str) -> str | None:
    module = node.get("module")
    if module is None:  # an older format: the name is looked up in Keras' own tables only
        return None
    named = f"{node.get('config')!s}" if class_name == "function" else class_name
    parts = str(module).split(".")
    if module == "builtins":
        return f"names Python's {named}" if hasattr(builtins, named) else None
    if parts[0] not in TRUSTED_PACKAGES or REFUSED_PARTS.intersection(parts):
        return f"needs {module}.{named}, which is no layer of Keras or kerasbn"
    return None
