"""A file that is not the model that was trained is named by `verify`: one fault at a time."""

from dataclasses import replace

import numpy as np
import pytest
from kerasbn_testing.tuning import every_place, images

from kerasbn.flavour import Flavour
from kerasbn.quantized.ranges import RangeMixin
from kerasbn_export import export_tflite, quantize_aware, verify
from kerasbn_export.quantization import agreement, tuned
from kerasbn_export.tflite.graph import TFLiteGraph
from kerasbn_export.verification.records.outputs import Status

pytestmark = pytest.mark.either_keras("pair")


@pytest.fixture(scope="module", params=["keras", "tf_keras"])
def pair(request, tmp_path_factory):
    rng = np.random.default_rng(5)
    model = quantize_aware(every_place(Flavour(request.param), rng), images(rng))
    path = tmp_path_factory.mktemp("agreement") / "m.tflite"
    export_tflite(model, path)
    return model, path, images(rng, 8)


def ranges(model):
    return {layer.name: layer for layer in model.layers if isinstance(layer, RangeMixin)}


def refused(pair):
    model, path, x = pair
    found = verify(model, path, data=x)
    assert found.outputs[0].status is Status.DIFFERS
    return found.outputs[0].reason


def test_the_right_file_passes(pair):
    model, path, x = pair
    assert verify(model, path, data=x)


def test_a_stale_average(pair):
    layer = ranges(pair[0])["sum_range"]
    low, high = layer.range
    layer.set_range(low, high * 1.01)
    try:
        assert "'sum_range'" in refused(pair)
    finally:
        layer.set_range(low, high)
    assert verify(pair[0], pair[1], data=pair[2])


def test_a_range_that_is_not_exported(pair, monkeypatch):
    """The file has a grid that no range of the model has."""
    whole = tuned.read_tuned(pair[0])
    name = next(iter(whole.grids))
    rest = {key: grid for key, grid in whole.grids.items() if key != name}
    monkeypatch.setattr(
        "kerasbn_export.verification.outputs.trained.read_tuned",
        lambda _: replace(whole, grids=rest),
    )
    assert "which is no range of the model" in refused(pair)


def test_a_quantizer_forgotten_on_one_side_of_a_sum(pair, monkeypatch, tmp_path):
    """A file made of a model in which one side of the sum has no range: it differs from the model that has it."""
    model, _, x = pair
    forgotten = ranges(model)["separable_range"]
    monkeypatch.setattr(type(forgotten), "call", without(type(forgotten).call, forgotten.name))
    unchecked(monkeypatch)
    export_tflite(model, tmp_path / "m.tflite")
    monkeypatch.undo()
    assert "'separable_range'" in refused((model, tmp_path / "m.tflite", x))


def unchecked(monkeypatch):
    """The export writes whatever comes out."""
    monkeypatch.setattr("kerasbn_export.export.trained.disagreements", lambda *_: ())
    monkeypatch.setattr("kerasbn_export.conversion.contract.Contract.breaches", lambda *_: ())


def without(call, name):
    """A range that lets one tensor pass as it is."""
    return lambda self, inputs, training=None: inputs if self.name == name else call(self, inputs, training=training)


def test_a_conversion_that_the_model_has_not(pair, monkeypatch):
    """The file goes once from one grid to another, for the tanh; a model that does not makes another file."""
    whole = tuned.read_tuned(pair[0])
    assert (whole.converted, whole.floats) == (1, ())
    monkeypatch.setattr("kerasbn_export.verification.outputs.trained.read_tuned", lambda _: replace(whole, converted=0))
    assert "1 times from one grid to another, the model 0 times" in refused(pair)


def test_float_inside_is_named_unless_a_layer_stays_in_float(rng, tmp_path, monkeypatch):
    keras = Flavour("keras").keras
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.LayerNormalization(name="norm")(keras.layers.Conv2D(4, 3)(inputs))
    model = keras.Model(inputs, keras.layers.Conv2D(2, 1)(x))
    trained = quantize_aware(model, images(rng), keep_float="norm")
    export_tflite(trained, tmp_path / "m.tflite")
    whole = tuned.read_tuned(trained)
    assert whole.floats == ("norm",)
    assert not list(agreement.disagreements(TFLiteGraph((tmp_path / "m.tflite").read_bytes(), "m"), whole))
    monkeypatch.setattr("kerasbn_export.verification.outputs.trained.read_tuned", lambda _: replace(whole, floats=()))
    assert "to float and back inside" in refused((trained, tmp_path / "m.tflite", images(rng, 8)))


def test_two_ranges_that_changed_places(pair, tmp_path):
    """Each is the grid of some tensor: the layers tell."""
    model, _, x = pair
    one, other = (ranges(model)[name] for name in ("activation_range", "separable_range"))
    ends = one.range, other.range
    one.set_range(*ends[1])
    other.set_range(*ends[0])
    export_tflite(model, tmp_path / "m.tflite")
    one.set_range(*ends[0])
    other.set_range(*ends[1])
    assert not verify(model, tmp_path / "m.tflite", data=x)


def test_a_channel_axis_wrong_by_one(pair, monkeypatch, tmp_path):
    model, _, x = pair
    right = tuned.on_grid
    monkeypatch.setattr(tuned, "on_grid", lambda kernel, kept: right(kernel, tuple(axis - 1 for axis in kept[:1])))
    unchecked(monkeypatch)
    export_tflite(model, tmp_path / "m.tflite")
    monkeypatch.undo()
    assert "kernel of" in refused((model, tmp_path / "m.tflite", x))


def test_the_export_itself_refuses_what_disagrees(pair, monkeypatch, tmp_path):
    from kerasbn.errors import ConversionError

    monkeypatch.setattr("kerasbn_export.export.trained.disagreements", lambda *_: ["a range is missing"])
    with pytest.raises(ConversionError, match="a range is missing"):
        export_tflite(pair[0], tmp_path / "m.tflite")
    assert not (tmp_path / "m.tflite").exists()


def test_only_a_few_are_listed():
    assert agreement.listed(map(str, range(7))) == "0; 1; 2; 3; 4; and 2 more"
