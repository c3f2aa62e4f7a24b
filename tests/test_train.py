"""The command `train`: what it prints, what it saves, and one line for every mistake."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from shell import ARGUMENTS, FASTGD, run, write

import fastgd
from fastgd.command.paths import check_can_write
from fastgd.data.files import read_table
from fastgd.data.splits import split_rows
from fastgd.errors import ModelFileError
from fastgd.pages.page import number


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


@pytest.mark.parametrize("option", ["--report", "--save"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        (".", "it is a folder"), ("/", "it is a folder"), ("", "it is a folder"), ("{folder}", "it is a folder"),
        ("{folder}/houses.csv", "is a file to read from"), ("{folder}/none/x", "there is no folder"),
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
    assert "Network 2-96-1 " in result.output


def test_many_columns_are_told_in_one_short_line(tmp_path):
    many = {f"c{column}": np.arange(40) % 7 for column in range(150)}
    same = {f"same{column}": np.ones(40, int) for column in range(150)}
    result = run("train", write(tmp_path / "t.csv", 40, **many, **same), "--target", "price", "--epochs", 1)
    assert result.exit_code == 0, result.output
    said = r"Features: id, size, .*, c96 and 53 more; left out: .*, same99 \(the same in every row\) and 50 more\.\n"
    assert re.search(said, result.output)
    assert "c97" not in result.output


def test_a_training_that_learns_nothing_says_so(tmp_path):
    path, hint = write(tmp_path / "houses.csv"), "On the rows held out the mean would do better"
    assert hint in run("train", path, *ARGUMENTS, "--epochs", 1, "--learning-rate", 1e-9).output
    assert hint not in run("train", path, *ARGUMENTS, "--epochs", 30).output


def test_outliers_do_not_make_it_diverge(tmp_path):
    sizes = [30 + i % 50 for i in range(200)]
    sizes[7] = 10_000_000
    path = write(tmp_path / "houses.csv", size=sizes)
    assert run("train", path, *ARGUMENTS, "--epochs", 5).exit_code == 0


@pytest.mark.filterwarnings("default")
def test_a_target_that_does_not_vary_has_no_r2(tmp_path):
    path = write(tmp_path / "houses.csv", price=[42] * 200)
    result = run("train", path, *ARGUMENTS, "--epochs", 2)
    assert re.search(r"held out +40 +– ", result.output)
    assert "fastgd: houses.csv, column 'price' is 42 in every row: there is nothing to learn of it." in result.output


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ({"size": ["30"] * 199 + ["big"]}, ARGUMENTS, r"line 201, column 'size' holds 'big', which is not a number"),
        (
            {"rooms": ["3"] * 10 + ["inf"] + ["3"] * 189},
            ARGUMENTS,
            r"line 12, column 'rooms' is inf, not a finite numb",
        ),
        (
            {"price": ["3"] * 10 + [""] * 190},
            ARGUMENTS,
            r"190 of 200 rows have no price, the first is line 12: fill them",
        ),
        ({"price": [""] * 200}, [*ARGUMENTS, "--drop-missing-target"], r"no row has a price"),
        ({}, ["--target", "cost", "--features", "size"], r"no column 'cost'; its columns are: id, size, rooms, price"),
        ({}, ["--target", "price", "--features", "size,price"], r"both the target and a feature"),
        ({}, ["--target", "price", "--features", "size,,rooms"], r"not a list of different names"),
        ({}, [*ARGUMENTS, "--hidden", "8,x"], r"not a list of layer widths such as 64,64"),
        ({}, [*ARGUMENTS, "--group", "owner"], r"no column 'owner'"),
        ({}, [*ARGUMENTS, "--learning-rate", "-1"], r"fastgd: --learning-rate must be a number above 0, not -1.0"),
        ({}, [*ARGUMENTS, "--learning-rate", "nan"], r"fastgd: --learning-rate must be a number above 0"),
        (
            {},
            [*ARGUMENTS, "--optimizer", "sgd", "--learning-rate", "1000"],
            r"diverged at step .* a smaller --learning-rate, such as \S+ instead of 1e\+03, or --clip-norm 1.$",
        ),
        ({}, [*ARGUMENTS, "--validation", "1"], r"--validation.* 1.0 is not in the range"),
        ({"id": ["same"] * 200}, [*ARGUMENTS, "--group", "id"], r"All 200 rows are one group: nothing can be held out"),
        ({}, [*ARGUMENTS, "--validation", "0.999"], r"To hold out 0.999 of 200 rows leaves none to train on"),
        (
            {},
            [*ARGUMENTS, "--validation", "nan"],
            r"Invalid value for .--validation.: .nan. is not a number between 0 and 1",
        ),
        (
            {"size": ["30"] * 199 + ["1e39"]},
            ARGUMENTS,
            r"line 201, column 'size' is 1e\+39, too large: use other units",
        ),
        ({"size": ["30"] * 199 + ["1_000"]}, ARGUMENTS, r"line 201, column 'size' holds '1_000'"),
        ({}, [*ARGUMENTS, "--hidden", "99999999999"], r"fastgd: --hidden asks for [\d,]+ parameters"),
        ({}, [*ARGUMENTS, "--epochs", "1", "--save", "/nowhere/m"], r"/nowhere/m cannot be written"),
        ({}, [*ARGUMENTS, "--report", "/nowhere/r.html"], r"/nowhere/r.html cannot be written: there is no folder"),
        ({}, [*ARGUMENTS, "--dropout", "2"], r"fastgd: --dropout must be a share of at least 0 and below 1"),
        (
            {"id": [f"h{i}" for i in range(200)]},
            ["--target", "price", "--features", "id"],
            r"(?m)^fastgd: houses.csv, column 'id' has 160 categories, .*nothing else to learn from: choose other col",
        ),
        (
            {"size": range(200)},
            ["--target", "price", "--without", "id,rooms"],
            r"size \(the number of the row\).*: name ",
        ),
        ({"rooms,size": ["1,2"] * 200}, ["--target", "price"], r"more than one column 'size': rename all but one"),
        (
            {"price": ["1,2"] * 200},
            ["--target", "price"],
            r"line 2 has 5 cells, .* 4 columns: correct .*, and quote each",
        ),
        ({}, [*ARGUMENTS, "--lr", "1"], r"No such option"),
        ({}, ["--target", "price", "--features", ""], r"not a list of different names"),
        ({}, ["--target", "price", "--features", '"size'], r"not a list of different names"),
        ({}, ["--target", "price", "--features", "size\nrooms"], r"not a list of different names"),
        ({}, [*ARGUMENTS, "--features", "x" * 200_000], r"not a list of different names"),
        ({}, [*ARGUMENTS, "--hidden", "9" * 5000], r"not a list of layer widths"),
        ({}, [*ARGUMENTS, "--seed", "9" * 30], r"fastgd: --seed must be below 2\*\*64"),
        ({}, [*ARGUMENTS, "--group", ""], r"no column ''"),
        ({}, [*ARGUMENTS, "--save", "/dev/null/m"], r"/dev/null/m cannot be written"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(tmp_path, content, arguments, message):
    result = run("train", write(tmp_path / "houses.csv", **content), "--epochs", 3, *arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert re.search(message, result.stderr), result.stderr
    told = result.stderr.splitlines()
    assert [line for line in told if line.startswith("fastgd: ")] == told[-1:], "beside talk of the table"
    assert result.stdout == ""


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
    assert result.returncode == 0
    assert b"\nstdin: 200 rows, 40 of them held out.\n" in result.stderr
    assert re.search(rb"held out +40 ", result.stdout)


def test_a_quote_astray_is_one_line_and_exit_code_2(tmp_path):
    names = ["pipe"] * 19 + ['"5 inch'] + ["pipe"] * 9 + ['6 inch"'] + ["pipe"] * 170
    result = run("train", write(tmp_path / "houses.csv", name=names), *ARGUMENTS)
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.fullmatch(r"fastgd: \S+houses.csv, line 21 opens a quote that takes in whole rows.*\n", result.stderr)


def test_a_model_is_saved_before_its_errors_are_told(tmp_path, monkeypatch):
    from fastgd.command import outcome

    def fails(*rows):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(outcome, "table", fails)
    result = run("train", write(tmp_path / "houses.csv"), *ARGUMENTS, "--epochs", 1, "--save", tmp_path / "model")
    assert result.exit_code == 2
    assert result.stderr.endswith("\nfastgd: the output cannot be written: No space left on device.\n")
    assert fastgd.load(tmp_path / "model").feature_names == ("size", "rooms")


def test_a_saved_model_predicts_the_same(tmp_path):
    path = write(tmp_path / "houses.csv")
    result = run("train", path, *ARGUMENTS, "--epochs", 5, "--save", tmp_path / "m.safetensors")
    assert f"Saved to {tmp_path / 'm.safetensors'}." in result.output.replace("\n", "")
    model = fastgd.load(tmp_path / "m.safetensors")
    assert model.feature_names == ("size", "rooms")
    assert 1e5 < model.predict([[100, 3]])[0] < 1e6


def test_before_a_training_the_same_is_refused_as_after_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = tmp_path / "table"
    table.write_bytes(b"")
    for name, target in (
        ("link", "m"),
        ("chain", "link"),
        ("other", "table"),
        ("loop", "loop"),
        ("out", "/dev/stdout"),
    ):
        (tmp_path / name).symlink_to(target)
    (tmp_path / "astray").symlink_to("none/m")
    os.mkfifo("pipe")
    for paths, message in (
        (["m", "link"], "use two files"), (["chain", "link"], "use two files"),
        (["m", f"{tmp_path}/m"], "use two files"),
        (["other"], "a file to read from"), (["loop"], "Too many levels"), (["astray"], f"no folder {tmp_path}/none"),
        (["out", "/dev/stdout"], "use two files"), (["pipe"], "no file that could be replaced"),
        (["/dev/fd/987654"], "Bad file descriptor"), (["table/m"], f"no folder {table}"),
        (["x" * 256], "name too long"),
    ):  # fmt: skip
        with pytest.raises(ModelFileError, match=f"^{paths[-1]} cannot be written: .*{message}"):
            check_can_write(*map(Path, paths), table=table)
    for good in (["chain", "x" * 255], ["/dev/null", "/dev/null"], ["out", "m"], [], ["m", None]):
        check_can_write(*(path and Path(path) for path in good), table=table)
    assert not (tmp_path / "m").exists()


def test_the_errors_are_those_on_the_two_sides_of_a_split_by_groups(tmp_path):
    noise = np.random.default_rng(1).normal(size=200).cumsum()
    path = write(tmp_path / "houses.csv", price=np.round(1e4 * noise + 3e5))
    result = run(
        "train", path, *ARGUMENTS, "--hidden", 8, "--epochs", 3, "--group", "id", "--seed", 3, "--save", tmp_path / "m"
    )
    assert result.exit_code == 0, result.output
    frame = read_table(path)
    table, ids = frame.select("size", "rooms", "price").to_numpy(), frame["id"].to_list()
    model = fastgd.load(tmp_path / "m")

    def errors(groups):
        parts = (table[part] for part in split_rows(200, 0.2, groups, 3))
        return [number(model.evaluate(part[:, :2], part[:, 2])["rmse"]) for part in parts]

    told = [re.search(rf"{name} +\d+ +\S+ +(\S+)", result.output)[1] for name in ("training", "held out")]
    assert told == errors(ids)
    assert told != errors(None), "without the groups other rows are held out"
    assert told[0] != told[1]


def kinds(path, n=300, **columns):
    """A table with a rare class."""
    size = np.random.default_rng(0).integers(30, 200, n)
    return write(path, n, kind=np.where(size > 180, "palace", np.where(size > 90, "house", "flat")), **columns)


CLASSES = ["--target", "kind", "--features", "size,rooms", "--classes"]


def test_train_tells_classes_apart(tmp_path):
    path, saved = kinds(tmp_path / "houses.csv"), tmp_path / "kinds.safetensors"
    result = run("train", path, *CLASSES, "--epochs", 20, "--save", saved)
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    model = fastgd.load(saved)
    assert model.classes.tolist() == ["flat", "house", "palace"]
    assert model.predict([[50, 1], [120, 4]]).tolist() == ["flat", "house"]
    assert re.search(
        r"^ held out +60 +[01]\.\d{3} +[01]\.\d{3} +[01]\.\d{3} +[01]\.\d{3} *$", result.output, re.MULTILINE
    )
    told = re.findall(r"^ (flat|house|palace) +(\d+) +[01–]\.?\d* +[01–]\.?\d* *$", result.output, re.MULTILINE)
    assert sum(int(rows) for _, rows in told) == 60
    assert "R²" not in result.output


@pytest.mark.parametrize(
    ("columns", "arguments", "message"),
    [
        ({}, ["--regression"], r"column 'kind' holds 'a', which is not a number \(the first of 300 such cells\): corr"),
        (
            {"kind": ["a"] * 299 + [" "]},
            [],
            r"1 of 300 rows has no kind, the first is line 301: fill them, or leave th",
        ),
        ({"kind": ["a"] * 300}, [], r"kind is 'a' in every row: there is nothing to tell apart"),
        (
            {"kind": np.arange(300) / 7},
            ["--classes"],
            r"holds fractions such as 0.0, which are no classes|too many for",
        ),
        (
            {"kind": [f"n{k}" for k in range(300)]},
            [],
            r"'kind' has 300 different values, such as n0, n1: too many for cl",
        ),
        ({}, ["--intervals"], r"--intervals is for numbers, not for classes"),
        ({}, ["--log-target"], r"--log-target is for numbers, not for classes"),
    ],
)
def test_mistakes_about_classes(columns, arguments, message, tmp_path):
    table = {"kind": np.array(["a", "b"])[np.arange(300) % 2]} | columns
    path = write(tmp_path / "houses.csv", 300, **table)
    result = run("train", path, "--target", "kind", "--features", "size", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.search(message, result.stderr), result.stderr
