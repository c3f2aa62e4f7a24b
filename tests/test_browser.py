"""The pages of `--report`, opened in a real browser: wide and narrow, light and dark.

They need Chromium (Debian: apt install chromium); where there is none, these tests are skipped.
"""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from fastgd.command.cli import main
from fastgd.pages.page import Chart, Line, Listing, Picture, Scene, Text, page

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright, which steers the browser, is not installed")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium to open the pages (apt install chromium)"
)

DEMO_FIGURES = [
    "Learning rate 0.6: too high",
    "Learning rate 0.002: too low",
    "Learning rate 0.15: well chosen",
    "Typical error on unseen houses",
    "Loss after each epoch",
]
TRAIN_FIGURES = [
    "Loss",
    "Predicted against actual",
    "Residuals",
    "Importance of the columns",
    "price by size",
    "price by a$b$c",
    "Weights of layer 0",
    "Nudges of layer 0",
    "Weights of layer 1",
    "Nudges of layer 1",
    "Loss surface",
    "Learning-rate finder",
]

# What a person would see wrong, as sentences. A table may be wider than a phone: it scrolls within its own box.
LOOK = """() => {
    const wrong = [], wide = document.documentElement.clientWidth;
    const rgb = text => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
        .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const paper = light(rgb(getComputedStyle(document.body).backgroundColor));
    const readable = (element, colour) => {
        const ink = light(rgb(colour));
        const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
        if (contrast < 4) wrong.push(`${element.textContent} has a contrast of ${contrast.toFixed(1)}`);
    };
    if (document.documentElement.scrollWidth > wide) wrong.push("the page scrolls sideways");
    for (const element of document.body.querySelectorAll("h1, h2, p, .table, figure, figcaption, svg")) {
        const box = element.getBoundingClientRect();
        if (box.left < 0 || box.right > wide + 0.5) wrong.push(`${element.tagName} leaves the page`);
    }
    for (const element of document.body.querySelectorAll("h1, h2, p, th, td, figcaption, figcaption span"))
        readable(element, getComputedStyle(element).color);
    for (const svg of document.querySelectorAll("figure svg")) {
        const frame = svg.getBoundingClientRect();
        if (frame.width < 250 || frame.height < 120) wrong.push("a figure is too small");
        const marks = [...svg.querySelectorAll("polyline, path, image")].filter(mark => !mark.closest("defs"));
        const drawn = marks.some(mark => mark.getBoundingClientRect().width > 0.3 * frame.width);
        if (!drawn) wrong.push("a figure is empty");
        for (const text of svg.querySelectorAll("text")) {
            const box = text.getBoundingClientRect(), scale = text.getScreenCTM();
            const size = parseFloat(getComputedStyle(text).fontSize) * Math.hypot(scale.a, scale.b);
            if (box.left < frame.left - 3 || box.right > frame.right + 3 || box.top < frame.top - 3
                || box.bottom > frame.bottom + 3) wrong.push(`${text.textContent} is cut off`);
            if (size < 8.5) wrong.push(`${text.textContent} is only ${size.toFixed(1)} pixels high`);
            readable(text, getComputedStyle(text).fill);
        }
    }
    return wrong;
}"""


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    rng = np.random.default_rng(0)
    size, other = rng.uniform(30, 200, 400), rng.normal(0, 1, 400)
    rows = np.column_stack([size, other, 3000 * size + 20_000 * other**2]).round(3)
    np.savetxt(folder / "houses.csv", rows, delimiter=",", header="size,a$b$c,price", comments="", fmt="%.3f")
    for arguments in (
        ["demo", "--fast", "--report", "demo.html"],
        ["train", "houses.csv", "--target", "price", "--features", "size,a$b$c", "--hidden", "8", "--epochs", "30",
         "--report", "train.html"],
    ):  # fmt: skip
        places = [str(folder / word) if word.endswith((".html", ".csv")) else word for word in arguments]
        result = CliRunner().invoke(main, places)
        assert result.exit_code == 0, result.output
    return folder


def looked_at(browser, path, width, scheme):
    """The titles of a page's figures, and what is wrong with it."""
    opened = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    wrong = []
    opened.on("console", lambda message: wrong.append(f"console: {message.text}"))
    opened.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    opened.on("requestfailed", lambda request: wrong.append(f"failed: {request.url}"))
    opened.on("request", lambda request: request.url.startswith(("file:", "data:")) or wrong.append(request.url))
    opened.goto(path.as_uri())
    titles = [figure.get_attribute("aria-label") for figure in opened.query_selector_all("figure svg")]
    wrong += opened.evaluate(LOOK)
    opened.close()
    return titles, wrong


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 400])
@pytest.mark.parametrize(("name", "figures"), [("demo.html", DEMO_FIGURES), ("train.html", TRAIN_FIGURES)])
def test_a_page_in_a_browser(browser, pages, name, figures, width, scheme):
    titles, wrong = looked_at(browser, pages / name, width, scheme)
    assert sorted(titles) == sorted(figures)
    assert wrong == []


def test_the_look_sees_what_is_wrong(browser, tmp_path):
    long = Line("a", [0, 1], [0.0, 1.0])
    parts = [
        Text("one word that is long: " + "x" * 200),
        Chart("cut", "x", "a label that is far too long for the height of a chart like this one", [long]),
        Chart("empty", "x", "y", [Line("a", [], [])]),
        Picture("tiny", '<svg role="img" aria-label="tiny" viewBox="0 0 100 10" style="width:50px"></svg>'),
        Listing(["a table may scroll"], [["y" * 300]]),
    ]
    text = page("Wrong", [Scene("Scene", parts)]).replace(
        "</body>",
        f"<pre>not broken: {'w' * 200}</pre>"
        '<p style="color:#888;background:#fff">pale</p><script>nothing.there</script>'
        '<img src="https://example.invalid/a.png"></body>'
    )  # fmt: skip
    (tmp_path / "wrong.html").write_text(text)
    titles, wrong = looked_at(browser, tmp_path / "wrong.html", 400, "light")
    assert sorted(titles) == ["cut", "empty", "tiny"]
    found = "\n".join(wrong)
    signs = ["scrolls sideways", "is cut off", "too small", "is empty", "pale has a contrast", "error: nothing is not"]
    for sign in [*signs, "https://example.invalid"]:
        assert sign in found, found
    assert not any("x" * 200 in sentence for sentence in wrong), "long words are broken"
    assert not any("y" * 300 in sentence for sentence in wrong), "a table scrolls in its own box"
