"""What every test shares: the two Kerases, and a fixed seed."""

import functools
import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
import pytest
from kerasbn_testing.sweeps import is_taken

from kerasbn.flavour import NAMES, Flavour

LONG = ("test_fold_random_graphs", "test_layer_training", "test_demo", "test_readme", "test_meta_conditions")
"""Files that go first: a worker takes a whole file, and none is to begin a long one when the other has no more."""


def pytest_configure(config):
    """The marks of kerasbn's tests."""
    config.addinivalue_line("markers", "quick: of `python -m pytest -m quick`, the inner loop")
    config.addinivalue_line("markers", "sweep: one of many cases of a kind; a run takes a part: kerasbn_testing.sweeps")


def pytest_collection_modifyitems(config, items):
    """Leave out most cases of the sweeps, and put the longest files first, in this order."""
    left = [item for item in items if item.get_closest_marker("sweep") and not is_taken(item.name)]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in set(left)]
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@functools.cache
def flavour_called(name):
    """A Keras, imported and kept out of garbage collections.

    Keras 3 asks for a full one in every ``clear_session``: over all of TensorFlow it takes a third of a second.
    """
    flavour = Flavour(name)
    _ = flavour.batch_normalization
    gc.collect()
    gc.freeze()
    return flavour


@pytest.fixture(params=NAMES)
def keras_flavour(request):
    """Runs the test once in Keras 3 and once in tf_keras."""
    flavour = flavour_called(request.param)
    flavour.keras.backend.clear_session()
    flavour.keras.utils.set_random_seed(20261122)
    return flavour


@pytest.fixture
def rng():
    """A seeded numpy generator."""
    return np.random.default_rng(20261122)
