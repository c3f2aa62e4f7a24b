"""`fastgd predict`: the same numbers as `model.predict`, from files of any length, and all that is odd is told."""

from __future__ import annotations

import gzip
import io
import os
import signal
import subprocess
import time
from functools import partial

import numpy as np
import polars as pl
import pytest
from commanded import FEATURES, KINDS, houses, write_models
from shell import FASTGD, run

from fastgd.command import predictions
from fastgd.command.writing import write_table


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def models(folder):
    return write_models(folder)


@pytest.fixture
def file(models, folder):
    path = folder / "new.csv"
    houses(50, seed=1).write_csv(path)
    return path


def answers(result):
    assert result.exit_code == 0, result.output
    return pl.read_csv(io.BytesIO(result.stdout_bytes), infer_schema_length=None)


def beside(model, table):
    return model.predict(table.select(model.feature_names or ["size", "rooms"]))


NAMES = ["tables", "logs", "numbers", "nameless", "several", "quantiles", "yes_or_no", "kinds", "whole"]


@pytest.mark.parametrize("name", NAMES)
def test_predictions_are_those_of_the_model(models, folder, tmp_path, name):
    table, path = houses(50, seed=1), tmp_path / "new.csv"
    (table.select("size", "rooms") if name == "nameless" else table).write_csv(path)
    found, expected = answers(run("predict", folder / name, path)), beside(models[name], table)
    columns = {"several": ["prediction 0", "prediction 1"], "quantiles": ["quantile 0.1", "quantile 0.9"]}
    assert found.columns == columns.get(name, ["prediction"])
    if expected.dtype.kind == "U":
        assert found["prediction"].to_list() == expected.tolist()
    else:
        np.testing.assert_allclose(found.to_numpy(), expected.reshape(50, -1), rtol=1e-6)
        with pytest.raises(AssertionError):
            np.testing.assert_allclose(found.to_numpy()[::-1], expected.reshape(50, -1), rtol=1e-6)


def test_columns_stand_beside_them_as_they_are(file, folder):
    table = houses(50, seed=1)
    found = run("predict", folder / "tables", file, "--key", "id", "--key", "rooms").stdout.splitlines()
    assert found[0] == "id,rooms,prediction"
    beside = [line.rsplit(",", 1)[0] for line in found[1:]]
    assert beside == [f"{number},{rooms}" for number, rooms in table.select("id", "rooms").rows()]
    for keys in (["--key", "id,rooms"], ["--key", "id, rooms", "--key", "id"]):
        assert run("predict", folder / "tables", file, *keys).stdout.splitlines() == found
    result = run("predict", folder / "tables", file, "--all-columns")
    found = pl.read_csv(io.BytesIO(result.stdout_bytes), schema_overrides={"id": pl.String, "price": pl.Float64})
    assert found.drop("prediction").equals(table)


def test_files_of_all_kinds_and_pipes(models, folder, file, tmp_path):
    expected = run("predict", folder / "tables", file, "--key", "id").stdout
    assert len(expected.splitlines()) == 51
    (tmp_path / "new.csv.gz").write_bytes(gzip.compress(file.read_bytes()))
    houses(50, seed=1).write_parquet(tmp_path / "new.parquet")
    houses(50, seed=1).write_csv(tmp_path / "new.txt", separator=";", decimal_comma=True)
    for name in ("new.csv.gz", "new.parquet", "new.txt"):
        assert run("predict", folder / "tables", tmp_path / name, "--key", "id").stdout == expected
    command = [*FASTGD, "predict", str(folder / "tables"), "-", "--key", "id"]
    piped = subprocess.run(command, input=file.read_bytes(), capture_output=True)
    assert (piped.stdout.decode(), piped.stderr) == (expected, b"")


def test_how_a_file_is_written_can_be_said(folder, tmp_path):
    path = tmp_path / "new.csv"
    path.write_bytes("size~rooms~town\n50,5~-9~Bern\n50,5~3~Zürich\n".encode("latin-1"))
    said = ["--separator", "~", "--decimal", ",", "--encoding", "latin-1", "--missing", "-9"]
    result = run("predict", folder / "tables", path, *said)
    assert len(answers(result)) == 2
    assert "'Zürich' in line 3" in result.stderr
    assert "column 'rooms': 1 cell without a value, the first in line 2" in result.stderr
    path.write_text("size\trooms\ttown\n50\t3\tBern\n")
    assert len(answers(run("predict", folder / "tables", path, "--separator", "tab"))) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--separator", ";;"], "--separator must be one character such as ';', not ';;'."),
        (["--decimal", "x"], "--decimal must be '.' or ',', not 'x'."),
        (["--separator", "é"], "--separator must be one character such as ';', not 'é'."),
        (["--output", "-"], "- cannot be written: it stands for standard input, name a file."),
    ],
)
def test_options_that_cannot_be_are_refused_in_a_line(folder, file, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = run("predict", folder / "tables", file, *arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"fastgd: {message}\n")
    assert not list(tmp_path.glob("*"))


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.parquet", "out"])
def test_to_a_file_by_its_ending(models, folder, file, tmp_path, name):
    path = tmp_path / name
    result = run("predict", folder / "tables", file, "--key", "id", "--output", path)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.replace("\n", "") == f"50 predictions are in {path}."
    read = pl.read_parquet if name.endswith("parquet") else partial(pl.read_csv, schema_overrides={"id": pl.String})
    found = read(io.BytesIO(gzip.decompress(path.read_bytes()) if name.endswith("gz") else path.read_bytes()))
    assert found["id"].to_list() == houses(50)["id"].to_list()
    np.testing.assert_allclose(found["prediction"], beside(models["tables"], houses(50, seed=1)), rtol=1e-6)
    quiet = run("predict", folder / "tables", file, "--output", path, "--overwrite", "--quiet")
    assert (quiet.exit_code, quiet.output) == (0, "")
    assert run("predict", folder / "tables", file, "--output", tmp_path / "out.xlsx").exit_code == 2


@pytest.fixture
def short_parts(monkeypatch):
    """Files come in parts of 7 rows."""
    monkeypatch.setattr(predictions, "read_chunks", partial(predictions.read_chunks, rows=7))


def odd_houses():
    """Some rows have what no model has seen."""
    table = houses(50, seed=1)
    town = table["town"].to_list()
    town[10], town[45], town[46] = "Bonn", "Bonn", "Köln"
    size = table["size"].to_list()
    size[20], size[30], size[48] = 999.5, None, None
    return table.with_columns(town=pl.Series(town), size=pl.Series(size))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_parts_are_told_as_one_file(folder, tmp_path, ending, short_parts, monkeypatch):
    path = tmp_path / f"odd.{ending}"
    getattr(odd_houses(), f"write_{ending}")(path)
    result = run("predict", folder / "tables", path, "--key", "id")
    row, first = ("line", 2) if ending == "csv" else ("row", 1)
    low, high = houses()["size"].min(), houses()["size"].max()
    assert result.stderr.splitlines() == [
        f"fastgd: {path}, column 'size': 1 cell beyond {low:.6g} to {high:.6g}, 999.5 in {row} {20 + first} (taken as "
        f"the nearest of these); 2 cells without a value, the first in {row} {30 + first}, where the training had one "
        "in every row (taken as the mean).",
        f"fastgd: {path}, column 'town': 3 cells with categories that the training did not have, 'Bonn' in {row} "
        f"{10 + first} and 1 other (taken as none).",
    ]
    monkeypatch.undo()
    whole = run("predict", folder / "tables", path, "--key", "id")
    assert (whole.stdout, whole.stderr) == (result.stdout, result.stderr)
    assert len(whole.stdout.splitlines()) == 51
    for output in ([], ["--output", tmp_path / "out.csv"], ["--output", tmp_path / "out.parquet"]):
        assert run("predict", folder / "tables", path, "--quiet", *output).stderr == ""
    ordinary = tmp_path / "ordinary.csv"
    houses().write_csv(ordinary)
    assert run("predict", folder / "tables", ordinary).stderr == ""


def test_several_networks_know_what_one_of_them_knows(folder, tmp_path):
    path = tmp_path / "odd.csv"
    odd_houses().write_csv(path)
    assert run("predict", folder / "whole", path).stderr == run("predict", folder / "tables", path).stderr


@pytest.mark.parametrize("name", [None, "out.csv"])
def test_parts_are_written_as_they_come(tmp_path, monkeypatch, name):
    written = []
    monkeypatch.setattr(pl.DataFrame, "write_csv", lambda part, include_header: written.append(part) or "x" * 100_000)

    def parts():
        for number in range(3):
            assert len(written) == number
            yield pl.DataFrame({"a": [number]})

    write_table(parts(), name and tmp_path / name)
    assert len(written) == 3


def test_gaps_that_a_model_cannot_read_are_all_counted(folder, tmp_path, short_parts):
    path = tmp_path / "odd.csv"
    odd_houses().write_csv(path)
    output = tmp_path / "out.csv"
    result = run("predict", folder / "numbers", path, "--output", output)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"fastgd: {path}: 2 rows have no value where the model needs one, the first in line 32, column 'size'. It was "
        "trained without gaps: fill them, or drop these rows.\n"
    )
    assert not output.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop("town"), "has no column 'town'; its columns are: id, size, rooms, price, kind."),
        (lambda t: t.drop("town", "size"), "has no columns 'town', 'size'; its columns are: id, rooms, price, kind."),
        (lambda t: t.with_columns(size=pl.lit("big")), "line 2, column 'size' holds 'big', which is not a number"),
        (lambda t: t.with_columns(size=pl.lit(1e39)), "line 2, column 'size' is 1e+39, too large"),
        (
            lambda t: t.with_columns(size=pl.lit("1e400")),
            "line 2, column 'size' is 1e400, too large (the first of 50 such cells): use other units",
        ),
        (lambda t: t.head(0), "has a header line but no rows"),
        (lambda t: t.rename({"kind": "prediction"}), "has a column 'prediction' itself"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(folder, tmp_path, change, message):
    path = tmp_path / "new.csv"
    change(houses(50)).write_csv(path)
    result = run("predict", folder / "tables", path, "--all-columns")
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert f"{path}" in result.stderr
    assert message in result.stderr


def test_a_row_too_far_away_is_named_by_its_line(folder, tmp_path, short_parts):
    path = tmp_path / "new.csv"
    table = houses(50)
    table.with_columns(size=pl.when(pl.col("id") == "00033").then(1e37).otherwise("size")).write_csv(path)
    model = folder / "numbers"
    result = run("predict", model, path)
    assert result.exit_code == 2
    assert f"{path}, line 35" in result.stderr
    assert "row 5" not in result.stderr


def test_a_model_without_names_takes_columns_in_their_order(models, folder, tmp_path):
    path = tmp_path / "new.csv"
    table = houses(50)
    table.select("id", "size", "rooms").write_csv(path)
    found = answers(run("predict", folder / "nameless", path, "--key", "id"))
    np.testing.assert_allclose(found["prediction"], beside(models["nameless"], table), rtol=1e-6)
    result = run("predict", folder / "nameless", path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{path} has 3 columns, but {folder / 'nameless'} reads 2, and has no names" in result.stderr


def test_probabilities(models, folder, file):
    found = answers(run("predict", folder / "kinds", file, "--probabilities"))
    assert found.columns == ["prediction", *(f"probability of {kind}" for kind in KINDS)]
    expected = models["kinds"].predict_proba(houses(50, seed=1).select(FEATURES))
    np.testing.assert_allclose(found.drop("prediction").to_numpy(), expected, atol=1e-6)
    result = run("predict", folder / "tables", file, "--probabilities")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith("tables predicts numbers, not classes: leave --probabilities out.\n")


def test_intervals(models, folder, file):
    found = answers(run("predict", folder / "whole", file, "--interval", "0.8"))
    assert found.columns == ["prediction", "low", "high"]
    X = houses(50, seed=1).select(FEATURES)
    expected = models["whole"].predict_interval(X, 0.8)
    np.testing.assert_allclose(found["low", "high"].to_numpy(), expected, rtol=1e-6)
    assert not np.allclose(expected, models["whole"].predict_interval(X, 0.9), rtol=1e-6)
    for model, share, message in (
        ("tables", 0.9, "has no intervals"),
        ("whole", 1.5, "--interval must be a share between 0 and 1"),
        ("whole", "nan", "--interval must be a share between 0 and 1"),
        ("whole", 0.9999, "fastgd: --interval 0.9999 takes at least 10,000 rows to calibrate with; there are "),
    ):
        result = run("predict", folder / model, file, "--interval", share)
        assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (2, "", 1)
        assert message in result.stderr


def test_nothing_is_replaced_or_half_written(folder, tmp_path, short_parts):
    path, output = tmp_path / "new.csv", tmp_path / "out.csv"
    output.write_text("precious")
    houses(50).write_csv(path)
    result = run("predict", folder / "tables", path, "--output", output)
    assert (result.exit_code, output.read_text()) == (2, "precious")
    assert result.stderr == f"fastgd: {output} cannot be written: it is there already; say --overwrite to replace it.\n"
    for own in (path, folder / "tables"):
        assert "is a file to read from" in run("predict", folder / "tables", path, "-o", own, "--overwrite").stderr
    path.write_text(path.read_text() + "x,y\n")  # after six parts that are well
    for name in ("out.csv", "out.parquet", "out.csv.gz"):
        (tmp_path / name).write_text("precious")
        result = run("predict", folder / "tables", path, "--output", tmp_path / name, "--overwrite")
        assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
        assert f"{path}, line 52 has 2 cells" in result.stderr
        assert (tmp_path / name).read_text() == "precious"
    assert sorted(os.listdir(tmp_path)) == ["new.csv", "out.csv", "out.csv.gz", "out.parquet"]


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_ctrl_c_leaves_nothing(folder, file, tmp_path, monkeypatch, name):
    def interrupted(self, X):
        raise KeyboardInterrupt

    monkeypatch.setattr(predictions.Question, "answered", interrupted)
    result = run("predict", folder / "tables", file, "--output", tmp_path / name)
    assert (result.exit_code, result.stderr) == (130, "fastgd: interrupted\n")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("redirections", "told", "codes"),
    [
        ("> /dev/full", "fastgd: the output cannot be written: No space left on device.\n", [2]),
        ("| head -1 > /dev/null", "", [0, 1]),
        ("--output /dev/full", "fastgd: /dev/full cannot be written: No space left on device.\n", [2]),
        ("--output /dev/stdout --quiet > /dev/null", "", [0]),
        (">&-", "", [0]),
        ("> /dev/null 2>&-", "", [0]),
        (">&- 2>&- <&-", "", [0]),
    ],
)
def test_outputs_that_fail(folder, tmp_path, redirections, told, codes):
    path = tmp_path / "new.csv"
    pl.concat([houses()] * 50).write_csv(path)
    command = [*FASTGD, "predict", str(folder / "tables"), str(path), "--all-columns"]
    result = subprocess.run(
        ["bash", "-c", f'set -o pipefail; "$@" {redirections}', "bash", *command], capture_output=True
    )
    assert (result.stdout, result.stderr.decode()) == (b"", told)
    assert result.returncode in codes


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.parquet"])
def test_a_disk_that_fills_is_one_sentence(folder, file, tmp_path, name):
    (tmp_path / name).symlink_to("/dev/full")
    result = run("predict", folder / "tables", file, "--output", tmp_path / name)
    told = f"fastgd: {tmp_path / name} cannot be written: No space left on device.\n"
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", told)


def test_an_output_that_is_there_gets_the_table(folder, file):
    command = [*FASTGD, "predict", str(folder / "tables"), str(file), "--output", "/dev/stdout", "--overwrite"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert len(result.stdout.splitlines()) == 51
    assert result.stderr == "50 predictions are in /dev/stdout.\n"


def test_lines_are_those_of_the_file_behind_blank_lines_and_cells_of_several_lines(models, folder, tmp_path):
    rows = houses(20, seed=1).write_csv().splitlines()
    names, cells = rows[0].split(","), rows[15].split(",")
    cells[names.index("town")] = "Atlantis"
    lines = ["note," + rows[0], *(f'"a\nb",{row}\n' for row in rows[1:15]), "c," + ",".join(cells)]
    path = tmp_path / "new.csv"
    path.write_text("\n".join(lines) + "\n")
    line = next(number for number, line in enumerate(path.read_text().split("\n"), 1) if "Atlantis" in line)
    assert line == 2 + 14 * 3
    told = " ".join(run("predict", folder / "tables", path).stderr.split())
    assert f"'Atlantis' in line {line} " in told


def test_a_key_stands_there_as_in_the_file(models, folder, tmp_path):
    keys = ["NA", " x ", "007", "1.50", "null", "-", None]
    path = tmp_path / "new.csv"
    houses(7, seed=1).with_columns(pl.Series("id", keys)).write_csv(path)
    found = run("predict", folder / "tables", path, "--key", "id").stdout.splitlines()
    assert [line.rpartition(",")[0] for line in found] == ["id", *(key or "" for key in keys)]


def test_a_key_of_a_parquet_file_is_what_it_was(models, folder, tmp_path):
    keys, path, out = [2**53 + 1, -(2**60) - 1, 3], tmp_path / "new.parquet", tmp_path / "out.parquet"
    houses(3, seed=1).with_columns(pl.Series("id", keys)).write_parquet(path)
    assert run("predict", folder / "tables", path, "--key", "id", "--output", out).exit_code == 0
    assert pl.read_parquet(out)["id"].to_list() == keys
    lines = run("predict", folder / "tables", path, "--key", "id").stdout.splitlines()
    assert [line.split(",")[0] for line in lines] == ["id", *map(str, keys)]


@pytest.mark.skipif(os.name != "posix", reason="needs signals of POSIX")
def test_a_process_that_is_asked_to_end_leaves_nothing_half_written(models, folder, tmp_path):
    out = tmp_path / "out.csv"
    out.write_text("old")
    rows = houses(50, seed=1).write_csv().encode()
    command = [*FASTGD, "predict", str(folder / "tables"), "-", "--output", str(out), "--overwrite"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(rows)
        process.stdin.flush()  # and more may come
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob(".fastgd-*")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert out.read_text() == "old"
