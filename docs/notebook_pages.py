"""Notebooks as pages of the site, with the outputs that they were saved with: nothing is run."""

from __future__ import annotations

import json
from typing import Any

from myst_parser.parsers.sphinx_ import MystParser


def markdown(cell: dict[str, Any]) -> str:
    """A cell in Markdown: words as they are, code, what it printed, and its pictures."""
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return source
    parts = [f"```python\n{source}\n```"]
    for output in cell["outputs"]:
        data = output.get("data", {})
        if "image/png" in data:
            picture = "".join(data["image/png"]).replace("\n", "")
            parts.append(f"![What the cell above draws](data:image/png;base64,{picture})")
        else:
            text = "".join(output.get("text") or data["text/plain"]).rstrip("\n")
            parts.append(f"```text\n{text}\n```")
    return "\n\n".join(parts)


class NotebookParser(MystParser):
    """Reads .ipynb."""

    supported = ("ipynb",)

    def parse(self, inputstring: str, document: Any) -> None:
        cells = json.loads(inputstring)["cells"]
        super().parse("\n\n".join(map(markdown, cells)), document)


def setup(app: Any) -> dict[str, bool]:
    app.add_source_suffix(".ipynb", "ipynb")
    app.add_source_parser(NotebookParser)
    return {"parallel_read_safe": True}
