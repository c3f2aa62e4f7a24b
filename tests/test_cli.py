"""The command line: help and version, output that nobody can read, and one line for every mistake."""

from __future__ import annotations

import subprocess
import sys

import pytest
from shell import ARGUMENTS, FASTGD, run, write

import fastgd

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
