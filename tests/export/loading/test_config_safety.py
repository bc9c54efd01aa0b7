"""What the check of a configuration passes does no harm, whatever was done to the configuration."""

import contextlib
import copy
import subprocess
import sys

import keras
import pytest
import tf_keras
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kerasbn_testing.hostile_models import MODULE, OURS, PWNED, bytecode, entry, function, suspects, write_hostile_files
from kerasbn_testing.watched import watched

import kerasbn.keras
import kerasbn.tf_keras  # noqa: F401 - so that the name of ours is registered in both
from kerasbn.errors import UnsafeModelError
from kerasbn_export.graph.pure_operations import names_in
from kerasbn_export.loading.load import load_source
from kerasbn_export.loading.safety import find_code

TRUSTED = {
    "keras",
    "tf_keras",
    "kerasbn",
    "kerasbn_export",
    "tensorflow",
    "numpy",
    "h5py",
    "google",
    "absl",
    "ml_dtypes",
}
REGISTERED = keras.saving.get_registered_object, tf_keras.saving.get_registered_object
WAYS = (
    keras.saving.deserialize_keras_object,
    tf_keras.saving.deserialize_keras_object,
    lambda config, safe_mode: tf_keras.layers.deserialize(config, use_legacy_format=not safe_mode),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    (folder / f"{MODULE}.py").write_text(f"open({str(folder / PWNED)!r}, 'w').close()\ndef act(x): return x\n")
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    sys.modules.pop(MODULE, None)


def clean(config):
    return not any(True for registered in REGISTERED for _ in find_code(config, registered))


def harm(seen):
    """The events that only foreign code brings about."""
    for kind, what in seen:
        if kind == "import":
            root = what.partition(".")[0]
            foreign = root not in TRUSTED and root not in sys.stdlib_module_names and not root.startswith("_")
        else:
            foreign = kind != "exec" or what == "<evil>"
        if foreign:
            yield kind, what


# The strange letters are written by number: fullwidth D, k and a, and a space of no width.
NAMES = """
    Dense Lambda TFOpLambda InstanceMethod Evil act function __lambda__ __typespec__ Sequential TimeDistributed RNN
    LSTMCell DropoutWrapper relu \uff24ense Dense\u200b Policy L2 deserialize
"""
MODULES = f"""
    keras keras.layers keras.activations builtins keras.utils kerasbn.keras os \uff4beras keras.saving keras..layers
    tf_keras.src.layers.core.lambda_layer {MODULE} {MODULE}\u200b keras.layers.{MODULE}
"""
KEYS = """
    name units activation kernel_initializer layer cell layers function function_type value module attr_name dtype
    config class_name \uff41ctivation vocabulary residual_fn
"""
ALIASES = st.sampled_from([None, OURS, "Dense", "Lambda", "act", "function", MODULE])
CODE = [bytecode("pwned"), None, None]
LEAVES = st.sampled_from(["relu", "act", MODULE, "io.write_file", "math.add", "lambda", None, 2, True, CODE, [None, 4]])


def one_of(text):
    return st.sampled_from(sorted(names_in(text)))


def described(inner):
    """A description of an object, with the options that make it one in one format or another."""
    options = st.dictionaries(one_of(KEYS), inner, max_size=4)
    config = options | st.sampled_from(["act", "relu", "eval"])
    optional = {
        "module": st.none() | one_of(MODULES),
        "registered_name": ALIASES,
        "spec_name": one_of(NAMES),
        "function_type": LEAVES,
        "shared_object_id": st.integers(0, 2),
        "__passive_serialization__": st.just(True),
        "compile_config": inner,
        "build_config": inner,
    }
    return st.fixed_dictionaries({"class_name": one_of(NAMES), "config": config}, optional=optional)


CONFIGS = st.recursive(LEAVES, lambda inner: described(inner) | st.lists(inner, max_size=3), max_leaves=12)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(config=described(CONFIGS))
def test_what_passes_does_no_harm(config, folder):
    if not clean(config):
        return
    with watched() as seen:
        for load in WAYS:
            with contextlib.suppress(Exception):  # most of them describe nothing
                load(copy.deepcopy(config), safe_mode=False)  # Keras' own check is not to help
    assert list(harm(seen)) == []
    assert list(folder.glob(f"{PWNED}*")) == []


PLACES = {
    "list": lambda config, _: [1, config],
    "dict": lambda config, key: {key: config},
    "config": lambda config, key: {"name": key, "config": config},
    "option": lambda config, key: entry("Dense", activation="relu", **{f"k_{key}": config}),
    "layer": lambda config, _: entry("Sequential", "keras", layers=[config]),
}
WRAPPINGS = st.lists(st.tuples(st.sampled_from(sorted(PLACES)), st.text(max_size=5)), max_size=60)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(suspect=st.sampled_from(list(suspects("pwned"))), wrappings=WRAPPINGS)
def test_a_hostile_entry_is_found_wherever_it_stands(suspect, wrappings):
    _, config, names = suspect
    for place, key in wrappings:
        config = PLACES[place](config, key)
    found = list(find_code([{"a": "relu"}, config]))
    assert any(names in f"{finding.layer} {finding.what}" for finding in found)


def test_a_description_may_be_nested_deeper_than_pythons_stack():
    config = entry("Evil", MODULE)
    for _ in range(100_000):
        config = [config]
    (found,) = find_code(config)
    assert f"{MODULE}.Evil" in found.what


def test_a_refused_file_makes_python_do_nothing(tmp_path):
    files = write_hostile_files(tmp_path)
    for file in (files[0], files[-1]):  # what is imported once, is imported here
        with pytest.raises(UnsafeModelError):
            load_source(file.path)
    with watched() as seen:
        for file in files:
            with pytest.raises(UnsafeModelError):
                load_source(file.path)
    assert list(harm(seen)) == []


def test_the_watch_sees(tmp_path, folder):
    with watched() as seen:
        (tmp_path / "x").write_text("x")
        subprocess.run([sys.executable, "-c", ""], check=True)
        __import__(MODULE)
        eval(compile("1", "<evil>", "eval"))  # noqa: S307 - what is watched for
    assert {kind for kind, _ in harm(seen)} >= {"open for writing", "subprocess.Popen", "import", "exec"}
    (folder / PWNED).unlink()
    sys.modules.pop(MODULE)


@pytest.mark.parametrize("name", ["kerasbn>BatchNormalization", "kerasbn>Evil"])
@pytest.mark.parametrize("module", [MODULE, "os", "kerasbn", "kerasbn.evil", "keras.layers"])
def test_a_name_of_ours_stands_for_our_modules_only(name, module):
    config = entry("BatchNormalization", module, name)
    assert [not clean(config), not clean(function("act", module, name))] == [True, True]
    assert clean(entry("BatchNormalization", "kerasbn.keras", OURS))


def test_a_vocabulary_in_a_file_is_named(keras_flavour):
    config = entry("StringLookup", name="words", vocabulary="/etc/passwd")
    (found,) = find_code(config, keras_flavour.keras.saving.get_registered_object)
    assert (found.layer, "reads the file '/etc/passwd'" in found.what) == ("words", True)
    assert clean(entry("StringLookup", name="words", vocabulary=["a"]))
