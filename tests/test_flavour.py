import subprocess
import sys

import pytest

from kerasbn.errors import InvalidArgumentError
from kerasbn.flavour import Flavour, flavour_of


def test_a_model_knows_its_flavour(keras_flavour):
    model = keras_flavour.keras.Sequential([keras_flavour.keras.layers.Dense(2)])
    assert flavour_of(model) == keras_flavour
    assert flavour_of(model.layers[0]) == keras_flavour


def test_stock_name_is_exact(keras_flavour):
    dense = keras_flavour.keras.layers.Dense

    class Subclass(dense):
        def call(self, inputs):
            return super().call(inputs)

    Subclass.__name__ = "Dense"
    assert keras_flavour.stock_name(dense(2)) == "Dense"
    assert keras_flavour.stock_name(Subclass(2)) is None


def test_a_subclass_with_other_defaults_is_the_stock_layer(keras_flavour):
    layers = keras_flavour.keras.layers

    class Pair(layers.Dense):
        def __init__(self):
            super().__init__(2)

    class Nothing(layers.Layer):
        def __init__(self):
            super().__init__()

    assert keras_flavour.stock_name(Pair()) == "Dense"
    assert keras_flavour.stock_class(Pair()) is layers.Dense
    assert keras_flavour.stock_name(Nothing()) is None


def test_what_is_no_keras_object_is_refused():
    with pytest.raises(InvalidArgumentError, match=r"found builtins\.int"):
        flavour_of(3)
    with pytest.raises(InvalidArgumentError, match="accepted: keras, tf_keras"):
        Flavour("torch")


@pytest.mark.parametrize("package", ["kerasbn", "kerasbn_export", "kerasbn_models"])
def test_importing_a_package_imports_no_tensorflow(package):
    code = f"import {package}, sys; print(*{{'tensorflow', 'keras', 'tf_keras'}} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == ""
