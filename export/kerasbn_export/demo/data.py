"""Real images that need no download: the 8x8 handwritten digits inside scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kerasbn_export.arrays import Array

WHITE = 16.0
TEST_SHARE = 0.2


@dataclass(frozen=True)
class Digits:
    """Images of shape (n, 8, 8, 1), float32 from 0 to 1, with labels 0 to 9, in two disjoint parts."""

    train_images: Array
    train_labels: Array
    test_images: Array
    test_labels: Array

    def calibration(self, count: int) -> Array:
        """The first images of the training part; the test part stays unseen."""
        return self.train_images[:count]


def load_digits(seed: int) -> Digits:
    """The 1797 digits, one fifth of every class held out for testing."""
    from sklearn.datasets import load_digits as load
    from sklearn.model_selection import train_test_split

    images, labels = load(return_X_y=True)
    images = (images / WHITE).astype(np.float32).reshape(-1, 8, 8, 1)
    parts = train_test_split(images, labels, test_size=TEST_SHARE, stratify=labels, random_state=seed)
    train_images, test_images, train_labels, test_labels = parts
    return Digits(train_images, train_labels, test_images, test_labels)
