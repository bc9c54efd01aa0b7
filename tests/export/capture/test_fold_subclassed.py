"""Models and layers that compute in a `call` of their own: traced, or refused by name; never changed."""

import numpy as np
import pytest
from kerasbn_testing.judging import assert_folds, batchnorms, relative_error, run, state
from kerasbn_testing.statistics import randomise

from kerasbn.errors import UnsupportedModelError
from kerasbn_export.capture import capture
from kerasbn_export.folding.fold import fold


def floats(rng, *shape):
    return rng.normal(size=shape).astype("float32")


def block_class(keras, base):
    """Dense, BatchNorm and ReLU in one custom layer or model."""

    class Block(base):
        def __init__(self, units=4, **kwargs):
            super().__init__(**kwargs)
            self.dense = keras.layers.Dense(units, name="dense")
            self.bn = keras.layers.BatchNormalization(name="bn")

        def call(self, inputs, training=None):
            return keras.activations.relu(self.bn(self.dense(inputs), training=training))

    return Block


def test_subclassed_model(keras_flavour, rng):
    keras = keras_flavour.keras
    model = block_class(keras, keras.Model)(name="net")
    data = floats(rng, 3, 5)
    model(data)
    randomise(model, rng)
    judged = assert_folds(model, data)
    assert judged.model.name == "net"
    assert list(judged.verdicts) == ["bn"]


@pytest.mark.parametrize("base", ["Layer", "Model"])
def test_custom_blocks_in_a_functional_model(keras_flavour, rng, base):
    keras = keras_flavour.keras
    block = block_class(keras, keras.layers.Layer if base == "Layer" else keras.Model)
    inputs = keras.Input((5,))
    model = keras.Model(inputs, block(3, name="b")(block(4, name="a")(inputs)))
    randomise(model, rng)
    judged = assert_folds(model, floats(rng, 2, 5))
    assert sorted(judged.verdicts) == ["a/bn", "b/bn"]


def test_one_custom_block_called_twice(keras_flavour, rng):
    keras = keras_flavour.keras
    block = block_class(keras, keras.layers.Layer)(4, name="block")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, block(block(inputs)))
    randomise(model, rng)
    judged = assert_folds(model, floats(rng, 2, 4))
    assert sum(bool(layer.weights) for layer in judged.model.layers) == 1


def test_functional_in_subclassed_in_functional(keras_flavour, rng):
    keras = keras_flavour.keras
    inner_inputs = keras.Input((4,))
    inner = keras.Model(inner_inputs, keras.layers.BatchNormalization(name="bn")(keras.layers.Dense(3)(inner_inputs)))

    class Middle(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.inner = inner
            self.last = keras.layers.Dense(2)

        def call(self, inputs):
            return self.last(self.inner(inputs))

    inputs = keras.Input((4,))
    model = keras.Model(inputs, Middle(name="middle")(inputs))
    randomise(model, rng)
    assert_folds(model, floats(rng, 2, 4))


def test_blocks_of_the_same_name_have_a_verdict_each(keras_flavour, rng):
    keras = keras_flavour.keras
    block = block_class(keras, keras.layers.Layer)

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = block(4, name="block"), block(3, name="block")

        def call(self, inputs):
            return self.second(self.first(inputs))

    model = Net()
    data = floats(rng, 2, 5)
    model(data)
    randomise(model, rng)
    assert len(assert_folds(model, data).verdicts) == 2


def test_dict_inputs_and_outputs_of_a_subclassed_model(keras_flavour, rng):
    keras = keras_flavour.keras

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense, self.bn = keras.layers.Dense(4), keras.layers.BatchNormalization()
            self.other = keras.layers.Dense(4)

        def call(self, inputs):
            left = self.bn(self.dense(inputs["z"]))
            return {"y": left - self.other(inputs["a"]), "b": left}

    model = Net()
    data = {"z": floats(rng, 2, 5), "a": floats(rng, 2, 3)}
    model(data)
    randomise(model, rng)
    judged = assert_folds(model, data)
    assert set(judged.model(data)) == {"y", "b"}


def two_arguments(keras):
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense, self.bn = keras.layers.Dense(4), keras.layers.BatchNormalization()
            self.other = keras.layers.Dense(4)

        def call(self, a, training=None, b=None):
            return self.bn(self.dense(a), training=training) - 2 * self.other(b)

    return Net()


def test_several_call_arguments(keras_flavour, rng):
    """A tensor behind `training`: right, or refused; never bound to the wrong argument."""
    model = two_arguments(keras_flavour.keras)
    a, b = floats(rng, 2, 5), floats(rng, 2, 3)
    model(a, b=b)
    randomise(model, rng)
    expected = model(a, b=b)
    before = state(model)
    if keras_flavour.name == "keras":  # keeps the shape of the first argument only
        with pytest.raises(UnsupportedModelError, match="cannot be traced"):
            fold(model)
        return
    folded = fold(model).model
    assert state(model) == before
    assert relative_error(run(folded, [a, {"b": b}]), [np.asarray(expected)]) < 2e-4
    assert not batchnorms(folded)


def test_a_block_with_several_arguments_in_a_functional_model(keras_flavour, rng):
    keras = keras_flavour.keras
    a, b = keras.Input((5,)), keras.Input((3,))
    model = keras.Model([a, b], two_arguments(keras)(a, b=b))
    randomise(model, rng)
    assert_folds(model, [floats(rng, 2, 5), floats(rng, 2, 3)])


def test_a_functional_subclass_with_its_own_call(keras_flavour, rng):
    keras = keras_flavour.keras

    class Doubled(keras.Model):
        def call(self, inputs, training=None, mask=None):
            return 2 * super().call(inputs, training=training, mask=mask)

    inputs = keras.Input((5,))
    model = Doubled(inputs, keras.layers.BatchNormalization()(keras.layers.Dense(4)(inputs)))
    randomise(model, rng)
    assert_folds(model, floats(rng, 2, 5))


def test_a_functional_subclass_with_keras_own_call(keras_flavour, rng):
    keras = keras_flavour.keras

    class Trained(keras.Model):
        def train_step(self, data):
            return super().train_step(data)

    inputs = keras.Input((5,))
    model = Trained(inputs, keras.layers.BatchNormalization()(keras.layers.Dense(4)(inputs)))
    randomise(model, rng)
    assert_folds(model, floats(rng, 2, 5))


def test_control_flow_on_values_is_refused_with_the_name(keras_flavour, rng):
    keras = keras_flavour.keras

    class Branching(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense, self.bn = keras.layers.Dense(4), keras.layers.BatchNormalization()

        def call(self, inputs):
            if np.asarray(inputs).sum() > 0:
                return self.dense(inputs)
            return self.bn(self.dense(inputs))

    model = Branching(name="branching")
    model(floats(rng, 2, 5))
    with pytest.raises(UnsupportedModelError, match=r"branching.*cannot be traced"):
        capture(model)


def test_a_block_that_cannot_be_traced_stays_closed(keras_flavour, rng):
    """The rest folds; the BatchNorm inside is reported."""
    keras = keras_flavour.keras

    class Closed(keras.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.bn = keras.layers.BatchNormalization(name="bn")

        def build(self, input_shape):
            self.bn.build(input_shape)
            self.built = True

        def call(self, inputs):
            if type(inputs).__name__ == "KerasTensor":
                raise RuntimeError("no symbols here")
            return self.bn(inputs)

        def compute_output_shape(self, input_shape):
            return input_shape

        def compute_output_spec(self, inputs):
            return keras.KerasTensor(inputs.shape, inputs.dtype)

        def get_config(self):
            return super().get_config()

    inputs = keras.Input((5,))
    hidden = keras.layers.BatchNormalization(name="open")(keras.layers.Dense(4)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(Closed(name="closed")(hidden)))
    randomise(model, rng)
    judged = assert_folds(model, floats(rng, 2, 5), kept=["closed/bn"])
    assert judged.verdicts["closed/bn"].reason == "opaque"
    assert "Closed 'closed'" in judged.verdicts["closed/bn"].sentence


def test_never_built(keras_flavour):
    keras = keras_flavour.keras
    with pytest.raises(UnsupportedModelError, match="never called"):
        capture(block_class(keras, keras.Model)(name="net"))
    with pytest.raises(UnsupportedModelError, match="never called"):
        capture(keras.Sequential([keras.layers.Dense(3)], name="net"))


def test_a_call_that_changes_its_model_leaves_no_trace(keras_flavour, rng):
    """Attributes, lists, variables and losses that `call` touches are as before."""
    keras = keras_flavour.keras

    class Touchy(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense, self.bn = keras.layers.Dense(4), keras.layers.BatchNormalization()
            self.seen = []
            self.calls = 0

        def build(self, input_shape):
            self.counter = self.add_weight(name="counter", shape=(), initializer="zeros", trainable=False)
            super().build(input_shape)

        def call(self, inputs):
            self.calls += 1
            self.seen.append(self.calls)
            self.counter.assign_add(1.0)
            self.last = self.dense(inputs)
            return self.bn(self.last)

    model = Touchy(name="touchy")
    data = floats(rng, 2, 5)
    model(data)
    randomise(model, rng)
    expected = run(model, data)
    before, calls, last = state(model), model.calls, model.last
    folded = fold(model).model
    assert state(model) == before
    assert (model.calls, len(model.seen)) == (calls, calls)
    assert model.last is last
    assert relative_error(run(folded, data), expected) < 1e-4


def test_symbolic_calls_leave_no_trace_in_inner_layers(keras_flavour):
    keras = keras_flavour.keras
    block = block_class(keras, keras.layers.Layer)(4, name="block")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, block(inputs))
    before = [len(layer._inbound_nodes) for layer in model._flatten_layers()]
    fold(model)
    fold(model)
    assert [len(layer._inbound_nodes) for layer in model._flatten_layers()] == before


def test_a_list_of_layers_and_a_loop(keras_flavour, rng):
    keras = keras_flavour.keras

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.stack = [
                layer for _ in range(3) for layer in (keras.layers.Dense(4), keras.layers.BatchNormalization())
            ]

        def call(self, inputs):
            for layer in self.stack:
                inputs = layer(inputs)
            return inputs

    model = Net()
    data = floats(rng, 2, 5)
    model(data)
    randomise(model, rng)
    assert len(assert_folds(model, data).verdicts) == 3


def test_integer_inputs_of_a_subclassed_model(keras_flavour, rng):
    keras = keras_flavour.keras

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.embedding, self.dense = keras.layers.Embedding(7, 3), keras.layers.Dense(4)
            self.bn = keras.layers.BatchNormalization()

        def call(self, inputs):
            return self.bn(self.dense(self.embedding(inputs)))

    model = Net()
    data = rng.integers(0, 7, (2, 5)).astype("int32")
    model(data)
    randomise(model, rng)
    assert_folds(model, data)


def test_a_subclassed_model_with_a_fixed_training_flag_inside(keras_flavour, rng):
    keras = keras_flavour.keras

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense, self.bn = keras.layers.Dense(4), keras.layers.BatchNormalization(name="bn")

        def call(self, inputs):
            return self.bn(self.dense(inputs), training=True)

    model = Net()
    data = floats(rng, 8, 5)
    model(data)
    randomise(model, rng)
    (verdict,) = fold(model).verdicts
    assert verdict.reason == "training"


def test_a_mask_that_a_block_destroys_is_destroyed(keras_flavour, rng):
    """A custom layer that supports no mask drops it: an LSTM behind must not see it when the block is opened."""
    keras = keras_flavour.keras

    class Block(keras.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense, self.bn = keras.layers.Dense(4), keras.layers.BatchNormalization(name="bn")

        def build(self, input_shape):
            self.dense.build(input_shape)
            self.bn.build((*input_shape[:-1], 4))
            self.built = True

        def compute_mask(self, inputs, mask=None):  # noqa: ARG002 - Keras calls it so
            return None

        def call(self, inputs):
            return self.bn(self.dense(inputs))

    inputs = keras.Input((6,), dtype="int32")
    hidden = Block(name="block")(keras.layers.Embedding(7, 3, mask_zero=True)(inputs))
    model = keras.Model(inputs, keras.layers.LSTM(3)(hidden))
    randomise(model, rng)
    data = rng.integers(0, 3, (4, 6)).astype("int32")
    assert_folds(model, data, kept=["block/bn"])
