"""The course of a quantization-aware training, as a callback.

===================  =================================================================================
part of all steps    what happens
===================  =================================================================================
0 to `statistics`    everything is alive
at `statistics`      live BatchNorms get the statistics of the whole set through the quantized layers,
                     and keep them; gamma and beta go on learning
at `ranges`          ranges stay as they are
===================  =================================================================================

Sources: Krishnamoorthi 2018 (1806.08342) for the change to long-term statistics once training is stable; Wu and Johnson
2021 (2105.07576) for the freeze at the end; tensorflow/model-optimization#368 for ranges that must have converged.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from kerasbn import recalibrate
from kerasbn.arguments import Range, checks_arguments
from kerasbn.errors import InvalidArgumentError
from kerasbn.flavour import flavour_of
from kerasbn.quantized.ranges import RangeMixin, is_tuned

Part = Annotated[float, Range(0, 1)]
SAMPLES = 1000
"""How many samples statistics are renewed on, at most."""


@checks_arguments
def quantization_schedule(model: Any, samples: Any = None, *, statistics: Part = 0.5, ranges: Part = 0.8) -> Any:
    """A callback for ``fit``: see the table above.

    Args:
        model: A model of `quantize_aware`.
        samples: Inputs that statistics are renewed on, an array for each input; None keeps the averages of the
            training.
        statistics: After which part of the steps BatchNorms freeze; 1 for never.
        ranges: After which part of the steps ranges freeze; 1 for never.

    Raises:
        InvalidArgumentError: The model has no ranges.
    """
    if not is_tuned(model):
        raise InvalidArgumentError(f"Model {model.name!r} has no ranges; accepted: a model of quantize_aware.")
    base = flavour_of(model).keras.callbacks.Callback
    cls: Any = type("QuantizationSchedule", (Schedule, base), {})
    freezes = (statistics, partial(freeze_statistics, model, samples)), (ranges, partial(freeze_ranges, model))
    return cls(model, [(part, freeze) for part, freeze in freezes if part < 1])


class Schedule:
    """What happens after which part of a training.

    Args:
        tuned: The model.
        pending: Parts of all steps, each with what is done then.
    """

    params: dict[str, Any]

    def __init__(self, tuned: Any, pending: list[tuple[float, Callable[[], None]]]) -> None:
        super().__init__()
        self.tuned, self.pending, self.epoch = tuned, pending, 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras' signature
        """Before each epoch."""
        self.epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras' signature
        """Before each step. Where Keras does not know how many there are, whole epochs count."""
        part = (self.epoch + batch / (self.params.get("steps") or 1 << 62)) / self.params["epochs"]
        for entry in [entry for entry in self.pending if part >= entry[0]]:
            self.pending.remove(entry)
            entry[1]()
            self.tuned.make_train_function(force=True)  # traced again, with the layers as they are now


def freeze_statistics(model: Any, samples: Any) -> None:
    """Live BatchNorms get the statistics of some samples, and keep them."""
    flavour = flavour_of(model)
    kinds = (flavour.keras.layers.BatchNormalization, flavour.batch_normalization)
    live = [layer for layer in model.layers if isinstance(layer, kinds)]
    if live and samples is not None:
        some = [each[:SAMPLES] for each in samples] if isinstance(samples, (list, tuple)) else samples[:SAMPLES]
        recalibrate(model, some, force=True)
    for layer in live:
        object.__setattr__(layer, "call", partial(_at_inference, layer.call))


def _at_inference(call: Callable[..., Any], inputs: Any, **rest: Any) -> Any:
    """A BatchNorm with the statistics it has, whatever the model does."""
    return call(inputs, **{**rest, "training": False})


def freeze_ranges(model: Any) -> None:
    """Every range stays as it is."""
    for layer in model.layers:
        if isinstance(layer, RangeMixin):
            layer.freeze()
