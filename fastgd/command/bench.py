"""`fastgd bench`: versions of fastgd itself, compared."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from .terminal import complain


@click.command()
@click.option("--against", "revision", required=True, help="The git revision to compare the working tree with.")
@click.option("--cases", default="", help="Only cases with all these words in their name, such as 'epoch tanh'.")
@click.option("--limit", default=3.0, show_default=True, help="Differences of at most this many per cent do not count.")
def bench(revision: str, cases: str, limit: float) -> None:
    """Did my change make fastgd slower? For a clone of the repository.

    All cases of the benchmark suite take six minutes on two cores, and more where many kernels have changed. Changed
    functions that no case runs are named.

    Exit code 0: nothing is slower; 1: something is; 2: no answer.

    Example: fastgd bench --against main
    """
    import subprocess

    folder = next((at for at in (Path.cwd(), *Path.cwd().parents) if (at / "benchmarks" / "ab.py").exists()), None)
    if folder is None:
        complain("`bench` compares versions of fastgd itself: run it in a clone of its repository.")
        sys.exit(2)
    command = [sys.executable, str(folder / "benchmarks" / "ab.py")]
    command += [f"--base={revision}", f"--cases={cases}", f"--limit={limit}"]
    if os.name == "posix":  # it takes the place of this process, so that it gets every signal and cleans up
        os.execv(command[0], command)
    sys.exit(subprocess.run(command).returncode)
