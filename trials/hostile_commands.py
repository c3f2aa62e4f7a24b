"""The command line on hostile names of files, columns and classes, and on hostile files: an answer, or one line."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import os
import random
import re
import sys
from pathlib import Path

import fastgd

from .hostile_models import hostile_file, whole
from .hostile_names import check_c, check_page, check_python, check_shown, name, names
from .hostile_tables import hostile_table
from .hostile_watch import Attempt, watched
from .trial import Outcome, Trial

LONGEST = 2200  # characters of a line that says what is wrong
MEMORY = 1 << 30  # bytes, beside what the table takes
FILE_NAMES = (
    "plain", "a\nb", "\x1b[2J\x07", "-", "--help", "-x", "*", "t?", "[t]", "~", "$HOME", "`x`", "a b", "\udcff\udcfe",
    "\u202ecsv", "é" * 60, "x" * 240, "<b>", "'\"", ";rm", "%s", "http:", "file:", "s3:", "con", "{0}", "\\", "#", "@x",
    "a,b",
)  # fmt: skip
ENDS = ("model", "page", "csv", "parquet", "csv.gz", "py", "h", "onnx", "")


def file_name(rng: random.Random, ending: str) -> str:
    """A hostile name for a file."""
    start = "".join(rng.choice(FILE_NAMES) for _ in range(rng.choice((1, 1, 2))))
    return f"{start}.{ending}" if ending else start


def table_text(rng: random.Random) -> tuple[bytes, list[str]]:
    """A small table with hostile names and labels, and the names of its columns; the last is the target."""
    columns, levels = names(rng, 4, "?"), names(rng, 3, "?")
    labels = names(rng, 2, "?") if rng.random() < 0.5 else None
    rows = [[k % 7, k**1.5, rng.choice(levels), k * 3 if labels is None else labels[k % 2]] for k in range(40)]
    lines = io.StringIO(newline="")
    csv.writer(lines, lineterminator="\n").writerows([columns, *rows])
    return lines.getvalue().encode(), columns


def run_command(arguments: list[str]) -> tuple[int, str, str]:
    """The exit code, what was written to standard output, and to standard error."""
    from fastgd.command.cli import main

    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)]
    with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        try:
            main(arguments)
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
    out, err = (stream.buffer.getvalue().decode(errors="replace") for stream in streams)
    return code, out, err


def check_told(code: int, out: str, err: str, is_data: bool) -> None:
    """An answer, or one line that begins with the program's name."""
    if not is_data:  # rows are what they are
        check_shown(out)
    check_shown(err)
    assert code in (0, 2), f"exit code {code}: {err[-300:]!r}"
    assert not re.search("Traceback|went wrong inside", err), err[-400:]
    if code == 2:
        last = (err.splitlines() or [""])[-1][:LONGEST]
        assert re.fullmatch("fastgd: .*[.?]", last), f"no sentence says what is wrong: {err[-300:]!r}"


def check_written(path: Path) -> None:
    """No code and no markup in what a command has written."""
    check = {".py": check_python, ".h": check_c, ".html": check_page}.get(path.suffix)
    if check is not None and os.path.isfile(path):  # also of a name that no file may have
        check(path.read_text(encoding="utf-8"))


def _arguments(rng: random.Random, folder: Path, columns: list[str]) -> tuple[str, list[str], list[Path]]:
    """A command's name, its arguments behind it, and the files that it may write."""
    table, model = folder / file_name(rng, rng.choice(("csv", "csv", ""))), folder / file_name(rng, "model")
    target = rng.choice((columns[-1], columns[-1], columns[-1], name(rng)))
    out = folder / file_name(rng, rng.choice(ENDS))
    exported = folder / f"m.{rng.choice(('py', 'h', 'onnx', 'x'))}"
    command = rng.choice(
        ("train", "train", "train", "predict", "evaluate", "explain", "info", "export", "export", "example")
    )
    given: dict[str, list[str]] = {
        "train": [str(table), "--target", target, "--epochs", "1", "--hidden", "2", "--save", str(model)],
        "predict": [
            str(model),
            str(table),
            *rng.choice(([], ["--all-columns"], ["--key", columns[0]], ["-o", str(out)])),
        ],
        "evaluate": [str(model), str(table), *rng.choice(([], ["--target", target], ["--json"]))],
        "explain": [
            str(model),
            str(table),
            *rng.choice(([], ["--row", "1"], ["--column", rng.choice(columns)], ["--json"])),
        ],
        "info": [str(model), *rng.choice(([], ["--json"]))],
        "export": [str(model), str(exported)],
        "example": [str(out), "--rows", "5"],
    }
    arguments = given[command]
    written = [model, out, exported]
    if command == "train" and rng.random() < 0.6:
        page = folder / (file_name(rng, "html"))
        written.append(page)
        arguments += ["--report", str(page)]
    if command == "train" and rng.random() < 0.15:
        arguments += ["--buffer-rows", "16"]
    if rng.random() < 0.1:
        arguments += [rng.choice(("--separator", "--encoding", "--missing", "--text", "--seed")), name(rng)]
    return command, arguments, written


def command_run(rng: random.Random, folder: Path) -> Attempt:
    """A command on hostile names, or on a hostile file."""
    content, columns = table_text(rng)
    command, arguments, written = _arguments(rng, folder, columns)
    most, what, reads = MEMORY, command, []
    table = next(
        (Path(part) for part in arguments[:2] if not part.endswith((".model", ".py", ".h", ".onnx", ".x"))), None
    )
    with contextlib.suppress(OSError, ValueError):  # no file of that name can be
        if command in ("predict", "evaluate", "explain", "info", "export"):
            model = Path(arguments[0])
            kind = rng.choice(("ours", "ours", "hostile"))
            source = hostile_file(rng, folder)[1] if kind == "hostile" else None
            if source is not None and os.path.isfile(source) and not os.path.islink(source):
                os.replace(source, model)
            else:
                model.write_bytes(_model(rng, content, columns))
            what += f" with a model of {kind} kind"
            reads.append(model)
        if table is not None and command not in ("info", "export", "example"):
            if rng.random() < 0.3:
                kind, _, content, size = hostile_table(rng)
                what, most = f"{what}, {kind}", most + 100 * size
            table.write_bytes(gzip.compress(content) if rng.random() < 0.2 else content)
            reads.append(table)
    is_data = command in ("predict", "example")

    def act() -> None:
        result = run_command([command, *arguments, *(["--quiet"] * (is_data and rng.random() < 0.3))])
        check_told(*result, is_data)
        if "--json" in arguments and result[0] == 0:
            json.loads(result[1])
        for path in written if command in ("train", "export") else ():
            check_written(path)

    told = f"{what}: {[part.replace(str(folder), '') for part in arguments]!a}"
    return Attempt(told, act, most, tuple(reads), tuple(written))


def _model(rng: random.Random, content: bytes, columns: list[str]) -> bytes:
    """A model of the table, or of another one."""
    if rng.random() < 0.3:
        return rng.choice([*whole().values()])
    rows = list(csv.reader(io.StringIO(content.decode(), newline="")))[1:]
    import polars as pl

    frame = pl.DataFrame({column: [row[k] for row in rows] for k, column in enumerate(columns)})
    numbers = frame.with_columns(pl.col(columns[0], columns[1]).cast(pl.Float64)).select(columns[:3])
    y = frame[columns[3]]
    of_classes = y.cast(pl.Float64, strict=False).null_count() > 0 or y.n_unique() == 2
    model = fastgd.MLP([3, 2, 1], loss="binary_cross_entropy" if of_classes else "mse", encoding="auto", random_state=0)
    model.fit(numbers, y if of_classes else y.cast(pl.Float64), epochs=1, verbose=0)
    path = Path("made")
    model.save(path)
    made = path.read_bytes()
    path.unlink()
    return made


def hostile_commands(cases: int, seed: int) -> Outcome:
    """Commands in children under watch."""
    return watched(f"{__name__}:command_run", cases, seed)


TRIALS = (
    Trial(
        "hostile-commands",
        "A command on hostile files and names ends with its answer, or with one line and exit code 2: no traceback, no "
        "escape code, no other file opened or written, no code and no markup in what it writes.",
        "tests/test_hostile_files.py::test_hostile_commands",
        500,
        hostile_commands,
    ),
)
if sys.flags.optimize:
    raise RuntimeError("The checks of this module are assertions: run Python without -O.")
