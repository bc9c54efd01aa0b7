"""A model that computes what its int8 file will compute: where it rounds, what it keeps, what it refuses."""

import warnings

import numpy as np
import pytest
import tensorflow as tf
from kerasbn_testing.tuning import every_place, images, small, steps_apart, train

from kerasbn import check
from kerasbn.errors import CalibrationError, InvalidArgumentError, UnsupportedModelError
from kerasbn.quantized.ranges import RangeMixin
from kerasbn_export import export_tflite, quantize_aware, verify
from kerasbn_export.tflite.file import read_tflite

FORMS = {
    "default": {},
    "live": {"bn": "live", "ranges": "learned"},
    "per-tensor": {"weights": "per-tensor"},
    "dense per-tensor": {"per_channel_dense": False},
}


@pytest.fixture
def model(keras_flavour, rng):
    return every_place(keras_flavour, rng)


def ranges(tuned):
    return [layer for layer in tuned.layers if isinstance(layer, RangeMixin)]


@pytest.mark.sweep
@pytest.mark.parametrize("form", FORMS)
def test_the_file_is_the_trained_model(model, rng, tmp_path, form):
    x = images(rng)
    tuned = quantize_aware(model, x, **FORMS[form])
    train(tuned, x, rng)
    result = export_tflite(tuned, tmp_path / "m.tflite")
    assert result.precision == "int8"
    assert not set(result.ops) & {"FAKE_QUANT", "DEQUANTIZE"}
    assert result.ops["QUANTIZE"] == 1  # from the fixed range of the tanh to that of the concatenation
    assert steps_apart(tmp_path / "m.tflite", tuned, x) <= (2 if form == "live" else 1)  # a live one rounds its bias
    assert verify(tuned, tmp_path / "m.tflite", data=x[:8])


@pytest.mark.either_keras
def test_it_has_the_operations_of_a_file_that_is_not_trained(model, rng, tmp_path):
    x = images(rng)
    trained = export_tflite(quantize_aware(model, x), tmp_path / "a.tflite")
    plain = export_tflite(model, tmp_path / "b.tflite", precision="int8", calibration=x, best=False)
    assert trained.ops == plain.ops


@pytest.mark.either_keras
def test_before_training_it_is_within_rounding_of_the_model_and_leaves_that_alone(model, rng):
    x = images(rng)
    before = [np.array(weight) for weight in model.get_weights()]
    tuned = quantize_aware(model, x)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert type(tuned).__module__.split(".")[0] == type(model).__module__.split(".")[0]
    difference = np.abs(tuned.predict(x, verbose=0) - model.predict(x, verbose=0)).max()
    assert 0 < difference < 0.05


def test_values_of_one_range_share_it(model, rng):
    tuned = quantize_aware(model, images(rng))
    names = [layer.name for layer in ranges(tuned)]
    assert len(names) == len(set(names))
    shared = [layer for layer in ranges(tuned) if len(layer._inbound_nodes) > 1]
    assert len(shared) == 1  # of the concatenation, its pooled side, and the sum before that pooling


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_ranges_follow_the_batches_without_a_bias_to_their_start(keras_flavour, momentum):
    from kerasbn.quantized.classes import RANGE, layers_of

    layer = layers_of(keras_flavour)[RANGE](low=-1.0, high=3.0, momentum=momentum, batches=2)
    batches = [np.array([[-2.0, 1.0]], "float32"), np.array([[-4.0, 6.0]], "float32")]
    for batch in batches:
        layer(batch, training=True)
    parts = [momentum**3 + momentum**2, momentum, 1.0]  # the first range stands for two batches
    wanted = np.average([[-1.0, 3.0], [-2.0, 1.0], [-4.0, 6.0]], axis=0, weights=parts)
    np.testing.assert_allclose(layer.range, wanted, rtol=1e-5)
    before = layer.range
    layer(batches[0], training=False)
    layer.freeze()
    layer(batches[0], training=True)
    assert layer.range == before


@pytest.mark.either_keras
def test_learned_ranges_and_kernels_get_gradients(model, rng):
    x = images(rng)
    tuned = quantize_aware(model, x, ranges="learned")
    before = [np.array(weight) for weight in tuned.trainable_weights]
    train(tuned, x, rng)
    moved = [not np.array_equal(a, b) for a, b in zip(before, tuned.trainable_weights, strict=True)]
    assert all(moved[i] for i, weight in enumerate(before) if weight.ndim > 1)
    assert sum(moved[i] for i, weight in enumerate(before) if weight.ndim == 0) > 3


@pytest.mark.parametrize("form", ["live"])
def test_it_is_saved_and_loaded_with_its_ranges(model, keras_flavour, rng, tmp_path, form):
    x = images(rng)
    tuned = quantize_aware(model, x, **FORMS[form])
    train(tuned, x, rng)
    tuned.save(tmp_path / "tuned.keras")
    again = keras_flavour.keras.models.load_model(tmp_path / "tuned.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), tuned.predict(x, verbose=0))
    assert [layer.range for layer in ranges(again)] == [layer.range for layer in ranges(tuned)]
    export_tflite(tmp_path / "tuned.keras", tmp_path / "b.tflite")
    assert verify(tuned, tmp_path / "b.tflite", data=x[:8])


@pytest.mark.either_keras
def test_the_stock_converter_takes_it_too(keras_flavour, rng, tmp_path):
    """Ranges are the converter's own operation; only a fixed range that is joined with others it does not convert."""
    import tensorflow as tf

    tuned = quantize_aware(every_place(keras_flavour, rng, fixed_joined=False), images(rng))
    converter = tf.lite.TFLiteConverter.from_keras_model(tuned)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has no statistics of the input, which has a range
        (tmp_path / "stock.tflite").write_bytes(converter.convert())
    assert verify(tuned, tmp_path / "stock.tflite", data=images(rng, 8))


@pytest.mark.either_keras
def test_16_bits(keras_flavour, rng, tmp_path):
    layers = keras_flavour.keras.layers
    inputs = keras_flavour.keras.Input((8, 8, 3))
    x = layers.BatchNormalization()(layers.Conv2D(6, 3)(inputs))
    outputs = layers.Dense(3, activation="softmax")(layers.Flatten()(layers.ReLU()(x)))
    tuned = quantize_aware(keras_flavour.keras.Model(inputs, outputs), images(rng), precision="int16x8")
    result = export_tflite(tuned, tmp_path / "m.tflite")
    assert result.precision == "int16x8"
    assert verify(tuned, tmp_path / "m.tflite", data=images(rng, 8))


INNER = {
    "a sigmoid": lambda layers: layers.Activation("sigmoid"),
    "a swish": lambda layers: layers.Activation("swish"),
    "transposed, with a ReLU, without a bias": lambda layers: layers.Conv2DTranspose(
        4, 3, strides=2, padding="same", activation="relu", use_bias=False
    ),
}


@pytest.mark.either_keras
@pytest.mark.parametrize("precision", ["int8", "int16x8"])
@pytest.mark.parametrize("inner", INNER)
def test_layers_whose_grids_the_converter_makes_its_own_way(keras_flavour, rng, tmp_path, inner, precision):
    """A sigmoid of 16 bits gets a grid that LiteRT has not; where there is no bias, nothing fuses the ReLU."""
    layers = keras_flavour.keras.layers
    inputs = keras_flavour.keras.Input((8, 8, 3))
    x = INNER[inner](layers)(layers.Conv2D(4, 3)(inputs))
    model = keras_flavour.keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    x = images(rng)
    tuned = quantize_aware(model, x, precision=precision)
    export_tflite(tuned, tmp_path / "m.tflite")
    assert verify(tuned, tmp_path / "m.tflite", data=x)
    assert verify(model, tmp_path / "m.tflite", data=x)


def test_16_bits_have_no_concatenation(model, rng):
    with pytest.raises(UnsupportedModelError, match=r"'joined'.*int8"):
        quantize_aware(model, images(rng), precision="int16x8")


@pytest.mark.either_keras
def test_layers_stay_in_float_by_name_pattern_and_class(keras_flavour, rng, tmp_path):
    layers = keras_flavour.keras.layers
    inputs = keras_flavour.keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="block_a")(inputs)
    x = layers.LayerNormalization(name="norm")(x)
    x = layers.Conv2D(4, 3, name="block_b")(x)
    model = keras_flavour.keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    with pytest.raises(UnsupportedModelError, match=r"'norm' \(LayerNormalization\).*keep_float"):
        quantize_aware(model, images(rng))
    for kept in ("no*", ["LayerNormalization"], layers.LayerNormalization):
        quantize_aware(model, images(rng), keep_float=kept)
    tuned = quantize_aware(model, images(rng), keep_float=["norm", "block_b"])
    result = export_tflite(tuned, tmp_path / "m.tflite")
    assert "Conv2D 'block_b'" in str(result.kept_float)
    assert result.ops["DEQUANTIZE"] >= 1
    assert np.isfinite(verify(model, tmp_path / "m.tflite", data=images(rng, 8)).outputs[0].measurement.sqnr_db)


@pytest.mark.either_keras
def test_an_embedding_and_whole_numbers(keras_flavour, rng, tmp_path):
    layers = keras_flavour.keras.layers
    inputs = keras_flavour.keras.Input((6,), dtype="int32")
    x = layers.Conv1D(8, 3, activation="relu")(layers.Embedding(20, 4)(inputs))
    model = keras_flavour.keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))
    ids = rng.integers(0, 20, (32, 6)).astype("int32")
    tuned = quantize_aware(model, ids)
    export_tflite(tuned, tmp_path / "m.tflite")
    assert verify(tuned, tmp_path / "m.tflite", data=ids[:8])


def test_a_half_precision_model_is_refused(keras_flavour, rng):
    layers = keras_flavour.keras.layers
    inputs = keras_flavour.keras.Input((8, 8, 3))
    outputs = layers.Conv2D(4, 3, dtype="mixed_float16", name="half")(inputs)
    with pytest.raises(UnsupportedModelError, match=r"'half'.*float32"):
        quantize_aware(keras_flavour.keras.Model(inputs, outputs), images(rng))


def test_a_model_without_kernels_is_refused(keras_flavour, rng):
    inputs = keras_flavour.keras.Input((8, 8, 3))
    model = keras_flavour.keras.Model(inputs, keras_flavour.keras.layers.MaxPooling2D()(inputs))
    with pytest.raises(UnsupportedModelError, match="nothing to quantize"):
        quantize_aware(model, images(rng))


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"precision": "int4"}, "accepted: int8, int16x8"),
        ({"bn": "alive"}, "accepted: frozen, live"),
        ({"ranges": "fixed"}, "accepted: ema, learned"),
        ({"weights": "per-layer"}, "accepted: per-channel, per-tensor"),
        ({"bn": "live", "weights": "per-tensor"}, "bn='frozen'"),
        ({"keep_float": [3]}, "names, patterns and classes"),
        ({"keep_float": ["conv2d", "nothing_like_it"]}, "no layer of the folded model"),
    ],
)
def test_what_is_not_accepted_is_said(keras_flavour, rng, options, said):
    with pytest.raises(InvalidArgumentError, match=said):
        quantize_aware(small(keras_flavour, rng), images(rng, 8), **options)


def test_samples_have_to_fit(keras_flavour, rng):
    with pytest.raises(CalibrationError):
        quantize_aware(small(keras_flavour, rng), np.zeros((4, 9, 9, 3), "float32"))


def test_an_export_that_contradicts_the_training_is_refused(keras_flavour, rng, tmp_path):
    tuned = quantize_aware(small(keras_flavour, rng), images(rng))
    for options, said in (
        ({"precision": "float32"}, "trained for precision 'int8'"),
        ({"precision": "int8", "calibration": images(rng)}, "calibration= does not go"),
        ({"slim": True}, "slim= does not go"),
    ):
        with pytest.raises(InvalidArgumentError, match=said):
            export_tflite(tuned, tmp_path / "m.tflite", **options)
    assert not (tmp_path / "m.tflite").exists()


@pytest.mark.either_keras
def test_the_ends_may_be_float(keras_flavour, rng, tmp_path):
    tuned = quantize_aware(small(keras_flavour, rng), images(rng))
    export_tflite(tuned, tmp_path / "m.tflite", precision="int8", io_dtype="float32")
    file = read_tflite(tmp_path / "m.tflite")
    assert (file.inputs[0].dtype, file.outputs[0].dtype) == ("FLOAT32", "FLOAT32")
    assert verify(tuned, tmp_path / "m.tflite", data=images(rng, 8))


def test_live_batchnorms_are_checked_like_others(model, rng):
    x = images(rng)
    tuned = quantize_aware(model, x, bn="live")
    assert {finding.layer for finding in check(tuned).findings} <= {"bn", "batch_normalization", ""}
    assert sum("BatchNorm" in type(layer).__name__ for layer in tuned.layers) == 2


@pytest.mark.either_keras
def test_several_ends_shared_layers_and_nested_models(keras_flavour, rng, tmp_path):
    """Also a data set instead of arrays, and a training loop of one's own."""
    import tensorflow as tf

    keras, layers = keras_flavour.keras, keras_flavour.keras.layers
    inner_input = keras.Input((6, 6, 4))
    inner = keras.Model(inner_input, layers.BatchNormalization()(layers.Conv2D(4, 1)(inner_input)), name="inner")
    shared = layers.Conv2D(4, 3, activation="relu", name="shared")
    left, right = keras.Input((8, 8, 3), name="left"), keras.Input((8, 8, 3), name="right")
    tower = [inner(shared(side)) for side in (left, right)]
    pooled = layers.GlobalAveragePooling2D()(layers.Concatenate()(tower))
    outputs = {"a": layers.Dense(2, name="a")(pooled), "b": layers.Dense(1, activation="sigmoid", name="b")(pooled)}
    model = keras.Model([left, right], outputs)
    x = [images(rng, 16), images(rng, 16)]
    tuned = quantize_aware(model, x)
    assert sum(type(layer).__name__ == "QuantizedConv2D" for layer in tuned.layers) == 2
    targets = {"a": np.zeros((16, 2), "float32"), "b": np.ones((16, 1), "float32")}
    tuned.compile("sgd", {"a": "mse", "b": "binary_crossentropy"})
    tuned.fit(tf.data.Dataset.from_tensor_slices((tuple(x), targets)).batch(8), shuffle=False, verbose=0)
    optimizer = keras.optimizers.SGD(0.01)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(tuned(x, training=True)["a"]))
    gradients = tape.gradient(loss, tuned.trainable_variables)
    assert (
        sum(gradient is not None for gradient in gradients) == len(gradients) - 2
    )  # all but those of the other output
    pairs = [(g, v) for g, v in zip(gradients, tuned.trainable_variables, strict=True) if g is not None]
    optimizer.apply_gradients(pairs)
    export_tflite(tuned, tmp_path / "m.tflite")
    assert verify(tuned, tmp_path / "m.tflite", data=x)


@pytest.mark.either_keras
def test_a_live_batchnorm_behind_a_dense_of_one_scale_is_folded(keras_flavour, rng, tmp_path):
    """Behind one scale for the whole kernel none can stay; behind one for each channel it can."""
    layers = keras_flavour.keras.layers
    inputs = keras_flavour.keras.Input((12,))
    norm = layers.BatchNormalization()(layers.Dense(6)(inputs))
    model = keras_flavour.keras.Model(inputs, layers.Dense(2)(layers.ReLU()(norm)))
    x = rng.normal(size=(32, 12)).astype("float32")
    for per_channel, count in ((True, 1), (False, 0)):
        tuned = quantize_aware(model, x, bn="live", per_channel_dense=per_channel)
        assert sum("BatchNorm" in type(layer).__name__ for layer in tuned.layers) == count
        export_tflite(tuned, tmp_path / "m.tflite")
        assert verify(tuned, tmp_path / "m.tflite", data=x[:8])


def test_what_stays_in_float_keeps_the_activation_inside_it(keras_flavour, rng):
    layers = keras_flavour.keras.layers
    inputs = keras_flavour.keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="swish", name="kept")(inputs)
    tuned = quantize_aware(keras_flavour.keras.Model(inputs, layers.Conv2D(2, 1)(x)), images(rng, 8), keep_float="kept")
    assert type(tuned.get_layer("kept")).__name__ == "Conv2D"
    assert not any("sigmoid" in layer.name for layer in tuned.layers)


def test_a_model_with_a_call_of_its_own(keras_flavour, rng, tmp_path):
    layers = keras_flavour.keras.layers

    class Net(keras_flavour.keras.Model):
        def __init__(self):
            super().__init__(name="net")
            self.conv, self.norm = layers.Conv2D(4, 3, name="conv"), layers.BatchNormalization(name="norm")
            self.last = layers.Conv2D(2, 1, name="last")

        def call(self, x, training=False):
            return self.last(tf.nn.relu(self.norm(self.conv(x), training=training)))

    x = rng.normal(size=(32, 8, 8, 3)).astype("float32")
    model = Net()
    model(x[:1])
    tuned = quantize_aware(model, x, distill=True)
    train(tuned, x, rng)
    assert verify(tuned, export_tflite(tuned, tmp_path / "m.tflite").path, data=x)


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_what_makes_floats_of_whole_numbers_is_refused_by_name(keras_flavour, rng, dtype):
    layers = keras_flavour.keras.layers
    x = keras_flavour.keras.Input((8, 8, 3), dtype=dtype)
    model = keras_flavour.keras.Model(x, layers.Conv2D(2, 3)(layers.Rescaling(1 / 255, name="scaled")(x)))
    with pytest.raises(UnsupportedModelError, match=r"'scaled' \(Rescaling\)"):
        quantize_aware(model, rng.integers(0, 9, (8, 8, 8, 3)).astype(dtype))
