"""Every cause that `kerasbn_export.explain` knows, put into files of five networks; and the same networks without it.

A seed makes what a user makes by mistake, as far as the exporter allows, and else damages the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kerasbn import recalibrate
from kerasbn.flavour import Flavour
from kerasbn.statistics.layers import batchnorms
from kerasbn_export import explain, export_tflite
from kerasbn_export.explanation.records import Explanation, Finding
from kerasbn_models import digits_cnn, ds_cnn, resnet20, tcn, unet
from kerasbn_testing.bad_files import with_one_scale, with_range, with_record
from kerasbn_testing.sessions import start_anew

SAMPLES, SEED = 128, 20261129
LARGE = 50.0
"""How many times as large the uneven channel is."""


@dataclass(frozen=True)
class Network:
    """A small network of `kerasbn_models`.

    Attributes:
        build: Makes it for a Keras.
        norm: A BatchNorm with only a ReLU between it and ``linear``.
        linear: The layer that takes its channels.
    """

    build: Callable[[str], Any]
    norm: str
    linear: str


NETWORKS: Mapping[str, Network] = {
    "digits_cnn": Network(digits_cnn, "bn_after_conv", "depthwise"),
    "ds_cnn": Network(
        lambda flavour: ds_cnn(flavour, input_shape=(25, 10, 1), filters=32, blocks=2), "stem_norm", "block0_depthwise"
    ),
    "resnet20": Network(
        lambda flavour: resnet20(flavour, input_shape=(16, 16, 3), filters=8, blocks=(1, 1, 1)),
        "stage0_block0_conv0_norm",
        "stage0_block0_conv1",
    ),
    "unet": Network(
        lambda flavour: unet(flavour, input_shape=(16, 16, 1), classes=3, filters=4, depth=2),
        "down0_norm_a",
        "down0_conv_b",
    ),
    "tcn": Network(
        lambda flavour: tcn(flavour, input_shape=(64, 1), classes=5, filters=16, dilations=(1, 2), every_sample=False),
        "dilation1_norm_a",
        "dilation1_conv_b",
    ),
}


@dataclass(frozen=True)
class Case:
    """A file, its model and real samples."""

    content: bytes
    model: Any
    samples: Any


@dataclass
class Subject:
    """One network in one Keras, with statistics that fit; what is made of it is made once.

    Attributes:
        name: Of the network.
        flavour: The Keras.
        folder: For the files.
    """

    name: str
    flavour: Flavour
    folder: Path

    @cached_property
    def model(self) -> Any:
        """The network, with gammas that differ."""
        start_anew(self.flavour)
        self.flavour.keras.utils.set_random_seed(SEED)
        return trained(NETWORKS[self.name].build(self.flavour.name), self.samples)

    @cached_property
    def samples(self) -> Any:
        """Inputs from 0 to 1, some bright and some dark."""
        shape = NETWORKS[self.name].build(self.flavour.name).input_shape[1:]
        rng = np.random.default_rng(SEED)
        bright = rng.uniform(0.2, 1.0, (SAMPLES, *(1 for _ in shape)))
        return (bright * rng.uniform(size=(SAMPLES, *shape))).astype("float32")

    def case(self, model: Any = None, **options: Any) -> Case:
        """A file of a model, the network's own unless one is given, calibrated on its samples."""
        if model is None and not options:
            return self.right
        return self._exported(self.model if model is None else model, options)

    @cached_property
    def right(self) -> Case:
        """The network's own int8 file."""
        return self._exported(self.model, {})

    def _exported(self, model: Any, options: Mapping[str, Any]) -> Case:
        asked = {"precision": "int8", "calibration": self.samples, **options}
        asked = {key: value for key, value in asked.items() if value is not ...}
        result = export_tflite(model, self.folder / "made.tflite", **asked)
        return Case(result.path.read_bytes(), model, self.samples)

    def changed(self, change: Callable[[bytes], bytes], case: Case | None = None) -> Case:
        """A case with a damaged file, the right one's unless one is given."""
        case = case or self.right
        return Case(change(case.content), case.model, case.samples)

    def within(self, front: Callable[[Any], Any], tail: Callable[[Any], Any]) -> Any:
        """The network with layers in front of it and behind it."""
        inputs = self.flavour.keras.Input(self.samples.shape[1:], name="given")
        return self.flavour.keras.Model(inputs, tail(self.model(front(inputs))))

    def explained(self, case: Case, *, measure: bool = True) -> Explanation:
        """What `explain` says about it."""
        path = self.folder / "explained.tflite"
        path.write_bytes(case.content)
        return explain(path, case.model, case.samples, measure=measure)


def trained(model: Any, samples: Any) -> Any:
    """The model with numbers as training leaves them."""
    rng = np.random.default_rng(SEED)
    for found in batchnorms(model):
        for weight, low, high in ((found.layer.gamma, 0.7, 1.3), (found.layer.beta, -0.3, 0.3)):
            weight.assign(rng.uniform(low, high, tuple(weight.shape)).astype("float32"))
    recalibrate(model, samples)
    return model


def _nothing(x: Any) -> Any:
    return x


def fresh(subject: Subject) -> Case:
    """Exported before any training, so that no statistics were ever updated."""
    return subject.case(NETWORKS[subject.name].build(subject.flavour.name))


def other_scale(subject: Subject) -> Case:
    """Calibrated on pixels from 0 to 255, where the model takes 0 to 1."""
    return subject.case(calibration=255 * subject.samples)


def random_samples(subject: Subject) -> Case:
    """Calibrated on random numbers."""
    return subject.case(calibration="random")


def uneven(subject: Subject) -> Case:
    """One channel is many times as large as the others, and the next layer divides it again."""
    network, model = NETWORKS[subject.name], subject.flavour.keras.models.clone_model(subject.model)
    model.set_weights(subject.model.get_weights())
    norm, linear = model.get_layer(network.norm), model.get_layer(network.linear)
    for weight in (norm.gamma, norm.beta):
        _multiply(weight, (0,), LARGE)
    _multiply(linear.weights[0], (..., 0, slice(None)), 1 / LARGE)
    return subject.case(model)


def one_scale(subject: Subject) -> Case:
    """The uneven kernel gets one scale."""
    return subject.changed(with_one_scale, uneven(subject))


def narrow(subject: Subject) -> Case:
    """The range of an activation is an eighth of the right one."""
    return subject.changed(lambda content: with_range(content, 1 / 8))


def wide(subject: Subject) -> Case:
    """The range of an activation is 64 times the right one."""
    return subject.changed(lambda content: with_range(content, 64))


def probabilities(subject: Subject) -> Case:
    """A softmax over many classes ends the network, and none of them is above a few steps of 1/256."""
    layers = subject.flavour.keras.layers
    return subject.case(subject.within(_nothing, lambda x: layers.Softmax()(layers.Dense(200)(x))))


def unfolded(subject: Subject) -> Case:
    """A stem with its BatchNorm behind the activation, converted without folding; the network gets its own input."""
    layers, channels = subject.flavour.keras.layers, subject.samples.shape[-1]
    conv = layers.Conv1D if subject.samples.ndim == 3 else layers.Conv2D
    first, norm, last = (
        conv(8, 1, activation="relu"),
        subject.flavour.batch_normalization(epsilon=0.0),
        conv(channels, 1),
    )
    model = subject.within(lambda x: last(norm(first(x))), _nothing)
    kernel = np.eye(channels, 8, dtype="float32") + np.float32(0.5)
    inner = subject.samples @ kernel
    mean, variance = inner.reshape(-1, 8).mean(axis=0), inner.reshape(-1, 8).var(axis=0)
    spatial = (1,) * (subject.samples.ndim - 2)
    first.set_weights([kernel.reshape(*spatial, channels, 8), np.zeros(8, "float32")])
    norm.set_weights([np.ones(8, "float32"), np.zeros(8, "float32"), mean, variance])
    back = np.linalg.pinv(kernel)
    last.set_weights([(back * np.sqrt(variance)[:, None]).reshape(*spatial, 8, channels), mean @ back])
    return subject.case(model, fold=False)


def in_float(subject: Subject) -> Case:
    """A layer ends the network that integers cannot compute."""

    class Sine(subject.flavour.keras.layers.Layer):  # type: ignore[name-defined, misc]
        def call(self, inputs: Any) -> Any:
            import tensorflow as tf

            return tf.sin(inputs)

    return subject.case(subject.within(_nothing, Sine()))


def float_ends(subject: Subject) -> Case:
    """A file of unknown origin that takes and gives float."""
    return subject.changed(with_record, subject.case(io_dtype="float32"))


def no_samples(subject: Subject) -> Case:
    """A file of unknown origin of which the weights alone are integers."""
    return subject.changed(with_record, subject.case(precision="dynamic", calibration=...))


def small_difference(subject: Subject) -> Case:
    """The output is the small difference of two large numbers, and each of them only rounds."""
    layers = subject.flavour.keras.layers

    def tail(x: Any) -> Any:
        one, other = (layers.Dense(6, activation="relu", name=name) for name in ("one", "other"))
        y = layers.Subtract(name="difference")([one(x), other(x)])
        kernel, _ = one.get_weights()
        bias = np.linspace(1.0, 1.1, 6, dtype="float32") * np.abs(kernel).sum()
        one.set_weights([kernel, bias])
        other.set_weights([kernel * np.float32(0.95), bias + np.float32(0.01)])
        return y

    return subject.case(subject.within(_nothing, tail))


SEEDS: Mapping[str, Callable[[Subject], Case]] = {
    "unfit-statistics": fresh,
    "input-range": other_scale,
    "calibration-samples": random_samples,
    "one-scale": one_scale,
    "channel-spread": uneven,
    "clipped-range": narrow,
    "wide-activation": wide,
    "softmax-output": probabilities,
    "batchnorm-left": unfolded,
    "float-operation": in_float,
    "conversions": float_ends,
    "dynamic-file": no_samples,
    "few-steps": small_difference,
}
"""By the name of the cause."""
HEALTHY: Mapping[str, Mapping[str, Any]] = {
    "int8": {},
    "int8, float at its ends": {"io_dtype": "float32"},
    "int8, per tensor": {"weights": "per-tensor"},
    "int16x8": {"precision": "int16x8"},
    "float32": {"precision": "float32", "calibration": ...},
    "dynamic": {"precision": "dynamic", "calibration": ...},
}
"""Options of an export that leaves nothing to mend."""


def found(explanation: Explanation, cause: str) -> Finding | None:
    """The finding of a cause; None if it is not there."""
    return next((each for each in explanation.findings if each.name == cause), None)


def rank(explanation: Explanation, cause: str) -> int:
    """Its place from 1 on, roots of it before it not counted; 0 if it is not there."""
    finding = found(explanation, cause)
    if finding is None:
        return 0
    before = explanation.findings[: explanation.findings.index(finding)]
    return 1 + sum(each.name not in finding.follows for each in before)


def _multiply(weight: Any, index: Any, times: float) -> None:
    values = weight.numpy().copy()
    values[index] *= times
    weight.assign(values)
