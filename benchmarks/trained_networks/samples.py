"""Inputs for networks of others: crops of photographs, faces, tones, and draws from a network's own statistics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kerasbn.errors import MissingPackageError
from kerasbn_models.data.files import package_file, read_picture, windows

from .network import Absent, Array

CALIBRATING = ("coffee.png", "hubble_deep_field.jpg", "ihc.png", "motorcycle_left.png", "retina.jpg")
TESTING = ("astronaut.png", "chelsea.png", "rocket.jpg", "color.png", "motorcycle_right.png")
"""Photographs of scikit-image, of which crops are taken; a network is tested on others than it is calibrated on."""


def package_path(package: str, module: str, *parts: str) -> Path:
    """The path of an installed package's file.

    Raises:
        Absent: The package is not installed.
    """
    try:
        return package_file(package, module, *parts)
    except MissingPackageError as error:
        raise Absent(str(error)) from error


def photographs(names: tuple[str, ...], size: int, count: int, seed: int) -> Array:
    """Square crops (count, size, size, 3) from 0 to 255, from a quarter to all of a picture's height, some mirrored."""
    rng = np.random.default_rng(seed)
    pictures = [picture(name) for name in names]
    return np.stack([crop(pictures[number % len(names)], size, rng) for number in range(count)])


def picture(name: str) -> Array:
    """A photograph of scikit-image (height, width, 3)."""
    return read_picture(package_path("scikit-image", "skimage", "data", name))[..., :3].astype("float32")


def crop(image: Array, size: int, rng: np.random.Generator) -> Array:
    """A random square of the picture."""
    side = int(min(image.shape[:2]) * rng.uniform(0.25, 1))
    top, left = (int(rng.integers(0, extent - side + 1)) for extent in image.shape[:2])
    square = resized(image[top : top + side, left : left + side], size)
    return square[:, ::-1] if rng.random() < 0.5 else square


def resized(image: Array, size: int) -> Array:
    """The picture with the size given, by bilinear sampling with antialiasing."""
    import tensorflow as tf

    return tf.image.resize(image, (size, size), antialias=True).numpy()


def faces() -> tuple[Array, Array]:
    """100 faces (64, 64, 1) from -1 to 1, as fer prepares them: 50 to calibrate on and 50 to test on."""
    grey = np.load(package_path("scikit-image", "skimage", "data", "lfw_subset.npy"))[:100]
    large = np.stack([resized(face[..., None].astype("float32"), 64) for face in grey]) * 2 - 1
    return large[::2], large[1::2]


def tones(count: int, seed: int) -> tuple[Array, Array]:
    """Frames of 1024 samples at 16 kHz, each a tone with overtones and some noise; and their pitches in Hz."""
    rng = np.random.default_rng(seed)
    pitch = 60 * 2 ** rng.uniform(0, 4, count)
    time = np.arange(1024) / 16000
    frames = 0.05 * rng.normal(size=(count, 1024))
    for overtone in range(1, 6):
        loudness, phase = rng.uniform(0.1, 1, (count, 1)) / overtone, rng.uniform(0, 2 * np.pi, (count, 1))
        frames += loudness * np.sin(2 * np.pi * overtone * pitch[:, None] * time + phase)
    frames -= frames.mean(1, keepdims=True)
    return (frames / frames.std(1, keepdims=True)).astype("float32"), pitch


def patches(count: int, shape: tuple[int, ...], seed: int) -> Array:
    """Drawn patches that are smooth in time and frequency, each of mean 0 and variance 1: no sound, but as uneven."""
    rng = np.random.default_rng(seed)
    rough = rng.normal(size=(count, shape[0] + 8, shape[1] + 2))
    smooth = np.stack([windows(patch, 3, 1).mean((1, 2)).reshape(shape[0] + 6, shape[1]) for patch in rough])
    smooth = smooth[:, : shape[0]]
    smooth -= smooth.mean((1, 2), keepdims=True)
    return (smooth / smooth.std((1, 2), keepdims=True)).astype("float32")


def of_first_dense(dense: Any, norm: Any, count: int, seed: int) -> Array:
    """Inputs whose Dense has the means that the BatchNorm behind it keeps, and about its variances."""
    rng = np.random.default_rng(seed)
    kernel, bias = (np.asarray(weight, "float64") for weight in dense.get_weights())
    mean = np.linalg.lstsq(kernel.T, np.asarray(norm.moving_mean, "float64") - bias, rcond=None)[0]
    spread = np.sqrt(np.median(np.asarray(norm.moving_variance) / np.square(kernel).sum(0)))
    return (mean + spread * rng.normal(size=(count, len(mean)))).astype("float32")


def of_first_norm(norm: Any, count: int, steps: int, seed: int) -> Array:
    """Sequences (count, steps, features) with the mean and variance of a BatchNorm, that change slowly."""
    rng = np.random.default_rng(seed)
    noise = np.zeros((count, steps, int(norm.moving_mean.shape[0])))
    noise[:, 0] = rng.normal(size=noise[:, 0].shape)
    for step in range(1, steps):
        noise[:, step] = 0.9 * noise[:, step - 1] + 0.19**0.5 * rng.normal(size=noise[:, 0].shape)
    return (np.asarray(norm.moving_mean) + np.sqrt(np.asarray(norm.moving_variance)) * noise).astype("float32")
