"""The command line: `fastgd demo`, `train FILE`, `warmup`, `bench`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from .. import __version__
from .demo import demo
from .guard import OneLineUsage, one_line_errors
from .terminal import complain, say
from .train import train


@click.group(
    cls=OneLineUsage,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.pass_context
@click.version_option(__version__, prog_name="fastgd", message="%(prog)s %(version)s")
def main(context: click.Context) -> None:
    """Neural networks that learn by explicit, compiled loops."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


main.add_command(demo)
main.add_command(train)


@main.command()
@click.option("--against", "revision", required=True, help="The git revision to compare the working tree with.")
@click.option("--cases", default="", help="Only cases with all these words in their name, such as 'epoch tanh'.")
@click.option("--limit", default=3.0, show_default=True, help="Differences of at most this many per cent do not count.")
def bench(revision: str, cases: str, limit: float) -> None:
    """Did my change make fastgd slower? For a clone of the repository.

    All cases of the benchmark suite take six minutes on two cores, and more where many kernels have changed. Changed
    functions that no case runs are named.

    Exit code 0: nothing is slower; 1: something is; 2: no answer.
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


@main.command()
@one_line_errors
def warmup() -> None:
    """Compile every loop for this machine in advance; the machine code is kept on disk."""
    from .warmup import warm_up

    total = 0.0
    for warmed in warm_up():
        total += warmed.seconds
        say(f"{warmed.seconds:6.1f} s  {warmed.what}")
    say(f"{total:6.1f} s  in all; what was ready before takes no time")


if __name__ == "__main__":
    main()
