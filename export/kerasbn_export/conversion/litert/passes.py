"""Runs the passes of ``litert-converter`` on StableHLO: a process of its own, since they may end it without a word."""

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
        (folder / RESULT).write_bytes(_converted(folder, json.loads((folder / REQUEST).read_text())))
    except Exception as error:  # whatever the bindings raise is the answer
        (folder / REFUSAL).write_text(f"{type(error).__name__}: {error}")


def _converted(folder: Path, signatures: list[dict[str, Any]]) -> bytes:
    from litert_converter.mlir import ir, passmanager
    from litert_converter.mlir._mlir_libs import converter_api_ext as converter

    context = ir.Context()
    converter.prepare_mlir_context(context)
    with context:
        modules = [_module(folder, record) for record in signatures]
        module = converter.merge_modules(modules)
        converter.run_convert_to_tfl_passes(module, passmanager.PassManager(), converter.ConvertToTFLConfig())
        return bytes(converter.export_flatbuffer_to_bytes(module.operation))


def _module(folder: Path, record: dict[str, Any]) -> Any:
    from litert_converter.mlir import ir
    from litert_converter.mlir._mlir_libs import converter_api_ext as converter

    module = ir.Module.parse((folder / record["file"]).read_bytes())
    _spell(module)
    converter.set_signature(module.operation, record["name"], record["inputs"], record["outputs"])
    return module


def _spell(module: Any) -> None:
    """Puts operations of TFLite in place of the calls that stand for them."""
    from litert_converter.mlir import ir

    found: list[Any] = []

    def visit(operation: Any) -> Any:
        if operation.name == "stablehlo.custom_call" and operation.attributes["call_target_name"].value == TARGET:
            found.append(operation)
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit)
    for operation in found:
        _replace(operation)


def _replace(call: Any) -> None:
    from litert_converter.mlir import ir

    wanted = json.loads(call.attributes["backend_config"].value)
    attributes = {name: ir.Attribute.parse(text) for name, text in wanted["attributes"].items()}
    several = isinstance(call.results[0].type, ir.TupleType)
    parts = [use.owner for use in call.results[0].uses] if several else []
    kinds = call.results[0].type
    types = [kinds.get_type(i) for i in range(kinds.num_types)] if several else [kinds]
    with ir.InsertionPoint(call), call.location:
        missing = [_no_value() for _ in range(wanted["missing"])]
        made = ir.Operation.create(wanted["op"], types, [*call.operands, *missing], attributes)
    for part in parts:
        part.results[0].replace_all_uses_with(made.results[part.attributes["index"].value])
        part.operation.erase()
    if not several:
        call.results[0].replace_all_uses_with(made.results[0])
    call.erase()


def _no_value() -> Any:
    """What stands for an operand that is not there."""
    from litert_converter.mlir import ir

    return ir.Operation.create("tfl.no_value", [ir.NoneType.get()], [], {"value": ir.UnitAttr.get()}).result


if __name__ == "__main__":
    _answer(Path(sys.argv[1]))
