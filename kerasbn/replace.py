"""Every stock BatchNorm of a model replaced by kerasbn's: `replace_batchnorm`."""

from __future__ import annotations

from typing import Any

from kerasbn.errors import InvalidArgumentError, UnsupportedFeatureError, UnsupportedModelError
from kerasbn.flavour import Flavour, flavour_of, layers_inside

STOCK_NAMES = (None, "BatchNormalization")


def replace_batchnorm(model: Any) -> Any:
    """A new model with kerasbn's layer in the place of each stock ``BatchNormalization``, weights kept.

    Nested models and wrappers are opened. The given model is not changed and shares no weights with the result,
    which is not compiled.

    Raises:
        InvalidArgumentError: It is no model of either Keras.
        UnsupportedModelError: The model cannot be rebuilt from its config, or makes a BatchNorm in its own code.
        UnsupportedFeatureError: A layer has an ``adjustment``, which no config holds.
    """
    flavour = flavour_of(model)
    if not isinstance(model, flavour.keras.Model):
        raise InvalidArgumentError(f"Expected a model, found the layer {model.name!r} ({type(model).__name__}).")
    _check_adjustments(model)
    saving, _ = flavour.keras.saving, flavour.batch_normalization  # Importing the layer registers it.
    try:
        config = _replaced(saving.serialize_keras_object(model), flavour)
        config.pop("compile_config", None)
        rebuilt = saving.deserialize_keras_object(config, safe_mode=False)
    except (NotImplementedError, TypeError, ValueError) as error:
        raise UnsupportedModelError(
            f"Model {model.name!r} ({type(model).__name__}) cannot be rebuilt from its config: {error} Use kerasbn's "
            f"layer where its code makes one."
        ) from error
    left = [each.name for each in layers_inside(rebuilt) if flavour.stock_name(each) == "BatchNormalization"]
    if left:
        raise UnsupportedModelError(
            f"Model {model.name!r} makes BatchNormalization in its own code: {', '.join(left)}. Use kerasbn's layer "
            f"there."
        )
    rebuilt.set_weights(model.get_weights())
    return rebuilt


def _check_adjustments(model: Any) -> None:
    adjusted = [layer.name for layer in layers_inside(model) if getattr(layer, "adjustment", None) is not None]
    if adjusted:
        raise UnsupportedFeatureError(
            f"Model {model.name!r} has an adjustment in BatchNormalization {', '.join(adjusted)}: a function, which no "
            f"config holds and which would be lost. kerasbn.stock.from_stock keeps it; build the model with its layers."
        )


def _replaced(config: Any, flavour: Flavour) -> Any:
    if isinstance(config, list | tuple):
        return type(config)(_replaced(each, flavour) for each in config)
    if not isinstance(config, dict):
        return config
    config = {key: _replaced(value, flavour) for key, value in config.items()}
    stock = config.get("class_name") == "BatchNormalization" and config.get("registered_name") in (
        None,
        "BatchNormalization",
    )
    if not stock:
        return config
    # tf_keras' wrappers look their layer up by class_name alone.
    registered = "kerasbn>BatchNormalization"
    return {**config, "module": f"kerasbn.{flavour.name}", "class_name": registered, "registered_name": registered}
