"""Several branches, several consumers, shared layers: rules 6 to 10 and 14."""

from __future__ import annotations

from typing import Any

from patterns.pattern import IMAGE, pattern


def bn_relu(k: Any, x: Any) -> Any:
    """BN, ReLU."""
    return k.layers.ReLU()(k.layers.BatchNormalization()(x))


def conv_bn_relu(k: Any, x: Any, filters: int = 4, kernel: int = 3) -> Any:
    """Conv2D 'same', BN, ReLU."""
    return bn_relu(k, k.layers.Conv2D(filters, kernel, padding="same", use_bias=False)(x))


def joined_convs_bn(k: Any, join: Any) -> Any:
    """Two convolutions, joined, then BN and ReLU."""
    x = k.Input(IMAGE)
    return k.Model(x, bn_relu(k, join([k.layers.Conv2D(4, 3)(x), k.layers.Conv2D(4, 3, use_bias=False)(x)])))


@pattern(least=0)
def concat_of_convs_bn_relu(k: Any) -> Any:
    return joined_convs_bn(k, k.layers.Concatenate())


@pattern(least=0)
def add_of_convs_bn_relu(k: Any) -> Any:
    return joined_convs_bn(k, k.layers.Add())


@pattern(least=0)
def sum_operator_of_convs_bn_relu(k: Any) -> Any:
    return joined_convs_bn(k, lambda xs: xs[0] + xs[1])


@pattern(least=0)
def subtract_of_convs_bn_relu(k: Any) -> Any:
    return joined_convs_bn(k, k.layers.Subtract())


@pattern(least=0)
def average_of_convs_bn_relu(k: Any) -> Any:
    return joined_convs_bn(k, k.layers.Average())


@pattern(least=1)
def multiply_of_convs_bn_relu(k: Any) -> Any:
    return joined_convs_bn(k, k.layers.Multiply())


@pattern(least=0)
def concat_of_conv_relus_bn_conv(k: Any) -> Any:
    x = k.Input(IMAGE)
    joined = k.layers.Concatenate()([k.layers.Conv2D(n, 3, activation="relu")(x) for n in (3, 4)])
    return k.Model(x, k.layers.Conv2D(2, 2)(k.layers.BatchNormalization()(joined)))


@pattern(least=0)
def bn_in_one_branch_concat_conv(k: Any) -> Any:
    x = k.Input(IMAGE)
    a = k.layers.BatchNormalization()(k.layers.Conv2D(3, 3, activation="relu")(x))
    b = k.layers.Conv2D(4, 3, activation="relu")(x)
    return k.Model(x, k.layers.Conv2D(2, 2)(k.layers.Concatenate()([b, a, a])))


@pattern(least=0)
def bn_in_both_branches_concat_flatten_dense(k: Any) -> Any:
    x = k.Input(IMAGE)
    branches = [k.layers.BatchNormalization()(k.layers.Conv2D(n, 3, activation="elu")(x)) for n in (2, 3)]
    return k.Model(x, k.layers.Dense(2)(k.layers.Flatten()(k.layers.Concatenate()(branches))))


@pattern(least=1)
def concat_with_the_input_bn_relu_conv(k: Any) -> Any:
    x = k.Input(IMAGE)
    joined = k.layers.Concatenate()([x, k.layers.Conv2D(3, 3, padding="same")(x)])
    return k.Model(x, k.layers.Conv2D(2, 1)(bn_relu(k, joined)))


@pattern(least=1)
def add_with_the_input_bn_relu(k: Any) -> Any:
    x = k.Input(IMAGE)
    return k.Model(x, bn_relu(k, k.layers.Add()([x, k.layers.Conv2D(4, 3, padding="same")(x)])))


@pattern(least=0)
def residual_block(k: Any) -> Any:
    x = k.Input(IMAGE)
    y = k.layers.BatchNormalization()(k.layers.Conv2D(4, 3, padding="same")(conv_bn_relu(k, x)))
    return k.Model(x, k.layers.ReLU()(k.layers.Add()([x, y])))


@pattern(least=3)
def two_preactivation_blocks(k: Any) -> Any:
    inputs = k.Input(IMAGE)
    x = k.layers.Conv2D(4, 3, padding="same")(inputs)
    for _ in range(2):
        x = k.layers.Add()([x, k.layers.Conv2D(4, 3, padding="same")(bn_relu(k, x))])
    return k.Model(inputs, k.layers.Dense(2)(k.layers.GlobalAveragePooling2D()(bn_relu(k, x))))


@pattern(least=2)
def preactivation_bottleneck(k: Any) -> Any:
    inputs = k.Input(IMAGE)
    x = k.layers.MaxPooling2D(1)(inputs)
    y = k.layers.Conv2D(3, 1, use_bias=False)(bn_relu(k, x))
    y = k.layers.Conv2D(3, 3, padding="same", use_bias=False)(bn_relu(k, y))
    y = k.layers.Conv2D(4, 1)(bn_relu(k, y))
    return k.Model(inputs, bn_relu(k, k.layers.Add()([x, y])))


@pattern(least=2)
def two_densenet_layers(k: Any) -> Any:
    inputs = x = k.Input(IMAGE)
    for _ in range(2):
        y = k.layers.Conv2D(6, 1, use_bias=False)(bn_relu(k, x))
        y = k.layers.Conv2D(3, 3, padding="same", use_bias=False)(bn_relu(k, y))
        x = k.layers.Concatenate()([x, y])
    return k.Model(inputs, x)


@pattern(least=0)
def inception_block(k: Any) -> Any:
    x = k.Input(IMAGE)
    pooled = k.layers.AveragePooling2D(3, strides=1, padding="same")(x)
    branches = [conv_bn_relu(k, x, 3, 1), conv_bn_relu(k, conv_bn_relu(k, x, 2, 1)), conv_bn_relu(k, pooled, 2, 1)]
    return k.Model(x, k.layers.Concatenate()(branches))


@pattern(least=0)
def inverted_residual_block(k: Any) -> Any:
    x = k.Input(IMAGE)
    y = k.layers.ReLU(6.0)(k.layers.BatchNormalization()(k.layers.Conv2D(8, 1, use_bias=False)(x)))
    y = k.layers.DepthwiseConv2D(3, padding="same", use_bias=False)(y)
    y = k.layers.ReLU(6.0)(k.layers.BatchNormalization()(y))
    return k.Model(x, k.layers.Add()([x, k.layers.BatchNormalization()(k.layers.Conv2D(4, 1, use_bias=False)(y))]))


@pattern(least=0)
def repvgg_block(k: Any) -> Any:
    x = k.Input(IMAGE)
    branches = [k.layers.Conv2D(4, n, padding="same", use_bias=False)(x) for n in (3, 1)]
    return k.Model(x, k.layers.ReLU()(k.layers.Add()([k.layers.BatchNormalization()(y) for y in [*branches, x]])))


@pattern(least=0)
def repvgg_block_stride_2(k: Any) -> Any:
    x = k.Input(IMAGE)
    branches = [k.layers.Conv2D(6, n, strides=2, padding="same", use_bias=False)(x) for n in (3, 1)]
    return k.Model(x, k.layers.ReLU()(k.layers.Add()([k.layers.BatchNormalization()(y) for y in branches])))


@pattern(least=1)
def squeeze_and_excitation_bn(k: Any) -> Any:
    inputs = k.Input(IMAGE)
    x = k.layers.Conv2D(4, 3)(inputs)
    gate = k.layers.Dense(4, activation="sigmoid")(k.layers.GlobalAveragePooling2D(keepdims=True)(x))
    return k.Model(inputs, k.layers.BatchNormalization()(k.layers.Multiply()([x, gate])))


@pattern(least=0)
def squeeze_and_excitation_bn_conv(k: Any) -> Any:
    inputs = k.Input(IMAGE)
    x = conv_bn_relu(k, inputs)
    gate = k.layers.Dense(4, activation="sigmoid")(k.layers.GlobalAveragePooling2D(keepdims=True)(x))
    return k.Model(inputs, k.layers.Conv2D(3, 2)(k.layers.BatchNormalization()(k.layers.Multiply()([x, gate]))))


@pattern(least=0)
def bn_two_consumers(k: Any) -> Any:
    x = k.Input(IMAGE)
    y = k.layers.BatchNormalization()(k.layers.Conv2D(3, 3, activation="relu")(x))
    return k.Model(x, [k.layers.Conv2D(2, 1)(y), k.layers.Dense(3)(k.layers.GlobalAveragePooling2D()(y))])


@pattern(least=1)
def bn_two_consumers_one_padded(k: Any) -> Any:
    x = k.Input(IMAGE)
    y = k.layers.BatchNormalization()(k.layers.Conv2D(3, 3, activation="relu")(x))
    return k.Model(x, [k.layers.Conv2D(2, 1)(y), k.layers.Conv2D(2, 3, padding="same")(y)])


@pattern(least=0)
def conv_two_bns(k: Any) -> Any:
    inputs = k.Input(IMAGE)
    x = k.layers.Conv2D(3, 3)(inputs)
    return k.Model(inputs, [bn_relu(k, x), bn_relu(k, x)])


@pattern(least=1)
def conv_two_consumers_one_bn(k: Any) -> Any:
    inputs = k.Input(IMAGE)
    x = k.layers.Conv2D(3, 3)(inputs)
    return k.Model(inputs, [bn_relu(k, x), k.layers.MaxPooling2D()(x)])


@pattern(least=0)
def shared_conv_and_shared_bn(k: Any) -> Any:
    a, b = k.Input(IMAGE), k.Input(IMAGE)
    conv, bn = k.layers.Conv2D(3, 3), k.layers.BatchNormalization()
    return k.Model([a, b], k.layers.Add()([k.layers.ReLU()(bn(conv(a))), bn(conv(b))]))


@pattern(least=0)
def shared_conv_two_bns(k: Any) -> Any:
    a, b = k.Input(IMAGE), k.Input(IMAGE)
    conv = k.layers.Conv2D(3, 3)
    return k.Model([a, b], [bn_relu(k, conv(a)), bn_relu(k, conv(b))])


@pattern(least=1)
def bn_is_an_output_and_goes_on(k: Any) -> Any:
    x = k.Input(IMAGE)
    y = k.layers.BatchNormalization()(k.layers.Conv2D(3, 3, activation="relu")(x))
    return k.Model(x, [y, k.layers.Conv2D(2, 2)(y)])


@pattern(least=0)
def gated_conv1d(k: Any) -> Any:
    x = k.Input((12, 4))
    y = k.layers.BatchNormalization()(k.layers.Conv1D(4, 3, padding="causal", dilation_rate=2)(x))
    gated = k.layers.Multiply()([k.layers.Activation("tanh")(y), k.layers.Activation("sigmoid")(y)])
    return k.Model(x, k.layers.Add()([x, gated]))


@pattern(least=0)
def upsampled_concat_conv(k: Any) -> Any:
    x = k.Input(IMAGE)
    low = k.layers.BatchNormalization()(k.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x))
    return k.Model(x, conv_1x1(k, k.layers.Concatenate()([k.layers.UpSampling2D()(low), conv_bn_relu(k, x)])))


def conv_1x1(k: Any, x: Any) -> Any:
    """A 1x1 convolution."""
    return k.layers.Conv2D(2, 1)(x)
