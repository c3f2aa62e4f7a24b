"""The command line: `fastgd demo`, `train FILE`, `warmup`, `bench`. An error is one line and exit code 2."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from . import __version__
from .errors import DivergenceWarning, FastgdError
from .terminal import busy, complain, mute, say, table, tell

INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended


class _Names(click.ParamType):  # type: ignore[type-arg]  # generic only in later releases of click
    name = "NAMES"

    def convert(self, value: Any, param: Any, ctx: Any) -> list[str]:
        names = value if isinstance(value, list) else [name.strip() for name in _cells(value)]
        if not names or not all(names) or len(set(names)) < len(names):
            self.fail(f"{value!r} is not a list of different names such as size_m2,bedrooms.", param, ctx)
        return names


def _cells(line: str) -> list[str]:
    """What stands between commas; a name with a comma in it is quoted, as in the file. Nothing if that is unclear."""
    import csv

    try:
        (cells,) = csv.reader([line], skipinitialspace=True, strict=True)
    except (csv.Error, ValueError):
        return []
    return cells


class _Widths(click.ParamType):  # type: ignore[type-arg]
    name = "WIDTHS"

    def convert(self, value: Any, param: Any, ctx: Any) -> list[int]:
        if isinstance(value, list):
            return value
        words = [word.strip() for word in value.split(",")] if value.strip() else []
        if not all(word.isdecimal() and len(word) < 20 and int(word) > 0 for word in words):
            self.fail(
                f"{value!r} is not a list of layer widths such as 64,64 (empty for no hidden layer).",
                param,
                ctx,
            )
        return [int(word) for word in words]


def _one_line_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Turn what a user can meet into one line on standard error and exit code 2."""

    @functools.wraps(command)
    def wrapper(*args: Any, **options: Any) -> None:
        try:
            with _room_for(options.get("save"), options.get("report")), warnings.catch_warnings():
                warnings.showwarning = _one_line_warning
                warnings.filterwarnings("ignore", ".* rose in a few steps", DivergenceWarning)  # an error follows
                command(*args, **options)
        except MemoryError:
            complain("there is not enough memory for this: use fewer rows, or a smaller network.")
            sys.exit(2)
        except FastgdError as error:
            complain(error)
            sys.exit(2)
        except KeyboardInterrupt:
            complain("interrupted")
            sys.exit(INTERRUPTED)

    return wrapper


def _room_for(*paths: Path | None) -> contextlib.AbstractContextManager[Any]:
    """Where standard output takes a model or a page, what is told goes to standard error."""
    from .atomic import STANDARD_OUTPUT, destination

    with contextlib.suppress(OSError, ValueError):  # a path that leads nowhere is refused later
        if STANDARD_OUTPUT in [destination(path) for path in paths if path is not None]:
            return contextlib.redirect_stdout(sys.stderr)
    return contextlib.nullcontext()


class _OneLineUsage(click.Group):
    """A group whose usage errors, too, are one line on standard error and exit code 2, as is a full disk."""

    def main(self, args: Any = None, prog_name: Any = None, *others: Any, **options: Any) -> Any:
        standalone = options.pop("standalone_mode", True)
        options["standalone_mode"] = False
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a terminal without m² and R² shows a question mark
        try:
            result: Any = super().main(args, prog_name, *others, **options)
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else "fastgd"
            complain(f"{' '.join(error.format_message().split())} See `{command} --help`.")
            sys.exit(2)
        except click.Abort:
            sys.exit(INTERRUPTED)
        except OSError as error:
            mute(sys.stdout)
            what = f"{error.filename} cannot be used" if error.filename else "the output cannot be written"
            complain(f"{what}: {error.strerror or error}.")
            sys.exit(2)
        if standalone:
            sys.exit(result if isinstance(result, int) else 0)
        return result


@click.group(
    cls=_OneLineUsage,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
@click.pass_context
@click.version_option(__version__, prog_name="fastgd", message="%(prog)s %(version)s")
def main(context: click.Context) -> None:
    """Neural networks that learn by explicit, compiled loops."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def _one_line_warning(message: Warning | str, *others: Any, **options: Any) -> None:
    complain(message)


@main.command()
@click.option("--epochs", default=10, show_default=True, type=click.IntRange(min=1), help="Passes over all houses.")
@click.option("--batch-size", default=32, show_default=True, type=click.IntRange(min=1), help="Houses per step.")
@click.option("--learning-rate", default=0.05, show_default=True, type=float, help="Size of a step.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Another market and network.")
@click.option("--step", is_flag=True, help="Wait for a key after each scene.")
@click.option("--fast", is_flag=True, help="A tenth of the houses, at most 3 epochs.")
@click.option("--report", type=click.Path(path_type=Path), help="Write it with its charts to this HTML file, too.")
@_one_line_errors
def demo(
    epochs: int, batch_size: int, learning_rate: float, seed: int, step: bool, fast: bool, report: Path | None
) -> None:
    """Tell how a network learns the price of a house, from meaningless predictions to good ones."""
    started = time.perf_counter()
    from .kernels import engine
    from .optimizers import SGD
    from .report import Scene, write_page
    from .story import Telling, scenes

    SGD(learning_rate=learning_rate)  # what is wrong is told before the story begins
    _check_can_write(report)
    told, histories = [], []

    def train(model: Any, X: Any, y: Any, optimizer: Any) -> Any:
        histories.append(model.fit(X, y, epochs=telling.epochs, batch_size=batch_size, optimizer=optimizer))
        return histories[-1]

    telling = Telling(
        10_000 if fast else 100_000, min(epochs, 3) if fast else epochs, batch_size, learning_rate, seed, train
    )
    if not engine("cpu").is_compiled():
        say("(compiling the loops for this machine, once; this takes some seconds)")
    scene: Scene
    for scene in scenes(telling):
        tell(scene)
        told.append(scene)
        if step and not _goes_on():
            break
    else:
        say(f"With everything: {time.perf_counter() - started:.1f} s.")
    if report is not None:
        write_page(report, "How a network learns the price of a house", told)
        say(f"The same with charts: {report}")
    if histories and histories[-1].stop_reason != "completed":
        sys.exit(INTERRUPTED)


def _goes_on() -> bool:
    """Wait for a key, where there is someone to press it; q, Escape and Ctrl-D end the story."""
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout)):
        return True
    click.echo("… press a key (q ends)", nl=False)
    try:
        return click.getchar() not in ("q", "Q", "\x1b", "\x04")
    except EOFError:
        return False
    finally:
        click.echo()


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--target", required=True, help="The column of numbers to predict.")
@click.option(
    "--features", required=True, type=_Names(), help="The columns of numbers to predict it from, with commas."
)
@click.option("--hidden", default="64,64", show_default=True, type=_Widths(), help="Widths of the hidden layers.")
@click.option("--epochs", default=40, show_default=True, type=click.IntRange(min=1), help="Passes over all rows.")
@click.option("--batch-size", default=32, show_default=True, type=click.IntRange(min=1), help="Rows per step.")
@click.option("--learning-rate", default=0.05, show_default=True, type=float, help="Size of a step.")
@click.option("--group", default=None, help="Column whose equal values stay on one side of the split.")
@click.option(
    "--validation",
    default=0.2,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of the rows that is held out.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of the split and the weights.")
@click.option("--save", type=click.Path(path_type=Path), help="Write the model there; fastgd.load reads it.")
@click.option("--report", type=click.Path(path_type=Path), help="Write an HTML page with charts there.")
@_one_line_errors
def train(
    file: Path,
    target: str,
    features: list[str],
    hidden: list[int],
    epochs: int,
    batch_size: int,
    learning_rate: float,
    group: str | None,
    validation: float,
    seed: int,
    save: Path | None,
    report: Path | None,
) -> None:
    """Train on the rows of FILE (.csv or .csv.gz) and say how good it is on rows held out."""
    from .callbacks import Recorder
    from .data import split_rows
    from .errors import InvalidInputError
    from .model import MLP
    from .optimizers import SGD
    from .report import Part, Rows, Text, number, write_page
    from .tables import read_columns

    target, groups = target.strip(), [] if group is None else [group.strip()]
    if not 0 < validation < 1:  # not-a-number passes every range
        raise InvalidInputError(f"--validation must be a share between 0 and 1, not {validation}.")
    if target in features:
        raise InvalidInputError(f"{target!r} is both the target and a feature: leave it out of --features.")
    optimizer, recorder = SGD(learning_rate=learning_rate), Recorder()
    _check_can_write(save, report, table=file)
    if report is not None:
        from . import drawing

        drawing.check_matplotlib()
    values, texts = read_columns(file, [*features, target], groups)
    X, y = values[:, :-1], values[:, -1]
    train_rows, held_out = split_rows(len(X), validation, texts[groups[0]] if groups else None, seed)
    grouped = f", no {groups[0]} on both sides" if groups else ""
    say(opening := f"{file.name}: {len(X):,} rows, {len(held_out):,} of them held out{grouped}.")
    model = MLP([len(features), *hidden, 1], feature_names=features, random_state=seed)
    say(f"Network {model.network}")
    seen, unseen = (X[train_rows], y[train_rows]), (X[held_out], y[held_out])
    history = model.fit(
        *seen,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        validation_data=unseen,
        callbacks=[recorder] if report is not None else [],
    )
    if save is not None:  # before anything that can go wrong with telling about it
        model.save(save)
    header = ["", "rows", "R²", "root mean squared error", "mean absolute error"]
    measured = [model.evaluate(*part) for part in (seen, unseen)]
    errors = [
        [name, f"{len(part[0]):,}", _r2(m["r2"], part[1]), number(m["rmse"]), number(m["mae"])]
        for name, part, m in zip(("training", "held out"), (seen, unseen), measured, strict=True)
    ]
    table(header, errors)
    say(f"{history.seconds:.2f} s of training, {history.rows_per_second:,.0f} rows/s.")
    if history.epochs and measured[1]["r2"] < 0 and unseen[1].min() < unseen[1].max():
        say("On the rows held out the mean would do better: try another --learning-rate, or more --epochs.")
    if save is not None:
        say(f"Saved to {save}.")
    if report is not None and not history.epochs:
        say(f"No {report}: not one epoch was completed.")
    if report is not None and history.epochs:
        from .names import shortened
        from .training_page import TITLE, Training, scenes

        training = Training(model, history, recorder, optimizer, batch_size, seen, unseen, target)
        first: list[Part] = [
            Text(f"{opening} Network {model.network}, {optimizer}, batches of {batch_size}."),
            Rows(header, errors),
        ]
        with busy(f"drawing {report}"):
            write_page(report, f"{shortened(target, TITLE)} from {file.name}", list(scenes(training, first)))
        say(f"Report: {report}")
    if history.stop_reason != "completed":
        sys.exit(INTERRUPTED)


def _r2(value: float, y: Any) -> str:
    """R² as text; where y does not vary there is none."""
    from .report import number

    return "–" if y.min() == y.max() else f"{value:.3f}" if abs(value) < 1000 else number(value)


def _check_can_write(*paths: Path | None, table: Path | None = None) -> None:
    """Find out before a training, not after it, that what it gives cannot be written, or would take something's place.

    Raises:
        ModelFileError: a folder, no folder to write into, the table itself, or twice the same file.
    """
    from .errors import ModelFileError

    given = [path for path in paths if path is not None]
    for number, path in enumerate(given):
        try:
            why = _why_not(path, given[:number], table)
        except (OSError, ValueError) as error:  # a name that is too long, a folder that may not be looked into
            why = f"{getattr(error, 'strerror', None) or error}."
        if why:
            raise ModelFileError(f"{path} cannot be written: {why}")


def _why_not(path: Path, before: list[Path], table: Path | None) -> str:
    """What is against writing there, if anything."""
    from .atomic import destination

    place = destination(path)
    if isinstance(place, Path):
        if not place.parent.is_dir():
            return f"there is no folder {place.parent}."
        device = place.is_char_device()
        if not os.access(place if device else place.parent, os.W_OK):
            return f"{'it' if device else f'the folder {place.parent}'} is closed to you."
        if device:  # it takes whatever comes, as often as it comes
            return ""
    if table is not None and path.exists() and table.exists() and path.samefile(table):
        return "it is the table to train on, write to another file."
    if os.path.realpath(path) in map(os.path.realpath, before):
        return "it cannot hold the model and the page at once, use two files."
    return ""


@main.command()
@click.option("--against", "revision", required=True, help="The git revision to compare the working tree with.")
@click.option("--cases", default="", help="Only cases with this in their name.")
@click.option("--limit", default=3.0, show_default=True, help="Differences up to so many per cent are none.")
def bench(revision: str, cases: str, limit: float) -> None:
    """Did my change make fastgd slower? For a clone of the repository.

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
@_one_line_errors
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
