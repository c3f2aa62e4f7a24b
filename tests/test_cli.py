"""The command line: help and version, output that nobody can read, and one line for every mistake."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import numpy as np
import pytest
from click.testing import CliRunner
from shell import ARGUMENTS, FASTGD, run, write

import fastgd
from fastgd.command import options, terminal, warming
from fastgd.command.cli import COMMANDS as COMMANDS_KNOWN
from fastgd.command.cli import main

COMMANDS = [["--help"], ["--version"], [], ["train", "--help"], ["demo", "--fast"], ["warmup"], ["train"]]


def in_a_shell(arguments, redirections, folder):
    """Run with redirections of a shell; what is left of standard error without its talk, and the exit code."""
    talks = arguments == ["train"]
    if arguments == ["train"]:
        path = write(folder / "houses.csv")
        arguments = ["train", str(path), *ARGUMENTS, "--epochs", "2", "--save", str(folder / "model")]
    command = ["bash", "-c", f'set -o pipefail; "$@" {redirections}', "bash", *FASTGD, *arguments]
    result = subprocess.run(command, capture_output=True, text=True)
    assert "Traceback" not in result.stderr
    lines = result.stderr.splitlines(keepends=True)
    return "".join(line for line in lines if line.startswith("fastgd: ") or not talks), result.returncode


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_full_disk_is_one_line_and_exit_code_2(tmp_path, arguments):
    told = ("fastgd: the output cannot be written: No space left on device.\n", 2)
    assert in_a_shell(arguments, "> /dev/full", tmp_path) == told


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_reader_that_has_gone_ends_it_silently(tmp_path, arguments):
    assert in_a_shell(arguments, "| true", tmp_path) in (("", 1), ("", 0))


@pytest.mark.parametrize("redirections", [">&-", ">&- 2>&-", ">&- <&-", "> /dev/null 2> /dev/full"])
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_without_an_output_it_works_all_the_same(tmp_path, arguments, redirections):
    assert in_a_shell(arguments, redirections, tmp_path) == ("", 0)
    assert (tmp_path / "model").exists() == (arguments == ["train"])


@pytest.mark.parametrize("arguments", [["train", "none", *ARGUMENTS], ["train", "--lr", "1"], ["bench"]], ids=" ".join)
@pytest.mark.parametrize("redirections", ["2> /dev/full", "2>&-"])
def test_an_error_that_cannot_be_told_keeps_its_exit_code(tmp_path, arguments, redirections):
    assert in_a_shell(arguments, redirections, tmp_path) == ("", 2)


def test_without_arguments_it_helps():
    result = run()
    assert result.exit_code == 0
    assert "demo" in result.output
    assert "train" in result.output


def test_version_is_light():
    code = (
        "import sys\nfrom fastgd.command.cli import main\n"
        "try: main(['--version'])\nexcept SystemExit: pass\n"
        "print([m for m in ('numba', 'numpy', 'rich') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines() == [f"fastgd {fastgd.__version__}", "[]"]


def test_help_lists_every_command_in_the_words_of_its_own_help():
    told = " ".join(run("--help").output.split())
    for name, what in COMMANDS_KNOWN.items():
        command = main.get_command(None, name)
        assert command.help.split("\n")[0] == what
        assert f" {name} {what}" in told


def test_an_unknown_command_is_told_the_right_one():
    for word, told in (("predit", " Did you mean 'predict'?"), ("lr_find", " Did you mean 'lr-find'?"), ("xyz", "")):
        result = run(word)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith(f"fastgd: No such command '{word}'.{told} See `")


def test_help_imports_no_command():
    code = (
        "import sys\nfrom fastgd.command.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print([m for m in sys.modules if m in ('fastgd.command.train', 'numpy', 'rich')])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


@pytest.mark.parametrize("columns", [40, 50, 80])
def test_help_of_every_command_has_an_example_and_fits(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    for name in COMMANDS_KNOWN:
        told = run(name, "--help").output
        assert f"fastgd {name} " in told.split("Example:")[1].replace("\n", " ")
        assert max(map(len, told.splitlines())) <= columns


def test_a_mistake_of_the_package_is_one_line(tmp_path, monkeypatch):
    import fastgd.command.networks  # noqa: F401  loaded in the test it would keep the mistake
    from fastgd.data import splits

    monkeypatch.setattr(splits, "split_rows", lambda *given: {}["no such\nthing"])
    result = run("train", write(tmp_path / "houses.csv"), *ARGUMENTS, "--quiet")
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert "something went wrong inside (KeyError: 'no such\\nthing')" in result.stderr


def test_a_file_is_not_replaced_without_being_asked_to(tmp_path):
    kept = tmp_path / "kept"
    kept.write_text("precious")
    command = ["train", write(tmp_path / "houses.csv"), *ARGUMENTS, "--epochs", 1, "--save", kept]
    result = run(*command)
    assert (result.exit_code, kept.read_text()) == (2, "precious")
    assert result.stderr == f"fastgd: {kept} cannot be written: it is there already; say --overwrite to replace it.\n"
    assert run(*command, "--overwrite").exit_code == 0
    assert kept.read_bytes() != b"precious"


def test_quiet_and_json(monkeypatch):
    monkeypatch.setattr(warming, "warm_up", lambda: iter([warming.Warmed("all", 1.5), warming.Warmed("rest", np.inf)]))
    assert run("warmup").stdout.splitlines()[0] == "   1.5 s  all"
    assert (run("warmup", "--quiet").output, run("warmup", "-q").output) == ("", "")
    told = {"seconds": None, "ready": [{"what": "all", "seconds": 1.5}, {"what": "rest", "seconds": None}]}
    assert json.loads(run("warmup", "--json").stdout) == told
    assert json.loads(run("warmup", "--json", "--quiet").stdout) == told


@pytest.mark.parametrize("quiet", [False, True])
def test_a_remark_goes_to_standard_error_unless_it_is_quiet(quiet):
    @click.command()
    @options.quiet_option
    def speak():
        terminal.remark("a remark")
        with terminal.aside():
            print("progress")
        terminal.say("data")

    result = CliRunner().invoke(speak, ["--quiet"] if quiet else [])
    assert (result.stdout, result.stderr) == ("data\n", "" if quiet else "a remark\nprogress\n")
