"""`fastgd completion SHELL`: the shell learns to complete commands, options and files."""

from __future__ import annotations

import click

from .guard import one_line_errors

VARIABLE = "_FASTGD_COMPLETE"  # by which click is asked for completions; the script sets it


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@one_line_errors
def completion(shell: str) -> None:
    """Print a script for SHELL that completes commands and options.

    With bash, this line in ~/.bashrc loads it: eval "$(fastgd completion bash)"; with zsh likewise in ~/.zshrc. With
    fish: fastgd completion fish > ~/.config/fish/completions/fastgd.fish

    Example: fastgd completion bash
    """
    from click.shell_completion import get_completion_class

    root = click.get_current_context().find_root()
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(root.command, {}, "fastgd", VARIABLE).source())
