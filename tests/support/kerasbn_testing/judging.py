"""Whether a folded model is the original: in float64 to the last digits, in float32 to what float32 can hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from kerasbn_export.capture import capture
from kerasbn_export.emit.emit import emit
from kerasbn_export.folding.fold import fold, plan
from kerasbn_export.folding.verdict import Action
from kerasbn_export.graph.batchnorm import KINDS, layer_kind


@dataclass(frozen=True)
class Judged:
    """A fold that passed: the model, its verdicts by the BatchNorm's name, and the largest relative errors."""

    model: object
    verdicts: dict
    error64: float
    error32: float


def flat(structure):
    """The leaves of a structure of tensors as numpy arrays."""
    return [np.asarray(tf.cast(leaf, tf.float64)) for leaf in tf.nest.flatten(structure, expand_composites=True)]


def run(model, data):
    """The outputs of a model, flat."""
    return flat(model(data))


def relative_error(outputs, reference):
    """The largest difference over the largest number, over all outputs."""
    assert len(outputs) == len(reference) > 0
    worst = 0.0
    for ours, theirs in zip(outputs, reference, strict=True):
        assert ours.shape == theirs.shape
        assert np.all(np.isfinite(theirs)), "the reference itself is not finite: nothing was compared"
        assert np.any(theirs != 0), "the reference is all zero: nothing was compared"
        worst = max(worst, float(np.max(np.abs(ours - theirs))) / float(np.max(np.abs(theirs))))
        if not np.all(np.isfinite(ours)):
            worst = np.inf
    return worst


def assert_folds(model, data, *, kept=(), float32=2e-5, float64=1e-9, original=2e-3):
    """Fold a model and judge everything that folding promises.

    Args:
        model: A model of either Keras with weights that mean something.
        data: What to call it on.
        kept: The names of the BatchNorms that stay, every other one must be gone; None to leave it to the rules.
        float32: The bound for the folded model against the float64 referee.
        float64: The bound for the algebra: the folded graph in float64 against the captured one in float64.
        original: The bound for the original against the referee; it catches a fault of the capture itself.
    """
    expected = run(model, data)
    before = state(model)
    result = fold(model)
    assert_unchanged(model, before)
    assert_same_interface(model, result.model)
    assert not {id(v) for v in model.weights} & {id(v) for v in result.model.weights}
    assert_verdicts(result, kept)
    reference = run(emit(capture(model), dtype="float64"), in_float64(data))
    error64 = relative_error(run(emit(plan(model).graph, dtype="float64"), in_float64(data)), reference)
    error32 = relative_error(run(result.model, data), reference)
    assert relative_error(expected, reference) <= original, "the captured model is not the original"
    assert error64 <= float64, f"folding changed the function by {error64:.2g}"
    assert error32 <= float32, f"the folded model in float32 is off by {error32:.2g}"
    assert_unchanged(model, before)
    return Judged(result.model, {verdict.layer: verdict for verdict in result.verdicts}, error64, error32)


def assert_verdicts(result, kept):
    """The verdicts name the kept ones, each with a reason, and the model holds as many BatchNorms as they say."""
    left = {verdict.layer for verdict in result.verdicts if not verdict.gone}
    assert kept is None or left == set(kept), {v.layer: (v.action.value, v.sentence) for v in result.verdicts}
    assert len({verdict.layer for verdict in result.verdicts}) == len(result.verdicts)
    for verdict in result.verdicts:
        assert (verdict.reason is None) is verdict.gone
        assert verdict.gone or verdict.sentence
    if not any(verdict.action in (Action.KEPT, Action.MERGED) for verdict in result.verdicts):
        assert not batchnorms(result.model)


def batchnorms(model):
    """The stock BatchNorm layers of a model, at any depth."""
    flavour = flavour_of_layer(model)
    return [layer for layer in model._flatten_layers() if layer_kind(flavour, layer) in KINDS]


def flavour_of_layer(layer):
    from kerasbn.flavour import flavour_of

    return flavour_of(layer)


def in_float64(data):
    """The same data with every float as float64."""

    def one(leaf):
        leaf = np.asarray(leaf)
        return leaf.astype("float64") if leaf.dtype.kind == "f" else leaf

    return tf.nest.map_structure(one, data)


def assert_same_interface(model, folded):
    """Inputs and outputs keep names, order, shapes and dtypes; subclassed models have none to keep."""
    if not getattr(model, "inputs", None) or not getattr(model, "outputs", None):
        return
    assert flavour_of_layer(folded) == flavour_of_layer(model)
    for old, new in zip(model.inputs, folded.inputs, strict=True):
        assert (tuple(old.shape), old.dtype) == (tuple(new.shape), new.dtype)
    assert input_names(model) == input_names(folded)
    assert output_names(model) == output_names(folded)
    for old, new in zip(model.outputs, folded.outputs, strict=True):
        assert old.dtype == new.dtype
        assert len(old.shape) == len(new.shape)
        assert all(a in (None, b) for a, b in zip(old.shape, new.shape, strict=True)), "a size was lost"
    if hasattr(model, "_inputs_struct") and hasattr(folded, "_inputs_struct"):
        assert skeleton(model._inputs_struct) == skeleton(folded._inputs_struct)
        assert skeleton(model._outputs_struct) == skeleton(folded._outputs_struct)
    if hasattr(model, "_nested_inputs"):
        assert skeleton(model._nested_inputs) == skeleton(folded._nested_inputs)
        assert skeleton(model._nested_outputs) == skeleton(folded._nested_outputs)


def input_names(model):
    """What the inputs are called: by the tensor in Keras 3, by the layer in tf_keras."""
    return list(getattr(model, "input_names", None) or [tensor.name for tensor in model.inputs])


def output_names(model):
    """What the outputs are called."""
    return list((getattr(model, "_functional", None) or model).output_names)


def skeleton(structure):
    """The structure without its leaves."""
    if isinstance(structure, dict):
        return {key: skeleton(value) for key, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        return [skeleton(value) for value in structure]
    return None


def assert_unchanged(model, before):
    """The model is in the state it was in."""
    now = state(model)
    for key, old in before.items():
        assert now[key] == old, f"folding changed the {key} of the given model"


def state(model):
    """Everything of a model that folding might change by mistake."""
    layers = [model, *model._flatten_layers(include_self=False, recursive=True)]
    return {
        "weights": [np.asarray(v).tobytes() for v in model.weights],
        "layers": [id(layer) for layer in layers],
        "attributes": [sorted(set(vars(layer)) - CACHES) for layer in layers],
        "plain": [sorted((k, v) for k, v in vars(layer).items() if type(v) in (int, str, bool)) for layer in layers],
        "nodes": [[len(n) for n in _nodes(layer)] for layer in layers],
        "losses": len(model.losses),
        "trainable": [layer.trainable for layer in layers],
    }


CACHES = {"_flattened_layers", "_cached_weights", "_obj_reference_counts_dict", "_self_unconditional_dependency_names"}
"""What Keras fills when it is only asked."""


def _nodes(layer):
    return [getattr(layer, "_inbound_nodes", ()), getattr(layer, "_outbound_nodes", ())]
