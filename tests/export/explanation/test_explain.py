"""Every cause is found in a file that has it, and named first; a right file has nothing to mend."""

import json

import numpy as np
import pytest
from kerasbn_testing.bad_files import (
    images,
    make_uneven,
    plain,
    separable,
    with_one_scale,
    with_range,
    with_record,
)
from kerasbn_testing.sessions import start_anew

from kerasbn import recalibrate
from kerasbn.errors import InvalidArgumentError, ModelFileError
from kerasbn.flavour import Flavour
from kerasbn_export import explain, export_tflite
from kerasbn_export.cli.main import run
from kerasbn_export.explanation.causes import CAUSES
from kerasbn_export.explanation.ranking import is_harmless, ranked
from kerasbn_export.explanation.records import Costs, Finding
from kerasbn_models import digits_cnn

pytestmark = pytest.mark.either_keras

NETWORKS = (("keras", plain), ("tf_keras", separable))


class Bench:
    """A network with right statistics, its samples, and its files, each made once."""

    def __init__(self, name, build, folder):
        self.flavour, self.build, self.folder = Flavour(name), build, folder
        start_anew(self.flavour)
        self.flavour.keras.utils.set_random_seed(20261129)
        self.x, self._made = images(np.random.default_rng(20261129)), {}
        self.model = build(self.flavour)
        recalibrate(self.model, self.x)
        self.right = self.made("right")

    def made(self, name, model=None, **options):
        if name not in self._made:
            asked = {"precision": "int8", "calibration": self.x, "best": False, **options}
            asked = {key: value for key, value in asked.items() if value is not ...}
            result = export_tflite(model or self.model, self.folder / f"{name}.tflite", **asked)
            self._made[name] = result.path.read_bytes()
        return self._made[name]

    def file(self, content):
        path = self.folder / "bad.tflite"
        path.write_bytes(content)
        return path

    @property
    def uneven(self):
        if "uneven" not in self._made:
            model = self.build(self.flavour)
            model.set_weights(self.model.get_weights())
            self.made("uneven", make_uneven(model, 50))
        return self._made["uneven"]

    def with_sine(self):
        class Sine(self.flavour.keras.layers.Layer):
            def call(self, inputs):
                import tensorflow as tf

                return tf.sin(inputs)

        return self.build(self.flavour, middle=Sine())


@pytest.fixture(scope="module", params=NETWORKS, ids=["plain-keras", "separable-tf_keras"])
def bench(request, tmp_path_factory):
    return Bench(*request.param, tmp_path_factory.mktemp("files"))


FAULTS = {
    "calibration-samples": lambda b: with_record(b.right, calibration="random"),
    "one-scale": lambda b: with_one_scale(b.uneven),
    "channel-spread": lambda b: b.uneven,
    "clipped-range": lambda b: with_range(b.right, 1 / 8),
    "wide-activation": lambda b: with_range(b.right, 64),
    "softmax-output": lambda b: b.made("softmax", b.build(b.flavour, end="softmax")),
    "batchnorm-left": lambda b: b.made("unfolded", fold=False, best=...),
    "float-operation": lambda b: b.made("sine", b.with_sine()),
    "conversions": lambda b: with_record(b.made("float_ends", io_dtype="float32")),
    "dynamic-file": lambda b: with_record(b.made("dynamic", precision="dynamic", calibration=..., best=...)),
}


@pytest.mark.sweep
@pytest.mark.parametrize("cause", FAULTS)
def test_a_cause_is_found_and_named_first(bench, cause):
    found = explain(bench.file(FAULTS[cause](bench)), data=bench.x)
    assert next(iter(each.name for each in found.findings), "") == cause, found.findings
    assert (bool(found), found.exit_code, len(found.summary())) == (False, 1, 3)
    assert found.summary()[2].startswith("kerasbn ")
    assert found.findings[0].number


def test_a_range_of_the_input_that_does_not_fit_is_found(bench):
    for samples, shown in ((255 * bench.x, "samples lie from"), (bench.x / 255, "samples lie from")):
        found = explain(bench.file(bench.right), data=samples)
        assert found.findings[0].name == "input-range", found.findings
        assert shown in found.findings[0].number


def test_few_samples_are_found_by_the_record(bench):
    found = explain(bench.file(with_record(bench.right, calibration_samples=3)), data=bench.x)
    assert (found.findings[0].name, found.findings[0].number) == ("calibration-samples", "3 samples")


def test_statistics_that_were_never_updated_come_first(bench):
    fresh = bench.build(bench.flavour)
    found = explain(bench.file(with_range(bench.right, 1 / 8)), fresh)
    assert found.findings[0].name == "unfit-statistics"
    assert "never-updated" in found.findings[0].what
    assert found.missing == ("data",)


def test_a_right_file_has_nothing_to_mend(bench):
    path = bench.file(bench.right)
    found = explain(path, bench.model, bench.x)
    assert found.findings == ()
    assert (bool(found), found.exit_code, found.summary()[0]) == (True, 0, "Nothing to mend.")
    assert found.sqnr_db > 20
    alone = explain(path)
    assert (alone.findings, alone.exit_code, alone.missing) == ((), 2, ("reference", "data"))


def test_mending_is_measured_and_what_gives_nothing_is_no_cause(bench):
    mended = explain(bench.file(with_range(bench.right, 1 / 8)), bench.model, bench.x)
    first = mended.findings[0]
    assert (first.name, mended.exit_code) == ("clipped-range", 1)
    assert first.gain > 5
    assert f"mending gives +{first.gain:.1f} dB" in mended.summary()[1]
    assert mended.bound_db >= mended.sqnr_db + first.gain - 3
    harmless = explain(bench.file(with_record(bench.right, calibration_samples=31)), bench.model, bench.x)
    assert [each.name for each in harmless.harmless] == ["calibration-samples"]
    assert (harmless.findings, harmless.exit_code) == ((), 0)


def test_the_command_line_writes_json_and_html(bench, capsys):
    path, samples = bench.file(with_range(bench.right, 1 / 8)), bench.folder / "x <y>.npy"
    np.save(samples, bench.x)
    outputs = bench.folder / "out.json", bench.folder / "out.html"
    asked = ["--data", str(samples), "--json", str(outputs[0]), "--html", str(outputs[1])]
    assert run(["explain", str(path), *asked]) == 1
    lines = capsys.readouterr().out.splitlines()
    record = json.loads(outputs[0].read_text())
    assert lines[:3] == record["answer"]
    assert record["findings"][0]["name"] == "clipped-range"
    assert f"--calibration '{samples}'" in lines[2]
    page = outputs[1].read_text()
    assert "clipped-range" in page
    assert "<y>" not in page
    assert "x &lt;y&gt;.npy" in page


@pytest.mark.quick
def test_what_is_no_file_and_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(ModelFileError, match="no such file"):
        explain(tmp_path / "none.tflite")
    with pytest.raises(InvalidArgumentError, match="the Keras model that the file was made of"):
        explain(tmp_path / "none.tflite", "other.tflite")


def finding(name, **fields):
    return Finding(name, "", "", "", "", **fields)


@pytest.mark.quick
def test_what_costs_most_comes_first_and_a_consequence_behind_its_cause():
    some = [
        finding("speed", costs=Costs.SPEED),
        finding("root", gain=10.0),
        finding("consequence", gain=12.0, follows=("root",)),
        finding("worse", gain=11.0),
        finding("model", costs=Costs.MODEL),
    ]
    assert [each.name for each in ranked(some)] == ["model", "worse", "root", "consequence", "speed"]


@pytest.mark.quick
def test_only_what_was_mended_for_nothing_is_harmless():
    assert is_harmless(finding("a", gain=0.1))
    assert not is_harmless(finding("a", gain=0.6))
    assert not is_harmless(finding("a"))
    assert not is_harmless(finding("a", gain=0.1, costs=Costs.SPEED))


@pytest.mark.quick
def test_there_are_at_least_ten_causes():
    assert len(CAUSES) == 12


def test_the_network_of_the_demo_has_nothing_to_mend(keras_flavour, rng, tmp_path):
    model, x = digits_cnn(keras_flavour.name), rng.uniform(size=(64, 8, 8, 1)).astype("float32")
    recalibrate(model, x)
    path = export_tflite(model, tmp_path / "digits.tflite", precision="int8", calibration=x).path
    found = explain(path, model, x)
    assert (found.findings, found.exit_code) == ((), 0), found
