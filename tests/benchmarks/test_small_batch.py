"""`benchmarks/small_batch.py` in small: its loop trains as ``fit`` does, and its table says what holds."""

from functools import partial

import numpy as np
import pytest
import small_batch
from steps_chart import Curve, draw_curves
from training_loop import Loop, shuffled


def loop_of(flavour, batch=8):
    """A network and random data with an answer."""
    draws = np.random.default_rng(0)
    x = draws.normal(size=(64, 8, 8, 1)).astype("float32")
    y = (x.mean((1, 2, 3)) > 0).astype("int32")
    norm = small_batch.plain(flavour, batch, 1)
    return Loop(flavour, partial(small_batch.network, flavour, norm), (x, y), batch), x, y


@pytest.mark.either_keras
def test_the_loop_trains_as_fit_does(keras_flavour):
    keras = keras_flavour.keras
    loop, x, y = loop_of(keras_flavour)
    loop.reset(1)
    model = keras.models.clone_model(loop.model)
    model.set_weights(loop.model.get_weights())
    loop.train(np.arange(64).reshape(8, 8), [0.05] * 8)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss)
    model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    for ours, theirs in zip(loop.model.get_weights(), model.get_weights(), strict=True):
        assert np.allclose(ours, theirs, atol=1e-4)


@pytest.mark.either_keras
def test_a_seed_gives_the_same_training_again(keras_flavour):
    loop, x, y = loop_of(keras_flavour)
    found = []
    for seed in (1, 2, 1):
        loop.reset(seed)
        loop.train(shuffled(64, 4, 8, seed), [0.1] * 4)
        found.append(np.asarray(loop.model(x, training=False)))
    assert np.allclose(found[0], found[2], atol=1e-5)
    assert not np.allclose(found[0], found[1], atol=1e-2)
    assert 0 <= loop.accuracy(x, y) <= 1


def test_every_sample_is_drawn_as_often_as_any_other():
    assert sorted(shuffled(12, 6, 4, 0).ravel()) == sorted(2 * list(range(12)))


def test_each_norm_is_the_layer_that_its_name_says(keras_flavour):
    made = {norm.name: norm.make(keras_flavour, 8, 40) for norm in small_batch.NORMS}
    layers = {name: make(name="norm") for name, make in made.items()}
    assert layers["ghost"].virtual_batch_size == 2
    assert layers["renorm"].renorm
    assert layers["synchronized"].synchronized
    assert layers["plain"].momentum == pytest.approx(0.9**0.25)
    assert type(layers["GroupNormalization"]).__name__ == "GroupNormalization"
    assert small_batch.ghost(keras_flavour, 2, 40) is None


def test_what_must_hold_is_looked_at():
    row = {name: [[value]] for name, value in (("plain", 0.9), ("renorm", 0.8), ("synchronized: two", 0.95))}
    assert small_batch.small_batches_hold(row)
    assert not small_batch.small_batches_hold({**row, "synchronized: two": [[0.85]]})
    quick, slow = (Curve(name, 0.1, 10, values) for name, values in
                   (("with BatchNorm", (0.5, 0.96)), ("without", (0.5, 0.6, 0.97))))  # fmt: skip
    assert (quick.steps_to(0.95), slow.steps_to(0.95), slow.steps_to(0.99)) == (20, 30, None)
    assert small_batch.fewer_steps([quick, slow])
    assert not small_batch.fewer_steps([Curve("with BatchNorm", 0.1, 10, (0.1,)), slow])
    assert small_batch.row_of(Curve("without", 0.3, 10, (0.1,)))[2] == f"never in {small_batch.LONGEST}"


def test_the_picture_stands_alone_and_names_each_line():
    curves = [Curve(name, rate, 10, (0.1, 0.9)) for name in ("with BatchNorm", "without") for rate in (0.1, 0.2)]
    drawing = draw_curves(curves, 0.95)
    assert drawing.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert drawing.count("<path") == 8
    assert "without, 0.2" in drawing
    assert {drawing.count(f"dash{number}") for number in (0, 1)} == {5}


def test_the_table_has_a_row_for_recalibrated(monkeypatch):
    monkeypatch.setattr(small_batch, "accuracies", lambda *_: iter([(0.5, 0.75), (0.7, 0.95)]))
    found = dict(small_batch.batch_rows(small_batch.Flavour("keras"), [2, 8], 2))
    assert found["plain"] == [[0.5, 0.7]] * 2
    assert found["recalibrated"] == [[0.75, 0.95]] * 2
    assert small_batch.spread(found["plain"][0]) == "60.0 ± 14.1"
    assert small_batch.spread([]) == "-"
