"""Runtimes other than LiteRT's interpreter, as independent judges of a file's outputs.

============  ======================================================  ==========================
runtime       what it is                                              needs
============  ======================================================  ==========================
``compiled``  LiteRT's compiled model API on the CPU                  ``ai-edge-litert``
``micro``     TFLite Micro, the interpreter of microcontrollers       ``tflite-micro``
``openvino``  Intel's, which has a reader and kernels of its own      ``openvino``
============  ======================================================  ==========================

They show outputs alone; layers are compared with what LiteRT's reference kernels make of the same file.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from kerasbn.errors import InvalidArgumentError, ModelFileError
from kerasbn_export.arrays import Array
from kerasbn_export.files.reading import reading
from kerasbn_export.tflite.interpreter import BACKENDS
from kerasbn_export.tflite.signature import chosen, only_signature, signature_names
from kerasbn_export.verification.sides.tflite_runner import TFLiteRunner

Session = Callable[[list[Array]], list[Array]]
"""Takes the stored inputs in the file's order and gives the stored outputs in the file's order."""


class RuntimeRunner(TFLiteRunner):
    """Runs a file in another runtime.

    Args:
        content: The bytes of the file.
        label: What to call it in the report.
        runtime: A key of `RUNTIMES`.

    Raises:
        InvalidArgumentError: The runtime is not known or not installed.
        ModelFileError: It does not take the file.
    """

    def __init__(self, content: bytes, label: str, runtime: str) -> None:
        super().__init__(content, label, "reference")
        self.label = f"{label} on {runtime}"
        self._open = partial(RUNTIMES[runtime], content, self)
        try:
            with _silence():
                self._session = self._open()
        except ImportError as error:
            raise InvalidArgumentError(
                f"backend={runtime!r} needs a package that is not installed: pip install {PACKAGES[runtime]}."
            ) from error
        except Exception as error:  # each runtime has errors of its own
            raise ModelFileError(f"{self.label}: it does not take the file: {error}.") from error

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The real values of every output."""
        batch, count = self.batch(arrays), len(arrays[0])
        parts: list[list[Array]] = [[] for _ in self.output_indices]
        for start in range(0, count, batch):
            given = self.graph.inputs
            stored = self.stored([array[start : start + batch] for array in arrays], batch)
            try:
                if self.graph.keeps_state:  # each run from a fresh state
                    with _silence():
                        self._session = self._open()
                found = dict(zip(self.graph.outputs, self._session([stored[i] for i in given]), strict=True))
            except Exception as error:
                raise ModelFileError(f"{self.label}: it cannot run it: {error}.") from error
            for part, index in zip(parts, self.output_indices, strict=True):
                part.append(self.restore(index, found[index]))
        return [self.joined(part, batch, count, i) for part, i in zip(parts, self.output_indices, strict=True)]


def _compiled(content: bytes, runner: TFLiteRunner) -> Session:
    compiled_model = import_module("ai_edge_litert.compiled_model")
    model = compiled_model.CompiledModel.from_buffer(content)
    inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
    names = model.get_signature_by_index(0)
    ends = runner.ends_by_name()
    given, wanted = ([ends[name] for name in names[key]] for key in ("inputs", "outputs"))

    def session(arrays: list[Array]) -> list[Array]:
        by_index = dict(zip(runner.graph.inputs, arrays, strict=True))
        for buffer, index in zip(inputs, given, strict=True):
            buffer.write(np.ascontiguousarray(by_index[index]))
        model.run_by_index(0, inputs, outputs)
        found = {}
        for buffer, index in zip(outputs, wanted, strict=True):
            tensor = runner.graph.tensors[index]
            flat = buffer.read(int(np.prod(tensor.shape)), np.dtype(tensor.dtype).type)
            found[index] = np.asarray(flat).reshape(tensor.shape)
        return [found[index] for index in runner.graph.outputs]

    return session


def _micro(content: bytes, runner: TFLiteRunner) -> Session:
    runtime = import_module("tflite_micro.python.tflite_micro.runtime")
    interpreter = runtime.Interpreter.from_bytes(content)

    def session(arrays: list[Array]) -> list[Array]:
        for i, array in enumerate(arrays):
            interpreter.set_input(array, i)
        interpreter.invoke()
        return [np.array(interpreter.get_output(i)) for i in range(len(runner.graph.outputs))]

    return session


def _openvino(content: bytes, runner: TFLiteRunner) -> Session:
    openvino = import_module("openvino")
    with TemporaryDirectory() as folder:  # it reads this format from files alone
        path = Path(folder, "model.tflite")
        path.write_bytes(content)
        model = openvino.Core().read_model(path)
        compiled = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    graph = runner.graph
    given, wanted = ([graph.tensors[i].name for i in ends] for ends in (graph.inputs, graph.outputs))

    def session(arrays: list[Array]) -> list[Array]:
        found = compiled(dict(zip(given, arrays, strict=True)))
        return [np.array(found[compiled.output(name)]) for name in wanted]

    return session


RUNTIMES: dict[str, Callable[[bytes, TFLiteRunner], Session]] = {
    "compiled": _compiled,
    "micro": _micro,
    "openvino": _openvino,
}
PACKAGES = {"compiled": "ai-edge-litert", "micro": "tflite-micro", "openvino": "openvino"}


def open_file(content: bytes, label: str, backend: str, signature: str | None = None) -> TFLiteRunner:
    """A file on one of LiteRT's sets of kernels or in another runtime.

    Args:
        content: The bytes of the file.
        label: What to call it in the report.
        backend: The kernels or the runtime.
        signature: The signature to run; None for the only one, or ``serving_default``.

    Raises:
        InvalidArgumentError: The backend or the signature is not known, or a package not installed.
        ModelFileError: The bytes are no .tflite model, or it cannot be run.
    """
    if backend not in (*BACKENDS, *RUNTIMES):
        raise InvalidArgumentError(f"backend={backend!r} is not known; accepted: {', '.join((*BACKENDS, *RUNTIMES))}.")
    names = signature_names(content, label)
    taken = chosen(names, signature, label)
    if len(names) > 1:
        with reading(label, "a damaged .tflite file", ModelFileError):
            content, label = only_signature(content, taken), f"signature {taken!r} of {label}"
    runner = RuntimeRunner(content, label, backend) if backend in RUNTIMES else TFLiteRunner(content, label, backend)
    runner.signature = taken
    return runner


@contextmanager
def _silence() -> Iterator[None]:
    """Keep what a runtime logs about itself off the standard error stream: it writes past Python."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
