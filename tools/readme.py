"""Write the outputs that README.md shows, by running what stands above them; or check that they are still true.

A fenced block that follows the line `<!-- output -->` holds what the fenced block before it prints: Python code, or
a console line that begins with `$`. Numbers of seconds and rows per second are not compared: they differ every time.

    python tools/readme.py            writes the blocks
    python tools/readme.py --check    exits with 1 where one is no longer true
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(
    r"```(?P<language>\w+)\n(?P<code>[^`]*)```\n\n<!-- output -->\n```text\n(?P<output>[^`]*)```",
)
CHANGING = re.compile(r"[\d,]+ rows/s|\d+\.\d+ s\b")


def printed_by(language: str, code: str) -> str:
    """What the code prints, run as a newcomer would."""
    if language == "python":
        command = [sys.executable, "-c", code]
    else:
        program, *arguments = code.strip().removeprefix("$ ").split()
        command = [str(Path(sys.executable).parent / Path(program).name), *arguments]
    environment = {**os.environ, "COLUMNS": "80"}
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=README.parent)
    lines = [line.rstrip() for line in result.stdout.splitlines() if not line.startswith("compiling the loops")]
    return "\n".join(lines) + "\n"


def without_times(text: str) -> str:
    """The text with every number that differs from run to run left out."""
    return re.sub(r" +", " ", CHANGING.sub("*", text))


def main() -> None:
    text = README.read_text(encoding="utf-8")
    stale = []

    def renewed(match: re.Match[str]) -> str:
        output = printed_by(match["language"], match["code"])
        if without_times(output) == without_times(match["output"]):
            return match[0]
        stale.append(match["code"].strip().splitlines()[0])
        return match[0].replace(f"```text\n{match['output']}```", f"```text\n{output}```")

    fresh = BLOCK.sub(renewed, text)
    if "--check" not in sys.argv:
        README.write_text(fresh, encoding="utf-8")
    elif stale:
        sys.exit(f"README.md no longer shows what this prints: {'; '.join(stale)}. Run python tools/readme.py.")


if __name__ == "__main__":
    main()
