"""What ``litert-quantizer`` is to do with each operation of a file: its recipe.

A later rule goes before an earlier one. A kernel stays in float in a dynamic file where TensorFlow's converter leaves
it: below `SMALLEST` elements.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from kerasbn_export.conversion.keep_float import kept_ops
from kerasbn_export.conversion.mixed import LONG
from kerasbn_export.conversion.options import ConversionOptions
from kerasbn_export.conversion.origins import Origins
from kerasbn_export.precision import PER_TENSOR
from kerasbn_export.program.program import Program
from kerasbn_export.tflite.file import read_tflite

EVERY, ENDS = ".*", ".+"
"""Two patterns of every name, since rules are asked in the order of their patterns."""
SMALLEST = 1024
BITS = {"int8": 8, "int16x8": LONG}
"""Of activations."""


def give_rules(quantizer: Any, options: ConversionOptions, data: bytes, programs: Sequence[Program]) -> None:
    """Tells the package how to quantize a file.

    Args:
        quantizer: The package's ``Quantizer`` of the file.
        options: How.
        data: The float file.
        programs: What it was converted from.
    """
    _give_every(quantizer, options)
    _give_exceptions(quantizer, options, data, programs)
    _give_ends(quantizer, options)


def _give_every(quantizer: Any, options: ConversionOptions) -> None:
    """What becomes of each kind of operation."""
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
    for names in given_by(data, programs, layers):
        yield f"^{re.escape(';'.join(names))};$"


def given_by(data: bytes, programs: Sequence[Program], layers: Sequence[str]) -> list[list[str]]:
    """The names of what each operation of some layers gives."""
    file = read_tflite(data)
    found = kept_ops(file, Origins(file, programs), layers) if layers else []
    return [[tensor.name for tensor in op.outputs if tensor.name] for op in found]
