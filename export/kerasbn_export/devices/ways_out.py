"""What to do about an operation that a device does not have."""

from __future__ import annotations

_RELU = "Train with ReLU or ReLU6 in its place"
_BORDERS = "Leave it to your program before or behind the model"
_AFFINE = "Where it is what a BatchNorm left, its verdict says why: kerasbn inspect"
WAYS_OUT = {
    **dict.fromkeys(("ELU", "GELU", "HARD_SWISH", "LEAKY_RELU", "PRELU"), _RELU),
    **dict.fromkeys(("LOGISTIC", "TANH"), "In the network, train with ReLU in its place; at its end, leave it out"),
    **dict.fromkeys(("RELU", "RELU6", "RELU_N1_TO_1"), "Put it right behind a convolution or Dense, which fuses it"),
    **dict.fromkeys(("SOFTMAX", "LOG_SOFTMAX", "ARG_MAX", "TOPK_V2"), "End the model before it, with the logits"),
    **dict.fromkeys(("MUL", "ADD", "SUB", "DIV"), _AFFINE),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX"), "Pool the whole picture with AveragePooling2D or MaxPooling2D"),
    **dict.fromkeys(("TRANSPOSE", "GATHER", "CAST"), _BORDERS),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), "Learn it: Conv2DTranspose with strides"),
    **dict.fromkeys(("PAD", "PADV2", "MIRROR_PAD"), "Use padding='same' of the layer behind it"),
    **dict.fromkeys(("QUANTIZE", "DEQUANTIZE"), "At an end of the model, give and take integers: --io-dtype int8"),
    **dict.fromkeys(("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"), "Fix the batch and the size of the input"),
    "CONCATENATION": "Use Add in its place",
    "CONV_3D": "Use Conv2D over each slice",
    "TRANSPOSE_CONV": "Use UpSampling2D and Conv2D in its place",
}
"""Sentences, by the name of the operation."""
OTHERWISE = "Put all such operations at one end of the model, so that the rest stays in one part"


def way_out(op: str) -> str:
    """What to do where a device does not have an operation."""
    return f"{WAYS_OUT.get(op, OTHERWISE)}."
