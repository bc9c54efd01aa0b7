"""The layer classes and activations that a Keras lists, and the arguments and inputs that each is tried with.

A class that is not named here is tried with `ARGUMENTS`, by the names of what its constructor requires, on an input of
as many dimensions as its name says. So a layer of a new Keras version has a row before anybody writes one for it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Shape = tuple[int, ...]

SHAPES: dict[str, Shape] = {"1D": (12, 6), "2D": (10, 10, 3), "3D": (6, 6, 6, 3)}
"""An input for a class whose name ends so, without the batch; others take `FLAT`."""
FLAT: Shape = (6,)
STEPS: Shape = (8, 5)
IMAGE: Shape = SHAPES["2D"]
EVEN: Shape = (10, 10, 4)
"""An image of which a gated unit can take half the channels."""

ARGUMENTS: dict[str, Any] = {
    "activation": "relu",
    "factor": 0.2,
    "filters": 5,
    "height": 8,
    "height_factor": 0.1,
    "input_dim": 20,
    "kernel_size": 3,
    "key_dim": 3,
    "n": 4,
    "num_bins": 10,
    "num_heads": 2,
    "output_dim": 6,
    "output_size": 2,
    "pool_size": 2,
    "rate": 0.3,
    "scale": 0.5,
    "size": 2,
    "stddev": 0.1,
    "units": 5,
    "width": 8,
    "width_factor": 0.1,
}
"""Values for what a constructor requires, by name."""

NOT_TRIED: dict[str, str] = {
    "AbstractRNNCell": "an abstract base",
    "Layer": "an abstract base",
    "Wrapper": "an abstract base",
    "InputLayer": "the input of every model here",
    "DenseFeatures": "takes feature columns of TensorFlow 1",
    "FlaxLayer": "wraps a model of JAX",
    "JaxLayer": "wraps a model of JAX",
    "TorchModuleWrapper": "wraps a model of PyTorch",
    "TFSMLayer": "wraps a SavedModel, whose layers are not known",
    "MaxNumBoundingBoxes": "works on bounding boxes, not on what a network computes",
}
"""Classes that make no model, with the reason."""


@dataclass(frozen=True)
class Case:
    """One way to try a class.

    Attributes:
        make: Makes the layer, or a function of the inputs, from a Keras.
        inputs: The shapes of its inputs, without the batch.
        dtype: Of the inputs.
        name: Tells it from others of the same class.
        listed: Whether the layer takes its inputs as one list.
    """

    make: Callable[[Any], Any]
    inputs: tuple[Shape, ...] = (FLAT,)
    dtype: str = "float32"
    name: str = ""
    listed: bool = True

    def apply(self, keras: Any, tensors: list[Any]) -> Any:
        """The output of the layer."""
        layer = self.make(keras)
        if len(tensors) == 1:
            return layer(tensors[0])
        return layer(tensors) if self.listed else layer(*tensors)


def _merge(name: str) -> tuple[Case, ...]:
    return (Case(lambda k: getattr(k.layers, name)(), (IMAGE, IMAGE)),)


def _recurrent(name: str) -> tuple[Case, ...]:
    return (
        Case(lambda k: getattr(k.layers, name)(5), (STEPS,)),
        Case(lambda k: getattr(k.layers, name)(5, return_sequences=True), (STEPS,), name="sequences"),
    )


def _cell(name: str) -> tuple[Case, ...]:
    return (Case(lambda k: k.layers.RNN(getattr(k.layers, name)(5)), (STEPS,), name="in RNN"),)


def _images(*names: str) -> dict[str, tuple[Case, ...]]:
    """Layers that take images and no more arguments than `ARGUMENTS` knows."""
    return {name: (Case(lambda k, name=name: made(k, name), (IMAGE,)),) for name in names}  # type: ignore[misc]


def _strided(name: str, shape: Shape, size: int) -> tuple[Case, ...]:
    return (
        Case(lambda k: getattr(k.layers, name)(5, size), (shape,)),
        Case(lambda k: getattr(k.layers, name)(5, size, strides=2, padding="same"), (shape,), name="strided"),
    )


CASES: dict[str, tuple[Case, ...]] = {
    **{name: _merge(name) for name in ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract", "Concatenate")},
    **{name: _recurrent(name) for name in ("LSTM", "GRU", "SimpleRNN")},
    **{name: _cell(name) for name in ("LSTMCell", "GRUCell", "SimpleRNNCell")},
    **{f"Conv{d}": _strided(f"Conv{d}", SHAPES[d], 3) for d in SHAPES},
    **{f"Conv{d}Transpose": _strided(f"Conv{d}Transpose", SHAPES[d], 3) for d in SHAPES},
    **_images(
        "CenterCrop", "RandomCrop", "Resizing", "AutoContrast", "Equalization", "Solarization", "CutMix", "MixUp"
    ),
    **_images("AugMix", "RandAugment", "ContrastLimitedAdaptiveHistogramEqualization", "PReLU"),
    "BatchNormalization": (Case(lambda k: k.layers.BatchNormalization(), (IMAGE,)),),
    "Dot": (
        Case(lambda k: k.layers.Dot(axes=-1), (FLAT, FLAT)),
        Case(lambda k: k.layers.Dot(2), (STEPS, STEPS), name="of sequences"),
    ),
    "Attention": (Case(lambda k: k.layers.Attention(), (STEPS, STEPS)),),
    "AdditiveAttention": (Case(lambda k: k.layers.AdditiveAttention(), (STEPS, STEPS)),),
    "MultiHeadAttention": (Case(lambda k: k.layers.MultiHeadAttention(2, 3), (STEPS, STEPS), listed=False),),
    "GroupQueryAttention": (Case(lambda k: k.layers.GroupQueryAttention(3, 4, 2), (STEPS, STEPS), listed=False),),
    "Bidirectional": (
        Case(lambda k: k.layers.Bidirectional(k.layers.LSTM(4, return_sequences=True)), (STEPS,), name="LSTM"),
        Case(lambda k: k.layers.Bidirectional(k.layers.GRU(4)), (STEPS,), name="GRU"),
    ),
    "RNN": (Case(lambda k: k.layers.RNN(k.layers.GRUCell(5)), (STEPS,)),),
    "StackedRNNCells": (
        Case(lambda k: k.layers.RNN(k.layers.StackedRNNCells([k.layers.GRUCell(5), k.layers.LSTMCell(4)])), (STEPS,)),
    ),
    "ConvLSTM1D": (Case(lambda k: k.layers.ConvLSTM1D(4, 3), ((4, 8, 3),)),),
    "ConvLSTM2D": (Case(lambda k: k.layers.ConvLSTM2D(4, 3), ((4, 6, 6, 3),)),),
    "ConvLSTM3D": (Case(lambda k: k.layers.ConvLSTM3D(4, 2), ((3, 4, 4, 4, 2),)),),
    "DepthwiseConv2D": (
        Case(lambda k: k.layers.DepthwiseConv2D(3, padding="same"), (IMAGE,)),
        Case(lambda k: k.layers.DepthwiseConv2D(3, depth_multiplier=2), (IMAGE,), name="multiplied"),
    ),
    "Dense": (Case(lambda k: k.layers.Dense(5)), Case(lambda k: k.layers.Dense(5), (STEPS,), name="of sequences")),
    "EinsumDense": (
        Case(lambda k: k.layers.EinsumDense("ab,bc->ac", output_shape=5, bias_axes="c")),
        Case(lambda k: k.layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de"), (STEPS,), name="heads"),
    ),
    "TimeDistributed": (
        Case(lambda k: k.layers.TimeDistributed(k.layers.Dense(5)), (STEPS,), name="Dense"),
        Case(lambda k: k.layers.TimeDistributed(k.layers.Conv2D(4, 3)), ((3, 6, 6, 3),), name="Conv2D"),
    ),
    "SpectralNormalization": (
        Case(lambda k: k.layers.SpectralNormalization(k.layers.Dense(5)), name="Dense"),
        Case(lambda k: k.layers.SpectralNormalization(k.layers.Conv2D(5, 3)), (IMAGE,), name="Conv2D"),
    ),
    "Pipeline": (Case(lambda k: k.layers.Pipeline([k.layers.CenterCrop(8, 8), k.layers.Rescaling(0.5)]), (IMAGE,)),),
    "Lambda": (Case(lambda k: k.layers.Lambda(lambda x: x * x)),),
    "Reshape": (Case(lambda k: k.layers.Reshape((5, -1)), (IMAGE,)),),
    "Permute": (Case(lambda k: k.layers.Permute((2, 1)), (STEPS,)),),
    "Masking": (Case(lambda k: k.layers.Masking(), (STEPS,)),),
    "Flatten": (Case(lambda k: k.layers.Flatten(), (IMAGE,)),),
    "GroupNormalization": (Case(lambda k: k.layers.GroupNormalization(3), (IMAGE,)),),
    "Softmax": (Case(lambda k: k.layers.Softmax()), Case(lambda k: k.layers.Softmax(), (IMAGE,), name="of images")),
    "Normalization": (Case(lambda k: k.layers.Normalization(mean=[0.2] * 6, variance=[0.5] * 6)),),
    "RandomPosterization": (Case(lambda k: k.layers.RandomPosterization(4), (IMAGE,)),),
    "activation glu": (Case(lambda k: k.activations.glu, (EVEN,)),),
    "activation threshold": (Case(lambda k: lambda x: k.activations.threshold(x, 0.1, -0.2), (EVEN,)),),
    "MelSpectrogram": (Case(lambda k: k.layers.MelSpectrogram(64, 32, sampling_rate=400, num_mel_bins=8), ((400,),)),),
    "STFTSpectrogram": (
        Case(lambda k: k.layers.STFTSpectrogram(frame_length=32, frame_step=16, fft_length=32), ((200, 2),)),
    ),
    "Discretization": (Case(lambda k: k.layers.Discretization(bin_boundaries=[-0.5, 0.0, 0.5])),),
    "CategoryEncoding": (
        Case(lambda k: k.layers.CategoryEncoding(num_tokens=20, output_mode="multi_hot"), dtype="int32"),
    ),
    "Embedding": (Case(lambda k: k.layers.Embedding(20, 6), ((8,),), dtype="int32"),),
    "ReversibleEmbedding": (Case(lambda k: k.layers.ReversibleEmbedding(20, 6), ((8,),), dtype="int32"),),
    "Hashing": (Case(lambda k: k.layers.Hashing(10, output_mode="multi_hot"), dtype="int32"),),
    "HashedCrossing": (
        Case(lambda k: k.layers.HashedCrossing(10, output_mode="one_hot"), ((1,), (1,)), dtype="int32"),
    ),
    "IntegerLookup": (
        Case(lambda k: k.layers.IntegerLookup(vocabulary=[3, 5, 7], output_mode="multi_hot"), dtype="int32"),
    ),
    "StringLookup": (
        Case(lambda k: k.layers.StringLookup(vocabulary=["a", "b"], output_mode="multi_hot"), dtype="string"),
    ),
    "TextVectorization": (
        Case(
            lambda k: k.layers.TextVectorization(vocabulary=["a", "b"], output_mode="multi_hot"),
            ((1,),),
            dtype="string",
        ),
    ),
}
"""The classes that need more than `ARGUMENTS` and the shape that their name says, or that are tried in several ways.

Activations are tried as a layer `Activation`; one that takes more than a tensor, or gives other channels, as here.
"""


def layer_classes(keras: Any) -> dict[str, type]:
    """Every public class of layers, by the name that it is listed by."""
    listed = {name: getattr(keras.layers, name) for name in sorted(dir(keras.layers)) if not name.startswith("_")}
    return {name: it for name, it in listed.items() if inspect.isclass(it) and issubclass(it, keras.layers.Layer)}


def activations(keras: Any) -> list[str]:
    """Every public activation."""
    listed = (name for name in sorted(dir(keras.activations)) if not name.startswith("_"))
    known = (name for name in listed if name not in ("get", "serialize", "deserialize"))
    return [name for name in known if callable(getattr(keras.activations, name))]


def same_as(keras: Any) -> dict[str, str]:
    """The names under which a class is listed once more, each with the first."""
    first: dict[type, str] = {}
    for name, it in sorted(layer_classes(keras).items(), key=lambda item: item[0] != item[1].__name__):
        first.setdefault(it, name)
    return {name: first[it] for name, it in layer_classes(keras).items() if first[it] != name}


def made(keras: Any, name: str) -> Any:
    """A layer from `ARGUMENTS`.

    Raises:
        KeyError: It requires an argument that has no value there.
    """
    it = getattr(keras.layers, name)
    parameters = list(inspect.signature(it.__init__).parameters.values())[1:]
    required = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return it(**{parameter: ARGUMENTS[parameter] for parameter in required})


def cases(name: str) -> tuple[Case, ...]:
    """The ways to try a class."""
    if name in CASES:
        return CASES[name]
    shape = next((shape for ending, shape in SHAPES.items() if ending in name), None)
    shape = shape or (IMAGE if name.startswith("Rand") else FLAT)
    return (Case(lambda k: made(k, name), (shape,)),)


def rows(keras: Any) -> Iterator[str]:
    """The names of all rows: classes, with a way where there are several, and activations."""
    others = same_as(keras)
    for name in layer_classes(keras):
        if name in others or name in NOT_TRIED:
            yield name
            continue
        yield from (f"{name} {case.name}".strip() for case in cases(name))
    yield from (f"activation {name}" for name in activations(keras))


def case_of(row: str) -> Case:
    """What a row tries."""
    kind, _, way = row.partition(" ")
    if row in CASES:
        return CASES[row][0]
    if kind == "activation":
        return Case(lambda k: k.layers.Activation(way), (EVEN,))
    return next(case for case in cases(kind) if case.name == way)
