"""Print constraints for pip by which each library is the oldest that pyproject.toml names.

python tools/oldest.py > oldest.txt && pip install -c oldest.txt -e '.[dev]'
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def constraints(text: str) -> list[str]:
    """For "numpy>=2.0" numpy==2.0.*, of all dependencies, extras included, by name; of two bounds the higher."""
    project = tomllib.loads(text)["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    bounds: dict[str, tuple[int, ...]] = {}
    for requirement in wanted:
        name, version = re.fullmatch(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)(?:,<[\d.]+)?(?:;.*)?", requirement).groups()
        bounds[name] = max(bounds.get(name, ()), tuple(map(int, version.split("."))))
    return [f"{name}=={'.'.join(map(str, version))}.*" for name, version in sorted(bounds.items())]


if __name__ == "__main__":
    print("\n".join(constraints((ROOT / "pyproject.toml").read_text(encoding="utf-8"))))
