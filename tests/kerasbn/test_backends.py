"""Keras 3's other backends: the same class gives the same numbers there, and its files load here."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from kerasbn.flavour import KERAS
from kerasbn_export import export_tflite, fold, verify

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
layers = [keras.layers.Dense(6, activation="relu"), BatchNormalization(momentum=0.5), keras.layers.Dense(2)]
model = keras.Sequential([keras.layers.Input(x.shape[1:]), *layers])
model.compile(keras.optimizers.SGD(0.01), "mse")
model.fit(x, np.sin(x[..., :2]), batch_size=len(x), epochs=3, verbose=0)
model.save("whole.keras")
np.save("whole.npy", model.predict(x, verbose=0))
"""


@pytest.fixture(scope="module", params=["jax", "torch"])
def trained(request, tmp_path_factory):
    """The folder in which the script has run on another backend, and its inputs."""
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    folder, x = tmp_path_factory.mktemp(request.param), np.random.default_rng(1).normal(3, 2, (8, 4, 5))
    np.save(folder / "x.npy", x.astype("float32"))
    environment = {**os.environ, "KERAS_BACKEND": request.param, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", SCRIPT], cwd=folder, env=environment, check=True, timeout=240)
    return folder, x.astype("float32")


def test_other_backends_train_alike(trained, assert_close):
    (folder, x), keras = trained, KERAS.keras
    for index, options in enumerate(OPTIONS):
        model = keras.Sequential([keras.layers.Input(x.shape[1:]), KERAS.batch_normalization(**options)])
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.fit(x, np.sin(x), batch_size=8, epochs=3, shuffle=False, verbose=0)
        assert_close(np.load(folder / f"y{index}.npy"), model.predict(x, verbose=0), 1e-5)
        loaded = keras.models.load_model(folder / f"model{index}.keras")
        for weight, other in zip(loaded.get_weights(), model.get_weights(), strict=True):
            assert_close(weight, other, 1e-5)


def test_what_was_trained_there_exports(trained, assert_close):
    folder, x = trained
    model = KERAS.keras.models.load_model(folder / "whole.keras")
    assert_close(model.predict(x, verbose=0), np.load(folder / "whole.npy"), 1e-5)
    assert [verdict.action.value for verdict in fold(model).verdicts] == ["folded"]
    export_tflite(model, folder / "whole.tflite")
    assert verify(model, folder / "whole.tflite")
