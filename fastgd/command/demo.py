"""`fastgd demo`: the story of learning, told scene by scene."""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path
from typing import Any

import click

from .guard import EXIT_INTERRUPTED, one_line_errors
from .options import overwrite_option
from .paths import check_can_write
from .terminal import say, tell

PROMPT = "… press a key (q ends)"


@click.command()
@click.option(
    "--epochs",
    default=10,
    show_default=True,
    type=click.IntRange(min=1),
    help="Passes over all houses in the whole training.",
)
@click.option(
    "--batch-size",
    default=32,
    show_default=True,
    type=click.IntRange(min=1),
    help="Houses per step in the whole training.",
)
@click.option(
    "--learning-rate",
    default=0.05,
    show_default=True,
    type=float,
    help="Size of a step, from the small batches on: the scenes with the four weights have rates of their own.",
)
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    help="Another market and network, in all scenes.",
)
@click.option("--step", is_flag=True, help="Wait for a key after each scene.")
@click.option("--fast", is_flag=True, help="A tenth of the houses, which are others, and at most 3 epochs.")
@click.option("--report", type=click.Path(path_type=Path), help="Write it with its charts to this HTML file, too.")
@overwrite_option
@one_line_errors
def demo(
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    step: bool,
    fast: bool,
    report: Path | None,
    overwrite: bool,
) -> None:
    """Tell how a network learns the price of a house, from meaningless predictions to good ones.

    Example: fastgd demo --step --report house.html
    """
    started = time.perf_counter()
    from ..errors import TrainingWarning
    from ..kernels import DEFAULT_DEVICE, engine
    from ..pages.page import Scene, write_page
    from ..pages.story import StoryOptions, scenes
    from ..training.history import INTERRUPTED
    from ..training.optimizers import SGD

    SGD(learning_rate=learning_rate)  # what is wrong is told before the story begins
    check_can_write(report, overwrite=overwrite)
    scenes_so_far, histories = [], []

    def train(model: Any, X: Any, y: Any, optimizer: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TrainingWarning)  # what came of it is told
            histories.append(model.fit(X, y, epochs=options.epochs, batch_size=batch_size, optimizer=optimizer))
        return histories[-1]

    options = StoryOptions(
        10_000 if fast else 100_000, min(epochs, 3) if fast else epochs, batch_size, learning_rate, seed, train
    )
    if not engine(DEFAULT_DEVICE).is_compiled():
        say("(compiling the loops for this machine, once; this takes some seconds)")
    scene: Scene
    for scene in scenes(options):
        tell(scene)
        scenes_so_far.append(scene)
        if step and not _goes_on():
            break
    else:
        say(f"With everything: {time.perf_counter() - started:.1f} s.")
    if report is not None:
        write_page(report, "How a network learns the price of a house", scenes_so_far)
        say(f"The same with charts: {report}")
    if histories and histories[-1].ended == INTERRUPTED:
        sys.exit(EXIT_INTERRUPTED)


def _goes_on() -> bool:
    """Wait for a key, where there is someone to press it; q, Escape and Ctrl-D end the story."""
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout)):
        return True
    click.echo(PROMPT, nl=False)
    try:
        return click.getchar() not in ("q", "Q", "\x1b", "\x04")
    except EOFError:
        return False
    finally:
        click.echo(f"\r{' ' * len(PROMPT)}\r", nl=False)  # nothing of it stays between the scenes
