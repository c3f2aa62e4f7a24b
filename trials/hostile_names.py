"""Names and labels that are markup, code or escape codes: text wherever they are shown, and never more than that."""

from __future__ import annotations

import ast
import contextlib
import io
import random
import re
import sys
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from .hostile_watch import UNSEEN, Attempt, watched
from .trial import Outcome, Trial

MARK = "CANARY"  # in every piece of code below
PIECES = (
    f"<script>{MARK}()</script>", f"<img src=x onerror={MARK}()>", f"\"><svg onload='{MARK}()'>", "</style></title>",
    f"]]>&lt;{MARK};", "--><!--", f"'; {MARK}(); '", f'"; {MARK}(); "', f'"""\n{MARK}()\n"""', f"'''\n{MARK}()\n'''",
    f"\\\n{MARK}()", f"{{{{{MARK}}}}}", f"${{{MARK}}}", "$\\frac{", "$x^{$", "\\input{/etc/passwd}", f"*/ {MARK}(); /*",
    f"**//{MARK}();", f"?\x3f/\n{MARK}();", "?\x3f?/", f"//\\\n{MARK}", f"\n#define x {MARK}\n", "%n%s%x", "|a|b|",
    "`x`",
    f"\n\n# {MARK}\n", "\x1b[2J\x1b]0;x\x07", "\x9b31m", "\u202eabc\u2066",
    "\u2028\u2029\x85\x0b", "\x00", "\ud800", "\udcff",
    "\ufeff", "é" * 50, "x" * 10_000, "[red]x[/red]", ":smile:", "=1+1", "-", "--",
    "--help", "*", "inf", "nan", "", " ", "a,b",
    'a"b', "N/A", "None", "0", "__proto__", "𝒳", "\u0301" * 40, "\t",
)  # fmt: skip
TAGS = {
    "html", "head", "meta", "link", "title", "style", "body", "h1", "h2", "h3", "section", "p", "table", "thead",
    "tbody",
    "tr", "th", "td", "caption", "figure", "figcaption", "span", "br", "div", "ul", "li", "small", "strong", "em",
    "code",
    "svg", "g", "path", "polyline", "line", "rect", "circle", "text", "tspan", "desc", "defs", "use", "clippath",
    "metadata", "polygon", "rdf:rdf", "cc:work", "dc:type", "dc:date", "dc:format", "dc:creator", "cc:agent",
    "dc:title",
    "image",
}  # fmt: skip
C_TEXT = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*', re.DOTALL)
TRIGRAPH = re.compile(r"\?\?[=/'()!<>-]")


def name(rng: random.Random) -> str:
    """A hostile name."""
    return "".join(rng.choice(PIECES) for _ in range(rng.choice((1, 1, 2, 3)))) + rng.choice(
        ("", "", str(rng.random()))
    )


def names(rng: random.Random, n: int, half: str = "\ud800") -> list[str]:
    """Different ones, none of them empty; data frames have no halves of characters, so that they get something else."""
    found: dict[str, None] = {}
    while len(found) < n:
        found[re.sub("[\ud800-\udfff]", half, name(rng))] = None
    return [each or f"empty {MARK}" for each in found]


class Page(HTMLParser):
    """Reads a page and notes what no name may bring into it."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        wrong = [key for key, value in attrs if key.startswith("on") or (value or "").startswith("javascript:")]
        if tag not in TAGS or wrong:
            self.wrong.append(f"<{tag} {' '.join(wrong)}>")
        if tag == "img" or dict(attrs).get("src") == "x":
            self.wrong.append(f"<{tag} src>")


def check_page(text: str) -> None:
    """No markup, no script, nothing unseen in a page."""
    page = Page()
    page.feed(text)
    page.close()
    assert not page.wrong, f"the page has {page.wrong[:3]}"


def check_shown(text: str) -> None:
    """Nothing that steers a terminal, but ends of lines."""
    found = UNSEEN.search(text.replace("\n", ""))
    assert found is None, f"{found and found[0]!r} reached the terminal in {text[:200]!r}"


def check_python(text: str) -> None:
    """The marker is in texts alone, and the script is one."""
    tree = ast.parse(text)
    code = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    code |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert MARK not in code, "a name became code of a script"


def check_c(text: str) -> None:
    """The marker is in texts and comments alone, and nothing splices lines."""
    assert TRIGRAPH.search(text) is None, "there is a trigraph in the header"
    left = C_TEXT.sub("", text)
    assert MARK not in left, "a name became code of a header"
    assert not {'"', "'"} & set(left), "a text of the header does not end"
    assert "*/" not in left, "a comment of the header ends early"


def _trained(rng: random.Random) -> tuple[Any, Any, Any]:
    """A small model with hostile names and labels, and its table."""
    import polars as pl

    import fastgd

    columns, labels, levels = names(rng, 3, "?"), names(rng, rng.choice((2, 3))), names(rng, 3, "?")
    n = 40
    frame = pl.DataFrame({
        columns[0]: np.arange(n) % 7, columns[1]: np.arange(n) ** 1.5,
        columns[2]: [rng.choice(levels) for _ in range(n)],
    })  # fmt: skip
    of_classes = rng.random() < 0.6
    y = np.array([labels[k % len(labels)] for k in range(n)]) if of_classes else np.arange(n) * 3.0
    loss = (
        ("cross_entropy" if len(labels) > 2 or rng.random() < 0.5 else "binary_cross_entropy") if of_classes else "mse"
    )
    n_out = 1 if loss != "cross_entropy" else len(labels)
    model = fastgd.MLP([3, 2, n_out], loss=loss, encoding="auto", random_state=0)
    model.fit(frame, y, epochs=1, verbose=0)
    return model, frame, y


def _pages(model: Any, frame: Any, y: Any, rng: random.Random) -> None:
    """What notebooks and plots show."""
    import fastgd

    shown = [model, model.blame(frame, y, by="input"), fastgd.features.permutation_importance(model, frame, y)]
    for thing in shown:
        check_page(thing._repr_html_())
        check_shown(repr(thing) if thing is model else str(thing))
    curve = fastgd.features.partial_dependence(model, frame, rng.choice(frame.columns))
    check_page(curve._repr_html_())
    import matplotlib.pyplot as plt

    drawn = io.StringIO()
    if model.classes is not None:
        fastgd.plots.confusion_matrix(model, frame, y)
    else:
        fastgd.plots.partial_dependence(curve)
    plt.gcf().savefig(drawn, format="svg")
    plt.close("all")
    check_page(drawn.getvalue())


def names_shown(rng: random.Random, folder: Path) -> Attempt:
    """A model with hostile names that is saved, loaded, exported and shown."""
    import fastgd

    saved, script, header, graph = (folder / f"m.{ending}" for ending in ("fastgd", "py", "h", "onnx"))
    model: Any = None
    with contextlib.suppress(fastgd.errors.FastgdError):
        model = _trained(rng)
    way = rng.choice(("export", "pages"))

    def act() -> None:
        if model is None:
            return
        trained, frame, y = model
        trained.save(saved)
        loaded = fastgd.load(saved)
        if way == "pages":
            _pages(loaded, frame, y, rng)
            return
        for path, check in ((script, check_python), (header, check_c), (graph, None)):
            try:
                loaded.export(path)
            except fastgd.errors.FastgdError as error:
                check_shown(str(error))
                continue
            if check is not None:
                check(path.read_text(encoding="utf-8"))

    what = way if model is None else f"{way} of {model[1].columns!r:.150} {model[0].classes!r:.100}"
    return Attempt(
        what.encode("ascii", "backslashreplace").decode(), act, 512 << 20, (saved,), (saved, script, header, graph)
    )


def hostile_names(cases: int, seed: int) -> Outcome:
    """Models with hostile names in children under watch."""
    return watched(f"{__name__}:names_shown", cases, seed)


TRIALS = (
    Trial(
        "hostile-names",
        "A name of a column, a level or a class is text wherever it is shown: no markup in a page or a plot, no code "
        "in an exported script or header, no escape code on a terminal.",
        "tests/test_hostile_files.py::test_hostile_names",
        800,
        hostile_names,
    ),
)
if sys.flags.optimize:
    raise RuntimeError("The checks of this module are assertions: run Python without -O.")
