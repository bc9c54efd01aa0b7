"""Inputs and outputs go by name: whatever the structure, order or names, every number goes to the right end."""

from collections import OrderedDict, namedtuple

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils
from kerasbn_testing.statistics import randomise

from kerasbn.errors import (
    CalibrationError,
    ConversionError,
    InvalidArgumentError,
    NotComparableError,
    UnsupportedModelError,
)
from kerasbn_export import export_tflite, verify
from kerasbn_export.calibration.named_arrays import in_order
from kerasbn_export.calibration.samples import read_calibration
from kerasbn_export.cli.main import run
from kerasbn_export.ends import ModelInput
from kerasbn_export.export.forms.bias_correction import corrected
from kerasbn_export.graph.structure import distinct, leaves
from kerasbn_export.program.program import functional_program
from kerasbn_export.tflite.file import read_tflite
from kerasbn_export.verification.sides.matching import match_ports
from kerasbn_export.verification.sides.ports import Port

pytestmark = pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")  # Keras 3, of keys that differ
COUNT = 24
Pair = namedtuple("Pair", "zoom area")


class Builder:
    """Makes models of one Keras out of Dense and BatchNormalization, so that they convert fast."""

    def __init__(self, flavour):
        self.flavour, self.keras, self.layers = flavour, flavour.keras, flavour.keras.layers

    def input(self, name, size=4, dtype="float32"):
        return self.keras.Input((size,), name=name, dtype=dtype)

    def trunk(self, *inputs):
        parts = [self.layers.ReLU()(self.flavour.batch_normalization()(self.layers.Dense(6)(x))) for x in inputs]
        return self.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]

    def embedded(self, ids):
        return self.layers.Flatten()(self.layers.Embedding(20, 3)(ids))

    def heads(self, x, *names):
        return [self.layers.Dense(4, name=name)(x) for name in names]

    def model(self, inputs, outputs):
        return self.keras.Model(inputs, outputs)


def three_outputs_of_one_shape(b):
    x = b.input("x")
    return b.model(x, b.heads(b.trunk(x), "zz", "mm", "aa"))


def ids_beside_numbers_of_another_shape(b):
    numbers, ids = b.input("zeta"), b.input("age", 1, "int32")
    x = b.trunk(b.layers.Concatenate()([numbers, b.embedded(ids)]))
    return b.model([numbers, ids], b.heads(x, "b", "a"))


def tokens_before_numbers(b):
    tokens, numbers = b.input("tokens", 5, "int32"), b.input("image", 8)
    return b.model([tokens, numbers], b.heads(b.trunk(b.embedded(tokens), numbers), "b", "a"))


def nested_outputs(b):
    x = b.input("x")
    p, q, r = b.heads(b.trunk(x), "h1", "h2", "h3")
    return b.model(x, {"z": [p, q], "y": {"q": r}})


def a_named_tuple_in_a_dict(b):
    x = b.input("x")
    p, q, r = b.heads(b.trunk(x), "h1", "h2", "h3")
    return b.model(x, {"z": Pair(p, q), "k": r})


def a_list_of_inputs_against_the_alphabet(b):
    inputs = [b.input("zeta"), b.input("alpha"), b.input("mid", 7)]
    return b.model(inputs, b.heads(b.trunk(*inputs), "o2", "o1"))


def nested_inputs(b):
    first, second, meta = b.input("zeta"), b.input("alpha"), b.input("mid", 5)
    return b.model({"pics": [first, second], "meta": meta}, b.heads(b.trunk(first, second, meta), "o2", "o1"))


def keys_that_are_other_layers_names(b):
    first, second = b.input("left"), b.input("right")
    p, q = b.heads(b.trunk(first, second), "up", "down")
    return b.model({"left": second, "right": first}, {"up": q, "down": p})


def names_that_begin_alike(b):
    inputs = [b.input(name) for name in ("input_10", "input_2", "input_1")]
    return b.model(inputs, b.heads(b.trunk(*inputs), "o_10", "o_2", "o_1"))


def names_that_no_identifier_has(b):
    names = ("a/b", "a_b", "1st") if b.flavour.name == "tf_keras" else ("a-b", "a_b", "1st")
    inputs = [b.input(name) for name in names]
    return b.model(inputs, b.heads(b.trunk(*inputs), *(f"{name}x" for name in names)))


def names_with_colons(b):
    inputs = [b.input("b:1"), b.input("a:0")]
    return b.model(inputs, b.heads(b.trunk(*inputs), "p", "o"))


def one_tensor_as_two_outputs(b):
    x = b.input("x")
    p, q = b.heads(b.trunk(x), "d", "c")
    return b.model(x, [p, q, p])


def one_tensor_under_two_keys(b):
    x = b.input("x")
    p, q = b.heads(b.trunk(x), "d", "c")
    return b.model(x, {"y": p, "x": q, "a": p})


def an_input_that_is_an_output(b):
    first, second = b.input("zeta"), b.input("alpha")
    (p,) = b.heads(b.trunk(first, second), "p")
    return b.model({"zeta": first, "alpha": second}, {"same": second, "p": p})


def a_model_of_several_outputs_inside(b):
    x, y = b.input("one"), b.input("two")
    inner = b.model({"one": x, "two": y}, {"z": b.trunk(x), "b": b.trunk(y)})
    p, q = b.input("p"), b.input("b")
    given = inner({"one": q, "two": p})
    return b.model([p, q], [*b.heads(given["z"], "q"), *b.heads(given["b"], "o")])


def outputs_of_a_model_inside(b):
    x = b.input("inner")
    inner = b.model(x, b.heads(b.trunk(x), "t", "s"))
    y = b.input("outer")
    return b.model(y, inner(y))


def a_subclass_with_dicts(b):
    class Net(b.keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = b.layers.Dense(6), b.layers.Dense(6)
            self.norms = [b.flavour.batch_normalization(), b.flavour.batch_normalization()]
            self.p, self.q = b.layers.Dense(4), b.layers.Dense(4)

        def call(self, given):
            x = b.layers.Add()([self.norms[0](self.first(given["zeta"])), self.norms[1](self.second(given["alpha"]))])
            return {"z": self.p(x), "a": self.q(x)}

    net = Net()
    net({"zeta": np.zeros((2, 4), "float32"), "alpha": np.zeros((2, 5), "float32")})
    return net


MODELS = {
    three_outputs_of_one_shape: "int8",
    ids_beside_numbers_of_another_shape: "int8",
    tokens_before_numbers: "dynamic",
    nested_outputs: "int8",
    a_named_tuple_in_a_dict: "float16",
    a_list_of_inputs_against_the_alphabet: "int8",
    nested_inputs: "int16x8",
    keys_that_are_other_layers_names: "int8",
    names_that_begin_alike: "int8",
    names_that_no_identifier_has: "int16x8",
    names_with_colons: "int8",
    one_tensor_as_two_outputs: "int8",
    one_tensor_under_two_keys: "float32",
    an_input_that_is_an_output: "int8",
    a_model_of_several_outputs_inside: "int8",
    outputs_of_a_model_inside: "float32",
    a_subclass_with_dicts: "int8",
}
"""Every precision on some structure; int8, which measures ranges and chooses forms, on most."""


@pytest.fixture
def builder(keras_flavour):
    return Builder(keras_flavour)


def drawn(structure, rng):
    """Samples for every input, in the structure of the inputs."""
    if isinstance(structure, dict):
        return {key: drawn(value, rng) for key, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        return [drawn(value, rng) for value in structure]
    shape = (COUNT, *structure.shape[1:])
    whole = "int" in str(structure.dtype)
    return rng.integers(0, 20, shape).astype("int32") if whole else rng.uniform(-1, 1, shape).astype("float32")


def given(model, rng):
    if hasattr(model, "norms"):
        sizes = {"zeta": 4, "alpha": 5}
        return {name: rng.uniform(-1, 1, (COUNT, size)).astype("float32") for name, size in sizes.items()}
    return drawn(model.input, rng)


def answers(path, arrays):
    """What the file gives for arrays in the order of its inputs, by the names of its outputs."""
    names, runner = read_tflite(path).input_names, Interpreter(str(path)).get_signature_runner()
    rows = [runner(**{n: a[i : i + 1] for n, a in zip(names, arrays, strict=True)}) for i in range(COUNT)]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def decibels(wanted, found):
    noise = np.mean(np.square(wanted.astype("float64") - found))
    return 10 * np.log10(np.mean(np.square(wanted.astype("float64"))) / max(noise, 1e-30))


def exported(model, folder, precision, data):
    ranges = {"calibration": data, "io_dtype": "float32"} if precision in ("int8", "int16x8") else {}
    return export_tflite(model, folder / "m.tflite", precision=precision, **ranges).path


@pytest.mark.either_keras
@pytest.mark.sweep
@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_every_number_is_at_the_right_end(builder, rng, tmp_path, make):
    model, precision = make(builder), MODELS[make]
    randomise(model, rng)
    data = given(model, rng)
    arrays, wanted = list(leaves(data)), list(leaves(model.predict(data, verbose=0)))
    path = exported(model, tmp_path, precision, data)
    found = answers(path, arrays)
    for name, want in zip(read_tflite(path).output_names, wanted, strict=True):
        assert decibels(want, found[name]) > (110 if precision == "float32" else 20), name
    by_name = dict(zip(read_tflite(path).input_names, arrays, strict=True))
    report = verify(model, path, data=data)
    assert report, report.verdict
    assert {match.by for match in (*report.inputs, *report.matches)} == {"name"}
    for form in (arrays, by_name):
        assert verify(model, path, data=form, layers=False)


def test_names_are_keys_where_the_model_has_keys(builder):
    def names(program):
        return [[end.name for end in side] for side in (program.inputs, program.outputs)]

    crossed = functional_program(keys_that_are_other_layers_names(builder))
    assert names(crossed) == [["left", "right"], ["down", "up"]]
    assert [end.aliases for end in crossed.outputs] == [("up",), ("down",)]
    assert names(functional_program(one_tensor_under_two_keys(builder)))[1] == ["a", "x", "y"]
    nested = functional_program(nested_inputs(builder))
    assert [end.names for end in nested.inputs] == [("mid", "meta"), ("zeta", "pics"), ("alpha", "pics_1")]


def test_an_ordered_dict_keeps_its_names(builder, rng, tmp_path):
    """Keras 3 lists the tensors of an ordered dict in its own order, and those of a dict by the alphabet."""
    x = builder.input("x")
    p, q = builder.heads(builder.trunk(x), "o1", "o2")
    model = builder.model(x, OrderedDict(yy=p, cc=q))
    randomise(model, rng)
    data = drawn(x, rng)
    wanted = model.predict(data, verbose=0)
    path = export_tflite(model, tmp_path / "m.tflite").path
    for name, found in answers(path, [data]).items():
        assert decibels(wanted[name], found) > 110
    assert verify(model, path, data=data)


def test_a_number_behind_a_name_is_one_that_no_name_ends_in():
    assert list(distinct(["d", "d", "d_1", "c"])) == ["d", "d_2", "d_1", "c"]


@pytest.mark.either_keras
def test_every_form_of_a_quantized_file_is_scored_by_name(builder, rng, tmp_path):
    """Inputs of different shapes whose alphabet is not their order: by position no form could be run."""
    first, second = builder.input("zeta"), builder.input("alpha", 7)
    model = builder.model([first, second], builder.heads(builder.trunk(first, second), "zz", "aa"))
    randomise(model, rng)
    data = {"alpha": drawn(second, rng), "zeta": drawn(first, rng)}
    result = export_tflite(model, tmp_path / "m.tflite", precision="int8", calibration=data, best=True)
    assert min(trial.sqnr_db for trial in result.trials) > 20
    assert verify(model, result.path, data=data)


@pytest.mark.either_keras
def test_bias_correction_feeds_both_files_by_name(builder, rng, tmp_path):
    """Two inputs of one shape and other ranges: swapped, the means would be those of another input."""
    first, second = builder.input("zeta"), builder.input("alpha")
    model = builder.model([first, second], builder.heads(builder.trunk(first, second), "p"))
    randomise(model, rng)
    data = [drawn(first, rng), drawn(second, rng) * 20 + 7]
    exact = export_tflite(model, tmp_path / "f.tflite").path.read_bytes()
    path = exported(model, tmp_path, "int8", data)
    samples = read_calibration(data, [ModelInput(name, (None, 4), "float32") for name in ("zeta", "alpha")])
    wanted, as_converted = model.predict(data, verbose=0), answers(path, data)["p"]
    path.write_bytes(corrected(path.read_bytes(), exact, samples).data)
    assert decibels(wanted, answers(path, data)["p"]) > decibels(wanted, as_converted) - 1


def swapped(path, side, first, second):
    """A copy of the file with the tensors of two names exchanged in its signature."""
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(path.read_bytes()))
    ends = {end.name.decode(): end for end in getattr(model.signatureDefs[0], side)}
    a, b = ends[first], ends[second]
    a.tensorIndex, b.tensorIndex = b.tensorIndex, a.tensorIndex
    copy = path.with_name("swapped.tflite")
    copy.write_bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    return copy


@pytest.mark.either_keras
@pytest.mark.sweep
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_swapped_ends_of_one_shape_are_caught_and_named(builder, rng, tmp_path, precision):
    first, second = builder.input("zeta"), builder.input("alpha")
    model = builder.model({"zeta": first, "alpha": second}, builder.heads(builder.trunk(first, second), "c", "b", "a"))
    randomise(model, rng)
    data = given(model, rng)
    path = exported(model, tmp_path, precision, data)
    assert verify(model, path, data=data)
    for side, first, second in (("outputs", "a", "b"), ("outputs", "a", "c"), ("inputs", "zeta", "alpha")):
        report = verify(model, swapped(path, side, first, second), data=data)
        assert report.exit_code == 1
        if side == "outputs":
            assert {output.name for output in report.outputs if not output} == {first, second}
        (note,) = [note for note in report.notes if "changed places" in note]
        assert note.startswith(side)
        assert f"{first!r} is the candidate's {second!r}" in note
        assert f"{second!r} is the candidate's {first!r}" in note


def test_a_wrong_number_is_no_change_of_places(builder, rng):
    x = builder.input("x")
    model = builder.model(x, builder.heads(builder.trunk(x), "b", "a"))
    other = builder.keras.models.clone_model(model)
    randomise(model, rng)
    randomise(other, rng)
    report = verify(model, other)
    assert not report
    assert not any("changed places" in note for note in report.notes)


def ends(*names, sizes=None, **options):
    return [Port(n, (None, (sizes or {}).get(n, 4)), "float32", **options) for n in names]


@pytest.mark.parametrize(
    ("reference", "candidate", "pairs", "by"),
    [
        (ends("a", "b", "c"), ends("c", "a", "b"), (1, 2, 0), "name name name"),
        (ends("a", "b", "c"), ends("b", "x", "a"), (2, 0, 1), "name name order"),
        (ends("a", "b"), ends("x", "y"), (0, 1), "order order"),
        (ends("a", "b"), ends("output_10", "output_9"), (1, 0), "order order"),
        (ends("a", "b", sizes={"b": 7}), ends("x", "y", sizes={"x": 7}), (1, 0), "shape shape"),
        ([Port("up", (None, 4), "float32", aliases=("down",)), Port("down", (None, 4), "float32", aliases=("up",))],
         ends("down", "up"), (1, 0), "name name"),
        ([Port("p", (None, 4), "float32", aliases=("z",)), Port("q", (None, 4), "float32", aliases=("y",))],
         ends("y", "z"), (1, 0), "name name"),
        (ends("dense", "dense_1", made_up=True), ends("dense_1", "dense_2"), (0, 1), "order order"),
        (ends("dense", "dense_1"), ends("dense_1", "dense_2"), (1, 0), "order name"),
        (ends("dense", "dense_1", made_up=True), ends("dense_1", "dense"), (1, 0), "name name"),
    ],
)  # fmt: skip
def test_a_name_in_common_decides(reference, candidate, pairs, by):
    found, matches = match_ports(reference, candidate, "output")
    assert found == pairs
    assert [match.by for match in matches] == by.split()


def test_equal_names_of_other_shapes_are_not_compared_by_shape():
    reference, candidate = ends("a", "b", sizes={"a": 7}), ends("a", "b", sizes={"b": 7})
    with pytest.raises(NotComparableError, match="ends of one name belong together"):
        match_ports(reference, candidate, "output")
    made_up = ends("dense", "dense_1", sizes={"dense": 7}, made_up=True)
    assert match_ports(made_up, ends("dense", "dense_1", sizes={"dense_1": 7}), "output")[0] == (1, 0)


NESTED = [("mid", "meta"), ("zeta", "pics"), ("alpha", "pics_1")]
A, B, C = (np.full((2, 3), value) for value in (1.0, 2.0, 3.0))


@pytest.mark.parametrize(
    "data",
    [
        [C, A, B],
        {"zeta": A, "mid": C, "alpha": B},
        {"pics": [A, B], "meta": C},
        {"pics": A, "pics_1": B, "meta": C},
        {"meta": C, "zeta": A, "pics_1": B},
        [C, [A, B]],
    ],
)
def test_data_in_every_form_end_at_the_right_input(data):
    found = in_order(data, NESTED)
    assert [array[0, 0] for array in found] == [3.0, 1.0, 2.0]


@pytest.mark.parametrize("data", [[A, B], {"zeta": A, "alpha": B}, {"zeta": A, "pics": A, "mid": C}, {"x": A}, A])
def test_data_that_do_not_name_every_input_once_are_no_data(data):
    assert in_order(data, NESTED) is None


def test_an_alias_of_two_inputs_is_none():
    assert in_order({"a": A, "b": B}, [("p", "a"), ("b", "a")]) is None


def test_data_of_another_name_are_refused(builder, tmp_path):
    model = a_list_of_inputs_against_the_alphabet(builder)
    data = {"zeta": np.ones((2, 4)), "alpha": np.ones((2, 4)), "nope": np.ones((2, 7))}
    with pytest.raises(CalibrationError, match=r"named \['alpha', 'nope', 'zeta'\]; the model's inputs are"):
        export_tflite(model, tmp_path / "m.tflite", precision="int8", calibration=data)
    with pytest.raises(InvalidArgumentError, match="Data are named alpha, nope, zeta"):
        verify(model, model, data=data)


@pytest.mark.either_keras
def test_the_command_line_takes_npz_files_with_and_without_names(builder, rng, tmp_path, capsys):
    model = a_list_of_inputs_against_the_alphabet(builder)
    randomise(model, rng)
    zeta, alpha, mid = given(model, rng)
    named, listed, source, out = (str(tmp_path / name) for name in ("n.npz", "l.npz", "m.keras", "m.tflite"))
    np.savez(named, alpha=alpha, mid=mid, zeta=zeta)
    np.savez(listed, zeta, alpha, mid)
    model.save(source)
    assert run(["export", source, "-o", out, "--precision", "int8", "--calibration", named]) == 0
    for data in (named, listed):
        assert run(["verify", source, out, "--data", data]) == 0
        assert "zeta = zeta (by name), alpha = alpha (by name)" in capsys.readouterr().out


def of_two_arguments(b, *, with_build):
    """A subclassed model whose call takes two tensors."""

    class Net(b.keras.Model):
        def __init__(self):
            super().__init__(name="net")
            self.first, self.second, self.norm = b.layers.Dense(4), b.layers.Dense(4), b.flavour.batch_normalization()

        def call(self, zeta, alpha, training=None):
            return self.norm(self.first(zeta) - self.second(alpha), training=training)

    class Built(Net):
        def build(self, zeta_shape, alpha_shape):
            self.first.build(zeta_shape)
            self.second.build(alpha_shape)
            self.norm.build((None, 4))
            self.built = True

    net = Built() if with_build else Net()
    net(np.zeros((2, 3), "float32"), np.zeros((2, 5), "float32"))
    return net


def test_arguments_of_a_call_name_the_inputs(builder, rng, tmp_path):
    """tf_keras keeps the shapes of all arguments, Keras 3 those that `build` takes by name."""
    model = of_two_arguments(builder, with_build=builder.flavour.name == "keras")
    randomise(model, rng)
    data = {
        "zeta": rng.normal(size=(COUNT, 3)).astype("float32"),
        "alpha": rng.normal(size=(COUNT, 5)).astype("float32"),
    }
    path = exported(model, tmp_path, "float32", None)
    file = read_tflite(path)
    assert set(file.input_names) == {"zeta", "alpha"}
    (found,) = answers(path, [data[name] for name in file.input_names]).values()
    assert decibels(np.asarray(model(**data)), found) > 110
    assert verify(model, path, data=data)


def test_arguments_whose_shapes_keras_3_does_not_keep_are_refused_by_name(builder, tmp_path):
    model = of_two_arguments(builder, with_build=False)
    if builder.flavour.name == "tf_keras":
        assert export_tflite(model, tmp_path / "m.tflite").verdicts[0].gone
        return
    with pytest.raises(
        UnsupportedModelError, match="its call takes zeta, alpha, and Keras 3 keeps only the shape of the"
    ):
        export_tflite(model, tmp_path / "m.tflite")


def test_whole_numbers_that_int16x8_cannot_add_to_are_named(keras_flavour, rng, tmp_path):
    """Keras 3 adds to negative ids, which the converter wants to measure; tf_keras does not."""
    builder = Builder(keras_flavour)
    ids = builder.input("tokens", 5, "int32")
    model = builder.model(ids, builder.heads(builder.embedded(ids), "p"))
    options = {"precision": "int16x8", "calibration": drawn(ids, rng)}
    if keras_flavour.name == "tf_keras":
        assert export_tflite(model, tmp_path / "m.tflite", **options).ops
        return
    with pytest.raises(ConversionError, match=r"no arithmetic of whole numbers.*'tokens'.*int8"):
        export_tflite(model, tmp_path / "m.tflite", **options)
