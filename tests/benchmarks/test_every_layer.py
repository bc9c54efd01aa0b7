"""`benchmarks/every_layer.py` in small: some rows, and that neither a class nor a fault can be passed over."""

from types import SimpleNamespace

import every_layer
import judged_model
import layer_table
import pytest
from every_layer import Row, build, prepare
from guarded import Died, run_guarded
from judged_model import Step, judge_model

from kerasbn.errors import ConversionError
from kerasbn_export.verification.records.outputs import Status

SPREAD = ("Conv1D", "EinsumDense heads", "GlobalMaxPooling3D", "activation softplus")


def judged(flavour, row, **options):
    return list(judge_model(lambda seed: build(flavour.name, row, "relu", seed), **options))


@pytest.mark.sweep
@pytest.mark.parametrize("row", SPREAD)
def test_a_spread_of_layers_has_no_fault(keras_flavour, row):
    steps = judged(keras_flavour, row)
    assert Row(row, steps=steps).faults == []
    assert {step.name for step in steps} >= {
        "folded",
        "float32 with data",
        "float16 without data",
        "int8 against stock",
    }


def test_every_class_and_activation_has_a_row(keras_flavour):
    keras = keras_flavour.keras
    rows = list(layer_table.rows(keras))
    listed = {name for name in dir(keras.layers) if not name.startswith("_")}
    classes = {name for name in listed if isinstance(getattr(keras.layers, name), type)} - {"InputSpec"}
    assert classes == {row.partition(" ")[0] for row in rows if not row.startswith("activation")}
    assert {"activation relu", "activation gelu", "activation softmax"} <= set(rows)
    assert len(set(rows)) == len(rows) > 120


def test_a_class_of_a_new_keras_has_a_row_at_once(keras_flavour, monkeypatch):
    class Mixing2D(keras_flavour.keras.layers.Conv2D):
        def __init__(self, filters, kernel_size):
            super().__init__(filters, kernel_size)

    monkeypatch.setattr(keras_flavour.keras.layers, "Mixing2D", Mixing2D, raising=False)
    assert "Mixing2D" in list(layer_table.rows(keras_flavour.keras))
    kinds = [type(layer).__name__ for layer in build(keras_flavour.name, "Mixing2D", "relu", 0).layers]
    assert kinds == ["InputLayer", "Conv2D", "BatchNormalization", "Mixing2D", "BatchNormalization", "Dense"]


def test_a_class_whose_arguments_nobody_knows_says_so(keras_flavour, monkeypatch):
    class Strange(keras_flavour.keras.layers.Layer):
        def __init__(self, mystery):
            super().__init__(name=mystery)

    monkeypatch.setattr(keras_flavour.keras.layers, "Strange", Strange, raising=False)
    (step,) = prepare(keras_flavour.name, "relu", ("float32",))("Strange")
    assert step.outcome == "absent"
    assert "mystery" in step.detail
    assert "mystery" in every_layer.text(Row("Strange", steps=[step]))


def test_an_activation_that_takes_more_or_gives_less_has_a_row(keras_flavour, monkeypatch):
    functions = keras_flavour.keras.activations
    monkeypatch.setattr(functions, "threshold", lambda x, threshold, _: functions.relu(x - threshold), raising=False)
    assert build(keras_flavour.name, "activation threshold", "bare", 0).output_shape == (None, 10, 10, 4)


@pytest.mark.either_keras
def test_a_wrong_file_is_seen(keras_flavour, monkeypatch):
    def wrong(_, path, **__):
        judged_model.stock_file(build(keras_flavour.name, "Dense", "relu", 7), path, "float32")

    monkeypatch.setattr(judged_model, "export_tflite", wrong)
    outcomes = {step.name: step.outcome for step in judged(keras_flavour, "Dense", precisions=("float32",))}
    assert outcomes == {
        "folded": "right",
        **dict.fromkeys(["float32", "float32 with data", "float32 without data"], "wrong"),
    }


@pytest.mark.either_keras
def test_a_verifier_that_says_no_to_everything_is_seen(keras_flavour, monkeypatch):
    no = SimpleNamespace(status=Status.DIFFERS, outputs=(), first_divergence=None)
    monkeypatch.setattr(judged_model, "verify", lambda *_, **__: no)
    steps = judged(keras_flavour, "Dense", precisions=("float32",))
    assert [step.outcome for step in steps] == ["right", "right", "false alarm", "false alarm"]


@pytest.mark.either_keras
@pytest.mark.parametrize(("error", "outcome"), [(ConversionError("no"), "refused"), (TypeError("no"), "crash")])
def test_a_refusal_is_no_crash(keras_flavour, monkeypatch, error, outcome):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr(judged_model, "export_tflite", fails)
    row = Row("Dense", steps=judged(keras_flavour, "Dense", precisions=("float32",)))
    assert row.outcome("float32") == outcome
    assert len(row.faults) == 1  # for the stock converter does not refuse it


def test_a_refusal_with_a_reason_is_no_fault_and_stands_on_the_page(monkeypatch):
    row = Row("Dense", steps=[Step("folded", "right"), Step("float32", "refused")])
    assert every_layer._group(row) == "**faults**"
    monkeypatch.setitem(every_layer.EXPLAINED, "Dense", "the reason")
    assert row.faults == []
    assert every_layer._group(row).endswith("what to do: the reason")


@pytest.mark.parametrize(
    ("draws", "outcome"),
    [((0.1,), "right"), ((-1.0, 0.4, 0.2, -0.2, 0.1), "right"), ((-1.0, -0.8, -1.1, -0.9, -1.0), "coarser")],
)
def test_one_draw_below_stock_is_chance_and_all_are_not(monkeypatch, draws, outcome):
    first, *others = draws
    following = iter(others)
    monkeypatch.setattr(judged_model, "_stock_sqnr", lambda *_: 30.0)
    monkeypatch.setattr(judged_model, "gain", lambda *_: next(following))
    (step,) = judged_model._compare_int8(None, 30.0 + first, None, 16, len(others))
    assert step.outcome == outcome


def test_a_process_that_dies_is_a_row_and_not_the_end():
    work = "lambda row: __import__('os').abort() if row == 'dies' else [row.upper()]"
    found = dict(run_guarded(eval, (work,), ["first", "dies", "last"]))
    assert (found["first"], found["last"]) == ("FIRST", "LAST")
    assert isinstance(found["dies"], Died)


def test_a_death_is_a_crash_of_whom_it_befell():
    row = Row("LSTM", steps=[Step("folded", "right"), Step("float32", "right")])
    assert every_layer._death(row, Died("died")).outcome == "crash"
    row.steps += [Step("int8", "refused")]
    assert every_layer._death(row, Died("died")) == Step("stock int8", "refused", "stock: died")
