"""Weights that ultralytics trained.

A ``.pt`` file is a pickle of ultralytics' own classes (AGPL-3.0), so only ultralytics can read it. Run this once
where ultralytics is installed, then everything else without it::

    import numpy as np
    from ultralytics import YOLO

    network = YOLO("yolo11n.pt").model.float()
    arrays = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    act = type(network.model[9].cv1.act).__name__ != "Identity"
    np.savez("yolo11n.npz", sppf_activation=act, **arrays)

and then::

    model = yolo11("n", sppf_activation=True)
    load_ultralytics(model, "yolo11n.npz")

The file says whether block 9 has a SiLU behind its first convolution; a model built otherwise is refused. A bare
state_dict does not say it. YOLO11 has the SiLU; ultralytics 8.4 made the same block for YOLO26, without it.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from kerasbn.errors import InvalidArgumentError, ModelFileError
from kerasbn.flavour import flavour_of

Array = npt.NDArray[Any]
ACTIVATION = "sppf_activation"
"""The entry of a file that is no weight."""
DFL = "model.23.dfl.conv.weight"
"""The numbers 0 to 15, which a network without a deployable head does not hold."""
BATCHNORM = (("gamma", "weight"), ("beta", "bias"), ("moving_mean", "running_mean"), ("moving_variance", "running_var"))


def load_ultralytics(model: Any, weights: str | os.PathLike[str] | Mapping[str, Any]) -> None:
    """Put the weights of an ultralytics YOLO11 into a model that `yolo11` built.

    Every entry must have its layer and every layer its entry, each of the right shape; nothing is changed otherwise.

    Args:
        model: A model of `yolo11`, of the same size and number of classes, and with BatchNormalization as its norm.
        weights: An ``.npz`` file, made as this module's docstring says, or a state_dict (arrays or torch tensors).

    Raises:
        ModelFileError: The file is missing or is no npz.
        InvalidArgumentError: Entries and layers are not the same, or a shape or the activation of block 9 differs.
    """
    entries = _read(weights) if isinstance(weights, str | os.PathLike) else {k: _array(v) for k, v in weights.items()}
    _check_activation(model, entries.pop(ACTIVATION, None))
    found = {name: array for name, array in entries.items() if not name.endswith("num_batches_tracked")}
    expected = dict(ultralytics_shapes(model))
    found = {name: array for name, array in found.items() if name != DFL or name in expected}
    _check_same(expected, {name: array.shape for name, array in found.items()})
    for layer in _weighted_layers(model):
        layer.set_weights([_for_keras(layer, found[name]) for name in _entry_names(layer)])


def ultralytics_shapes(model: Any) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The entries of the state_dict that fits a model of `yolo11`, with their shapes, without num_batches_tracked."""
    for layer in _weighted_layers(model):
        for name, weight in zip(_entry_names(layer), layer.get_weights(), strict=True):
            yield name, _for_torch(layer, weight).shape


def _weighted_layers(model: Any) -> list[Any]:
    return [layer for layer in model.layers if layer.weights]


def _entry_names(layer: Any) -> list[str]:
    """The entries of a layer, in the order of its weights."""
    kind = flavour_of(layer).stock_name(layer) or type(layer).__name__
    if kind == "BatchNormalization":
        return [f"{layer.name}.{entry}" for _, entry in BATCHNORM]
    if kind not in ("Conv2D", "DepthwiseConv2D"):
        raise InvalidArgumentError(
            f"Layer {layer.name!r} is a {kind}, which ultralytics' YOLO11 has not; build the model without norm=."
        )
    return [f"{layer.name}.weight", *([f"{layer.name}.bias"] if layer.use_bias else [])]


def _for_torch(layer: Any, weight: Array) -> Array:
    """A kernel with the axes of PyTorch: output, input, height, width; depthwise kernels have one input."""
    if weight.ndim != 4:
        return weight
    return np.transpose(weight, (2, 3, 0, 1) if _is_depthwise(layer) else (3, 2, 0, 1))


def _for_keras(layer: Any, array: Array) -> Array:
    if array.ndim != 4:
        return array
    return np.transpose(array, (2, 3, 0, 1) if _is_depthwise(layer) else (2, 3, 1, 0))


def _is_depthwise(layer: Any) -> bool:
    return type(layer).__name__ == "DepthwiseConv2D"


def _array(value: Any) -> Array:
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)


def _read(path: str | os.PathLike[str]) -> dict[str, Array]:
    try:
        with open(path, "rb") as stream, zipfile.ZipFile(stream) as archive:
            return {name.removesuffix(".npy"): _member(archive, name) for name in archive.namelist()}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ModelFileError(
            f"{os.fspath(path)} is no npz file that can be read without running code: {error}. "
            "Make one as the docstring of kerasbn_models.yolo11.weights says."
        ) from error


def _member(archive: zipfile.ZipFile, name: str) -> Array:
    with archive.open(name) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _check_activation(model: Any, flag: Array | None) -> None:
    built = any(layer.name == "model.9.cv1.act" for layer in model.layers)
    if flag is not None and bool(flag) != built:
        raise InvalidArgumentError(
            f"The file's network has {'a' if flag else 'no'} SiLU behind model.9.cv1, the model has "
            f"{'one' if built else 'none'}; build it with sppf_activation={bool(flag)}."
        )


def _check_same(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> None:
    missing, foreign = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if missing or foreign:
        raise InvalidArgumentError(
            f"The weights do not fit the model: {_some(missing)} missing, {_some(foreign)} without a layer. "
            "Is the size the same?"
        )
    for name, shape in expected.items():
        if found[name] != shape:
            raise InvalidArgumentError(
                f"{name} has shape {found[name]}, the model needs {shape}; "
                "are the size and the number of classes the same?"
            )


def _some(names: list[str]) -> str:
    return f"{len(names)} entries" + (f" (as {names[0]})" if names else "")


def size_of(weights: Mapping[str, Any]) -> str:
    """The letter of a state_dict.

    Raises:
        InvalidArgumentError: It is of no YOLO11 size.
    """
    first = weights.get("model.0.conv.weight")
    deep = any(re.fullmatch(r"model\.2\.m\.1\..*", name) for name in weights)
    letters = {(16, False): "n", (32, False): "s", (64, False): "m", (64, True): "l", (96, True): "x"}
    letter = letters.get((0 if first is None else int(first.shape[0]), deep))
    if letter is None:
        raise InvalidArgumentError("The weights are of no YOLO11 detector: model.0.conv.weight does not fit any size.")
    return letter
