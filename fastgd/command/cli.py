"""The command line: `fastgd train FILE`, `fastgd predict MODEL FILE`, and what else there is."""

from __future__ import annotations

import click

from .. import __version__
from .guard import OneLineUsage

COMMANDS = {
    "example": "Write a table of houses and their prices to FILE, to try the other commands on.",
    "train": "Train on the rows of FILE and say how good it is on rows held out.",
    "predict": "Predict the rows of FILE with the network or networks in MODEL.",
    "evaluate": "Say how good the predictions of MODEL are on the rows of FILE.",
    "explain": "Explain what MODEL makes of the columns of FILE.",
    "lr-find": "Find the learning rate that suits the rows of FILE.",
    "export": "Write MODEL for programs without fastgd, as the ending of OUT says.",
    "info": "Tell what is in the file MODEL: networks, columns, classes, training.",
    "warmup": "Compile every loop for this machine in advance.",
    "demo": "Tell how a network learns the price of a house, from meaningless predictions to good ones.",
    "completion": "Print a script for SHELL that completes commands and options.",
    "bench": "Did my change make fastgd slower? For a clone of the repository.",
}


@click.group(
    cls=OneLineUsage,
    commands_known=COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.pass_context
@click.version_option(__version__, prog_name="fastgd", message="%(prog)s %(version)s")
def main(context: click.Context) -> None:
    """Neural networks that learn by explicit, compiled loops."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


if __name__ == "__main__":
    main()
