"""The page in a real browser: it shows what it should, in light and dark, wide and narrow, without a network."""

import dataclasses
import math

import numpy as np
import pytest
from kerasbn_testing.browser import browser, find_browser
from kerasbn_testing.page import COMPLAINTS
from kerasbn_testing.statistics import randomise

from kerasbn.flavour import NAMES, Flavour
from kerasbn_export import fold, verify
from kerasbn_export.verification.report import to_html

PATH = find_browser()
pytestmark = pytest.mark.skipif(PATH is None, reason="no Chromium found; install one or set KERASBN_BROWSER to it")


@pytest.fixture(scope="module")
def opened():
    with browser(PATH) as running:
        yield running


def image_model(flavour, rng):
    """Two outputs, one of them an image, and long names."""
    layers = flavour.keras.layers
    x = image = flavour.keras.Input((12, 12, 3), name="image")
    for stage in range(6):
        x = layers.Conv2D(4, 3, padding="same", name=f"stage_{stage}_convolution_with_a_long_name")(x)
        x = layers.ReLU(name=f"relu_{stage}")(flavour.batch_normalization(name=f"norm_{stage}")(x))
    mask = layers.Conv2D(3, 1, activation="sigmoid", name="mask")(x)
    scores = layers.Dense(300, name="scores")(layers.GlobalAveragePooling2D()(x))
    model = flavour.keras.Model(image, [mask, scores])
    randomise(model, rng)
    return model


@pytest.fixture(scope="module", params=NAMES)
def reports(request):
    """Made once in each Keras."""
    rng = np.random.default_rng(20261122)
    model = image_model(Flavour(request.param), rng)
    folded = fold(model).model
    right = verify(model, folded, samples=2)
    for layer, weight in (("stage_2_convolution_with_a_long_name", 0), ("stage_4_convolution_with_a_long_name", 1)):
        values = folded.get_layer(layer).get_weights()
        values[weight][..., 2] += 0.2
        folded.get_layer(layer).set_weights(values)
    wrong = verify(model, folded, samples=2)
    values[1][0] = np.nan
    folded.get_layer(layer).set_weights(values)
    broken = verify(model, folded, samples=2)
    given = verify(model, fold(model).model, data=rng.normal(size=(1, 12, 12, 3)), layers=False, min_sqnr=20.0)
    return {"right": right, "wrong": wrong, "broken": broken, "given": given}


def test_the_page_is_fit_to_be_read(reports, opened, tmp_path):
    for name, report in reports.items():
        page = tmp_path / f"{name}.html"
        page.write_text(to_html(report), "utf-8")
        for width, dark in ((1100, False), (1100, True), (400, False)):
            opened.show(page, width=width, dark=dark)
            assert opened.evaluate(COMPLAINTS) == [], (name, width, dark)
            assert opened.complaints == []
            fetched = [url for url in opened.requests if not url.startswith("data:")]
            assert fetched == [page.as_uri()]
    assert [report.exit_code for report in reports.values()] == [0, 1, 1, 0]


def shown(opened, page, report):
    page.write_text(to_html(report), "utf-8")
    opened.show(page)
    opened.evaluate(COMPLAINTS)  # opens what is folded
    return opened.evaluate("document.body.innerText")


def count(opened, selector):
    return opened.evaluate(f"document.querySelectorAll({selector!r}).length")


def test_the_page_shows_the_report(reports, opened, tmp_path):
    report = reports["wrong"]
    text = shown(opened, tmp_path / "page.html", report)
    assert report.verdict in text.replace("\n", " ")
    assert f"{report.required_tolerance:.3g}" in text
    assert opened.evaluate("getComputedStyle(document.querySelector('.verdict')).borderLeftColor") == "rgb(180, 47, 38)"
    wrong = [layer for layer in report.per_layer if not layer.passed and not layer.moved]
    assert {f"stage_{n}_convolution_with_a_long_name" for n in (2, 4)} <= {layer.layer for layer in wrong}
    assert count(opened, ".tall g") == len(report.per_layer)
    assert count(opened, ".tall text.differs") == len(wrong)
    marks = [sum(not math.isclose(e, 0) for e in (x.local_error, x.cumulative_error)) for x in report.per_layer]
    assert count(opened, ".tall circle") == sum(marks)
    assert (
        count(opened, "main img") == 2 * 4 + 1
    )  # one in, three out, for both stages of the mask; one in for the scores
    assert count(opened, "path.line.candidate") == 2 * (3 + 1)  # legend and picture of three spreads and one line


def test_the_worse_layer_is_drawn_further_to_the_right(reports, opened, tmp_path):
    report = reports["wrong"]
    shown(opened, tmp_path / "page.html", report)
    places = opened.evaluate(
        "[...document.querySelectorAll('.tall g')].map(g => g.querySelector('circle.dot')?.getAttribute('cx') ?? null)"
    )
    known = [(layer.local_error, float(x)) for layer, x in zip(report.per_layer, places, strict=True) if x is not None]
    assert len(known) > 5
    by_error, by_place = sorted(known), sorted(known, key=lambda pair: (pair[1], pair[0]))
    assert by_error == by_place
    assert places.count(None) == sum(layer.local_error == 0 for layer in report.per_layer)


BROKEN = {
    "wide": ("<main>", '<main><div style="width:3000px">x</div>'),
    "contrast": ("<main>", '<main><p style="color:#ccc;background:#fff">pale</p>'),
    "letters of": ("<main>", '<main><p style="font-size:7px">small</p>'),
    "without words": ("aria-label", "data-label"),
    "cut off": ('text-anchor="end"', 'text-anchor="start" dx="900"'),
    "one over the other": ("</svg>", '<text x="99" y="99">one</text><text x="100" y="100">two</text></svg>'),
    "no number": ("</svg>", '<circle cx="nan" cy="3" r="2"/></svg>'),
    "outside of the drawing": ("</svg>", '<circle cx="-70" cy="3" r="2"/></svg>'),
    "does not show": ("base64,iVBOR", "base64,xVBOR"),
    "too deep": ("<h1>", "<h3>deep</h3><h1>"),
}


def test_a_page_with_a_fault_is_noticed(reports, opened, tmp_path):
    text = to_html(reports["wrong"])
    for complaint, (old, new) in BROKEN.items():
        assert old in text
        page = tmp_path / "broken.html"
        page.write_text(text.replace(old, new), "utf-8")
        opened.show(page)
        assert [found for found in opened.evaluate(COMPLAINTS) if complaint in found], complaint


def test_a_page_that_asks_for_more_is_noticed(reports, opened, tmp_path):
    """Both what it fetches and what it complains of."""
    (tmp_path / "page.html").write_text(
        to_html(reports["right"]).replace("<main>", '<main><img src="http://127.0.0.1:9/x.png"><script>fail()</script>')
    )
    opened.show(tmp_path / "page.html")
    assert "http://127.0.0.1:9/x.png" in opened.requests
    assert len(opened.complaints) >= 1


def test_an_untrusted_name_stays_text(reports, opened, tmp_path):
    name = '</title><script>document.title = "taken"</script>"><b>&amp;'
    layers = tuple(dataclasses.replace(x, layer=name, tensor=name) for x in reports["wrong"].per_layer)
    report = dataclasses.replace(reports["wrong"], candidate=name, reference=name, notes=(name,), per_layer=layers)
    assert name in shown(opened, tmp_path / "page.html", report)
    assert opened.evaluate("document.title") == "kerasbn verify: differs"
    assert count(opened, "main script, main b") == 0
