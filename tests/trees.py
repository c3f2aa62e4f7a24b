"""Copies of the working tree, and what is changed in them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parent.parent


def copied(tmp_path):
    """The working tree's package and benchmarks, elsewhere."""
    for name in ("fastgd", "benchmarks"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def planted(tree, file, code):
    """Plant a fault into a copied tree: code at the end of a file, whatever else stands there."""
    with (tree / file).open("a") as text:
        text.write(f"\n\n{code}")


def renamed(tree, words):
    """Rename words in all of a tree's sources, as an editor would: not in texts, nor as a part of other words."""
    pattern = re.compile(rf"(?<![\w\"'])({'|'.join(words)})(?![\w\"'])")
    for path in [*(tree / "fastgd").rglob("*.py"), *(tree / "benchmarks").rglob("*.py")]:
        path.write_text(pattern.sub(lambda found: words[found[0]], path.read_text()))
