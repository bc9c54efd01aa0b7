"""Runs the passes of ``litert-converter`` on StableHLO: a process of its own, since they may end it without a word.

It imports no TensorFlow, of which the package carries parts.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

TARGET = "kerasbn"
"""The name of the calls that stand for operations of TFLite: see `respell`."""
REQUEST, RESULT, REFUSAL = "request.json", "model.tflite", "error.txt"


def _answer(folder: Path) -> None:
    """Reads the request in `folder`, leaves the result or the refusal there."""
    try:
        data = _converted(folder, json.loads((folder / REQUEST).read_text()))
    except Exception as error:  # whatever the bindings raise is the answer
        (folder / REFUSAL).write_text(_reason(error))
    else:
        (folder / RESULT).write_bytes(data)


def _converted(folder: Path, signatures: list[dict[str, Any]]) -> bytes:
    from litert_converter.mlir import ir, passmanager
    from litert_converter.mlir._mlir_libs import converter_api_ext as converter

    context = ir.Context()
    converter.prepare_mlir_context(context)
    with context:
        modules = [_module(ir, converter, folder, record) for record in signatures]
        module = modules[0] if len(modules) == 1 else converter.merge_modules(modules)
        converter.run_convert_to_tfl_passes(module, passmanager.PassManager(), converter.ConvertToTFLConfig())
        return bytes(converter.export_flatbuffer_to_bytes(module.operation))


def _module(ir: Any, converter: Any, folder: Path, record: dict[str, Any]) -> Any:
    module = ir.Module.parse((folder / record["file"]).read_text())
    for call in _calls(ir, module):
        _replace(ir, call)
    _forget_constants(ir, module)
    converter.set_signature(module.operation, record["name"], record["inputs"], record["outputs"])
    return module


def _forget_constants(ir: Any, module: Any) -> None:
    """Takes the name of a layer from what depends on no input.

    The converter makes equal constants one, and then whatever takes it tells of all the layers that they came from.
    """
    known: set[Any] = set()

    def visit(operation: Any) -> Any:
        if operation.results and all(operand in known for operand in operation.operands) and not operation.regions:
            known.update(operation.results)
            operation.location = ir.Location.unknown()
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit)


def _calls(ir: Any, module: Any) -> list[Any]:
    """The calls that stand for operations of TFLite."""
    found: list[Any] = []

    def visit(operation: Any) -> Any:
        if operation.name == "stablehlo.custom_call" and operation.attributes["call_target_name"].value == TARGET:
            found.append(operation)
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit)
    return found


def _replace(ir: Any, call: Any) -> None:
    """Puts the operation in place of the call, which gives several results as a tuple."""
    wanted = json.loads(call.attributes["backend_config"].value)
    attributes = {name: ir.Attribute.parse(text) for name, text in wanted["attributes"].items()}
    kind = call.results[0].type
    several = isinstance(kind, ir.TupleType)
    types = [kind.get_type(place) for place in range(kind.num_types)] if several else [kind]
    with ir.InsertionPoint(call), call.location:
        missing = [_no_value(ir) for _ in range(wanted["missing"])]
        made = ir.Operation.create(wanted["op"], types, [*call.operands, *missing], attributes)
    for part in [use.owner for use in call.results[0].uses] if several else []:
        part.results[0].replace_all_uses_with(made.results[part.attributes["index"].value])
        part.operation.erase()
    if not several:
        call.results[0].replace_all_uses_with(made.results[0])
    call.erase()


def _no_value(ir: Any) -> Any:
    """What stands for an operand that is not there."""
    return ir.Operation.create("tfl.no_value", [ir.NoneType.get()], [], {"value": ir.UnitAttr.get()}).result


def _reason(error: Exception) -> str:
    """The lines of a message that say what is wrong; the libraries' greetings are between them."""
    lines = [line.strip() for line in str(error).splitlines()]
    errors = [line for line in lines if "error:" in line and "see current operation" not in line]
    return f"{type(error).__name__}: {(errors or lines or [''])[0].rstrip('.')}"


if __name__ == "__main__":
    _answer(Path(sys.argv[1]))
