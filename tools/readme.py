"""Write the outputs that the README and the pages in docs/ show, by running what stands above them; or check them.

A fenced block that follows the line `<!-- output -->` holds what the fenced block before it prints: Python code, or
a console line that begins with `$`. Numbers of seconds and rows per second are not compared: they differ every time.

The table of what fastgd can do has its names from the package's own tables.

    python tools/readme.py            writes the blocks and the names
    python tools/readme.py --check    exits with 1 where one is no longer true
"""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"```(?P<language>\w+)\n(?P<code>[^`]*)```\n\n<!-- output -->\n```text\n(?P<output>[^`]*)```",
)
CHANGING = re.compile(r"[\d,]+ rows/s|\d+\.\d+ m?s\b")


def printed_by(language: str, code: str, folder: str) -> str:
    """What the code prints, run as a newcomer would: in its page's folder, and scripts of the project in the project's.

    Of console lines all is shown that a terminal would show.
    """
    if language == "console":
        lines = code.strip().splitlines()
        return "".join(_printed(language, line, folder) for line in lines)
    return _printed(language, code, folder)


def _printed(language: str, code: str, folder: str) -> str:
    errors = subprocess.PIPE
    if language == "python":
        command = [sys.executable, "-c", code]
    else:
        program, *arguments = shlex.split(code.strip().removeprefix("$ "))
        if program == "python":
            folder, command = str(ROOT), [sys.executable, *arguments]
        else:
            command, errors = [sys.executable, "-m", Path(program).name, *arguments], subprocess.STDOUT
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "COLUMNS": "80", "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
    result = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=errors, text=True, check=True, env=environment, cwd=folder
    )
    lines = [line.rstrip() for line in result.stdout.splitlines() if "compiling the loops" not in line]
    return "".join(f"{line}\n" for line in lines)


def without_times(text: str) -> str:
    """The text with every number that differs from run to run left out."""
    return re.sub(r" +", " ", CHANGING.sub("*", text))


def names() -> dict[str, str]:
    """For rows of the table of what fastgd can do: what they begin with, and the names that they list."""
    from fastgd.network.activations import ACTIVATIONS
    from fastgd.network.losses import LOSSES
    from fastgd.training.optimizers import OPTIMIZERS, Optimizer

    shared = {"learning_rate", *(entry.name for entry in dataclasses.fields(Optimizer))}

    def with_options(name: str) -> str:
        fields = [entry.name for entry in dataclasses.fields(OPTIMIZERS[name])]
        own = [field for field in fields if field in ("momentum", "nesterov") and field not in shared]
        return f"{name} ({', '.join(own)})" if own else name

    return {
        "activations": ", ".join(ACTIVATIONS),
        "losses": ", ".join(LOSSES),
        "optimizers": ", ".join(map(with_options, OPTIMIZERS)),
    }


def with_names(text: str) -> str:
    """The page with the names as they are now; what follows them in a row, behind a semicolon, stays."""
    for word, listed in names().items():
        text = re.sub(rf"(?m)^(\| {word}[^|\n]*\| )[^|;\n]*?(?=;| \|$)", rf"\g<1>{listed}", text)
    return text


def renewed(text: str) -> tuple[str, list[str]]:
    """The page with every output as it is now, and the first lines of the blocks whose output had changed."""
    stale = []

    def renew(match: re.Match[str]) -> str:
        output = printed_by(match["language"], match["code"], folder)
        if without_times(output) == without_times(match["output"]):
            return match[0]
        stale.append(match["code"].strip().splitlines()[0])
        return match[0].replace(f"```text\n{match['output']}```", f"```text\n{output}```")

    with tempfile.TemporaryDirectory() as folder:  # what one block of a page has written, later ones may read
        return BLOCK.sub(renew, text), stale


def main() -> None:
    all_stale = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        fresh, stale = renewed(with_names(text))
        if with_names(text) != text:
            stale.append("the names of what fastgd can do")
        all_stale += [f"{page.name}: {line}" for line in stale]
        if "--check" not in sys.argv:
            page.write_text(fresh, encoding="utf-8")
    if "--check" in sys.argv and all_stale:
        sys.exit(f"These no longer print what is shown: {'; '.join(all_stale)}. Run python tools/readme.py.")


if __name__ == "__main__":
    main()
