"""The command line, as a person meets it: what it prints, and one line for every mistake."""

from __future__ import annotations

import gzip
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
from click.testing import CliRunner

import fastgd
from fastgd.command.cli import main

FASTGD = [sys.executable, "-m", "fastgd.command.cli"]
ARGUMENTS = ["--target", "price", "--features", "size,rooms"]


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def write(path, n=200, **columns):
    generator = np.random.default_rng(0)
    size = generator.integers(30, 200, n)
    table = {"id": [f"h{i // 4}" for i in range(n)], "size": size, "rooms": size // 30, "price": size * 3000 + 1}
    table |= columns
    lines = [",".join(table), *(",".join(map(str, row)) for row in zip(*table.values(), strict=True))]
    text = "\n".join(lines) + "\n"
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8") as file:
        file.write(text)
    return path


SCENES = [
    "Every network starts completely wrong",
    "One number for how wrong",
    "Who is to blame",
    "A nudge for every weight",
    "After one step",
    "Too high, too low, well chosen",
    "Small batches",
    "Past cliffs and plateaus",
    "The whole training",
    "On 10,000 houses that it has never seen",
]


def test_demo():
    result = run("demo", "--epochs", 2)
    assert result.exit_code == 0, result.output
    out = result.output
    assert [line for line in out.splitlines() if line in SCENES] == SCENES
    assert re.search(r"predicted -?[\d,]+ EUR   actual [\d,]+ EUR   error -?[\d,]+ EUR", out)
    for verdict in ("too high", "too low", "well chosen"):
        assert re.search(rf"Learning rate [\d.]+: {verdict}  ", out)
    blamed = re.findall(r"^ (?:size|bedrooms|distance|age) +[+-][\d.]+ +[+-][\d.]+ +(\w+ ?\w+)", out, re.MULTILINE)
    assert sorted(set(blamed)) == ["close", "slightly off", "way off"]
    effects = ("larger contribution", "slight increase", "barely touched", "smaller contribution")
    assert all(effect in out for effect in effects)
    assert re.search(r"epoch 2/2  loss ", out)
    before, after = (float(re.search(rf"{when} .*? (-?\d\.\d+) *\n", out)[1]) for when in ("before", "after"))
    assert before < 0 < 0.9 < after
    houses = re.findall(r"^ ?\d+ m² .* years +-?[\d,]+ +[\d,]+ +[+-][\d.]+% *$", out, re.MULTILINE)
    assert len(houses) == 10
    assert re.search(r"200,000 rows in [\d.]+ s of training: [\d,]+ rows/s", out)
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out


def terminal(arguments, columns, answer=None):
    """What a person sees on a terminal of so many columns; `answer` is typed where the program waits for it."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(COLUMNS=str(columns), LINES="50", TERM="xterm", NO_COLOR="1")
        os.execv(FASTGD[0], [*FASTGD, *arguments])
    seen, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 0.1)[0]:
            if answer and seen.rstrip().endswith(b"press a key (q ends)"):
                os.write(terminal, answer)
            continue
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        seen += part
    else:
        os.kill(pid, signal.SIGKILL)
    return seen.decode(errors="replace"), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("columns", [80, 120])
def test_demo_on_a_terminal(columns):
    seen, code = terminal(["demo", "--fast"], columns)
    assert code == 0
    plain = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", seen).replace("\r", "\n")
    assert [line.strip() for line in plain.splitlines() if line.strip() in SCENES] == SCENES
    assert max(len(line) for line in plain.splitlines()) <= columns


def test_demo_waits_for_a_key_after_each_scene():
    seen, code = terminal(["demo", "--fast", "--step"], 80, b" ")
    assert code == 0
    assert seen.count("press a key") == len(SCENES)


@pytest.mark.parametrize("key", [b"q", b"\x1b", b"\x03", b"\x04"], ids=["q", "Escape", "Ctrl-C", "Ctrl-D"])
def test_a_key_ends_the_demo(key, tmp_path):
    page = tmp_path / "page.html"
    seen, code = terminal(["demo", "--fast", "--step", "--report", str(page)], 80, key)
    assert seen.count("press a key") == 1
    assert "Traceback" not in seen
    if key == b"\x03":
        assert code == 130
        assert "\nfastgd: interrupted" in seen
        assert not page.exists()
    else:
        assert code == 0
        assert page.read_text().count("<h2>") == 1, "what has been told is in the page"


@pytest.mark.parametrize("scene", ["Small batches", "Past cliffs and plateaus"])
def test_ctrl_c_ends_the_demo_in_any_scene(scene, monkeypatch, tmp_path):
    from fastgd.pages import story
    from fastgd.training.loop import loop as training

    told, train = [], training._Run.train_epoch

    def interrupted(self, *arguments):
        if told[-1:] == [scene]:
            raise KeyboardInterrupt
        train(self, *arguments)

    for name, title in (("_batches", "Small batches"), ("_optimizers", "Past cliffs and plateaus")):
        original = getattr(story, name)
        monkeypatch.setattr(
            story, name, lambda *given, original=original, title=title: (told.append(title), original(*given))[1]
        )
    monkeypatch.setattr(training._Run, "train_epoch", interrupted)
    result = run("demo", "--fast", "--report", tmp_path / "page.html")
    assert (result.exit_code, result.stderr) == (130, "fastgd: interrupted\n")
    assert told[-1] == scene
    assert not (tmp_path / "page.html").exists()


def test_demo_writes_a_page(tmp_path):
    path = tmp_path / "report.html"
    result = run("demo", "--fast", "--report", path)
    assert result.exit_code == 0, result.output
    text = path.read_text()
    assert text.count("<figure>") == 5
    assert text.count("<h2>") == len(SCENES)
    assert not re.search(r"(?:src|href)=\"(?!data:)", text), "it needs nothing else"
    refused = run("demo", "--fast", "--report", tmp_path / "nowhere" / "report.html")
    assert (refused.exit_code, len(refused.stderr.splitlines())) == (2, 1)
    assert "cannot be written" in refused.stderr


@pytest.mark.parametrize("name", ["houses.csv", "houses.csv.gz"])
def test_train(tmp_path, name):
    path = write(tmp_path / name)
    result = run("train", path, *ARGUMENTS, "--hidden", "8", "--epochs", 30, "--group", "id", "--seed", 3)
    assert result.exit_code == 0, result.output
    assert "200 rows, 40 of them held out, no id on both sides." in result.output
    assert float(re.search(r"held out +40 +(\S+)", result.output)[1]) > 0.95
    assert "Network 2-8-1" in result.output
    again = run("train", path, *ARGUMENTS, "--hidden", "8", "--epochs", 30, "--group", "id", "--seed", 3)
    assert re.findall("held out .*", again.output) == re.findall("held out .*", result.output)
    linear = run("train", path, *ARGUMENTS, "--hidden", "", "--epochs", 5, "--batch-size", 8, "--validation", 0.5)
    assert linear.exit_code == 0, linear.output
    assert "Network 2-1" in linear.output


def test_train_writes_a_page(tmp_path):
    path, report = write(tmp_path / "houses.csv"), tmp_path / "report.html"
    arguments = ["train", path, *ARGUMENTS, "--hidden", "8", "--report", report]
    result = run(*arguments, "--epochs", 20)
    assert result.exit_code == 0, result.output
    text = report.read_text()
    assert text.count("<figure>") == 12
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", text), "it needs nothing else"
    held_out = re.search(r"held out +40 +(\S+) +(\S+)", result.output)
    assert f"<td>{held_out[1]}</td><td>{held_out[2]}</td>" in text, "page and terminal say the same"
    plain = run(*arguments[:-2], "--epochs", 20)
    assert re.findall("held out .*", plain.output) == re.findall("held out .*", result.output), "watching costs nothing"
    still = run(*arguments, "--epochs", 2, "--learning-rate", 1e-60)
    assert still.exit_code == 0, still.output
    assert "Loss surface: The parameters never moved" in report.read_text()


def test_a_page_after_ctrl_c(tmp_path):
    path, report = write(tmp_path / "houses.csv"), tmp_path / "report.html"
    arguments = [*FASTGD, "train", str(path), *ARGUMENTS, "--epochs", "9999999", "--report", str(report)]
    out, code = in_a_terminal(arguments, interrupt_when=b"epoch 2")
    assert code == 130, out
    assert report.read_text().count("<figure>") == 12


def test_a_training_without_a_whole_epoch_has_no_page(tmp_path, monkeypatch):
    from fastgd.training.loop import loop as training

    def interrupted(self, *arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(training._Run, "train_epoch", interrupted)
    report = tmp_path / "report.html"
    result = run("train", write(tmp_path / "houses.csv"), *ARGUMENTS, "--report", report)
    assert result.exit_code == 130
    assert "report.html: not one epoch was completed." in result.output.replace("\n", "")
    assert not report.exists()


@pytest.mark.parametrize("option", ["--report", "--save"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        (".", "it is a folder"), ("/", "it is a folder"), ("", "it is a folder"), ("{folder}", "it is a folder"),
        ("{folder}/houses.csv", "is the table to train on"), ("{folder}/none/x", "there is no folder"),
        ("{folder}/pipe", "it is no file that could be replaced"), ("{folder}/" + 300 * "x", "name too long"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_told_before_the_training(tmp_path, option, name, message):
    path = write(tmp_path / "houses.csv")
    content = path.read_bytes()
    os.mkfifo(tmp_path / "pipe")
    result = run("train", path, *ARGUMENTS, option, name.format(folder=tmp_path))
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert path.read_bytes() == content
    assert run("demo", "--fast", "--report", ".").exit_code == 2


def test_one_file_for_two_things(tmp_path):
    path = write(tmp_path / "houses.csv")
    (tmp_path / "sub").mkdir()
    same = tmp_path / "sub" / ".." / "x"
    result = run("train", path, *ARGUMENTS, "--save", tmp_path / "x", "--report", same)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "use two files" in result.stderr


def test_names_with_commas_are_quoted(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('"size, in m²",rooms,price\n' + "".join(f"{i},{i % 5},{3 * i}\n" for i in range(100)))
    result = run("train", path, "--target", "price", "--features", 'rooms, "size, in m²"', "--epochs", 2)
    assert result.exit_code == 0, result.output
    assert "Network 2-64-64-1" in result.output


def test_a_training_that_learns_nothing_says_so(tmp_path):
    path, hint = write(tmp_path / "houses.csv"), "On the rows held out the mean would do better"
    assert hint in run("train", path, *ARGUMENTS, "--epochs", 1, "--learning-rate", 1e-9).output
    assert hint not in run("train", path, *ARGUMENTS, "--epochs", 30).output


def test_a_target_that_does_not_vary_has_no_r2(tmp_path):
    path = write(tmp_path / "houses.csv", price=[42] * 200)
    result = run("train", path, *ARGUMENTS, "--epochs", 2)
    assert re.search(r"held out +40 +– ", result.output)


def test_a_page_needs_matplotlib_and_says_so_before_the_training(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    result = run("train", write(tmp_path / "houses.csv"), *ARGUMENTS, "--report", tmp_path / "report.html")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "fastgd: Plots need matplotlib: pip install 'fastgd[plot]'.\n"


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ({"size": ["30"] * 199 + ["big"]}, ARGUMENTS, r"line 201, column 'size' holds 'big', which is not a number"),
        ({"rooms": ["3"] * 10 + [""] + ["3"] * 189}, ARGUMENTS, r"line 12, column 'rooms' is empty"),
        (
            {"rooms": ["3"] * 10 + ["nan"] + ["3"] * 189},
            ARGUMENTS,
            r"line 12, column 'rooms' is nan, not a finite number: fill it",
        ),
        ({}, ["--target", "cost", "--features", "size"], r"no column 'cost'; its columns are: id, size, rooms, price"),
        ({}, ["--target", "price", "--features", "size,price"], r"both the target and a feature"),
        ({}, ["--target", "price", "--features", "size,,rooms"], r"not a list of different names"),
        ({}, [*ARGUMENTS, "--hidden", "8,x"], r"not a list of layer widths such as 64,64"),
        ({}, [*ARGUMENTS, "--group", "owner"], r"no column 'owner'"),
        ({}, [*ARGUMENTS, "--learning-rate", "-1"], r"learning_rate must be a positive number, not -1.0"),
        ({}, [*ARGUMENTS, "--learning-rate", "nan"], r"learning_rate must be a positive number"),
        ({}, [*ARGUMENTS, "--learning-rate", "1000"], r"diverged at step \d+"),
        ({}, [*ARGUMENTS, "--validation", "1"], r"--validation.* 1.0 is not in the range"),
        ({"id": ["same"] * 200}, [*ARGUMENTS, "--group", "id"], r"All 200 rows are one group: nothing can be held out"),
        ({}, [*ARGUMENTS, "--validation", "0.999"], r"To hold out 0.999 of 200 rows leaves none to train on"),
        (
            {},
            [*ARGUMENTS, "--validation", "nan"],
            r"--validation must be a share|--validation.* nan is not in the range",
        ),
        (
            {"size": ["30"] * 199 + ["1e39"]},
            ARGUMENTS,
            r"line 201, column 'size' is 1e\+39, too large: use other units",
        ),
        ({"size": ["30"] * 199 + ["1_000"]}, ARGUMENTS, r"line 201, column 'size' holds '1_000'"),
        ({}, [*ARGUMENTS, "--hidden", "99999999999"], r"layer_sizes ask for [\d,]+ parameters"),
        ({}, [*ARGUMENTS, "--epochs", "1", "--save", "/nowhere/m"], r"/nowhere/m cannot be written"),
        ({}, [*ARGUMENTS, "--report", "/nowhere/r.html"], r"/nowhere/r.html cannot be written: there is no folder"),
        ({}, [*ARGUMENTS, "--lr", "1"], r"No such option"),
        ({}, ["--target", "price", "--features", ""], r"not a list of different names"),
        ({}, ["--target", "price", "--features", '"size'], r"not a list of different names"),
        ({}, ["--target", "price", "--features", "size\nrooms"], r"not a list of different names"),
        ({}, [*ARGUMENTS, "--features", "x" * 200_000], r"not a list of different names"),
        ({}, [*ARGUMENTS, "--hidden", "9" * 5000], r"not a list of layer widths"),
        ({}, [*ARGUMENTS, "--seed", "9" * 30], r"random_state must be below 2\*\*64"),
        ({}, [*ARGUMENTS, "--group", ""], r"no column ''"),
        ({}, [*ARGUMENTS, "--save", "/dev/null/m"], r"/dev/null/m cannot be written"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(tmp_path, content, arguments, message):
    result = run("train", write(tmp_path / "houses.csv", **content), "--epochs", 3, *arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert re.search(message, result.stderr), result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("fastgd: ")


def test_files_that_cannot_be_read(tmp_path):
    for path, message in (
        (tmp_path / "none.csv", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (tmp_path / ("x" * 300), "File name too long"),
    ):
        result = run("train", path, *ARGUMENTS)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == f"fastgd: {path} cannot be read: {message}.\n"


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
def test_a_table_through_a_pipe(tmp_path, zipped):
    content = write(tmp_path / ("houses.csv.gz" if zipped else "houses.csv")).read_bytes()
    command = [*FASTGD, "train", "/dev/stdin", *ARGUMENTS, "--epochs", "1"]
    result = subprocess.run(command, input=content, capture_output=True)
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.startswith(b"stdin: 200 rows, 40 of them held out.")


def test_a_quote_astray_is_one_line_and_exit_code_2(tmp_path):
    names = ["pipe"] * 19 + ['"5 inch'] + ["pipe"] * 9 + ['6 inch"'] + ["pipe"] * 170
    result = run("train", write(tmp_path / "houses.csv", name=names), *ARGUMENTS)
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.fullmatch(r"fastgd: \S+houses.csv, line 21 opens a quote that takes in whole rows.*\n", result.stderr)


# What comes from files is shown, and harmless.


CURSED = "pr\x1b[2Jice\n\u202eeur\x9b1A"


def harmless(text):
    return not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", text)


def test_control_characters_of_names_do_not_reach_the_terminal(tmp_path):
    path = tmp_path / "a\x1b]0;b\x07\n\u2066c.csv"
    path.write_text(f'size,rooms,"{CURSED}"\n' + "".join(f"{i},{i % 5},{3 * i}\n" for i in range(100)))
    report = tmp_path / "page\x1b[31m[red].html"
    options = ["--features", "size,rooms", "--group", "rooms", "--epochs", 1, "--learning-rate", 0.001]
    result = run("train", path, "--target", CURSED, *options, "--report", report, "--save", tmp_path / "m\x9b")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(
        r"a\x1b]0;b\x07\n\u2066c.csv: 100 rows, 20 of them held out, no rooms on both sides."
    )
    assert harmless(result.stdout)
    page = report.read_text()
    assert harmless(page)
    assert r"<h1>pr\x1b[2Jice\n\u202eeur\x9b1A from a\x1b]0;b\x07\n\u2066c.csv</h1>" in page
    for target, told in (
        ("price", r"its columns are: size, rooms, pr\x1b[2Jice\n\u202eeur\x9b1A."),
        ("\udcff\n", r"'\udcff'"),
    ):
        result = run("train", path, "--target", target, *options)
        assert result.exit_code == 2
        assert len(result.stderr.splitlines()) == 1
        assert told in result.stderr
        assert harmless(result.stderr)


@pytest.mark.parametrize("option", ["--features", "--hidden", "--seed", "--target"])
def test_messages_are_harmless_and_not_endless(tmp_path, option):
    for value in ("\x1b[2J\x9b\u202e", "9" * 5000, "x\n" * 5000, "\udcff"):
        result = run("train", write(tmp_path / "houses.csv"), *ARGUMENTS, option, value)
        assert result.exit_code == 2
        assert len(result.stderr.splitlines()) == 1
        assert len(result.stderr) < 2100
        assert harmless(result.stderr)


@pytest.mark.filterwarnings("always:a:UserWarning")
def test_warnings_are_harmless(tmp_path, monkeypatch):
    from fastgd.data.tables import tables as data

    def warns(*given):
        warnings.warn("a\x1b[2J\nb", stacklevel=2)
        return split_rows(*given)

    split_rows = data.split_rows
    monkeypatch.setattr(data, "split_rows", warns)
    result = run("train", write(tmp_path / "houses.csv"), *ARGUMENTS, "--epochs", 1)
    assert (result.exit_code, result.stderr) == (0, "fastgd: a\\x1b[2J\\nb\n")


# Output that nobody can read.


COMMANDS = [["--help"], ["--version"], [], ["train", "--help"], ["demo", "--fast"], ["warmup"], ["train"]]


def in_a_shell(arguments, redirections, folder):
    """Run with redirections of a shell; what is left of standard error, and the exit code."""
    if arguments == ["train"]:
        path = write(folder / "houses.csv")
        arguments = ["train", str(path), *ARGUMENTS, "--epochs", "2", "--save", str(folder / "model")]
    command = ["bash", "-c", f'set -o pipefail; "$@" {redirections}', "bash", *FASTGD, *arguments]
    result = subprocess.run(command, capture_output=True, text=True)
    return result.stderr, result.returncode


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_full_disk_is_one_line_and_exit_code_2(tmp_path, arguments):
    told = ("fastgd: the output cannot be written: No space left on device.\n", 2)
    assert in_a_shell(arguments, "> /dev/full", tmp_path) == told


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_reader_that_has_gone_ends_it_silently(tmp_path, arguments):
    assert in_a_shell(arguments, "| true", tmp_path) in (("", 1), ("", 0))


@pytest.mark.parametrize("redirections", [">&-", ">&- 2>&-", ">&- <&-"])
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_without_an_output_it_works_all_the_same(tmp_path, arguments, redirections):
    assert in_a_shell(arguments, redirections, tmp_path) == ("", 0)
    assert (tmp_path / "model").exists() == (arguments == ["train"])


@pytest.mark.parametrize("arguments", [["train", "none", *ARGUMENTS], ["train", "--lr", "1"], ["bench"]], ids=" ".join)
@pytest.mark.parametrize("redirections", ["2> /dev/full", "2>&-"])
def test_an_error_that_cannot_be_told_keeps_its_exit_code(tmp_path, arguments, redirections):
    assert in_a_shell(arguments, redirections, tmp_path) == ("", 2)


def test_a_model_is_saved_before_its_errors_are_told(tmp_path, monkeypatch):
    from fastgd.command import cli

    def fails(*rows):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cli, "table", fails)
    result = run("train", write(tmp_path / "houses.csv"), *ARGUMENTS, "--epochs", 1, "--save", tmp_path / "model")
    assert result.exit_code == 2
    assert result.stderr == "fastgd: the output cannot be written: No space left on device.\n"
    assert fastgd.load(tmp_path / "model").feature_names == ("size", "rooms")


def test_a_saved_model_predicts_the_same(tmp_path):
    path = write(tmp_path / "houses.csv")
    result = run("train", path, *ARGUMENTS, "--epochs", 5, "--save", tmp_path / "m.safetensors")
    assert f"Saved to {tmp_path / 'm.safetensors'}." in result.output.replace("\n", "")
    model = fastgd.load(tmp_path / "m.safetensors")
    assert model.feature_names == ("size", "rooms")
    assert 1e5 < model.predict([[100, 3]])[0] < 1e6


def test_without_arguments_it_helps():
    result = run()
    assert result.exit_code == 0
    assert "demo" in result.output
    assert "train" in result.output


def test_a_terminal_without_unicode():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    result = subprocess.run([*FASTGD, "demo", "--epochs", "1"], capture_output=True, env=environment)
    assert result.returncode == 0, result.stderr
    assert b"EUR" in result.stdout


def test_version_is_light():
    code = (
        "import sys\nfrom fastgd.command.cli import main\n"
        "try: main(['--version'])\nexcept SystemExit: pass\n"
        "print([m for m in ('numba', 'numpy', 'rich') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines() == [f"fastgd {fastgd.__version__}", "[]"]


def in_a_terminal(arguments, columns=80, interrupt_when=None):
    """Run in a real pseudo-terminal; return what it wrote and the exit code."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(COLUMNS=str(columns), TERM="xterm-256color")
        os.execv(arguments[0], arguments)
    out, deadline = b"", time.monotonic() + 120
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                piece = os.read(terminal, 65536)
            except OSError:
                break
            if not piece:
                break
            out += piece
        if interrupt_when and interrupt_when in out:
            os.kill(pid, signal.SIGINT)
            interrupt_when = None
    return out.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_live_bar_on_a_terminal():
    out, code = in_a_terminal([*FASTGD, "demo", "--epochs", "5"])
    assert code == 0, out
    assert re.search(r"epoch 5/5  loss \d", out)
    assert re.search(r"[\d,]+ rows/s", out)
    assert "━" in out


def test_ctrl_c_on_a_terminal_shows_what_was_learned():
    out, code = in_a_terminal([*FASTGD, "demo", "--epochs", "5000"], interrupt_when=b"epoch 2")
    assert code == 130, out
    assert re.search(r"stopped after \d+ complete epochs: interrupted in epoch \d+", out)
    assert "Ten of them" in out
    assert "Traceback" not in out


def test_warmup():
    result = run("warmup")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert len(lines) == 9
    assert "float64: 9 losses" in result.output
    assert re.fullmatch(r" +[\d.]+ s  in all; what was ready before takes no time", lines[-1])
