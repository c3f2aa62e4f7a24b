"""The documentation site: built without a warning, every link inside leads somewhere, and a real browser shows it.

It needs `pip install -e '.[docs]'`, and for the browser's part Chromium (Debian: apt install chromium).
"""

from __future__ import annotations

import html
import inspect
import os
import re
import shutil
import subprocess
import sys
import threading
import types
import zlib
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from operator import attrgetter
from pathlib import Path

import pytest
from site_links import broken_links

import fastgd

for needed in ("sphinx", "myst_parser", "pydata_sphinx_theme", "sphinx_gallery"):
    pytest.importorskip(needed, reason=f"{needed}, which builds the site, is not installed")

ROOT = Path(__file__).parents[1]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PAGES = ["index", "start", "story", "how_it_works", "guides", "learning", "performance", "gpu", "tables"]
PAGES += ["gallery/index", "gallery/plot_importance", "api", "api/fastgd.MLP"]
pytestmark = pytest.mark.slow


def built(folder, change=lambda docs: None):
    """Build the site from a copy of its sources in this folder."""
    for path in ROOT.iterdir():
        if path.name not in ("docs", ".git"):
            (folder / path.name).symlink_to(path)
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("gallery", "api", "__pycache__"))
    change(folder / "docs")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-n", "--keep-going", "-d", folder / "trees"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command += [folder / "docs", folder / "html"]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    return folder / "html", built(folder)


@pytest.fixture(scope="module")
def site(build):
    folder, result = build
    assert result.returncode == 0, result.stderr
    return folder


def test_it_is_built_without_a_warning(build):
    _, result = build
    assert result.stderr == ""
    assert result.returncode == 0


def test_a_wrong_link_and_a_wrong_name_fail_the_build(tmp_path):
    def wrong(docs):
        shutil.rmtree(docs / "examples")
        (docs / "examples").mkdir()
        (docs / "examples" / "README.txt").write_text("Gallery\n=======\n")
        for page in docs.glob("*.md"):
            page.unlink()
        (docs / "learning.ipynb").unlink()
        (docs / "api.rst").write_text("API\n===\n\n.. autosummary::\n\n   fastgd.Nothing\n")
        (docs / "index.md").write_text("# Home\n\n[gone](nowhere.md)\n\n```{toctree}\napi\ngallery/index\n```\n")

    result = built(tmp_path, wrong)
    assert result.returncode != 0
    assert "nowhere.md" in result.stderr
    assert "fastgd.Nothing" in result.stderr


def test_every_link_inside_leads_somewhere(site):
    assert broken_links(site) == []


def test_a_broken_link_is_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<p id="x"></p><a href="b.html#y"><a href="b.html#z"><img src="c.png"><a href="#x">'
    )
    (tmp_path / "b.html").write_text('<p id="y"></p><a href="https://example.invalid/"><a href="a.html#w">')
    assert broken_links(tmp_path) == ["a.html: b.html#z", "a.html: c.png", "b.html: a.html#w"]


def public_names():
    """What users may write, types and functions alone."""
    for name in dir(fastgd):
        value = getattr(fastgd, name)
        inner = [(f"{name}.{part}", getattr(value, part)) for part in getattr(value, "__all__", ())]
        for known, thing in inner if isinstance(value, types.ModuleType) else [(name, value)]:
            if isinstance(thing, (type, types.FunctionType)):
                yield f"fastgd.{known}"


def test_the_reference_has_every_public_name(site):
    listed = zlib.decompress((site / "objects.inv").read_bytes().split(b"\n", 4)[4]).decode()
    documented = {line.split(" py:")[0] for line in listed.splitlines()}
    names = set(public_names())
    assert {"fastgd.MLP", "fastgd.losses.Huber", "fastgd.plots.loss", "fastgd.errors.DivergenceError"} <= names
    assert names - documented == set()
    assert "fastgd.MLP.fit" in documented
    assert "fastgd.MLP.take_over" not in documented, "for the rooms around"


def wrong_signatures(page):
    """Names that stand in the tables' signatures, and are parameters of nothing that is documented there."""
    rows = re.findall(r"<tr[^>]*>\s*<td><p>(.*?)</p></td>", page, re.DOTALL)
    told = [html.unescape(re.sub("<[^>]+>", "", row)) for row in rows]
    assert len(told) > 70
    wrong = []
    for name, signature in (re.fullmatch(r"fastgd\.([\w.]+)(.*)", one).groups() for one in told):
        known = {"", "..."}
        if signature not in ("", "()"):
            known |= set(inspect.signature(attrgetter(name)(fastgd)).parameters)
        wrong += [f"{name}: {word}" for word in re.split(r"[\s,()[\]]+", signature) if word.lstrip("*") not in known]
    return wrong


def test_signatures_in_the_tables_are_parameters(site):
    page = (site / "api.html").read_text()
    assert wrong_signatures(page) == []
    garbled = re.sub(r"\(path\)", "(path, list[float]] =)", page)
    assert "load: float" in wrong_signatures(garbled)


@pytest.fixture(scope="module")
def address(site):
    """Where the site is served from."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *words):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright, which steers the browser, is missing")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium to open the pages (apt install chromium)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


def opened(browser, url, wrong, width=1300, scheme="light"):
    """A page, whose errors and requests to elsewhere are added to what is wrong."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.on("console", lambda message: message.type == "error" and wrong.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url}"))
    home = url.split("/", 3)[:3]
    page.on("request", lambda r: r.url.split("/", 3)[:3] == home or r.url.startswith("data:") or wrong.append(r.url))
    page.goto(url)
    return page


LOOK = """() => {
    const root = document.documentElement, wrong = [];
    if (root.scrollWidth > root.clientWidth) wrong.push("the page scrolls sideways");
    for (const image of document.images)
        if (image.complete && image.naturalWidth === 0) wrong.push(`${image.src} is not drawn`);
    const paper = getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number);
    return {wrong, brightness: (paper[0] + paper[1] + paper[2]) / 3};
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1300, 400])
def test_its_pages_in_a_browser(browser, address, width, scheme):
    for name in PAGES:
        wrong = []
        page = opened(browser, f"{address}/{name}.html", wrong, width, scheme)
        look = page.evaluate(LOOK)
        page.close()
        assert wrong + look["wrong"] == [], name
        assert (look["brightness"] > 200) == (scheme == "light"), name


BESIDE = """() => [...document.querySelectorAll("table.autosummary tr")].map(row => {
    const [name, does] = [...row.cells].map(cell => cell.getBoundingClientRect());
    const cut = [...row.cells].some(cell => cell.scrollWidth > cell.clientWidth + 1);
    return {inside: !cut && does.right <= document.documentElement.clientWidth, below: does.top >= name.bottom - 1,
            empty: row.getBoundingClientRect().height - Math.max(name.height + does.height, does.bottom - name.top)};
})"""


@pytest.mark.parametrize("width", [1300, 400, 320])
def test_what_names_do_is_in_sight(browser, address, width):
    wrong = []
    page = opened(browser, f"{address}/api.html", wrong, width)
    rows = page.evaluate(BESIDE)
    assert len(rows) > 70
    assert all(row["inside"] and row["empty"] < 5 for row in rows)
    assert {row["below"] for row in rows} == {width <= 400}
    if width <= 400:  # without the site's own style it is out of sight
        page.evaluate("() => document.querySelector('link[href*=\"fastgd.css\"]').remove()")
        assert not all(row["inside"] for row in page.evaluate(BESIDE))
    page.close()
    assert wrong == []


def test_the_look_sees_what_is_wrong(browser, address, site):
    (site / "wrong.html").write_text(
        '<div style="width:900px">wide</div><img src="none.png"><script>nothing.there</script>'
        '<link rel="stylesheet" href="https://example.invalid/a.css">'
    )
    wrong = []
    page = opened(browser, f"{address}/wrong.html", wrong, 400)
    found = "\n".join([*wrong, *page.evaluate(LOOK)["wrong"]])
    page.close()
    (site / "wrong.html").unlink()
    for sign in ("scrolls sideways", "none.png is not drawn", "nothing is not defined", "example.invalid", "404"):
        assert sign in found, found


def test_the_search_finds(browser, address):
    wrong = []
    page = opened(browser, f"{address}/search.html?q=dropout", wrong)
    page.wait_for_selector("ul.search li a")
    found = [link.get_attribute("href") for link in page.query_selector_all("ul.search li a")]
    assert any("api/fastgd.MLP" in link for link in found), found
    page.goto(f"{address}/search.html?q=xyzzyplugh")
    page.wait_for_function("document.querySelector('.search-summary')?.textContent.includes('did not match')")
    assert page.query_selector_all("ul.search li a") == []
    page.close()
    assert wrong == []
