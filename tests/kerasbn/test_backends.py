"""Keras 3's other backends: the same class gives the same numbers there, and its files load here."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from kerasbn.flavour import KERAS

# PyTorch built for CUDA says so on a machine without it, when Keras looks whether PyTorch is there.
pytestmark = pytest.mark.filterwarnings("ignore:CUDA initialization:UserWarning")

OPTIONS = [
    {"momentum": 0.5},
    {"axis": 1, "momentum": 0.5, "renorm": True, "renorm_clipping": {"rmax": 2.0, "dmax": 0.5}},
    {"momentum": None, "virtual_batch_size": 4, "unbiased_variance": True},
]
SCRIPT = f"""
import sys, numpy as np, keras
from kerasbn.keras import BatchNormalization
assert "tensorflow" not in sys.modules
x = np.load("x.npy")
for index, options in enumerate({OPTIONS!r}):
    model = keras.Sequential([keras.layers.Input(x.shape[1:]), BatchNormalization(**options)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(x, np.sin(x), batch_size=len(x), epochs=3, shuffle=False, verbose=0)
    model.save(f"model{{index}}.keras")
    np.save(f"y{{index}}.npy", model.predict(x, verbose=0))
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_train_alike(backend, tmp_path, rng, assert_close):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    keras = KERAS.keras
    x = rng.normal(3, 2, (8, 4, 5)).astype("float32")
    np.save(tmp_path / "x.npy", x)
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environment, check=True, timeout=240)
    for index, options in enumerate(OPTIONS):
        model = keras.Sequential([keras.layers.Input(x.shape[1:]), KERAS.batch_normalization(**options)])
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.fit(x, np.sin(x), batch_size=8, epochs=3, shuffle=False, verbose=0)
        assert_close(np.load(tmp_path / f"y{index}.npy"), model.predict(x, verbose=0), 1e-5)
        loaded = keras.models.load_model(tmp_path / f"model{index}.keras")
        for weight, other in zip(loaded.get_weights(), model.get_weights(), strict=True):
            assert_close(weight, other, 1e-5)
