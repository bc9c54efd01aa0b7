"""One worker of test_workers.py: ``python worker.py INDEX``, with a TF_CONFIG, in the folder of its data."""

import os
import sys

import numpy as np
import tensorflow as tf

from kerasbn.flavour import KERAS, NAMES, TF_KERAS, Flavour

# Collective operations must be set up before anything else; without a timeout a lost partner is waited for longer.
OPTIONS = tf.distribute.experimental.CommunicationOptions(timeout_seconds=60)
STRATEGY = tf.distribute.MultiWorkerMirroredStrategy(communication_options=OPTIONS)

INDEX = int(sys.argv[1])
X, TARGET = np.load("x.npy"), np.load("target.npy")


def part(whole):
    """This worker's half of a batch."""
    return STRATEGY.experimental_distribute_values_from_function(lambda _: tf.constant(np.split(whole, 2)[INDEX]))


def mine(value):
    return np.asarray(STRATEGY.experimental_local_results(value)[0])


def model_of(flavour):
    """Dense, our layer, Dense: the same initial weights in every process."""
    keras = flavour.keras
    keras.utils.set_random_seed(3)
    layers = [keras.layers.Dense(4), flavour.batch_normalization(synchronized=True, momentum=0.5)]
    return keras.Sequential([keras.layers.Input(X.shape[1:]), *layers, keras.layers.Dense(2)])


def layer_step(flavour):
    """Outputs, gradient and averages of one layer."""
    with STRATEGY.scope():
        layer = flavour.batch_normalization(synchronized=True, momentum=0.5)
        layer.build((None, *X.shape[1:]))

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(y**3)
        return y, tape.gradient(loss, x)

    y, dx = map(mine, STRATEGY.run(step, args=(part(X),)))
    return {"y": y, "dx": dx, "mean": layer.moving_mean.numpy(), "variance": layer.moving_variance.numpy()}, step


def trained(flavour):
    """The weights of a model after three steps of a loop of its own."""
    with STRATEGY.scope():
        model = model_of(flavour)
        optimizer = flavour.keras.optimizers.SGD(0.01, momentum=0.9)
        optimizer.build(model.trainable_variables)

    @tf.function
    def step(x, target):
        with tf.GradientTape() as tape:
            # The gradients of the workers are added up.
            loss = tf.reduce_sum((model(x, training=True) - target) ** 2) / TARGET.size
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    for _ in range(3):
        STRATEGY.run(step, args=(part(X), part(TARGET)))
    return {f"weight{i}": weight.numpy() for i, weight in enumerate(model.weights)}


def fitted(keras, model):
    """The weights of a model after `fit`."""
    with STRATEGY.scope():
        model = model()
        model.compile(keras.optimizers.SGD(0.01), "mse")
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    data = tf.data.Dataset.from_tensor_slices((X, TARGET)).batch(len(X)).with_options(options)
    model.fit(data, epochs=2, verbose=0)
    return {f"fitted{i}": weight.numpy() for i, weight in enumerate(model.weights)}


def stock_fit_in_keras_3():
    """Whether Keras 3 itself can fit a model without any BatchNorm under this strategy."""
    keras = KERAS.keras
    try:
        fitted(keras, lambda: keras.Sequential([keras.layers.Input(X.shape[1:]), keras.layers.Dense(2)]))
    except ValueError as error:
        return "PerReplica" not in str(error)
    return True


def main():
    for flavour in map(Flavour, NAMES):
        found, step = layer_step(flavour)
        found |= trained(flavour)
        if flavour == KERAS:
            found["fits"] = stock_fit_in_keras_3()
        else:
            found |= fitted(flavour.keras, lambda: model_of(TF_KERAS))
        np.savez(f"{flavour.name}{INDEX}.npz", **found)
    if INDEX == 1:
        os._exit(9)  # Dies where the other needs it.
    STRATEGY.run(step, args=(part(X),))


if __name__ == "__main__":
    main()
