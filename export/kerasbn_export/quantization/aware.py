"""`quantize_aware`: from a model and samples to one that trains as its quantized file computes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from kerasbn.arguments import Seed, checks_arguments
from kerasbn.errors import InvalidArgumentError, UnsupportedModelError
from kerasbn.quantized.classes import PREFIX, RANGE, layers_of
from kerasbn.quantized.kernels import LINEAR
from kerasbn.quantized.numbers import BITS, FIXED
from kerasbn_export.calibration.samples import Calibration, read_calibration
from kerasbn_export.capture import capture
from kerasbn_export.emit.emit import emit, functional
from kerasbn_export.folding.choices import choices
from kerasbn_export.folding.engine import fold_batchnorms
from kerasbn_export.folding.verdict import Reason
from kerasbn_export.graph.chosen import Choice, chosen
from kerasbn_export.graph.model import Call, Graph, Layer
from kerasbn_export.program.program import functional_program
from kerasbn_export.quantization.distill import distilled
from kerasbn_export.quantization.first_ranges import CHUNK, measure_ranges
from kerasbn_export.quantization.float_layers import lead_into_float
from kerasbn_export.quantization.live import hidden, live_batchnorms, shown
from kerasbn_export.quantization.noise import without_noise
from kerasbn_export.quantization.operations import spell_averages, spell_out
from kerasbn_export.quantization.places import Places, activation_of, insert_ranges

BN, RANGES, WEIGHTS = ("frozen", "live"), ("ema", "learned"), ("per-channel", "per-tensor")


@checks_arguments
def quantize_aware(
    model: Any,
    calibration: Any,
    *,
    precision: str = "int8",
    bn: str = "frozen",
    ranges: str = "ema",
    weights: str = "per-channel",
    keep_float: Any = (),
    per_channel_dense: bool = True,
    distill: bool = False,
    seed: Seed = 0,
) -> Any:
    """A model that computes what its quantized file will compute, to be trained on.

    BatchNorms are folded; every tensor that the file has in integers goes through a range; every kernel lies on its
    grid. Dropout, noise and augmentation are gone, as from the file: augment the data instead.

    Args:
        model: A model of Keras 3 or tf_keras, in float32. It is not changed.
        calibration: Samples that the first ranges are measured on, in any form of
            `kerasbn_export.calibration.samples`; ``"data-free"`` makes them from the BatchNorms.
        precision: ``"int8"``, or ``"int16x8"`` for activations of 16 bits.
        bn: ``"frozen"`` trains the folded weights. ``"live"`` keeps every BatchNorm that goes straight into the layer
            before it, with the batch statistics of the quantized layer.
        ranges: ``"ema"`` lets ranges follow the batches, ``"learned"`` trains them by gradient.
        weights: ``"per-channel"``, or ``"per-tensor"`` for devices that take nothing else.
        keep_float: Layers that stay in float: names, patterns as ``"block_*"``, or classes.
        per_channel_dense: Whether each output of a Dense layer has its own scale.
        distill: Whether `model` is the teacher: no labels are needed to fit.
        seed: The seed of samples that are made.

    Returns:
        A model of the same Keras, not compiled. `export_tflite` takes its ranges.

    Raises:
        InvalidArgumentError: An option is not accepted.
        CalibrationError: The samples do not fit the model.
        UnsupportedModelError: The model computes in half precision, has nothing to quantize, or a layer whose place in
            the file is not known.
    """
    for name, value, known in (("precision", precision, tuple(BITS)), ("bn", bn, BN), ("ranges", ranges, RANGES),
                               ("weights", weights, WEIGHTS)):  # fmt: skip
        if value not in known:
            raise InvalidArgumentError(f"{name}={value!r} is not accepted; accepted: {', '.join(known)}.")
    if bn == "live" and weights == "per-tensor":
        raise InvalidArgumentError(
            "bn='live' keeps a BatchNorm behind its kernel, and one scale for the whole kernel is only known once that "
            "is folded; accepted with weights='per-tensor': bn='frozen'."
        )
    samples = samples_for(model, calibration, seed)
    tuned = _build(model, _How(precision, bn, ranges, weights, keep_float, per_channel_dense), len(samples))
    measure_ranges(tuned, samples)
    return distilled(tuned, model) if distill else tuned


def samples_for(model: Any, calibration: Any, seed: int) -> Calibration:
    """Samples in any form, or made from the BatchNorms where the text ``"data-free"`` is given."""
    inputs = functional_program(functional(model)).inputs
    if isinstance(calibration, str) and calibration == "data-free":
        from kerasbn_export.calibration.data_free import data_free_calibration

        return data_free_calibration(model, inputs, seed=seed, value_range=None, on_step=lambda _: None)
    return read_calibration(calibration, inputs, seed=seed)


@dataclass(frozen=True)
class _How:
    """The options of `quantize_aware` that say what is built."""

    precision: str
    bn: str
    ranges: str
    weights: str
    keep_float: Any
    per_channel_dense: bool

    def per_channel(self, layer: Layer) -> bool:
        """Whether the kernel of a layer has a scale for each output channel."""
        return self.weights == "per-channel" and (self.per_channel_dense or layer.kind != "Dense")


def _build(model: Any, how: _How, count: int) -> Any:
    graph, live = _folded(model, how)
    floats = frozenset(chosen("keep_float", how.keep_float, map(_choice, graph.in_order())))
    spell_out(graph, live | floats)
    places = Places(graph, live, floats)
    places.check()
    if how.precision == "int16x8":
        places.check_16_bits()
    quantized = [c for c in graph.in_order() if c.layer.kind in LINEAR and not places.is_float(c.layer)]
    if not quantized:
        raise UnsupportedModelError(f"Model {model.name!r} has nothing to quantize: {', '.join(LINEAR)} are.")
    options = {"bits": BITS[how.precision], "learned": how.ranges == "learned", "batches": max(1, count // CHUNK)}
    insert_ranges(places, lambda name, fixed, at_end: _range(graph, name, fixed, {**options, "at_end": at_end}))
    lead_into_float(graph, [call for call in graph.in_order() if places.is_float(call.layer)])
    classes, layers = layers_of(graph.flavour), dict[Layer, Layer]()
    for call in quantized:
        layers.setdefault(call.layer, _on_grid(classes, call.layer, how.per_channel(call.layer)))
        call.layer = layers[call.layer]
    return emit(graph, dtype="float32", name=model.name)


def _folded(model: Any, how: _How) -> tuple[Graph, frozenset[str]]:
    """The folded graph, and the paths of the BatchNorms that stay alive in it."""
    graph = capture(model)
    _refuse_half_precision(graph)
    without_noise(graph)
    live = frozenset[str]()
    if how.bn == "live":
        live = live_batchnorms(model, how.precision, per_channel_dense=how.per_channel_dense)
    form = choices("latency", precision=how.precision)[0]
    if live:  # behind one of them a ReLU looks as if nothing fused it
        form = replace(form, accompany=False)
    spell_averages(graph)
    hidden(graph, live)
    verdicts = fold_batchnorms(graph, form).verdicts()
    shown(graph, live)
    if any(verdict.reason is Reason.TRAINING for verdict in verdicts):
        raise UnsupportedModelError("A BatchNorm is called with training=True, which no .tflite file can compute.")
    return graph, live


def _choice(call: Call) -> Choice:
    layer = call.layer
    return Choice(layer.path, layer.source, layer.kind or type(layer.source).__name__, (layer.name, *layer.holds))


def _refuse_half_precision(graph: Graph) -> None:
    half = [call.layer.path for call in graph if "float16" in call.layer.dtype]
    if half:
        raise UnsupportedModelError(
            f"Layer {half[0]!r} computes in half precision; quantization-aware training takes float32. Build the model "
            "with the policy 'float32' and load its weights."
        )


def _range(graph: Graph, name: str, fixed: Call | None, options: dict[str, Any]) -> Layer:
    own = {**options, "learned": options["learned"] and not options["at_end"]}  # what passes it by teaches it nothing
    if fixed is not None:
        low, high = FIXED[options["bits"]][activation_of(fixed.layer)]
        own |= {"low": low, "high": high, "fixed": True, "learned": False}
    source = layers_of(graph.flavour)[RANGE](name=name, dtype="float32", **own)
    source.build(())
    return Layer(name, name, None, source, "float32")


def _on_grid(classes: dict[str, Any], layer: Layer, per_channel: bool) -> Layer:
    cls = classes[f"{PREFIX}{layer.kind}"]
    config = {**layer.config, "name": layer.name, "per_channel": per_channel}
    source = cls.from_config(config)
    return Layer(layer.name, layer.path, None, source, layer.dtype, config, dict(layer.weights))
