"""Says what in a model's configuration is more than a description of layers, before any Keras reads it.

A saved Keras model is a description of layers, and a description can name code: a Lambda layer carries marshalled
bytecode, a class or function is looked up by importing the module written beside it, and an operator read as a layer
calls any function of TensorFlow. So every name in the description must be on a list of what computes with tensors and
does no more (`safe_classes`, `graph.pure_functions`), or be registered in this process by the user. What is on no list
is found here, by the same rules for every format and both Kerases.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from kerasbn_export.graph import pure_functions as functions
from kerasbn_export.graph.pure_operations import STATELESS, names_in
from kerasbn_export.loading import safe_classes as classes

CLASSES = classes.LAYERS | classes.PARTS | classes.TRAINING | classes.OPERATIONS | classes.COLUMNS
FUNCTIONS = classes.ACTIVATIONS | classes.FUNCTIONS
AREAS = names_in(
    """
    activations applications constraints dtype_policies engine experimental initializers layers losses metrics
    mixed_precision models ops optimizers premade_models quantizers random regularizers
    """
)
"""The parts of Keras that a class or function may come from. Others load, download and write, as utils and saving."""
PRIVATE_LEVELS = frozenset({"src", "api", "_tf_keras", "_legacy", "legacy", "keras"})
"""Levels of Keras' packages that stand above these parts."""
OURS = "kerasbn>"
FILE_OPTIONS = ("vocabulary", "vocabulary_file", "idf_weights", "initial_vocabulary", "ckpt_to_load_from")
"""Options of Keras' layers that name a file where they hold a text."""

Registered = Callable[[str], Any]
"""From a name to the class or function that this process registered under it, or to something false."""


@dataclass(frozen=True)
class CodeFinding:
    """One place in a configuration that is on no list.

    Attributes:
        layer: The name of the layer it belongs to; empty if it belongs to none.
        what: What it is, as the end of a sentence that begins with the layer.
    """

    layer: str
    what: str


def find_code(config: Any, registered: Registered = lambda _: None) -> Iterator[CodeFinding]:
    """Every place in a configuration where loading would do more than make layers of Keras or kerasbn.

    Args:
        config: The configuration as JSON values, of any Keras and any format.
        registered: What this process has registered itself under a name: it is used as it is, nothing is imported.
    """
    waiting = [(config, "")]
    while waiting:  # no recursion: a description may be nested deeper than Python's stack
        node, layer = waiting.pop()
        if isinstance(node, dict):
            layer = _layer_name(node, layer)
            what = _judge(node, registered)
            if what is not None:
                yield CodeFinding(layer, what)
                continue
        if isinstance(node, (dict, list, tuple)):
            children = node.values() if isinstance(node, dict) else node
            waiting.extend((child, layer) for child in reversed(list(children)))


def _layer_name(node: dict[str, Any], inherited: str) -> str:
    config = node.get("config")
    name = config.get("name") if isinstance(config, dict) and "class_name" in node else None
    # A dtype policy has a name too, but no layer is described inside it.
    return name if isinstance(name, str) and "Policy" not in str(node["class_name"]) else inherited


def _judge(node: dict[str, Any], registered: Registered) -> str | None:
    """What in this node is on no list, or None."""
    name = node.get("class_name")
    if name == "__lambda__" or node.get("function_type") == "lambda":
        return "carries a Python lambda"
    if not isinstance(name, str) or not ({"config", "module"} & node.keys()):
        return None  # names nothing: Keras takes it for plain data
    if name in OPERATORS:
        return OPERATORS[name](_config(node))
    if name == "__typespec__":
        return _judge_type_spec(node)
    if name in classes.VALUES:
        return None
    if name == "function":
        return _judge_function(node, registered)
    return _judge_class(node, name, registered)


def _config(node: dict[str, Any]) -> dict[str, Any]:
    config = node.get("config")
    return config if isinstance(config, dict) else {}


def _judge_class(node: dict[str, Any], name: str, registered: Registered) -> str | None:
    if name == "Lambda":
        return "is a Lambda layer, which carries Python code"
    if name in classes.CARRIERS:
        return f"is a {name}, which carries code or loads another file"
    if _is_registered(node, name, registered):
        return None
    module, alias = node.get("module"), node.get("registered_name")
    of_tensorflow = module in classes.TENSORFLOW_INITIALIZERS and name in classes.PARTS
    if name in CLASSES and (of_tensorflow or _is_modelling(module)) and alias in (None, name):
        return _judge_files(_config(node))
    # Without a module Keras looks a name up in its tables and imports nothing; what is in none of them it refuses
    # itself, or makes from its graph in a SavedModel. Functions stand in these tables too, in lower case.
    in_no_table = module is None and alias in (None, name) and name not in CLASSES and not name.islower()
    return None if in_no_table else _needs(node, name)


def _is_registered(node: dict[str, Any], name: str, registered: Registered) -> bool:
    """Whether Keras takes a class that is registered; a name of ours stands for our own module only."""
    alias = node.get("registered_name")
    if isinstance(alias, str) and alias.startswith(OURS):
        return alias == f"{OURS}{name}" and node.get("module") in (None, "kerasbn.keras", "kerasbn.tf_keras")
    return bool(registered(name) or (isinstance(alias, str) and registered(alias)))


def _judge_function(node: dict[str, Any], registered: Registered) -> str | None:
    name, module, alias = node.get("config"), node.get("module"), node.get("registered_name")
    if not isinstance(name, str):
        return "names a function by something that is no name"
    if registered(name) or (isinstance(alias, str) and _is_loaded(registered(alias), module, name)):
        return None
    known = name in FUNCTIONS and (module == "builtins" or _is_modelling(module))
    if known and alias in (None, "function", name):
        return None
    if module == "builtins" and hasattr(builtins, name):
        return f"names Python's {name}"
    return _needs(node, name)


def _is_loaded(found: Any, module: Any, name: str) -> bool:
    """Whether what was registered is what tf_keras finds by the module and name, and the module is imported already."""
    return bool(found) and getattr(sys.modules.get(str(module)), name, None) is found


def _is_modelling(module: Any) -> bool:
    """Whether a module is a part of Keras that only describes models; None is Keras' own table of names."""
    if module is None:
        return True
    root, *levels = str(module).split(".")
    inner = [level for level in levels if level not in PRIVATE_LEVELS]
    plain = all(level.isidentifier() and "test" not in level for level in levels)
    return root in ("keras", "tf_keras") and plain and (not inner or inner[0] in AREAS)


def _needs(node: dict[str, Any], name: str) -> str:
    where = "" if node.get("module") is None else f"{node['module']}."
    alias = node.get("registered_name")
    called = f" (as {alias!r})" if isinstance(alias, str) and alias not in (name, "function") else ""
    return f"needs {where}{name}{called}, which is no layer of Keras or kerasbn and is not registered in this process"


def _judge_type_spec(node: dict[str, Any]) -> str | None:
    wanted = node.get("module"), node.get("spec_name")
    return None if wanted in classes.TYPE_SPECS else f"needs {wanted[0]}.{wanted[1]}, which is no type of a tensor"


def _judge_files(config: dict[str, Any]) -> str | None:
    for option in FILE_OPTIONS:
        if isinstance(config.get(option), str):
            return f"reads the file {config[option]!r}, which its option {option!r} names"
    return None


# An operator read as a layer


def _judge_symbol(config: dict[str, Any]) -> str | None:
    name = config.get("function")
    return None if isinstance(name, str) and functions.is_pure(name) else _calls(f"tf.{name}")


def _judge_class_method(config: dict[str, Any]) -> str | None:
    name = f"{config.get('cls_symbol')}.{config.get('method_name')}"
    return None if name in functions.CLASS_METHODS else _calls(f"tf.{name}")


def _judge_method(config: dict[str, Any]) -> str | None:
    name = config.get("attr_name")
    return None if isinstance(name, str) and name in functions.METHODS else _calls(f"the method {name}")


def _judge_property(config: dict[str, Any]) -> str | None:
    name = config.get("attr_name")
    return None if isinstance(name, str) and name in functions.PROPERTIES else _calls(f"the property {name}")


def _judge_node(config: dict[str, Any]) -> str | None:
    node = config.get("node_def")
    op = node.get("op") if isinstance(node, dict) else "an operation that is not written in words"
    return None if isinstance(op, str) and op in STATELESS else _calls(str(op))


def _calls(what: str) -> str:
    return f"calls {what}, which is no mathematical operation"


OPERATORS: dict[str, Callable[[dict[str, Any]], str | None]] = {
    "TFOpLambda": _judge_symbol,
    "SlicingOpLambda": _judge_symbol,
    "TensorFlowFunction": _judge_symbol,
    "ClassMethod": _judge_class_method,
    "InstanceMethod": _judge_method,
    "InstanceProperty": _judge_property,
    "TensorFlowOpLayer": _judge_node,
}
"""What calls a function that its configuration names, of tf_keras and kerasbn, and how each is judged."""
