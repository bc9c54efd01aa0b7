"""Random networks with many gammas of zero, of the layers through which a constant channel can be carried.

Each draws blocks from a fixed seed: what fits no tensor is left out, so that every seed is a network.
"""

from __future__ import annotations

import numpy as np

from kerasbn_testing.statistics import own_name, randomise

ACTIVATIONS = ("relu", "tanh", "sigmoid", "relu6", "elu", "swish", "linear", "softplus")


class RandomSlimmable:
    """One random network of one Keras.

    Args:
        flavour: The Keras.
        seed: What is drawn.
        zeros: The part of the gammas that is zero.

    Attributes:
        model: The model.
        log: The blocks, in order.
    """

    def __init__(self, flavour, seed, zeros=0.5):
        self.keras, self.layers = flavour.keras, flavour.keras.layers
        self.rng = np.random.default_rng(seed)
        self.rank = int(self.rng.choice([3, 4, 4, 4]))
        self.log, self.outputs, self.shared = [], [], {}
        shape = (12, 3) if self.rank == 3 else (self.one_of([10, None]), 9, 3)
        inputs = self.keras.Input(shape)
        tensor = self.convolution(inputs)
        for _ in range(self.below(6) + 2):
            tensor = self.grown(tensor)
        self.model = self.keras.Model(inputs, [*self.outputs, self.head(tensor)])
        randomise(self.model, self.rng)
        silence(self.model, self.rng, zeros)

    def below(self, count):
        return int(self.rng.integers(count))

    def one_of(self, options):
        return options[self.below(len(options))]

    def grown(self, tensor):
        block = self.one_of(BLOCKS)
        try:
            new = getattr(self, block)(tensor)
        except (ValueError, TypeError):  # a kernel larger than what is left
            return tensor
        if any(size is not None and size < 1 for size in new.shape[1:]):
            return tensor
        self.log.append(f"{block}{tuple(tensor.shape)} -> {tuple(new.shape)}")
        if self.below(20) == 0:
            self.outputs.append(new)
        return new

    def named(self, kind, *arguments, **options):
        return getattr(self.layers, f"{kind}{self.rank - 2}D")(*arguments, **options)

    def geometry(self):
        options = {"padding": self.one_of(["same", "same", "valid"]), "use_bias": bool(self.below(2))}
        return {**options, "strides": self.one_of([1, 1, 2])}

    def normal(self, tensor):
        norm = self.layers.BatchNormalization(scale=self.below(10) > 0, center=self.below(10) > 0)
        return self.function(norm(tensor))

    def function(self, tensor):
        choice = self.below(8)
        if choice == 0:
            return self.layers.LeakyReLU()(tensor)
        if choice == 1:
            axes = list(range(1, len(tensor.shape) - 1))
            return self.layers.PReLU(shared_axes=axes)(tensor)
        if choice == 2:
            return self.layers.ReLU(6.0)(self.layers.Dropout(0.2)(tensor))
        return self.layers.Activation(self.one_of(ACTIVATIONS))(tensor)

    def convolution(self, tensor):
        layer = self.named("Conv", 4 + self.below(5), self.one_of([1, 2, 3]), **self.geometry())
        return self.normal(layer(tensor))

    def depthwise(self, tensor):
        layer = self.named("DepthwiseConv", 3, depth_multiplier=1 + self.below(2), **self.geometry())
        return self.normal(layer(tensor))

    def separable(self, tensor):
        return self.normal(self.named("SeparableConv", 4 + self.below(4), 3, **self.geometry())(tensor))

    def transposed(self, tensor):
        layer = self.layers.Conv2DTranspose if self.rank == 4 else self.layers.Conv1DTranspose
        return self.normal(layer(4 + self.below(4), 3, strides=self.one_of([1, 2]), padding="same")(tensor))

    def dense(self, tensor):
        return self.normal(self.layers.Dense(4 + self.below(6), activation=self.one_of([None, "relu"]))(tensor))

    def grouped(self, tensor):
        channels = tensor.shape[-1]
        return self.normal(self.named("Conv", channels, 3, groups=channels, padding="same")(tensor))

    def padded(self, tensor):
        after = self.one_of([self.convolution, self.depthwise, self.function])
        return after(self.named("ZeroPadding", 1)(tensor))

    def pooled(self, tensor):
        kind = self.one_of(["MaxPooling", "AveragePooling"])
        return self.named(kind, 2, padding=self.one_of(["same", "valid"]), strides=self.one_of([1, 2]))(tensor)

    def enlarged(self, tensor):
        return self.named("UpSampling", 2)(tensor)

    def cropped(self, tensor):
        return self.named("Cropping", 1)(tensor)

    def branches(self, tensor):
        """Two branches, each normalised, that are joined."""
        one, other = (self.layers.BatchNormalization()(self.branch(tensor)) for _ in range(2))
        join = self.one_of(["Add", "Multiply", "Maximum", "Average", "Subtract", "Concatenate", "Concatenate"])
        return self.function(getattr(self.layers, join)()([one, other]))

    def branch(self, tensor):
        return self.named("Conv", tensor.shape[-1], self.one_of([1, 3]), padding="same")(tensor)

    def agreeing(self, tensor):
        """A sum of branches that one BatchNorm made constant in the same channels."""
        norm = self.layers.BatchNormalization()
        return self.layers.Add()([self.function(norm(self.branch(tensor))), self.function(norm(self.branch(tensor)))])

    def residual(self, tensor):
        return self.layers.Add()([tensor, self.normal(self.branch(tensor))])

    def excited(self, tensor):
        """Squeeze and excite."""
        pooled = self.named("GlobalAveragePooling")(tensor)
        hidden = self.layers.Dense(3, activation="relu")(pooled)
        scales = self.layers.Dense(tensor.shape[-1], activation="sigmoid")(hidden)
        shape = (1,) * (self.rank - 2) + (tensor.shape[-1],)
        return self.layers.Multiply()([tensor, self.layers.Reshape(shape)(scales)])

    def again(self, tensor):
        """One convolution and one BatchNorm at two places."""
        layer, norm = self.named("Conv", tensor.shape[-1], 3, padding="same"), self.layers.BatchNormalization()
        return norm(layer(self.function(norm(layer(tensor)))))

    def nested(self, tensor):
        inputs = self.keras.Input(tuple(tensor.shape[1:]))
        return self.keras.Model(inputs, self.normal(self.branch(inputs)))(tensor)

    def calculated(self, tensor):
        return tensor * 0.5 + 1.0

    def head(self, tensor):
        if self.below(2) or None in tensor.shape[1:]:
            tensor = self.named(self.one_of(["GlobalAveragePooling", "GlobalMaxPooling"]))(tensor)
        else:
            tensor = self.layers.Flatten()(tensor)
        if self.below(2):
            tensor = self.normal(self.layers.Dense(6)(tensor))
        return self.layers.Dense(3)(tensor)


BLOCKS = (
    *("convolution",) * 4, *("depthwise",) * 3, *("separable",) * 2, "transposed", "dense", "grouped", *("padded",) * 2,
    *("pooled",) * 2, "enlarged", "cropped", *("branches",) * 2, *("agreeing",) * 2, "residual", "excited", "again",
    "nested", "calculated",
)  # fmt: skip


def silence(model, rng, share):
    """Set part of the gammas of a model to zero; the others are not."""
    for variable in model.weights:
        if own_name(variable) == "gamma":
            shape = tuple(variable.shape)
            gamma = np.where(rng.random(shape) < share, 0.0, rng.uniform(0.5, 1.5, shape) * rng.choice([-1, 1], shape))
            variable.assign(gamma.astype("float32"))
