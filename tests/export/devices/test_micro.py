"""The table of TFLite Micro's operations is what the package itself accepts."""

import os
import subprocess
import sys
import tempfile

import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from kerasbn_export.devices.optional_package import TFLITE_MICRO
from kerasbn_export.devices.profiles import find_device


def file_with(code):
    """A file with one operation, which is enough for the interpreter to look for its kernel."""
    operator_code = schema.OperatorCodeT()
    operator_code.builtinCode, operator_code.deprecatedBuiltinCode, operator_code.version = code, min(code, 127), 1
    tensor = schema.TensorT()
    tensor.shape, tensor.buffer, tensor.name, tensor.type = [1], 0, b"t", 0
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0], [0]
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = [tensor], [0], [0], [operator]
    model = schema.ModelT()
    model.version, model.operatorCodes, model.buffers, model.subgraphs = 3, [operator_code], [schema.BufferT()], [graph]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def is_refused(data):
    """Whether TFLite Micro says that it has no such operation; in a fork, as some kernels crash on such a file."""
    from tflite_micro import runtime

    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            os.dup2(said.fileno(), 2)
            try:
                runtime.Interpreter.from_bytes(data, arena_size=100_000)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        said.seek(0)
        return b"Didn't find op" in said.read()


def accepted():
    codes = {name: code for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    return sorted(name for name, code in codes.items() if not is_refused(file_with(code)))


@pytest.mark.skipif(TFLITE_MICRO.tool is None, reason="tflite-micro is not installed")
def test_the_table_is_what_the_package_accepts():
    """In a process of its own: a fork of this one, with TensorFlow in it, would be slow."""
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True)
    found = set(done.stdout.split())
    assert found - {"CUSTOM"} == find_device("tflm").ops
    assert len(found) > 90


if __name__ == "__main__":
    print(*accepted())  # noqa: T201 - the answer to the test that started this
