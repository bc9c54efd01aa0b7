"""The operations that random models are made of: from a tensor and dice to a new tensor, or None where none fits."""

from __future__ import annotations

import numpy as np

SPATIAL = {3: "1D", 4: "2D", 5: "3D"}


def batchnorm(flavour, x, dice):
    layer = flavour.batch_normalization if dice.odds(30) else flavour.keras.layers.BatchNormalization
    rank = len(x.shape)
    axis = -1
    if dice.odds(15):
        axis = 1 + dice.below(rank - 1)
    if x.shape[axis] is None:
        return None
    options = {"axis": axis, "scale": not dice.odds(20), "center": not dice.odds(20)}
    options["epsilon"] = dice.one_of((1e-3, 1e-5, 0.1))
    training = True if dice.odds(4) else None
    return layer(**options)(x, **({"training": True} if training else {}))


def dense(flavour, x, dice):
    return flavour.keras.layers.Dense(1 + dice.below(4), **linear_options(dice))(x)


def linear_options(dice):
    return {"use_bias": not dice.odds(30), "activation": dice.one_of((None, None, None, "relu", "tanh", "linear"))}


def conv(flavour, x, dice):
    return convolution(flavour.keras, "Conv{}", x, dice)


def depthwise(flavour, x, dice):
    return convolution(flavour.keras, "DepthwiseConv{}", x, dice)


def separable(flavour, x, dice):
    return convolution(flavour.keras, "SeparableConv{}", x, dice)


def transpose(flavour, x, dice):
    return convolution(flavour.keras, "Conv{}Transpose", x, dice)


def convolution(keras, name, x, dice):
    """Any convolution with any options that Keras and a CPU accept together."""
    cls = getattr(keras.layers, name.format(SPATIAL.get(len(x.shape))), None)
    if cls is None:
        return None
    options = {"kernel_size": 1 + dice.below(3), "padding": dice.one_of(("valid", "same"))}
    stride = dice.one_of((1, 1, 2))
    options["strides"] = stride
    if stride == 1 and dice.odds(20) and "Transpose" not in name:
        options["dilation_rate"] = 2
    if name.format("1D") == "Conv1D" and len(x.shape) == 3 and stride == 1 and dice.odds(20):
        options["padding"] = "causal"
    channels, multiplier = x.shape[-1], 1 + dice.below(2)
    if name.startswith("Depthwise"):
        options["depth_multiplier"] = multiplier
    else:
        options["filters"] = 1 + dice.below(4)
    if name.startswith("Separable"):
        options["depth_multiplier"] = multiplier
    if name == "Conv{}" and channels % 2 == 0 and len(x.shape) < 5 and dice.odds(15):
        options["groups"], options["filters"] = 2, 4
    return cls(**options, **linear_options(dice))(x)


def einsum(flavour, x, dice):
    keras, rank = flavour.keras, len(x.shape)
    if rank == 3:
        bias = dice.one_of((None, "d", "e", "de"))
        return keras.layers.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3), bias_axes=bias)(x)
    if rank == 4 and x.shape[2] is not None:
        bias = dice.one_of((None, "e"))
        return keras.layers.EinsumDense("abcd,cde->abe", output_shape=(None, 3), bias_axes=bias)(x)
    return keras.layers.EinsumDense("...x,xy->...y", output_shape=(3,), bias_axes=dice.one_of((None, "y")))(x)


def activation(flavour, x, dice):
    layers = flavour.keras.layers
    slope = "negative_slope" if flavour.name == "keras" else "alpha"
    choice = dice.below(13)
    if choice == 0:
        return layers.ReLU()(x)
    if choice == 1:
        return layers.ReLU(max_value=6.0)(x)
    if choice == 2:
        return layers.LeakyReLU(**{slope: dice.one_of((0.3, 0.1))})(x)
    if choice == 3:
        shared = list(range(1, len(x.shape) - 1))
        return layers.PReLU(shared_axes=shared or None)(x)
    if choice == 4:
        return layers.ELU()(x)
    if choice == 5:
        return layers.ReLU(negative_slope=0.2, threshold=dice.one_of((0.0, 0.5)))(x)
    if choice == 6:
        return layers.Softmax()(x) if x.shape[-1] != 1 else None  # of one number: Keras warns
    return layers.Activation(("relu", "tanh", "sigmoid", "linear", "gelu", "relu6")[choice - 7])(x)


def pool(flavour, x, dice):
    if len(x.shape) == 5:  # TensorFlow pools no float64 in three dimensions on a CPU
        return None
    kind = dice.one_of(("Max", "Average"))
    cls = getattr(flavour.keras.layers, f"{kind}Pooling{SPATIAL.get(len(x.shape))}", None)
    options = {"pool_size": 1 + dice.below(3), "strides": dice.one_of((None, 1, 2))}
    return None if cls is None else cls(padding=dice.one_of(("valid", "same")), **options)(x)


def global_pool(flavour, x, dice):
    kind = dice.one_of(("Average", "Max"))
    cls = getattr(flavour.keras.layers, f"Global{kind}Pooling{SPATIAL.get(len(x.shape))}", None)
    return None if cls is None else cls(keepdims=dice.odds(30))(x)


def upsample(flavour, x, dice):
    cls = getattr(flavour.keras.layers, f"UpSampling{SPATIAL.get(len(x.shape))}", None)
    if cls is None:
        return None
    options = {"interpolation": dice.one_of(("nearest", "bilinear"))} if len(x.shape) == 4 else {}
    return cls(size=2, **options)(x)


def crop(flavour, x, dice):
    cls = getattr(flavour.keras.layers, f"Cropping{SPATIAL.get(len(x.shape))}", None)
    if cls is None or any(size is not None and size < 3 for size in x.shape[1:-1]):
        return None
    return cls(dice.one_of((1, ((0, 1),) * (len(x.shape) - 2) if len(x.shape) > 3 else (0, 1))))(x)


def zero_pad(flavour, x, dice):
    cls = getattr(flavour.keras.layers, f"ZeroPadding{SPATIAL.get(len(x.shape))}", None)
    if cls is None:
        return None
    return cls(dice.one_of((1, ((1, 0),) * (len(x.shape) - 2) if len(x.shape) > 3 else (1, 0))))(x)


def flatten(flavour, x, _dice):
    return flavour.keras.layers.Flatten()(x) if len(x.shape) > 2 and None not in x.shape[1:] else None


def reshape(flavour, x, dice):
    sizes = list(x.shape[1:])
    if None in sizes:
        return None
    total = int(np.prod(sizes))
    targets = [(total,), (1, *sizes), (*sizes, 1), (-1, sizes[-1]), (sizes[-1], -1), (*sizes[:-1], 1, sizes[-1])]
    targets = [target for target in targets if len(target) <= 4]
    return flavour.keras.layers.Reshape(dice.one_of(targets))(x)


def permute(flavour, x, dice):
    axes = list(range(1, len(x.shape)))
    turn = dice.below(len(axes))
    order = axes[turn:] + axes[:turn] if dice.odds(70) else axes[::-1]
    return flavour.keras.layers.Permute(tuple(order))(x)


def repeat(flavour, x, dice):
    return flavour.keras.layers.RepeatVector(2 + dice.below(2))(x) if len(x.shape) == 2 else None


def inert(flavour, x, dice):
    layers = flavour.keras.layers
    return dice.one_of((layers.Dropout(0.5), layers.GaussianNoise(0.5), layers.Activation("linear")))(x)


def time_distributed(flavour, x, dice):
    keras = flavour.keras
    if len(x.shape) < 3 or x.shape[1] is None:
        return None
    inner = [keras.layers.Dense(3), keras.layers.BatchNormalization(), keras.layers.ReLU()]
    if len(x.shape) == 5:
        inner += [keras.layers.Conv2D(2, 2), keras.layers.MaxPooling2D(2), keras.layers.GlobalAveragePooling2D()]
    if len(x.shape) == 4:
        inner += [keras.layers.Conv1D(2, 2, padding="same"), keras.layers.GlobalMaxPooling1D()]
    return keras.layers.TimeDistributed(dice.one_of(inner))(x)


def layer_norm(flavour, x, dice):
    axis = dice.one_of((-1, -1, 1))
    return flavour.keras.layers.LayerNormalization(axis=axis)(x) if x.shape[axis] is not None else None


def group_norm(flavour, x, dice):
    if len(x.shape) < 3 or None in x.shape[1:]:
        return None
    return flavour.keras.layers.GroupNormalization(groups=dice.one_of((-1, 1)))(x)


def recurrent(flavour, x, dice):
    cls = getattr(flavour.keras.layers, dice.one_of(("LSTM", "GRU", "SimpleRNN")))
    return cls(3, return_sequences=dice.odds(50))(x) if len(x.shape) == 3 else None


def bidirectional(flavour, x, dice):
    keras = flavour.keras
    return (
        keras.layers.Bidirectional(keras.layers.GRU(2, return_sequences=dice.odds(50)))(x)
        if len(x.shape) == 3
        else None
    )


def attention(flavour, x, _dice):
    return flavour.keras.layers.MultiHeadAttention(2, 2)(query=x, value=x, key=x) if len(x.shape) == 3 else None


def rescale(flavour, x, dice):
    scale = dice.one_of((0.5, -2.0, 1.0))
    offset = dice.one_of((0.0, 1.5))
    return flavour.keras.layers.Rescaling(scale, offset)(x)


def normalise(flavour, x, dice):
    axis = -1
    if x.shape[axis] is None:
        return None
    mean = np.linspace(-1.0, 2.0, x.shape[axis])
    return flavour.keras.layers.Normalization(axis=axis, mean=mean, variance=mean**2 + dice.one_of((0.3, 2.0)))(x)


def arithmetic(_flavour, x, dice):
    constant = np.linspace(-1.5, 1.0, x.shape[-1]).astype("float32") if x.shape[-1] is not None else 2.0
    choice = dice.below(4)
    if choice == 0:
        return x + constant
    if choice == 1:
        return x * constant
    return 2.0 - x if choice == 2 else x[:, :1]


def function_layer(flavour, x, _dice):
    return flavour.keras.layers.Lambda(_doubled)(x)


def _doubled(x):
    return 2 * x - 1


LAYERS = {
    "batchnorm": batchnorm, "dense": dense, "conv": conv, "depthwise": depthwise, "separable": separable,
    "transpose": transpose, "einsum": einsum, "activation": activation, "pool": pool, "global_pool": global_pool,
    "upsample": upsample, "crop": crop, "zero_pad": zero_pad, "flatten": flatten, "reshape": reshape,
    "permute": permute, "repeat": repeat, "inert": inert, "time_distributed": time_distributed,
    "layer_norm": layer_norm, "group_norm": group_norm, "recurrent": recurrent, "bidirectional": bidirectional,
    "attention": attention, "rescale": rescale, "normalise": normalise, "arithmetic": arithmetic,
    "lambda": function_layer,
}  # fmt: skip


def fits(name, x, y):
    """Whether two tensors go together: equal shapes, but for one axis where they are concatenated."""
    if len(x.shape) != len(y.shape) or None in x.shape[1:] or None in y.shape[1:]:
        return tuple(x.shape) == tuple(y.shape)
    different = sum(a != b for a, b in zip(x.shape[1:], y.shape[1:], strict=True))
    return different == 0 or (name == "concatenate" and different == 1)


def add(keras, x, y, dice):
    cls = getattr(keras.layers, dice.one_of(("Add", "Subtract", "Average", "Maximum")))
    return cls()([x, y]) if dice.odds(80) else x + y


def product(keras, x, y, _dice):
    return keras.layers.Multiply()([x, y])


def concatenate(keras, x, y, dice):
    different = [axis for axis in range(1, len(x.shape)) if x.shape[axis] != y.shape[axis]]
    axis = different[0] if different else dice.one_of((-1, -1, 1))
    return keras.layers.Concatenate(axis=axis)([x, y, x] if dice.odds(15) and not different else [x, y])


MERGES = {"sum": add, "product": product, "concatenate": concatenate}
