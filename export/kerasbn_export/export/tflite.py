"""Export: a Keras model in, a ``.tflite`` file without BatchNorms out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kerasbn.arguments import AtLeastOne, Finite, Seed, checks_arguments
from kerasbn.errors import InvalidArgumentError
from kerasbn_export.export.learning import LearnedRounding, written
from kerasbn_export.export.options import ExportOptions
from kerasbn_export.export.pipeline import Built, build_tflite
from kerasbn_export.export.records import ExportResult
from kerasbn_export.files.atomic import write_bytes
from kerasbn_export.files.paths import ANY_TFLITE, Output, check_paths
from kerasbn_export.loading.load import load_source

__all__ = ["Built", "ExportOptions", "ExportResult", "build_tflite", "export_tflite"]


@checks_arguments
def export_tflite(
    model: Any,
    path: str | Path,
    *,
    precision: str | None = None,
    calibration: Any = None,
    fold: bool = True,
    batch_size: AtLeastOne | None = 1,
    strict: bool = False,
    io_dtype: str | None = None,
    per_channel_dense: bool = True,
    seed: Seed = 0,
    image_range: tuple[Finite, Finite] | None = None,
    image_resize: str = "stretch",
    target: str = "latency",
    merge_branches: bool = True,
    device: str | None = None,
    select_ops: bool = False,
    signature: str | None = None,
    isolate: bool | None = None,
    best: bool | str | None = None,
    learn_rounding: bool = False,
    slim: bool = False,
    weights: str | None = None,
    keep_float: Sequence[Any] = (),
    keep_int16: Sequence[Any] = (),
    auto_precision: Any = None,
    lift: str = "float",
    ranges: str | None = None,
    metric: Any = None,
    validation: Any = None,
    max_drop: Finite | None = None,
    route: str = "tensorflow",
    allow_code: bool = False,
    on_step: Callable[[str], None] = lambda _: None,
) -> ExportResult:
    """Folds every BatchNorm of a model away and writes it as a ``.tflite`` file, whole or not at all.

    A SavedModel without Keras layers, and a model whose ``call`` cannot be traced layer by layer, are converted as
    they are, and the result says so.

    Args:
        model: A model of either Keras, or the path of one. It is not changed. What `learn_rounding` gave is written as
            it is.
        path: The file to write.
        precision: See `ExportOptions`, as for all that follow up to `best`; None is the device's own, or float32.
        calibration: Samples of the real inputs, in any form of `kerasbn_export.calibration.samples`; ``int8`` and
            ``int16x8`` need them.
        fold: Whether to fold.
        batch_size: The batch the file takes; None leaves it open.
        strict: Refuse to write a model in which a BatchNorm is left.
        io_dtype: The type of inputs and outputs.
        per_channel_dense: Whether each output of a quantized Dense layer has its own scale.
        seed: The seed of samples that are made: ``calibration="data-free"`` or ``"random"``.
        image_range: What the values 0 and 255 become where ``calibration`` is a folder of images; between which numbers
            the inputs lie where it is ``"data-free"``.
        image_resize: What becomes of an image of other proportions: ``"stretch"``, ``"crop"`` or ``"pad"``.
        target: ``"latency"``, ``"ops"`` or ``"size"``; see `kerasbn_export.folding.choices`.
        merge_branches: Whether parallel linear branches become one layer, which is faster but in int8 may be coarser.
        device: What the file is for: ``"xnnpack"``, ``"tflm"``, ``"ethos-u55"``, ..., or the path of your own profile,
            ``"my_npu.toml"``; see `kerasbn_export.devices.profiles`.
        select_ops: Whether operations that TFLite does not have may be TensorFlow's.
        signature: See `ExportOptions`.
        isolate: Whether the converter runs in a process of its own.
        best: Whether to convert several forms of a quantized file and to take the one with the least noise. None
            looks only where folding may have cost accuracy, False nowhere.
        learn_rounding: Whether learned rounding of the int8 weights is among these forms. It takes minutes.
        weights: ``"per-channel"``, or ``"per-tensor"`` for one scale in every quantized weight, as some accelerators
            need; channels are then equalized first. None is the device's own, or per channel.
        keep_float: Layers that stay in float in an int8 file: names, patterns as ``"block_*"``, names of classes as
            ``"Dense"``, or classes. Each costs a DEQUANTIZE and a QUANTIZE.
        keep_int16: Layers whose activations have 16 bits in an int8 file, likewise. Each costs two QUANTIZE.
        auto_precision: Lift as few layers of an int8 file as reach a target: an SQNR in dB of the worst output, or
            ``"metric"`` for ``max_drop``. Found by measuring: see `kerasbn_export.export.lifting`. The result has the
            curve of quality against size and time.
        lift: What layers are lifted to: ``"float"``, or ``"int16"`` where the device computes no floats.
        ranges: How the ranges of activations are chosen: ``"minmax"``, ``"percentile"``, ``"mse"``, ``"entropy"``, or
            ``"best"`` of them on samples kept out. None is the smallest and the largest value as the converter
            finds them, and with ``best=True`` the best.
        metric: What to measure by as well: ``"accuracy"`` or another of `kerasbn_export.metrics.named`, a function of
            labels and outputs, a metric of Keras, or ``"module:function"``. The result has it of the model, the folded
            model, the file and the stock converter's file, each with a 95 % interval of the difference.
        validation: The samples and labels for that: ``(x, y)``.
        max_drop: By how much the file may be worse, in percentage points where the metric is a share, as accuracy is,
            else in its own unit.
        slim: Take the channels out first that are constant behind a gamma of zero: see `remove_constant_channels`.
        route: Whose converter makes the file. ``"tensorflow"`` is ``tf.lite``. ``"litert"`` are the packages
            ``litert-converter`` and ``litert-quantizer``; each file is compared with the model before it is written.
            ``"auto"`` takes the second where its file is the model, has no more operations of any kind and, in int8
            and int16x8, less noise; else the first.
        allow_code: Whether code that a model file carries may run.
        on_step: Called with the name of each step as it begins, and with a count while ranges are measured.

    Raises:
        InvalidArgumentError: An option is not accepted.
        CalibrationError: Calibration is needed and missing, or does not fit the model.
        ModelFileError: The path holds no model. UnsafeModelError: It holds code.
        UnsupportedModelError: The model was never built, or a BatchNorm is called with ``training=True``.
        InvalidModelError: A BatchNorm holds numbers that mean nothing.
        NotFoldedError: ``strict``, and a BatchNorm is left, or the model is none of layers.
        ConversionError: The TFLite converter failed, or its file breaks the contract of
            `kerasbn_export.conversion.contract`.
        MissingPackageError: The route's package is not installed.
        MetricError: The file lost more than ``max_drop``, or does not reach ``auto_precision``; it is not written.
        OutputError: The file cannot be written.
    """
    given = dict(locals())
    asked = {name: given[name] for name in ExportOptions.__dataclass_fields__}
    if isinstance(model, LearnedRounding):
        return written(model, path, asked)
    options = ExportOptions(**asked)
    sources = {"model": model, "calibration": calibration, "device": options.device_file}
    check_paths(sources, [Output("path", path, ANY_TFLITE)])
    if isinstance(model, (str, Path)):
        on_step("load")
        model = load_source(model, allow_code=allow_code, signature=signature)
    elif signature is not None:
        raise InvalidArgumentError(f"signature={signature!r} goes with the path of a SavedModel; a model has none.")
    built = build_tflite(model, Path(path), options, on_step)
    write_bytes(path, built.data)
    return built.result
