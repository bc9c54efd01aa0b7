"""nsfwjs' MobileNetV2: a Keras network in a JavaScript package, its weights stored as bytes."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kerasbn.flavour import Flavour

from .network import Absent, Array, Folders, Trained, agreement
from .samples import CALIBRATING, TESTING, photographs

PRINT = "const [m, w] = process.argv.slice(1).map(require); console.log(JSON.stringify([m.weightsManifest, w]))"
"""For node: the two files are programs that hold one value each."""
HINT = "--nsfwjs FOLDER is the unpacked npm package: npm pack nsfwjs@4.4.0"


def mobilenet_v2(flavour: str, folders: Folders) -> Trained:
    """Five kinds of pictures, 52 BatchNorms; here for its weights, and the pictures are harmless ones."""
    weights = dict(read_weights(folders.nsfwjs))
    keras = Flavour(flavour).keras
    model = network(keras)
    for layer in model.layers:
        if layer.weights:
            layer.set_weights([weights[f"{layer.name}/{_entry(layer, weight)}"] for weight in layer.weights])
    calibration, x = (
        photographs(names, 224, count, seed) / 255 for names, count, seed in ((CALIBRATING, 64, 1), (TESTING, 200, 2))
    )
    return Trained(model, model, calibration, x, "same class as float", agreement)


def network(keras: Any) -> Any:
    """MobileNetV2, and a head of three Dense."""
    layers = keras.layers
    base = keras.applications.MobileNetV2(input_shape=(224, 224, 3), include_top=False, weights=None)
    x = layers.Flatten()(layers.AveragePooling2D(7)(base.output))
    for number, units, activation in ((1, 256, "relu"), (2, 128, "relu"), (3, 5, "softmax")):
        x = layers.Dense(units, activation=activation, name=f"dense_{number}")(x)
    return keras.Model(base.input, x, name="nsfwjs_mobilenet_v2")


def _entry(layer: Any, weight: Any) -> str:
    """The last part of a weight's name, as ``moving_mean``; a depthwise kernel as Keras 2 calls it."""
    if type(layer).__name__ == "DepthwiseConv2D":
        return "depthwise_kernel"
    path = str(getattr(weight, "path", weight.name))
    return path.rpartition("/")[2].partition(":")[0]


def read_weights(folder: Path | None) -> Iterator[tuple[str, Array]]:
    """Every weight by its name.

    Raises:
        Absent: There is no such folder, or no node.
    """
    node = shutil.which("node")
    if folder is None or node is None:
        raise Absent(HINT if node else "reading JavaScript needs node")
    files = [folder / "dist" / "models" / "mobilenet_v2" / name for name in ("model.min.js", "group1-shard1of1.min.js")]
    if not all(path.exists() for path in files):
        raise Absent(f"{folder} has no {files[0].relative_to(folder)}; {HINT}")
    command = [node, "-e", PRINT, "--", *(str(path.resolve()) for path in files)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  # the user's
    manifest, content = json.loads(printed)
    stored, start = base64.b64decode(content), 0
    for entry in manifest[0]["weights"]:
        array, start = _weight(entry, stored, start)
        yield entry["name"], array


def _weight(entry: dict[str, Any], stored: bytes, start: int) -> tuple[Array, int]:
    """One weight, and where the next begins."""
    steps = entry["quantization"]
    end = start + int(np.prod(entry["shape"])) * np.dtype(steps["dtype"]).itemsize
    numbers = np.frombuffer(stored[start:end], steps["dtype"]).astype("float32")
    return (numbers * steps["scale"] + steps["min"]).astype("float32").reshape(entry["shape"]), end
