"""Build wheel and sdist, install each into an environment of its own, and use it there as a newcomer would.

python tools/try_package.py            builds them first (pip install build)
python tools/try_package.py dist       tries what lies in this folder
python tools/try_package.py --help
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
# What has to be in a source archive, so that its tests and its site can be run and built.
SOURCES = (
    "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md", "benchmarks/results",
    "docs/conf.py", "docs/examples", "docs/learning.ipynb", "fastgd/py.typed", "pyproject.toml", "tests/golden",
    "tests/conftest.py", "tools/faults.txt", ".ci/run", ".github/workflows/test.yml",
)  # fmt: skip
USED = """
import importlib.metadata, pathlib, sys
import fastgd
home = pathlib.Path(fastgd.__file__).parent
assert home.is_relative_to(sys.prefix), f"{home} is not what was installed"
assert (home / "py.typed").is_file()
assert importlib.metadata.version("fastgd") == fastgd.__version__
"""
LEARNED = """
import fastgd
rows = sum(1 for _ in open("houses.csv"))
assert len(open("predicted.csv").readlines()) == rows > 100
assert fastgd.load("house.safetensors").feature_names[0] == "size_m2"
"""


def commands_of_readme() -> list[list[str]]:
    """What README tells a newcomer to type: from an example file to predictions."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (block,) = (block for block in blocks if "fastgd example" in block)
    return [shlex.split(line, comments=True)[1:] for line in block.splitlines()]


def run(*command: str | Path, folder: Path) -> str:
    """What it prints when it runs there, with nothing of this clone in reach."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, command[:4]))}: exit code {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def installed(package: Path, folder: Path) -> Path:
    """The folder of programs of a fresh environment that has this package."""
    venv.create(folder / "venv", with_pip=True)
    programs = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    pip = [programs / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run(*pip, f"{package}[io]", folder=folder)
    return programs


def used(programs: Path, folder: Path) -> None:
    """Import it, tell the story, and do what README says."""
    run(programs / "python", "-c", USED, folder=folder)
    run(programs / "fastgd", "demo", "--fast", folder=folder)
    for arguments in commands_of_readme():
        printed = run(programs / "fastgd", *arguments, folder=folder)
    (folder / "predicted.csv").write_text(printed, encoding="utf-8")
    run(programs / "python", "-c", LEARNED, folder=folder)


def lacking(sdist: Path) -> list[str]:
    """What a source archive should have and has not."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    return [wanted for wanted in SOURCES if not any(name == wanted or name.startswith(f"{wanted}/") for name in names)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where they lie; they are built if it is left out")
    folder = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as scratch:
        if folder is None:
            folder = Path(scratch) / "dist"
            run(sys.executable, "-m", "build", "--outdir", folder, ROOT, folder=Path(scratch))
        (wheel,), (sdist,) = folder.resolve().glob("*.whl"), folder.resolve().glob("*.tar.gz")
        if missing := lacking(sdist):
            sys.exit(f"{sdist.name} lacks {', '.join(missing)}.")
        for package in (wheel, sdist):
            place = Path(scratch) / package.suffix
            place.mkdir()
            used(installed(package, place), place)
            print(f"{package.name}: installed, imported, told the story, learned from a table")


if __name__ == "__main__":
    main()
