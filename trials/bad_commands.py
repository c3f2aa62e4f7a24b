"""Every command with every option in turn given what nobody should type: one line and exit code 2, or the work done.

Commands and options are found from click itself; ARGUMENTS says what is typed besides. They run inside this process,
in a folder of their own.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import chdir
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
from click.testing import CliRunner, Result

from fastgd.command.cli import main

from .samples import NAMES, sample, table, targets
from .trial import Outcome, Trial

LONGEST = 2100  # characters of a line
REFUSED = {1, 2}

# What is typed, but for the argument in question. {names} are files that are there.
ARGUMENTS: Mapping[str, list[str]] = {
    "example": ["new.csv", "--rows", "5", "--overwrite"],
    "train": ["houses.csv", "--target", "price", "--epochs", "2", "--hidden", "3", "--save", "new.safetensors",
              "--overwrite"],
    "predict": ["model.safetensors", "houses.csv"],
    "evaluate": ["model.safetensors", "houses.csv", "--target", "price"],
    "explain": ["model.safetensors", "houses.csv", "--target", "price"],
    "lr-find": ["houses.csv", "--target", "price", "--epochs", "1", "--hidden", "3", "--batch-size", "24"],
    "export": ["model.safetensors", "new.py", "--overwrite"],
    "info": ["model.safetensors"],
    "warmup": [],
    "demo": ["--epochs", "1", "--batch-size", "2000", "--fast"],
    "completion": ["bash"],
    "bench": ["--against", "main"],
}  # fmt: skip

TYPED = (
    "", " ", "-1", "0", "0.5", "-0.25", "nan", "inf", "-inf", "1e400", "1e-400", "5e-324", "1e308", "2147483648",
    "9223372036854775808", "18446744073709551616", "9" * 400, "9" * 5000, "0x10", "1_000", "１", "one", "nonsense", ",",
    ",,a", "a,a", "size,size", "3,", "3,-1", "3,x", "99999999999,3", "price", "size", "--", "-", "\n", "two\nlines",
    "\x1b[31mred", "\udcff", "é" * 200, "long " * 2000, "..", ".", "/", "/dev/null", "missing.csv", "missing/new.csv",
    "houses.csv/new.html", "houses.csv", "model.safetensors", "empty.csv", "header.csv", "binary.csv", "ragged.csv",
    "folder", "*.csv", "new.txt", "a" * 300 + ".csv", "none", "None", "True", "[]", "{}", "$(exit 3)", "%s%n", "<b>",
)  # fmt: skip
# Options that ask for so much work: large numbers are not wrong, and would be done.
AMOUNTS = {"--rows", "--epochs", "--time-budget", "--ensemble", "--hidden"}
# Options that name a page, whose pictures take seconds each: names that lead nowhere.
PAGES = {"--report"}
NOWHERE = {"", "missing/new.csv", "folder", ".", "..", "/", "a" * 300 + ".csv"}
WHAT_IS_MUCH = {"2147483648", "9223372036854775808", "18446744073709551616", "9" * 400, "1e308", "inf"}


class Typed(NamedTuple):
    """A command as it is typed."""

    command: str
    argument: str  # the option or argument in question
    words: list[str]

    def __str__(self) -> str:
        shown = [word if len(word) < 60 else f"{word[:50]}… ({len(word)} characters)" for word in self.words]
        return f"fastgd {' '.join(map(repr, shown))}"


def all_typed() -> list[Typed]:
    """Every command line of the trial."""
    return [typed for name in main.list_commands(click.Context(main)) for typed in typed_for(name)]


def without_arguments() -> list[str]:
    """A sentence for each command that is not tried."""
    names = main.list_commands(click.Context(main))
    return [f"fastgd {name}: say in ARGUMENTS of trials/bad_commands.py what is typed." for name in names
            if name not in ARGUMENTS]  # fmt: skip


def typed_for(name: str) -> Iterator[Typed]:
    """The command lines of one command."""
    good = ARGUMENTS.get(name)
    if good is None:
        return
    if name != "warmup":  # which compiles everything
        yield Typed(name, "", [name, *good])
    for word in ("--nonsense", "--nonsense=1", "-Z"):
        yield Typed(name, word, [name, *good, word])
    command = main.get_command(click.Context(main), name)
    assert command is not None
    place = 0
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            for value in TYPED:
                yield Typed(name, str(parameter.name), [name, *good[:place], value, *good[place + 1 :]])
            place += 1
            continue
        option = parameter.opts[0]
        if isinstance(parameter, click.Option) and parameter.is_flag:
            yield Typed(name, option, [name, *good, f"{option}=1"])
            continue
        yield Typed(name, option, [name, *good, option])
        for value in TYPED:
            if not (option in AMOUNTS and value in WHAT_IS_MUCH) and not (option in PAGES and value not in NOWHERE):
                yield Typed(name, option, [name, *good, f"{option}={value}"])


def prepare(folder: Path) -> None:
    """The files that are there."""
    rows = np.column_stack([table(), targets()])
    lines = [",".join((*NAMES, "price")), *(",".join(f"{value:g}" for value in row) for row in rows)]
    (folder / "houses.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "header.csv").write_text(lines[0] + "\n", encoding="utf-8")
    (folder / "ragged.csv").write_text(f"{lines[0]}\n1,2\n", encoding="utf-8")
    (folder / "empty.csv").write_bytes(b"")
    (folder / "binary.csv").write_bytes(bytes(range(256)) * 4)
    (folder / "folder").mkdir()
    sample("fitted").save(folder / "model.safetensors")


def complaint(result: Result) -> str | None:
    """What is wrong with how a command ended, or None."""
    error = result.exception
    if error is not None and not isinstance(error, SystemExit):
        return f"raises {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    if result.exit_code == 0:
        return None
    said = result.stderr.rstrip("\n")
    if result.exit_code not in REFUSED:
        return f"ends with code {result.exit_code}: {said[:200]}"
    if not said.strip():
        return f"ends with code {result.exit_code}, and nothing is said"
    if "Traceback" in said or "went wrong inside" in said or "numba" in said:
        return f"tells of the inside: {said[-300:]}"
    last = said.splitlines()[-1]
    if len(last) > LONGEST:
        return f"says a line of {len(last):,} characters: {last[:100]} …"
    if "\x1b" in last or not last.strip():
        return f"says {last[:200]!r}"
    if len([line for line in said.splitlines() if "rror: " in line]) > 1:
        return f"says more than one line: {said[:300]!r}"
    return None


def ended(words: list[str]) -> Result:
    """What a command line came to, in this process."""
    return CliRunner().invoke(main, words)


def failure(typed: Typed) -> str | None:
    """A sentence on how a command line broke the promise, or None."""
    wrong = complaint(ended(typed.words))
    return None if wrong is None else f"{typed}: {wrong}."


def bad_commands(cases: int, seed: int) -> Outcome:
    """Type all, or some of them, drawn at random."""
    every = all_typed()
    places = list(range(len(every)))
    if cases < len(every):
        places = sorted(np.random.default_rng(seed).choice(len(every), cases, replace=False).tolist())
    os.environ.setdefault("MPLBACKEND", "agg")
    with tempfile.TemporaryDirectory(prefix="fastgd-trial-") as folder, chdir(folder):
        prepare(Path(folder))
        failures = [wrong for place in places if (wrong := failure(every[place]))]
    commands = len({typed.command for typed in every})
    return Outcome(len(places), [*without_arguments(), *failures], f"{commands} commands")


TRIALS = (
    Trial(
        "bad-commands",
        "Whatever is typed after a command, the answer is one line and exit code 2, or the work is done: never a "
        "traceback.",
        "tests/test_bad_inputs.py::test_some_bad_words_after_every_command",
        100_000,
        bad_commands,
    ),
)
