"""How the documentation site is built: after `pip install -e '.[docs]'` by

    sphinx-build -W -n --keep-going docs build/site

What a build makes on the way, the pages of gallery/ and api/, lies beside the sources and is not kept by git.
"""

from __future__ import annotations

import os
import re
import sys
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT), str(HERE)]

import fastgd  # noqa: E402
from fastgd.mlp import INNER  # noqa: E402

# Where the site is published from a repository, it links to it.
REPOSITORY = ""
if "GITHUB_REPOSITORY" in os.environ:
    REPOSITORY = f"{os.environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{os.environ['GITHUB_REPOSITORY']}"

project, author, copyright = "fastgd", "The fastgd developers", "The fastgd developers"
version = release = fastgd.__version__

# napoleon, and not numpydoc: docstrings say "Args:" and "Raises:" (Google's style), which numpydoc does not read.
extensions = [
    "myst_parser",
    "notebook_pages",
    "rooms_pages",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_gallery.gen_gallery",
]
default_role = "literal"  # docstrings write `code`
exclude_patterns = ["examples", "gallery/*.ipynb", "gallery/*.py", "_templates"]
templates_path = ["_templates"]
nitpicky = True

myst_enable_extensions = ["dollarmath"]  # the notebook's formulas, which need no script: browsers draw MathML
html_math_renderer = "mathml"
myst_heading_anchors = 3  # [words](page.md#a-heading), as on GitHub

autosummary_generate = True
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 80
napoleon_numpy_docstring = True  # what the estimators take over from scikit-learn
napoleon_use_param = False  # "epochs, batch_size: …" is one line for two names
napoleon_use_ivar = True
# No page of its own has what belongs to other libraries, and what only annotations name: fastgd.room.module.Name.
nitpick_ignore_regex = [("py:.*", r"(?!fastgd\.).*"), ("py:.*", r"fastgd(\.[a-z_]+){2,}\.[A-Z]\w*")]

html_theme = "pydata_sphinx_theme"
html_context = {"default_mode": "auto"}
html_title = "fastgd"
html_favicon = "_static/icon.svg"
html_static_path = ["_static"]
html_css_files = ["fastgd.css"]
html_show_sourcelink = html_copy_source = False
html_theme_options = {
    "logo": {"image_light": "_static/icon.svg", "image_dark": "_static/icon.svg", "text": "fastgd"},
    "icon_links": [{"name": "Repository", "url": REPOSITORY, "icon": "fa-brands fa-github"}] if REPOSITORY else [],
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
}
html_sidebars = {"index": [], "start": [], "story": [], "how_it_works": []}


sphinx_gallery_conf: dict[str, Any] = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 1e9,
    "write_computation_times": False,
    "remove_config_comments": True,
    "abort_on_example_error": True,
    "plot_gallery": "True",
}


def links_out_of_the_site(app: Any, name: str, source: list[str]) -> None:
    """Files beyond docs/ are no pages: their links, true in a clone, go to the repository, or are words alone."""

    def elsewhere(match: re.Match[str]) -> str:
        words, path, place = match.groups()
        if not (ROOT / path).exists():
            raise FileNotFoundError(f"{name} links to {path}, which is not in the repository.")
        return f"[{words}]({REPOSITORY}/blob/main/{path}{place})" if REPOSITORY else words

    source[0] = re.sub(r"\[([^\]]*)\]\(\.\./([^)#]+)([^)]*)\)", elsewhere, source[0])


def skipped(app: Any, what: str, name: str, value: Any, skip: bool, options: Any) -> bool | None:
    """What the rooms around ask of a model, or scikit-learn's objects of each other, is not for users."""
    return True if name in INNER or name.endswith(("_request", "_metadata_routing")) else None


def defaults_of_python(
    app: Any, what: str, name: str, value: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """A default that no Python can read, such as <factory>, is "...": autosummary would mangle the whole signature."""
    return signature and re.sub(r"=( ?)<[^<>]*>", r"=\1...", signature), returned


def in_restructured_text(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Docstrings as plain text: |e| is no substitution, recipe_ no link; scikit-learn's labels are on its own site."""
    for i, line in enumerate(lines):
        if ">>>" not in line:
            line = re.sub(r":(?:ref|term|class|func|meth):`~?([^`<]+?)(?: <[^>]*>)?`", r"\1", line)
            parts = re.split(r"(`+[^`]*`+)", line)
            parts[::2] = [re.sub(r"\||(?<=\w)_(?!\w)", r"\\\g<0>", part) for part in parts[::2]]
            lines[i] = "".join(parts)


def homes() -> dict[str, str]:
    """Where a public name is defined, for its public name: annotations know the first."""
    names = [name for name in fastgd.__dir__() if name != "__version__"]
    found = {}
    for name in names:
        value = getattr(fastgd, name)
        inner = [f"{name}.{part}" for part in value.__all__] if isinstance(value, ModuleType) else [name]
        for public in inner:
            value = attrgetter(public)(fastgd)
            if hasattr(value, "__qualname__"):
                found[f"{value.__module__}.{value.__qualname__}"] = f"fastgd.{public}"
    return found


HOMES = homes()


def at_its_public_name(app: Any, environment: Any, node: Any, words: Any) -> Any:
    """Links of annotations go to the page of the public name."""
    public = HOMES.get(node.get("reftarget", ""))
    if node.get("refdomain") != "py" or public is None:
        return None
    domain = environment.get_domain("py")
    return domain.resolve_xref(environment, node["refdoc"], app.builder, "obj", public, node, words)


def formula(as_block: bool) -> Any:
    """Writes a formula as MathML, which browsers draw by themselves."""

    def visit(translator: Any, node: Any) -> None:
        translator.body.append(tex2mathml(node.astext(), as_block=as_block))
        raise nodes.SkipNode

    return visit


def setup(app: Any) -> None:
    app.add_html_math_renderer("mathml", (formula(as_block=False), None), (formula(as_block=True), None))
    app.connect("source-read", links_out_of_the_site)
    app.connect("autodoc-skip-member", skipped)
    app.connect("autodoc-process-signature", defaults_of_python)
    app.connect("autodoc-process-docstring", in_restructured_text)
    app.connect("missing-reference", at_its_public_name)
