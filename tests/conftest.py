"""What every test shares: the two Kerases, and a fixed seed."""

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
import pytest
from kerasbn_testing.sessions import start_anew
from kerasbn_testing.sweeps import left_out

from kerasbn.flavour import NAMES, Flavour

gc.set_threshold(200_000, 20, 50)  # of TensorFlow's objects most live on, and looking at them takes a twentieth

LONG = (
    *("test_recurrent", "test_demo", "test_models_folded", "test_yolo11", "test_fold_random_graphs", "test_readme"),
    *("test_verify_quantized", "test_verify_faults", "test_fold_layers", "test_layer_training", "test_workers"),
)
"""Files that go first: a worker takes a whole file, and none is to begin a long one when the other has no more."""


def pytest_configure(config):
    """The marks of kerasbn's tests."""
    config.addinivalue_line("markers", "quick: of `python -m pytest -m quick`, the inner loop")
    config.addinivalue_line("markers", "sweep: one of many cases of a kind; a run takes a part: kerasbn_testing.sweeps")
    config.addinivalue_line(
        "markers", "either_keras: a run takes it in the Keras that its name chooses: the same module"
    )


def pytest_collection_modifyitems(config, items):
    """Leave out most cases of the sweeps, and put the longest files first, in this order."""
    left = left_out(items)
    config.hook.pytest_deselected(items=list(left))
    items[:] = [item for item in items if item not in left]
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@pytest.fixture(params=NAMES)
def keras_flavour(request):
    """Runs the test once in Keras 3 and once in tf_keras."""
    flavour = Flavour(request.param)
    start_anew(flavour)
    flavour.keras.utils.set_random_seed(20261122)
    return flavour


@pytest.fixture
def rng():
    """A seeded numpy generator."""
    return np.random.default_rng(20261122)
