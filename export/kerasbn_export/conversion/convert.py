"""From a Keras model to the bytes of a ``.tflite`` file. The only module that touches ``tf.lite``.

=============  ======================  =====================  ==============================
precision      weights                 activations            inputs and outputs
=============  ======================  =====================  ==============================
``float32``    float32                 float32                float32
``float16``    float16                 float32                float32
``dynamic``    int8 (large kernels)    float32, quantized     float32
                                       where they are used
``int8``       int8, int32 biases      int8                   int8, or uint8 or float32
``int16x8``    int8, int64 biases      int16                  float32, or int16
=============  ======================  =====================  ==============================
"""

from __future__ import annotations

import gc
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasbn.errors import CalibrationError, ConversionError, InvalidArgumentError
from kerasbn.lazy import LazyModule
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.conversion.isolate import convert_isolated
from kerasbn_export.conversion.mended import mended
from kerasbn_export.conversion.relabel import relabel
from kerasbn_export.conversion.servable import Servable, write_servable
from kerasbn_export.program.program import Program, functional_program

tf: Any = LazyModule("tensorflow")  # importing this module is to import no TensorFlow

IO_DTYPES: dict[str, tuple[str, ...]] = {
    "float32": ("float32",),
    "float16": ("float32",),
    "dynamic": ("float32",),
    "int8": ("int8", "uint8", "float32"),
    "int16x8": ("float32", "int16"),
}
"""The precisions, each with the types its inputs and outputs may have; the first is the default."""

CALIBRATED = frozenset({"int8", "int16x8"})
"""The precisions whose ranges are measured on data."""


@dataclass(frozen=True)
class ConversionOptions:
    """How to convert.

    Attributes:
        precision: A key of `IO_DTYPES`.
        io_dtype: The type of inputs and outputs; None for the precision's own.
        per_channel_dense: Whether each output of a Dense layer has its own scale: more accurate, but TFLite
            Micro then needs a larger arena.
        select_ops: Whether operations that TFLite does not have may be TensorFlow's; the plain interpreter cannot
            run such a file.
    """

    precision: str = "float32"
    io_dtype: str | None = None
    per_channel_dense: bool = True
    select_ops: bool = False

    def __post_init__(self) -> None:
        if self.precision not in IO_DTYPES:
            raise InvalidArgumentError(f"Precision {self.precision!r} is not known; accepted: {', '.join(IO_DTYPES)}.")
        accepted = IO_DTYPES[self.precision]
        if self.io_dtype is not None and self.io_dtype not in accepted:
            raise InvalidArgumentError(
                f"Inputs and outputs of type {self.io_dtype!r} do not go with precision {self.precision!r}; "
                f"accepted: {', '.join(accepted)}."
            )

    @property
    def ends(self) -> str:
        """The type of inputs and outputs."""
        return self.io_dtype or IO_DTYPES[self.precision][0]


def convert(
    model: Any,
    options: ConversionOptions = ConversionOptions(),
    *,
    calibration: Calibration | None = None,
    batch_size: int | None = 1,
    metadata: Mapping[str, bytes] | None = None,
    isolate: bool | None = None,
    on_sample: Callable[[int, int], None] = lambda *_: None,
) -> bytes:
    """Converts a model to TFLite.

    Args:
        model: A functional or Sequential model of either Keras, or one or more `Program`; BatchNorms in it are
            converted as they are.
        options: See `ConversionOptions`.
        calibration: Samples that fit the model, for `CALIBRATED` precisions.
        batch_size: The batch to fix where the model leaves it open; None leaves it open.
        metadata: Blobs to store in the file.
        isolate: Whether to convert in a process of its own, where a crash of the converter is an error and not the
            end of this process. None does so for the models that are known to crash it: quantized loops.
        on_sample: Called with the number of samples measured and of all, as each begins; not from another process.

    Raises:
        CalibrationError: The precision needs calibration and there is none.
        ConversionError: The converter failed, or died.
    """
    if options.precision in CALIBRATED and calibration is None:
        raise CalibrationError(
            f"Precision {options.precision!r} needs calibration data: give samples of the real inputs, or "
            'calibration="random" to measure the ranges on random numbers.'
        )
    with tempfile.TemporaryDirectory(prefix="kerasbn_") as folder:
        servable = _traced(_programs(model), Path(folder), batch_size)
        if isolate is None:
            isolate = servable.loops and options.precision in CALIBRATED
        if isolate:
            data = convert_isolated(servable, options, calibration)
        else:
            data = convert_servable(servable, options, calibration, on_sample)
    return relabel(mended(data), servable.signatures, metadata or {})


def _programs(model: Any) -> Sequence[Program]:
    if isinstance(model, Program):
        return (model,)
    return model if isinstance(model, tuple) else (functional_program(model),)


def _traced(programs: Sequence[Program], folder: Path, batch_size: int | None) -> Servable:
    try:
        return write_servable(programs, folder, batch_size=batch_size)
    except OSError:  # as for a full disk: no fault of the model
        raise
    except Exception as error:  # TensorFlow raises whatever the layers' code raises
        raise ConversionError(
            f"Model {programs[0].name!r} cannot be traced for conversion: {_why_not_traced(error)}"
        ) from error


def _why_not_traced(error: Exception) -> str:
    """What to do about what TensorFlow says, or its first line."""
    text = str(error).strip()
    if "'untracked' resource" in text:
        return (
            "a layer uses a table or another resource that is no attribute of it. Make it one: self.table = ... in the "
            "layer's constructor."
        )
    if "is not a valid" in text and "scope name" in text:
        return (
            "TensorFlow takes no such name, and model.predict does not either. Give the model and its layers names of "
            "letters, digits and _ . / - that begin with a letter, a digit or a dot."
        )
    lines = [line.strip() for line in re.sub(r"\x1b\[\d*m", "", text).splitlines() if line.strip()]
    return f"{' '.join(lines[:2]).rstrip('.')}. What model.predict can run as a graph can be converted."


def convert_servable(
    servable: Servable,
    options: ConversionOptions,
    calibration: Calibration | None,
    on_sample: Callable[[int, int], None] = lambda *_: None,
) -> bytes:
    """Converts a SavedModel in this process; see `convert`."""
    names = [signature.name for signature in servable.signatures]
    converter = tf.lite.TFLiteConverter.from_saved_model(str(servable.folder), signature_keys=names)
    _set_options(converter, options)
    if options.precision in CALIBRATED and calibration is not None:
        converter.representative_dataset = lambda: _samples(calibration, servable, on_sample)
    with warnings.catch_warnings(), _old_objects_frozen():
        warnings.simplefilter("ignore")  # the converter warns of its own deprecated parts
        try:
            return bytes(converter.convert())
        except Exception as error:  # the converter raises many types, none of them public
            whole = _whole_numbers(str(error), servable, calibration)
            raise ConversionError(f"The TFLite converter failed: {whole or _reason(error)}") from error


@contextmanager
def _old_objects_frozen() -> Iterator[None]:
    """Keeps what there is already out of garbage collections.

    The converter asks for a full one, to be rid of its own objects. In a process with TensorFlow and a model in it that
    walks over hundreds of thousands of others: two thirds of the time that a small model takes.
    """
    if gc.get_freeze_count():  # the user froze some, and only all can be thawed
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _set_options(converter: Any, options: ConversionOptions) -> None:
    if options.select_ops:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    if options.precision == "float32":
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter._experimental_disable_per_channel_quantization_for_dense_layers = not options.per_channel_dense
    if options.precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    elif options.precision in CALIBRATED:
        kernels = {
            "int8": tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
            "int16x8": tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
        }
        others = [tf.lite.OpsSet.SELECT_TF_OPS] if options.select_ops else []
        converter.target_spec.supported_ops = [kernels[options.precision], *others]
        converter.inference_input_type = converter.inference_output_type = tf.dtypes.as_dtype(options.ends)


def _samples(calibration: Calibration, servable: Servable, on_sample: Callable[[int, int], None]) -> Iterator[Any]:
    """The samples as the converter takes them: by key, since the order of its inputs is its own."""
    for index, arrays in enumerate(calibration.batches(servable.batch_size)):
        on_sample(index * servable.batch_size, len(calibration))
        by_key = {end.key: array for end, array in zip(servable.signatures[0].inputs, arrays, strict=True)}
        yield by_key if len(by_key) > 1 else arrays


def _whole_numbers(text: str, servable: Servable, calibration: Calibration | None) -> str:
    """The sentence about an input of whole numbers that the converter wants ranges of; empty if that is not why."""
    failed = re.search(r"should be recorded during calibration: Failed for tensor (\S+)", text)
    if failed is None or calibration is None:
        return ""
    ends = zip(servable.signatures[0].inputs, calibration.arrays, strict=True)
    names = [end.name for end, array in ends if array.dtype.kind in "iu" and failed[1].endswith(f"_{end.key}:0")]
    return "".join(
        f"int16x8 has no arithmetic of whole numbers, and something is added to input {name!r} (an Embedding of Keras "
        "3 adds to negative ids); use precision 'int8', which has it."
        for name in names
    )


def _reason(error: Exception) -> str:
    """The one line of the converter's message that says what is wrong."""
    text = str(error)
    missing = re.search(r"(?:TF Select|Custom) ops: (.+)", text)
    if missing:
        return (
            f"TFLite has no builtin operation for {missing.group(1).strip()}. select_ops=True (--select-ops) keeps "
            "TensorFlow's operations as they are, for runtimes that have them; Python code (PyFunc) runs in none."
        )
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "error:" in line), lines[0] if lines else type(error).__name__)
