"""One worker of test_recalibrate_workers.py: ``python recalibrate_worker.py INDEX``, with a TF_CONFIG."""

import sys

import numpy as np
import tensorflow as tf

OPTIONS = tf.distribute.experimental.CommunicationOptions(timeout_seconds=60)
STRATEGY = tf.distribute.MultiWorkerMirroredStrategy(communication_options=OPTIONS)  # before anything else

from kerasbn import recalibrate  # noqa: E402
from kerasbn.errors import KerasBNError  # noqa: E402
from kerasbn.flavour import NAMES, Flavour  # noqa: E402

PARTS = [0, 192, 320]


def network(flavour):
    """Two BatchNorms, the same weights in every process."""
    layers = flavour.keras.layers
    flavour.keras.utils.set_random_seed(3)
    first, last = layers.BatchNormalization(), flavour.batch_normalization(synchronized=True)
    parts = [first, layers.Conv2D(4, 3), last, layers.Flatten(), layers.Dense(2)]
    return flavour.keras.Sequential([layers.Input((8, 8, 3)), *parts])


def main():
    index, x = int(sys.argv[1]), np.load("x.npy")
    part = x[PARTS[index] : PARTS[index + 1]]
    for flavour in map(Flavour, NAMES):
        with STRATEGY.scope():
            model = network(flavour)
        record = recalibrate(model, part, distributed=STRATEGY)
        numbers = {f"w{number}": weight for number, weight in enumerate(model.get_weights())}
        exact = recalibrate(model, part, distributed=STRATEGY, exact=True)
        numbers |= {f"exact{number}": weight for number, weight in enumerate(model.get_weights())}
        before, broken = model.get_weights(), np.where(index == 1, np.nan, part)
        said = ""
        try:
            recalibrate(model, broken, distributed=STRATEGY)
        except KerasBNError as error:
            said = str(error)
        same = all(map(np.array_equal, before, model.get_weights()))
        samples = [record.samples, exact.samples]
        np.savez(f"{flavour.name}{index}.npz", samples=samples, said=said, same=same, **numbers)


if __name__ == "__main__":
    main()
