"""What folding may cost a quantized file is measured unasked, and undone where it does."""

import numpy as np
import pytest
from kerasbn_testing.judging import relative_error, run
from kerasbn_testing.statistics import data_for, randomise

from kerasbn_export import export_tflite, fold, verify
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.conversion.provenance import read_provenance
from kerasbn_export.export.forms import choose
from kerasbn_export.export.forms.search import SLACK, STOCK_SLACK
from kerasbn_export.export.options import ExportOptions
from kerasbn_export.export.prepared import converted, prepare
from kerasbn_export.export.scoring import JUDGING, scorer, some_of
from kerasbn_export.folding.verdict import Action, Reason, Verdict
from kerasbn_export.tflite.file import read_tflite

pytestmark = pytest.mark.either_keras


def costly(flavour, rng):
    """Branches that merge and an average that a BatchNorm passes: both may cost accuracy."""
    layers, norm = flavour.keras.layers, flavour.batch_normalization
    image = flavour.keras.Input((8, 8, 3), name="image")
    branches = [layers.Conv2D(3, size, padding="same")(image) for size in (3, 1)]
    x = layers.ReLU()(layers.Add()([norm(name=f"bn_{i}")(y) for i, y in enumerate([*branches, image])]))
    x = layers.ReLU()(norm(name="bn_average")(layers.AveragePooling2D(2)(layers.Conv2D(6, 3)(x))))
    return random(flavour.keras.Model(image, layers.Dense(5)(layers.GlobalAveragePooling2D()(x))), rng)


def harmless(flavour, rng):
    """BatchNorms that go into the layer right before them, as the stock converter has it."""
    layers, norm = flavour.keras.layers, flavour.batch_normalization
    image = flavour.keras.Input((8, 8, 3))
    x = layers.ReLU()(norm()(layers.Conv2D(6, 3)(layers.ReLU()(norm()(layers.Conv2D(4, 1)(image))))))
    return random(flavour.keras.Model(image, layers.Dense(5)(layers.GlobalAveragePooling2D()(x))), rng)


def random(model, rng):
    randomise(model, rng)
    return model


def export(model, folder, rng, **options):
    data = rng.normal(size=(16, 8, 8, 3)).astype("float32")
    return export_tflite(model, folder / "m.tflite", precision="int8", calibration=data, **options)


def scores(monkeypatch, *values):
    """Let the files that are measured have these SQNRs, in this order."""
    following = iter(values)
    monkeypatch.setattr(choose, "scorer", lambda *_: lambda _: next(following))


CASES = {  # as folded, in place, not folded, and what is looked for after these
    "folding costs nothing": ((30.0, 29.0, 28.0), "as folded"),
    "folding costs what is allowed": ((30.0, 30.0 + SLACK, 30.0 + STOCK_SLACK), "as folded"),
    "branches are enough": ((30.0, 31.0, 30.0, 30.8), "branches kept"),
    "averages are enough": ((30.0, 31.0, 30.0, 30.1, 31.0), "averages kept"),
    "nothing less is enough": ((30.0, 31.0, 30.0, 30.1, 30.2), "in place"),
    "stock is better than folded": ((30.0, 30.1, 30.5, 30.2, 30.4), "averages kept"),
    "stock is better than all": ((30.0, 30.1, 30.5, 30.2, 30.3), "not folded"),
    "no number is no reason": ((30.0, float("nan"), float("nan")), "as folded"),
}


@pytest.mark.sweep
@pytest.mark.parametrize("case", CASES)
def test_the_fastest_form_that_costs_nothing_is_taken(keras_flavour, rng, tmp_path, monkeypatch, case):
    values, taken = CASES[case]
    scores(monkeypatch, *values)
    result = export(costly(keras_flavour, rng), tmp_path, rng)
    assert [trial.sqnr_db for trial in result.trials] == pytest.approx(list(values), nan_ok=True)
    assert [trial.form for trial in result.trials if trial.taken] == [taken]
    record = read_provenance(read_tflite(result.path))
    assert [trial["form"] for trial in record["trials"] if trial["taken"]] == [taken]


def test_a_batchnorm_that_stays_for_it_says_so(keras_flavour, rng, tmp_path, monkeypatch):
    model = costly(keras_flavour, rng)
    gone = {verdict.layer for verdict in fold(model, precision="int8").verdicts if verdict.gone}
    scores(monkeypatch, 30.0, 31.0, 30.0, 30.1, 30.2)
    result = export(model, tmp_path, rng)
    stay = {verdict.layer: verdict for verdict in result.verdicts if not verdict.gone}
    assert stay.keys() & gone == {"bn_2", "bn_average"}
    for name in ("bn_2", "bn_average"):
        assert stay[name].reason is Reason.COARSER
        assert "a file with all folded has 30.0 dB on the calibration samples, and this form (in place) 31.0 dB" in (
            stay[name].sentence
        )
    report = verify(model, result.path, data=rng.normal(size=(8, 8, 8, 3)).astype("float32"))
    assert report, report.verdict


@pytest.mark.sweep
@pytest.mark.parametrize("options", [{"best": False}, {"strict": True}, {"select_ops": True}, {"fold": False}], ids=str)
def test_where_there_is_no_choice_nothing_is_measured(keras_flavour, rng, tmp_path, monkeypatch, options):
    scores(monkeypatch)
    assert export(costly(keras_flavour, rng), tmp_path, rng, **options).trials == ()


def test_strict_leaves_out_the_forms_in_which_a_batchnorm_stays(keras_flavour, rng, tmp_path):
    result = export(costly(keras_flavour, rng), tmp_path, rng, best=True, strict=True)
    assert not {trial.form for trial in result.trials} & choose.UNDONE.keys()
    assert all(verdict.gone for verdict in result.verdicts)


def test_what_cannot_cost_anything_is_not_measured(keras_flavour, rng, tmp_path, monkeypatch):
    scores(monkeypatch)
    assert export(harmless(keras_flavour, rng), tmp_path, rng).trials == ()


@pytest.mark.parametrize(
    ("verdict", "costs"),
    [
        ({"direction": "backward"}, False),
        ({"direction": "forward"}, True),
        ({"direction": "both"}, True),
        ({"direction": "both", "rules": ("magnitude", "forward")}, False),
        ({"direction": "both", "rules": ("magnitude", "forward"), "ops_before": 4}, True),  # of two calls, perhaps one
        ({"direction": "backward", "note": "coarser"}, True),
    ],
    ids=str,
)
def test_what_may_cost(verdict, costs):
    assert choose._may_cost(Verdict("bn", Action.FOLDED, **verdict)) is costs


def test_float_files_have_one_form(keras_flavour, rng, tmp_path, monkeypatch):
    scores(monkeypatch)
    assert export_tflite(costly(keras_flavour, rng), tmp_path / "m.tflite").trials == ()


def test_the_numbers_are_those_of_the_files(keras_flavour, rng, tmp_path):
    model, data = costly(keras_flavour, rng), rng.normal(size=(16, 8, 8, 3)).astype("float32")
    result = export_tflite(model, tmp_path / "m.tflite", precision="int8", calibration=data)
    (taken,) = (trial for trial in result.trials if trial.taken)
    assert scorer(model, Calibration((data,), "array"))(result.path.read_bytes()) == pytest.approx(taken.sqnr_db)
    best = max(trial.sqnr_db for trial in result.trials)
    assert taken.sqnr_db >= best - SLACK or taken.form == "as folded"
    folded = export_tflite(model, tmp_path / "f.tflite", precision="int8", calibration=data, best=False)
    first = scorer(model, Calibration((data,), "array"))(folded.path.read_bytes())
    assert first == pytest.approx(result.trials[0].sqnr_db)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_in_place_nothing_goes_forward(keras_flavour, rng, precision):
    model = costly(keras_flavour, rng)
    found = fold(model, precision=precision, **choose.UNDONE["in place"])
    verdicts = {verdict.layer: verdict for verdict in found.verdicts}
    assert {verdict.direction for verdict in found.verdicts} <= {"backward", None}
    assert not any(verdict.note for verdict in found.verdicts)
    assert (verdicts["bn_0"].gone, verdicts["bn_1"].gone, verdicts["bn_2"].gone) == (True, True, False)
    data = data_for(model, rng)
    assert relative_error(run(found.model, data), run(model, data)) < 1e-5


def test_all_samples_up_to_a_number_judge():
    few, many = (Calibration((np.arange(count),), "array") for count in (3, 1000))
    assert some_of(few).arrays[0].tolist() == [0, 1, 2]
    some = some_of(many).arrays[0]
    assert len(some) == JUDGING
    assert (some[0], some[-1]) == (0, 999)


@pytest.mark.parametrize(("kind", "action"), [("Conv1D", Action.KEPT), ("Conv2D", Action.FOLDED)])
def test_the_stock_converters_form_says_what_its_file_has_left(keras_flavour, kind, action):
    """It adds the bias of a Conv1D behind a RESHAPE, and may leave the BatchNorm behind that where it is."""
    layers = keras_flavour.keras.layers
    x = keras_flavour.keras.Input((12, 6) if kind == "Conv1D" else (12, 12, 6))
    y = layers.BatchNormalization(name="norm")(getattr(layers, kind)(4, 3, name="conv")(x))
    end = layers.Multiply()([y, layers.Dense(1)(y)]) if kind == "Conv1D" else layers.ReLU()(y)
    model = keras_flavour.keras.Model(x, end)
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in model.get_weights()])
    options = ExportOptions(precision="int8")
    samples = Calibration((rng.normal(size=(8, *x.shape[1:])).astype("float32"),), "array")
    stock = choose._form(choose.STOCK, model, prepare(model, options), options)
    made = converted(stock, options, samples, lambda _: None)
    assert [verdict.action for verdict in choose._as_it_left(stock, made).verdicts] == [action]
