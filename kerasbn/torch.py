"""To and from PyTorch's ``BatchNorm1d``, ``BatchNorm2d`` and ``BatchNorm3d``.

The two count momentum from opposite ends: PyTorch's is the share of the new value, Keras' that of the old one.
PyTorch averages the unbiased variance. The channel axis of its inputs is 1. PyTorch is imported when it is needed.

Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from kerasbn.arguments import Range, checks_arguments
from kerasbn.errors import InvalidArgumentError, UnsupportedFeatureError
from kerasbn.flavour import Flavour

Whole = Annotated[int, Range()]
Rank = Annotated[int, Range(2, 5)]
CLASSES = {2: "BatchNorm1d", 3: "BatchNorm1d", 4: "BatchNorm2d", 5: "BatchNorm3d"}


@checks_arguments
def from_torch(
    module: Any, flavour: str = "keras", *, axis: Whole = 1, rank: Rank | None = None, **options: Any
) -> Any:
    """Our layer, built, with the options and weights of a PyTorch BatchNorm.

    Args:
        module: A ``BatchNorm1d``, ``BatchNorm2d`` or ``BatchNorm3d``.
        flavour: ``"keras"`` or ``"tf_keras"``.
        axis: The channel axis of the Keras inputs: 1 as in PyTorch, or -1.
        rank: Of the Keras inputs; needed for ``BatchNorm1d`` on sequences (3), else 2, 4 or 5 by the class.
        **options: More constructor arguments, as ``name``.

    Raises:
        InvalidArgumentError: The module is of another class, or an argument is not accepted.
        UnsupportedFeatureError: The module keeps no running statistics: Keras' layer always does.
    """
    name = type(module).__name__
    if name not in CLASSES.values():
        raise InvalidArgumentError(f"Expected one of {', '.join(sorted(set(CLASSES.values())))}, found {name}.")
    if module.running_mean is None:
        raise UnsupportedFeatureError(f"{name} has track_running_stats=False; kerasbn's layer always keeps averages.")
    layer = Flavour(flavour).batch_normalization(
        axis=axis,
        momentum=None if module.momentum is None else 1.0 - module.momentum,
        epsilon=module.eps,
        center=module.bias is not None,
        scale=module.weight is not None,
        unbiased_variance=True,
        **options,
    )
    shape: list[int | None] = [None] * (rank or {"BatchNorm1d": 2, "BatchNorm2d": 4, "BatchNorm3d": 5}[name])
    if not -len(shape) <= axis < len(shape):
        raise InvalidArgumentError(f"axis={axis} for inputs of rank {len(shape)}; accepted: 1 or -1.")
    shape[axis] = module.num_features
    layer.build(tuple(shape))
    weights = [module.weight, module.bias, module.running_mean, module.running_var]
    weights += [module.num_batches_tracked] if module.momentum is None else []
    layer.set_weights([each.detach().cpu().numpy() for each in weights if each is not None])
    return layer


def to_torch(layer: Any) -> Any:
    """The PyTorch BatchNorm with the options and weights of kerasbn's layer, whatever its channel axis is.

    A missing gamma or beta becomes ones or zeros that no gradient reaches.

    Raises:
        InvalidArgumentError: The layer is not built, or PyTorch has no class for its inputs.
        UnsupportedFeatureError: The layer has an option that PyTorch does not know.
    """
    import torch

    if (
        not layer.built
        or layer.moving_mean.shape[0] != np.size(layer.moving_mean)
        or layer.input_spec.ndim not in CLASSES
    ):
        raise InvalidArgumentError(
            f"BatchNormalization layer {layer.name!r} must be built, with one channel axis and inputs of rank 2 to 5."
        )
    for option in ("renorm", "virtual_batch_size", "adjustment", "synchronized"):
        if getattr(layer, option):
            raise UnsupportedFeatureError(
                f"BatchNormalization layer {layer.name!r} has {option}={getattr(layer, option)!r}, which PyTorch's "
                f"BatchNorm does not know; make a layer without it and copy the weights."
            )
    channels, affine = int(np.size(layer.moving_mean)), layer.center or layer.scale
    momentum = None if layer.momentum is None else 1.0 - layer.momentum
    module = getattr(torch.nn, CLASSES[layer.input_spec.ndim])(channels, layer.epsilon, momentum, affine)
    pairs = [(module.weight, layer.gamma), (module.bias, layer.beta)] if affine else []
    pairs += [(module.running_mean, layer.moving_mean), (module.running_var, layer.moving_variance)]
    pairs += [(module.num_batches_tracked, layer.batches)]
    with torch.no_grad():
        for target, source in pairs:
            if source is not None:
                target.copy_(torch.from_numpy(np.asarray(source.numpy())).reshape(target.shape))
            elif target.requires_grad:
                target.requires_grad_(False)
    return module
