"""Write the outputs that docs/learning.ipynb shows, by running its cells one after the other; or check them.

A cell's output is what it prints, and the figures that it draws, as Jupyter shows them. The pixels of figures are not
compared, because they depend on the version of matplotlib; their sizes and axes are.

    python tools/notebook.py            runs the cells and writes their outputs
    python tools/notebook.py --check    exits with 1 where a cell prints or draws something else
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "learning.ipynb"
DOTS_PER_INCH = 72

Cell = dict[str, Any]


def outputs(cells: list[Cell]) -> list[list[dict[str, Any]]]:
    """What each code cell prints and draws, as a notebook has it; all cells share their names."""
    import matplotlib.pyplot

    matplotlib.use("Agg")  # opens no windows
    matplotlib.pyplot.close("all")  # what is open already belongs to no cell
    space: dict[str, Any] = {"__name__": "__main__"}
    return [_of_cell("".join(cell["source"]), space) for cell in cells]


def _of_cell(source: str, space: dict[str, Any]) -> list[dict[str, Any]]:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(source, "<cell>", "exec"), space)
    found: list[dict[str, Any]] = []
    if printed.getvalue():
        found.append({"name": "stdout", "output_type": "stream", "text": _lines(printed.getvalue())})
    return found + [
        {"data": {"image/png": image, "text/plain": [words]}, "metadata": {}, "output_type": "display_data"}
        for image, words in _figures()
    ]


def _figures() -> list[tuple[str, str]]:
    """The figures that are open, as PNG in base64, and what stands for them in a text; they are closed."""
    from matplotlib import pyplot

    images = []
    for figure in map(pyplot.figure, pyplot.get_fignums()):
        content, words = io.BytesIO(), repr(figure)
        figure.savefig(content, dpi=DOTS_PER_INCH, metadata={"Software": None})
        images.append((base64.b64encode(content.getvalue()).decode() + "\n", words))
    pyplot.close("all")
    return images


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def seen(found: list[dict[str, Any]]) -> list[Any]:
    """What is compared of outputs: texts, and of figures their sizes and axes."""
    return [entry.get("text") or entry["data"]["text/plain"] for entry in found]


def renewed(text: str) -> tuple[str, list[str]]:
    """The notebook with every output as it is now, and the first lines of the cells whose output had changed."""
    notebook = json.loads(text)
    cells, stale = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"], []
    for number, (cell, found) in enumerate(zip(cells, outputs(cells), strict=True), start=1):
        if seen(found) != seen(cell["outputs"]):
            stale.append(cell["source"][0].strip())
            cell["outputs"] = found
        cell["execution_count"] = number
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", stale


def main() -> None:
    fresh, stale = renewed(NOTEBOOK.read_text(encoding="utf-8"))
    if "--check" not in sys.argv:
        NOTEBOOK.write_text(fresh, encoding="utf-8")
    elif stale:
        sys.exit(f"These cells no longer give what is shown: {'; '.join(stale)}. Run python tools/notebook.py.")


if __name__ == "__main__":
    main()
