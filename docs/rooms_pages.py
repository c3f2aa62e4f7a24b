"""The directive `room`: the files of a folder of the package, in reading order, with the first sentence of each."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

PACKAGE = Path(__file__).parents[1] / "fastgd"


class Room(SphinxDirective):
    """The content names the files to read first; the others follow by name."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        folder = PACKAGE / self.arguments[0]
        first = [folder / f"{name}.py" for line in self.content for name in line.split()]
        others = sorted(path for path in folder.glob("*.py") if path not in first and path.name != "__init__.py")
        entries = nodes.definition_list()
        for path in [*first, *others]:
            self.env.note_dependency(str(path))
            said = " ".join((ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split())
            term = nodes.term("", "", nodes.literal(path.name, path.name))
            text = nodes.paragraph("", re.split(r"(?<=[.:]) ", said)[0].rstrip(":"))
            entries += nodes.definition_list_item("", term, nodes.definition("", text))
        return [entries]


def setup(app: Any) -> dict[str, bool]:
    app.add_directive("room", Room)
    return {"parallel_read_safe": True}
