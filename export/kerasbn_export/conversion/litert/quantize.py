"""From the float file of the second route to one of another precision, by ``litert-quantizer``.

Ranges are the smallest and the largest value of all samples, as those of TensorFlow's converter are. The package itself
takes a moving average, which forgets: files were measured 12 to 17 dB below these. A kernel stays in float in a dynamic
file where TensorFlow's converter leaves it: below `SMALLEST` elements.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

from kerasbn.errors import ConversionError
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.conversion.keep_float import kept_ops
from kerasbn_export.conversion.litert.package import require
from kerasbn_export.conversion.mixed import LONG
from kerasbn_export.conversion.options import ConversionOptions
from kerasbn_export.conversion.origins import Origins
from kerasbn_export.conversion.servable import Servable
from kerasbn_export.precision import PER_TENSOR
from kerasbn_export.program.program import Program
from kerasbn_export.tflite.file import read_tflite

EVERY, ENDS = ".*", ".+"
"""Two patterns of every name, since rules are asked in the order of their patterns."""
SMALLEST = 1024
BITS = {"int8": 8, "int16x8": LONG}
"""Of activations."""


def quantized(
    data: bytes,
    options: ConversionOptions,
    programs: Sequence[Program],
    servable: Servable,
    calibration: Calibration | None,
    on_sample: Callable[[int, int], None],
) -> bytes:
    """The file in another precision.

    Args:
        data: The float file, with the keys of the SavedModel's signatures.
        options: How.
        programs: What was converted.
        servable: The SavedModel.
        calibration: What ranges are measured on, if they are.
        on_sample: See `kerasbn_export.conversion.convert.convert`.

    Raises:
        MissingPackageError: ``litert-quantizer`` is not installed.
        ConversionError: It failed.
    """
    require(options.precision)
    from litert_quantizer.quantizer import Quantizer

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the interpreter warns of what the package asks of it
            quantizer = Quantizer(bytearray(data))
            _give_rules(quantizer, options)
            _give_exceptions(quantizer, options, data, programs)
            _give_ends(quantizer, options)
            ranges = None if calibration is None else _ranges(quantizer, data, servable, calibration, on_sample)
            made = quantizer.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    except Exception as error:  # the package raises many types, none of them public
        raise ConversionError(
            f"litert-quantizer failed on this model in {options.precision}: {_reason(error)}. route='tensorflow' may "
            "take it."
        ) from error
    return bytes(made.quantized_model)


def _give_rules(quantizer: Any, options: ConversionOptions) -> None:
    """What becomes of each kind of operation; a later rule goes before an earlier one."""
    from litert_quantizer import qtyping as types

    every, granularity = types.TFLOperationName.ALL_SUPPORTED, types.QuantGranularity
    grain = granularity.TENSORWISE if options.weights == PER_TENSOR else granularity.CHANNELWISE
    if options.precision == "float16":
        half = types.TensorQuantizationConfig(num_bits=16, dtype=types.TensorDataType.FLOAT)
        config = types.OpQuantizationConfig(weight_tensor_config=half, explicit_dequantize=True)
        quantizer.update_quantization_recipe(EVERY, every, config, "float_casting")
        return
    if options.precision == "dynamic":
        short = types.TensorQuantizationConfig(num_bits=8, granularity=grain)
        config = types.OpQuantizationConfig(
            weight_tensor_config=short,
            compute_precision=types.ComputePrecision.INTEGER,
            explicit_dequantize=False,
            min_weight_elements=SMALLEST,
        )
        quantizer.update_quantization_recipe(EVERY, every, config)
        return
    bits = BITS[options.precision]
    quantizer.add_static_config(EVERY, every, bits, 8, grain)
    if not options.per_channel_dense:
        quantizer.add_static_config(EVERY, types.TFLOperationName.FULLY_CONNECTED, bits, 8, granularity.TENSORWISE)


def _give_exceptions(quantizer: Any, options: ConversionOptions, data: bytes, programs: Sequence[Program]) -> None:
    """The layers of another precision, by the names of the tensors that they give."""
    from litert_quantizer.qtyping import TFLOperationName

    for scope in _scopes(data, programs, options.keep_float):
        quantizer.update_quantization_recipe(scope, TFLOperationName.ALL_SUPPORTED, algorithm_key="no_quantize")
    for scope in _scopes(data, programs, options.keep_int16):
        quantizer.add_static_config(scope, TFLOperationName.ALL_SUPPORTED, LONG, 8)


def _give_ends(quantizer: Any, options: ConversionOptions) -> None:
    """The type of inputs and outputs, whatever the operations beside them compute in."""
    from litert_quantizer import qtyping as types

    if options.precision not in BITS:
        return
    unsigned = types.TensorQuantizationConfig(num_bits=8, symmetric=False, dtype=types.TensorDataType.UINT)
    config = types.OpQuantizationConfig(
        activation_tensor_config=unsigned,
        weight_tensor_config=types.TensorQuantizationConfig(num_bits=8),
        compute_precision=types.ComputePrecision.INTEGER,
        explicit_dequantize=False,
    )
    for end in (types.TFLOperationName.INPUT, types.TFLOperationName.OUTPUT):
        if options.ends == "float32":
            quantizer.update_quantization_recipe(ENDS, end, algorithm_key="no_quantize")
        elif options.ends == "uint8":
            quantizer.update_quantization_recipe(ENDS, end, config)
        else:
            quantizer.add_static_config(ENDS, end, BITS[options.precision], 8)


def _scopes(data: bytes, programs: Sequence[Program], layers: Sequence[str]) -> Iterator[str]:
    """A pattern for each operation of some layers: the package knows one by the names of its outputs."""
    file = read_tflite(data)
    for op in kept_ops(file, Origins(file, programs), layers) if layers else []:
        yield f"^{re.escape(';'.join(tensor.name for tensor in op.outputs if tensor.name))};$"


def _ranges(
    quantizer: Any, data: bytes, servable: Servable, samples: Calibration, on_sample: Callable[[int, int], None]
) -> Any:
    """The smallest and the largest value of each tensor."""
    from litert_quantizer.calibrator import Calibrator
    from litert_quantizer.recipe_manager import RecipeManager
    from litert_quantizer.utils.qsv_utils import min_max_update

    rules = RecipeManager()
    rules.load_quantization_recipe(quantizer.get_quantization_recipe())
    calibrator = Calibrator(bytearray(data), num_threads=1, qsv_update_func=min_max_update)
    signature, size = servable.signatures[0], servable.batch_size
    for number, arrays in enumerate(samples.batches(size)):
        on_sample(number * size, len(samples))
        by_key = {end.key: array for end, array in zip(signature.inputs, arrays, strict=True)}
        with redirect_stderr(StringIO()):  # a progress bar for every sample
            calibrator.calibrate({signature.name: [by_key]}, rules)
    return calibrator.get_model_qsvs()


def _reason(error: Exception) -> str:
    """The first line of a message, and its type."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {(lines or [''])[0].rstrip('.')}"
