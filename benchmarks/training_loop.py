"""A training loop for small networks and many steps: a whole epoch is one call of TensorFlow, also with workers.

``model.fit`` takes milliseconds for a step of two samples; this takes one or less, in both Kerases alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kerasbn.flavour import Flavour

Array = np.ndarray
MOMENTUM = 0.9
"""Of SGD."""


class Loop:
    """A network that is trained again and again from new weights, without being traced again.

    Attributes:
        model: The network, with the weights as they are now.
        batch: Samples of one worker in one step.
        workers: Replicas that share the weights.
    """

    def __init__(
        self, flavour: Flavour, make: Callable[[], Any], data: tuple[Array, Array], batch: int, workers: int = 1
    ) -> None:
        """Builds the network.

        Args:
            flavour: The Keras of the network.
            make: Makes the network; logits are its output.
            data: Inputs and numbers of classes to train on.
            batch: Samples of one worker in one step.
            workers: Replicas, each on a logical CPU of its own.
        """
        self.batch, self.workers = batch, workers
        self._keras, self._make, self._count = flavour.keras, make, len(data[0])
        names = [f"cpu:{number}" for number in range(workers)]
        self._strategy = tf.distribute.MirroredStrategy(names) if workers > 1 else tf.distribute.get_strategy()
        self._x, self._y = (tf.constant(array) for array in data)
        with self._strategy.scope():
            self.model = make()
            self._optimizer = flavour.keras.optimizers.SGD(0.0, momentum=MOMENTUM)
            self._optimizer.build(self.model.trainable_variables)
        self._fresh = [np.zeros(variable.shape) for variable in self._optimizer_variables()]
        self._steps = tf.function(self._run)

    @property
    def steps(self) -> int:
        """Steps of one epoch."""
        return self._count // (self.batch * self.workers)

    def reset(self, seed: int) -> None:
        """New weights and a new optimizer."""
        self._keras.utils.set_random_seed(seed)
        self.model.set_weights(self._make().get_weights())
        for variable, value in zip(self._optimizer_variables(), self._fresh, strict=True):
            variable.assign(value)

    def train(self, indices: Array, rates: Sequence[float]) -> None:
        """One step for each row of sample numbers (steps, workers x batch), each with its learning rate."""
        rows = np.reshape(indices, (len(indices), self.workers, self.batch))
        self._steps(tf.constant(rows, tf.int32), tf.constant(rates, tf.float32))

    def accuracy(self, x: Array, y: Array) -> float:
        """At inference."""
        return float(np.mean(np.argmax(np.asarray(self.model(x, training=False)), -1) == y))

    def _optimizer_variables(self) -> list[Any]:
        """Momenta and the step counter."""
        variables = self._optimizer.variables
        found = variables() if callable(variables) else variables
        return [variable for variable in found if "learning_rate" not in str(getattr(variable, "path", variable.name))]

    def _run(self, rows: Any, rates: Any) -> None:
        for number in tf.range(tf.shape(rows)[0]):
            self._optimizer.learning_rate.assign(rates[number])
            self._strategy.run(self._step, args=(rows[number],))

    def _step(self, row: Any) -> None:
        context = tf.distribute.get_replica_context()
        mine = row[context.replica_id_in_sync_group]
        with tf.GradientTape() as tape:
            logits = self.model(tf.gather(self._x, mine), training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.gather(self._y, mine), logits)
            loss = tf.reduce_mean(losses) / self.workers
        variables = self.model.trainable_variables
        self._optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))


def shuffled(count: int, rows: int, columns: int, seed: int) -> Array:
    """Sample numbers (rows, columns), every sample as often as any other but for the last pass."""
    rng = np.random.default_rng(seed)
    passes = -(-rows * columns // count)
    return np.concatenate([rng.permutation(count) for _ in range(passes)])[: rows * columns].reshape(rows, columns)
