"""To and from the stock layers of the two Kerases.

The weights have one order and one meaning in all of them, and so have the options that both sides know. What differs
is which variance ``moving_variance`` averages; ``unbiased_variance`` keeps that as it was.
"""

from __future__ import annotations

from typing import Any

from kerasbn.batch_normalization import BatchNormMixin
from kerasbn.errors import InvalidArgumentError, UnsupportedFeatureError
from kerasbn.flavour import flavour_of

SHARED = (
    "axis", "momentum", "epsilon", "center", "scale",
    "beta_initializer", "gamma_initializer", "moving_mean_initializer", "moving_variance_initializer",
    "beta_regularizer", "gamma_regularizer", "beta_constraint", "gamma_constraint",
    "synchronized", "name", "trainable", "dtype",
)  # fmt: skip
RENORM = ("renorm", "renorm_clipping", "renorm_momentum")


def from_stock(layer: Any) -> Any:
    """Our layer with the options, and if it is built the weights, of a stock layer of the same Keras.

    Raises:
        InvalidArgumentError: The layer is no stock ``BatchNormalization``.
    """
    flavour = flavour_of(layer)
    if flavour.stock_name(layer) != "BatchNormalization":
        raise InvalidArgumentError(
            f"Expected the stock BatchNormalization of Keras 3 or tf_keras, found {type(layer).__module__}."
            f"{type(layer).__qualname__} {layer.name!r}; a subclass may compute something else."
        )
    config = {**layer.get_config(), "synchronized": layer.synchronized}
    if layer.built:
        # With ghost batches the axis that tf_keras tells is one too high after building.
        config["axis"] = [each for each, size in enumerate(_input_shape(layer)) if size is not None]
    if flavour.name == "tf_keras":
        config["adjustment"] = layer.adjustment
        config["unbiased_variance"] = bool(layer.fused) if layer.built else None
    return _with_weights(flavour.batch_normalization.from_config(config), layer)


def to_stock(layer: Any) -> Any:
    """The stock layer of the same Keras with the options, and if it is built the weights, of kerasbn's layer.

    Raises:
        InvalidArgumentError: The layer is not kerasbn's.
        UnsupportedFeatureError: The layer has an option that the stock layer does not know.
    """
    if not isinstance(layer, BatchNormMixin):
        raise InvalidArgumentError(
            f"Expected kerasbn's BatchNormalization, found {type(layer).__module__}.{type(layer).__qualname__} "
            f"{getattr(layer, 'name', layer)!r}."
        )
    flavour, config = flavour_of(layer), layer.get_config()
    _check_known(layer, flavour.name)
    options = {key: config[key] for key in (*SHARED, *(RENORM if layer.renorm else ()))}
    if flavour.name == "tf_keras":
        plain = layer.fused is False or layer.unbiased_variance is False
        options["fused"] = False if plain else None
        options |= {"virtual_batch_size": layer.virtual_batch_size, "adjustment": layer.adjustment}
    return _with_weights(flavour.keras.layers.BatchNormalization.from_config(options), layer)


def _check_known(layer: Any, flavour: str) -> None:
    unknown = {
        "momentum": layer.momentum is None,
        "renorm_clipping": any(callable(bound) for bound in layer.renorm_clipping.values()),
    }
    if flavour == "keras":
        unknown["axis"] = not isinstance(layer.axis, int)
        unknown["virtual_batch_size"] = layer.virtual_batch_size is not None
        unknown["adjustment"] = layer.adjustment is not None
        unknown["unbiased_variance"] = bool(layer.unbiased_variance)
    elif layer.unbiased_variance:
        unknown["unbiased_variance"] = not (layer.built and layer.unbiased_in_stock)
    for option, found in unknown.items():
        if found:
            raise UnsupportedFeatureError(
                f"BatchNormalization layer {layer.name!r} has {option}={getattr(layer, option)!r}, which the stock "
                f"layer of {flavour} does not know; make a layer without it and copy the weights."
            )


def _with_weights(layer: Any, source: Any) -> Any:
    if source.built:
        layer.build(_input_shape(source))
        layer.set_weights(source.get_weights())
    return layer


def _input_shape(layer: Any) -> tuple[int | None, ...]:
    """The input shape as far as a built layer knows it: its channel axes."""
    rank = layer.input_spec.ndim
    sizes = {axis % rank: size for axis, size in layer.input_spec.axes.items()}
    return tuple(sizes.get(each) for each in range(rank))
