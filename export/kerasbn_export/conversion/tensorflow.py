"""The route through TensorFlow: from a SavedModel to a ``.tflite`` file. The only module that touches ``tf.lite``."""

from __future__ import annotations

import gc
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from kerasbn.errors import ConversionError, KerasBNError
from kerasbn.lazy import LazyModule
from kerasbn_export.calibration.ranges.choosing import holding_what_is_chosen_from
from kerasbn_export.calibration.ranges.observed import with_observed_ranges
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.conversion.divisions import divisions_in_float
from kerasbn_export.conversion.mixed import LONG, Quantizer
from kerasbn_export.conversion.options import ConversionOptions
from kerasbn_export.conversion.servable import Servable
from kerasbn_export.conversion.splits import asked_again
from kerasbn_export.precision import CALIBRATED, PER_TENSOR
from kerasbn_export.program.traced import End
from kerasbn_export.tflite.float_marks import marked, without_marks

tf: Any = LazyModule("tensorflow")  # importing this module is to import no TensorFlow


MEANINGS = {
    r"(?:TF Select|Custom) ops: (.*BitwiseAnd.*)": (
        "TFLite has no builtin operation for {}, which argmax and argmin of Keras 3 need. Leave them out of the model, "
        "and take them of the numbers that the file gives; or keep them with select_ops=True (--select-ops)."
    ),
    r"(?:TF Select|Custom) ops: (.*Pool3D.*)": (
        "TFLite has no builtin operation for {}. route='litert' (--route litert) makes a float32 file without it; "
        "select_ops=True (--select-ops) keeps it as TensorFlow's, for runtimes that have it."
    ),
    r"(?:TF Select|Custom) ops: (.+)": (
        "TFLite has no builtin operation for {}. select_ops=True (--select-ops) keeps TensorFlow's operations as they "
        "are, for runtimes that have them; Python code (PyFunc) runs in none."
    ),
    r"16x8-bit not yet supported for op: '(\w+)'": (
        "int16x8 has no {}. Use precision 'int8', with keep_int16 for the layers that need 16 bits, or 'float16'."
    ),
    r"should be recorded during calibration: Failed for tensor (\S+)": (
        "no range could be measured of {!r}, as of whole numbers that the model computes with; int16x8 has no "
        "arithmetic for them. Use precision 'int8', or 'float16'."
    ),
}
"""From what the converter says to what it means; the parts in parentheses are put in."""


def available() -> bool:
    """Whether this TensorFlow has the converter, which is announced to leave it."""
    return hasattr(getattr(tf, "lite", None), "TFLiteConverter")


def package() -> str:
    """The package that has the converter, with its version."""
    return f"tensorflow {tf.__version__}"


def convert_servable(
    servable: Servable,
    options: ConversionOptions,
    calibration: Calibration | None,
    on_sample: Callable[[int, int], None] = lambda *_: None,
    finish: Callable[[bytes, Quantizer], bytes] | None = None,
) -> bytes:
    """Converts a SavedModel in this process; see `convert`.

    Args:
        servable: The SavedModel.
        options: How to convert.
        calibration: Samples of the inputs.
        on_sample: See `convert`.
        finish: From the calibrated file to the quantized one, where that takes more than the converter's own step.
    """
    if not available():
        raise ConversionError(
            "This TensorFlow has no tf.lite, so route='tensorflow' cannot convert. Take route='litert' "
            "(--route litert; python -m pip install 'kerasbn[litert]')."
        )
    names = [signature.name for signature in servable.signatures]
    converter = tf.lite.TFLiteConverter.from_saved_model(str(servable.folder), signature_keys=names)
    _set_options(converter, options)
    with warnings.catch_warnings(), _old_objects_frozen():
        warnings.simplefilter("ignore")  # the converter warns of its own deprecated parts
        try:
            if options.precision not in CALIBRATED or calibration is None:
                return asked_again(converter.convert) if options.trained else bytes(converter.convert())
            made = _calibrated(converter, servable, options, calibration, on_sample)
            return (finish or _whole)(holding_what_is_chosen_from(made), partial(quantized, options=options))
        except KerasBNError:
            raise
        except Exception as error:  # the converter raises many types, none of them public
            raise failure(error, servable.signatures[0].inputs, calibration) from error


def _calibrated(
    converter: Any,
    servable: Servable,
    options: ConversionOptions,
    calibration: Calibration,
    on_sample: Callable[[int, int], None],
) -> bytes:
    """The float file with ranges: those of its tensors, where it can be run with all of them kept.

    The converter's calibrator reads a tensor when another may have taken its memory: see `calibration.ranges.observed`.
    """
    converter._experimental_calibrate_only = True  # noqa: SLF001 - there is no other switch
    converter.inference_input_type = converter.inference_output_type = tf.float32  # the last step knows the others
    if not (options.select_ops or servable.loops or len(servable.signatures) > 1):
        converter.representative_dataset = lambda: islice(_samples(calibration, servable), 1)
        keys = [end.key for end in servable.signatures[0].inputs]
        observed = with_observed_ranges(
            bytes(converter.convert()), calibration, keys, batch_size=servable.batch_size, on_sample=on_sample
        )
        if observed is not None:
            return observed
    converter.representative_dataset = lambda: _samples(calibration, servable, on_sample)
    return bytes(converter.convert())


def _whole(calibrated: bytes, quantize: Quantizer) -> bytes:
    return quantize(calibrated, kept=())


def quantized(calibrated: bytes, options: ConversionOptions, kept: Sequence[str], bits: int = 8) -> bytes:
    """What the converter does with a calibrated file, but for some operations.

    Args:
        calibrated: A float file with the ranges of its tensors.
        options: How to quantize it.
        kept: The names of the operations that stay in float; there are none in int16x8.
        bits: Of the activations of an int8 file; with 16 its inputs and outputs are in float.

    Raises:
        Exception: Whatever the converter raises; see `failure`.
    """
    if options.precision == "int16x8":
        return asked_again(lambda: _quantized16(calibrated, options))
    return asked_again(lambda: _quantized8(calibrated, options, kept, bits))


def _quantized8(calibrated: bytes, options: ConversionOptions, kept: Sequence[str], bits: int) -> bytes:
    from tensorflow.compiler.mlir.lite.types_pb2 import QUANTIZED_INT8, QUANTIZED_INT16
    from tensorflow.lite.python.convert import deduplicate_readonly_buffers, mlir_quantize

    ends = tf.dtypes.as_dtype("float32" if bits == LONG else options.ends)
    floats = [*kept, *divisions_in_float(calibrated)]
    content, count, kernels = marked(calibrated, floats)
    made = mlir_quantize(
        content,
        options.weights == PER_TENSOR,
        inference_type=QUANTIZED_INT16 if bits == LONG else QUANTIZED_INT8,
        input_data_type=ends,
        output_data_type=ends,
        denylisted_nodes=floats,
        disable_per_channel_for_dense_layers=not options.per_channel_dense,
    )
    made = bytes(deduplicate_readonly_buffers(made))
    return without_marks(made, count, kernels)


def _quantized16(calibrated: bytes, options: ConversionOptions) -> bytes:
    """As the converter itself, which then takes the ranges from a calibrator that has seen samples."""
    from tensorflow.lite.python.convert import deduplicate_readonly_buffers
    from tensorflow.lite.python.optimize.calibrator import Calibrator

    ends, activations, biases = (np.dtype(name).num for name in (options.ends, "int16", "int64"))
    calibrator = Calibrator(calibrated)._calibrator  # noqa: SLF001 - what has seen none takes those of the file
    dense_per_tensor = not options.per_channel_dense
    made = calibrator.QuantizeModel(
        ends, ends, options.select_ops, activations, biases, options.weights == PER_TENSOR, dense_per_tensor
    )
    return bytes(deduplicate_readonly_buffers(made))


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
    converter._experimental_disable_per_channel_quantization_for_dense_layers = not options.per_channel_dense  # noqa: SLF001 - there is no other switch
    converter._experimental_disable_per_channel = options.weights == PER_TENSOR  # noqa: SLF001 - the same
    if options.precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    elif options.precision in CALIBRATED:
        kernels = {
            "int8": tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
            "int16x8": tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
        }
        others = [tf.lite.OpsSet.SELECT_TF_OPS] if options.select_ops else []
        if not (options.trained and options.precision == "int8"):  # which the converter takes for a lack of samples
            converter.target_spec.supported_ops = [kernels[options.precision], *others]
        converter.inference_input_type = converter.inference_output_type = tf.dtypes.as_dtype(options.ends)


def _samples(
    calibration: Calibration, servable: Servable, on_sample: Callable[[int, int], None] = lambda *_: None
) -> Iterator[Any]:
    """The samples as the converter takes them: by key, since the order of its inputs is its own."""
    for index, arrays in enumerate(calibration.batches(servable.batch_size)):
        on_sample(index * servable.batch_size, len(calibration))
        by_key = {end.key: array for end, array in zip(servable.signatures[0].inputs, arrays, strict=True)}
        yield by_key if len(by_key) > 1 else arrays


def failure(error: Exception, inputs: Sequence[End], calibration: Calibration | None) -> ConversionError:
    """What the converter's error means.

    Args:
        error: What it raised: one of many types, none of them public.
        inputs: Of the model.
        calibration: Samples of them.
    """
    return ConversionError(
        f"The TFLite converter failed: {_whole_numbers(str(error), inputs, calibration) or _reason(error)}"
    )


def _whole_numbers(text: str, inputs: Sequence[End], calibration: Calibration | None) -> str:
    """The sentence about an input of whole numbers that the converter wants ranges of; empty if that is not why."""
    failed = re.search(r"should be recorded during calibration: Failed for tensor (\S+)", text)
    if failed is None or calibration is None:
        return ""
    ends = zip(inputs, calibration.arrays, strict=True)
    names = [end.name for end, array in ends if array.dtype.kind in "iu" and failed[1].endswith(f"_{end.key}:0")]
    return "".join(
        f"int16x8 has no arithmetic of whole numbers, and something is added to input {name!r} (an Embedding of Keras "
        "3 adds to negative ids); use precision 'int8', which has it."
        for name in names
    )


def _reason(error: Exception) -> str:
    """What is wrong and what to do, where the message is a known one; else the line of it that says what is wrong."""
    text = str(error)
    known = ((re.search(pattern, text), meaning) for pattern, meaning in MEANINGS.items())
    for found, meaning in known:
        if found is not None:
            return meaning.format(found[1].strip())
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "error:" in line), lines[0] if lines else type(error).__name__)
