"""Models with a class or a call of one's own."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from own_code_networks.network import network, operations


@network
def subclassed_loop(keras: Any) -> Any:
    """A subclassed model that loops over lists of convolutions and BatchNorms."""
    layers = keras.layers

    class Net(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.convs = [layers.Conv2D(4 * (n + 1), 3, strides=2, padding="same") for n in range(3)]
            self.norms = [layers.BatchNormalization() for _ in range(3)]
            self.pool, self.head = layers.GlobalAveragePooling2D(), layers.Dense(5, activation="softmax")

        def call(self, x: Any, training: Any = False) -> Any:
            for conv, norm in zip(self.convs, self.norms, strict=True):
                x = tf.nn.leaky_relu(norm(conv(x), training=training), alpha=0.1)
            return self.head(self.pool(x))

    return _called(Net(), (16, 16, 3))


@network
def subclassed_with_options(keras: Any) -> Any:
    """Branches of Python, an option of the call, and one BatchNorm that is called twice."""
    layers = keras.layers

    class Net(keras.Model):
        def __init__(self, *, deep: bool = True) -> None:
            super().__init__()
            self.deep = deep
            self.first, self.first_norm = layers.Dense(6), layers.BatchNormalization()
            self.again, self.again_norm = layers.Dense(6), layers.BatchNormalization()

        def call(self, x: Any, training: Any = None, return_features: bool = False) -> Any:
            x = tf.nn.elu(self.first_norm(self.first(x), training=training))
            if self.deep:
                for _ in range(2):
                    x = tf.nn.relu(self.again_norm(self.again(x), training=training))
            return (x, tf.reduce_sum(x, -1)) if return_features else x

    return _called(Net(), (5,))


@network
def subclassed_of_two_inputs(keras: Any) -> Any:
    """The call takes a list of two tensors."""
    layers = keras.layers

    class Net(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right, self.norm = layers.Dense(4), layers.Dense(4), layers.BatchNormalization()

        def call(self, given: Any, training: Any = None) -> Any:
            left, right = given
            return self.norm(self.left(left) + self.right(right), training=training)

    return _called(Net(), (5,), (3,))


@network
def subclassed_of_layers_of_ones_own(keras: Any) -> Any:
    """A subclassed model of blocks, each a layer with BatchNorms inside."""
    layers = keras.layers

    class Block(layers.Layer):
        def __init__(self, filters: int, strides: int) -> None:
            super().__init__()
            self.conv = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)
            self.norm = layers.BatchNormalization()
            self.short = layers.Conv2D(filters, 1, strides=strides)

        def call(self, x: Any, training: Any = None) -> Any:
            return tf.nn.relu(self.norm(self.conv(x), training=training) + self.short(x))

    class Net(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = [Block(6, 1), Block(8, 2)]
            self.head = keras.Sequential([layers.GlobalAveragePooling2D(), layers.Dense(4)])

        def call(self, x: Any, training: Any = None) -> Any:
            for block in self.blocks:
                x = block(x, training=training)
            return self.head(x)

    return _called(Net(), (8, 8, 3))


@network
def subclassed_inside_functional(keras: Any) -> Any:
    """A model with a call of its own on a dict, called as a layer; it returns a dict."""
    layers = keras.layers

    class Net(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.read = layers.Embedding(20, 8), layers.Bidirectional(layers.GRU(5, return_sequences=True))
            self.read_norm, self.score = layers.BatchNormalization(), layers.Dense(3)
            self.dense, self.norm = layers.Dense(6), layers.BatchNormalization()

        def call(self, given: Any, training: Any = None) -> Any:
            text = self.read_norm(self.read(self.embed(given["ids"])), training=training)
            table = self.norm(tf.nn.relu(self.dense(given["numbers"])), training=training)
            scores = self.score(tf.concat([tf.reduce_mean(text, 1), table], -1))
            return {"scores": scores, "table": table}

    ids, numbers = keras.Input((9,), dtype="int32", name="ids"), keras.Input((4,), name="numbers")
    given = Net()({"ids": ids, "numbers": numbers})
    return keras.Model([ids, numbers], [given["scores"], given["table"]])


@network
def functional_in_the_constructor(keras: Any) -> Any:
    """A class whose constructor makes the graph."""
    layers = keras.layers

    class Net(keras.Model):
        def __init__(self, classes: int = 3, **options: Any) -> None:
            inputs = keras.Input((8, 8, 3))
            x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3)(inputs)))
            super().__init__(inputs, layers.Dense(classes)(layers.Flatten()(x)), **options)

    return Net()


@network
def train_step_of_ones_own(keras: Any) -> Any:
    """A functional model whose class trains in its own way, and computes what its graph says."""
    layers = keras.layers

    class Net(keras.Model):
        def train_step(self, _: Any) -> Any:
            return {}

    inputs = keras.Input((8, 8, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3)(inputs))
    return Net(inputs, layers.Flatten()(x))


@network
def call_that_adds_to_its_graph(keras: Any) -> Any:
    """A functional model whose call doubles what its graph gives."""
    layers = keras.layers

    class Net(keras.Model):
        def call(self, x: Any, training: Any = None) -> Any:
            return super().call(x, training=training) * 2.0

    inputs = keras.Input((8, 8, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3)(inputs))
    return Net(inputs, layers.Flatten()(x))


@network
def sequential_without_input(keras: Any) -> Any:
    """A Sequential that learns its shape from the first call."""
    layers = keras.layers
    model = keras.Sequential(
        [
            *(layers.Conv1D(8, 3, activation="relu"), layers.BatchNormalization(), layers.MaxPooling1D()),
            *(layers.Conv1D(8, 3), layers.BatchNormalization(), layers.Activation("gelu")),
            *(layers.GlobalAveragePooling1D(), layers.Dense(3)),
        ]
    )
    model(tf.zeros((1, 20, 4)))
    return model


@network
def models_in_a_row(keras: Any) -> Any:
    """Sequentials in a Sequential: a BatchNorm stands first in the second."""
    layers = keras.layers
    back = keras.Sequential(
        [keras.Input((16, 16, 3)), layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU()], name="back"
    )
    neck = [layers.BatchNormalization(), layers.SeparableConv2D(6, 3), layers.BatchNormalization()]
    middle = keras.Sequential([keras.Input((14, 14, 4)), *neck], name="neck")
    head = (layers.GlobalAveragePooling2D(), layers.Dense(2))
    return keras.Sequential([keras.Input((16, 16, 3)), back, middle, *head])


@network
def model_with_two_outputs_called_twice(keras: Any) -> Any:
    """A nested model that gives its convolution and its BatchNorm, once on the image and once behind itself."""
    layers = keras.layers
    image = keras.Input((8, 8, 3))
    features = layers.Conv2D(4, 3, padding="same")(image)
    block = keras.Model(image, [features, layers.BatchNormalization()(features)])
    inputs = keras.Input((8, 8, 3))
    first, first_normed = block(inputs)
    second, second_normed = block(layers.Conv2D(3, 1)(first_normed))
    return keras.Model(inputs, [layers.Add()([first, second_normed]), layers.BatchNormalization()(second)])


@network
def cosine_of_one_encoder(keras: Any) -> Any:
    """Two inputs, one Sequential, the absolute difference and the cosine of its outputs."""
    ops, layers = operations(keras), keras.layers
    dense = (layers.Dense(8), layers.BatchNormalization(), layers.ReLU(), layers.Dense(4), layers.BatchNormalization())
    encoder = keras.Sequential([keras.Input((10,)), *dense])
    inputs = [keras.Input((10,), name="left"), keras.Input((10,), name="right")]
    left, right = (encoder(tensor) for tensor in inputs)
    return keras.Model(inputs, [ops.abs(left - right), layers.Dot(axes=1, normalize=True)([left, right])])


def _called(model: Any, *shapes: tuple[int, ...]) -> Any:
    """The model, called once on zeros."""
    zeros = [tf.zeros((1, *shape)) for shape in shapes]
    model(zeros if len(zeros) > 1 else zeros[0])
    return model
