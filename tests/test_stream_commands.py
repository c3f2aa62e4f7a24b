"""`fastgd train --buffer-rows` and `fastgd evaluate` on files that are read a part at a time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from shell import in_a_terminal, run, write

import fastgd
from fastgd.command import footprint, measured_parts
from fastgd.command.facts import Facts, FactsSoFar, facts_of, why_not
from fastgd.command.look import Look
from fastgd.command.targets import TargetSoFar, labels_of, target_of
from fastgd.data.files import read_table

FAST = ["--epochs", 2]
N = 3000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Houses as CSV, as Parquet, and in three files of each."""
    path = tmp_path_factory.mktemp("streams")
    assert run("example", path / "houses.csv").exit_code == 0
    frame = read_table(path / "houses.csv")
    frame.write_parquet(path / "houses.parquet", row_group_size=500)
    for k in range(3):
        frame[1000 * k : 1000 * (k + 1)].write_parquet(path / f"part{k}.parquet")
        frame[1000 * k : 1000 * (k + 1)].write_csv(path / f"part{k}.csv")
    return path


@pytest.fixture
def houses(folder):
    return folder / "houses.csv"


def train(*arguments, rows=600):
    return run("train", *arguments, "--buffer-rows", rows)


def answer(*arguments, rows=600):
    """The JSON object of a training."""
    result = train(*arguments, "--json", rows=rows)
    assert result.exit_code == 0, result.output
    (line,) = result.stdout.splitlines()
    return json.loads(line)


def refused(message, *arguments, rows=600):
    result = train(*arguments, rows=rows)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert re.search(message, result.stderr), result.stderr


def told(result):
    """What was said before the number of rows."""
    assert result.exit_code == 0, result.output
    return result.stderr.partition("rows, ")[0]


# train


def test_the_table_is_told_of_and_learned_as_in_memory(houses, tmp_path):
    saved = tmp_path / "house.safetensors"
    result = train(houses, "--target", "price_eur", "--save", saved)
    whole = run("train", houses, "--target", "price_eur")
    assert told(result) == told(whole)
    n_held = int(re.search(r"houses.csv: 3,000 rows, (\d+) of them held out\.", result.stderr)[1])
    assert 500 < n_held < 700
    assert re.search(rf"training +{N - n_held:,} ", result.stdout)
    assert float(re.search(rf"held out +{n_held} +(\S+)", result.stdout)[1]) > 0.92
    assert result.stderr.endswith(f"Saved to {saved}.\n")
    model = fastgd.load(saved)
    assert model.target_names == ("price_eur",)
    assert model.feature_names == ("size_m2", "bedrooms", "distance_km", "age_years", "district")
    assert run("predict", saved, houses, "--key", "house_id").exit_code == 0


def test_the_recipe_is_that_of_the_rows_to_learn_from(houses):
    found, whole = (
        answer(houses, "--target", "price_eur", *FAST),
        json.loads(run("train", houses, "--target", "price_eur", *FAST, "--json").stdout),
    )
    assert found.keys() == whole.keys()
    for name in ("file", "rows", "target", "features", "left_out", "recipe", "classes", "report"):
        assert found[name] == whole[name]
    assert abs(found["rows_held_out"] - whole["rows_held_out"]) < 100
    assert found["training"].keys() == whole["training"].keys()


@pytest.mark.parametrize("names", [["houses.parquet"], ["part*.parquet"], ["part*.csv"], ["part0.csv", "part1.csv"]])
def test_files_of_either_kind_and_several_of_them(folder, names):
    found = answer(*(folder / name for name in names), "--target", "price_eur", *FAST)
    assert found["rows"] == (2000 if len(names) == 2 else N)
    assert found["features"] == ["size_m2", "bedrooms", "distance_km", "age_years", "district"]


def test_the_same_rows_are_held_out_again(houses):
    first, again = (answer(houses, "--target", "price_eur", *FAST) for _ in range(2))
    del first["seconds"], again["seconds"]
    assert first == again
    other = answer(houses, "--target", "price_eur", *FAST, "--seed", 1)
    assert other["rows_held_out"] != first["rows_held_out"]


@pytest.mark.parametrize(
    "options",
    [
        ["--target", "bedrooms"],
        ["--target", "bedrooms", "--classes"],
        ["--target", "district"],
        ["--target", "district", "--features", "size_m2,distance_km"],
        ["--target", "price_eur", "--without", "district,bedrooms"],
        ["--target", "price_eur", "--text", "bedrooms", "--regression"],
    ],
)
@pytest.mark.parametrize("name", ["houses.csv", "houses.parquet"])
def test_targets_and_columns_are_what_they_are_in_memory(folder, options, name):
    options = [folder / name, *options, "--drop-missing-target", "--epochs", 1]
    assert told(train(*options)) == told(run("train", *options))


@pytest.mark.parametrize("values", [["no", "yes"], [3, 7], ["a", "b", "c"], ["007", "008", "009"]])
def test_classes(tmp_path, values):
    y = [values[i % 3 % len(values)] for i in range(200)]
    path = write(tmp_path / "t.csv", kind=y, price=[i % 3 * 10 + i / 1000 for i in range(200)])
    options = [path, "--target", "kind", "--features", "price", "--epochs", 150]
    found = answer(*options, "--save", tmp_path / "m", rows=100)
    assert found["classes"] == sorted(set(values))
    assert found["held_out"]["accuracy"] > 0.8
    assert fastgd.load(tmp_path / "m").classes.tolist() == found["classes"]
    result = train(*options, "--epochs", 1, rows=100)
    assert "balanced" in result.stdout
    assert "AUC" not in result.stdout  # which takes all rows at once
    of_classes = re.findall(r"^ (\S+) +(\d+) +\S+ +\S+$", result.stdout.rpartition("held out")[2], re.M)
    assert [label for label, _ in of_classes] == [str(value) for value in found["classes"]]
    assert sum(int(n) for _, n in of_classes) == found["rows_held_out"]


def test_rows_without_a_target(tmp_path):
    path = write(tmp_path / "t.csv", price=["" if i % 50 == 7 else i * 2.5 for i in range(200)])
    refused(r"t.csv: 4 of 200 rows have no price, the first is .*t.csv, line 9: fill them", path, "--target", "price")
    found = answer(path, "--target", "price", "--features", "size", *FAST, "--drop-missing-target", rows=100)
    assert found["rows"] == 196
    refused("no row has a price", write(tmp_path / "n.csv", price=[""] * 200), "--target", "price",
            "--drop-missing-target")  # fmt: skip


def test_early_stopping_keeps_rows_to_stop_with(houses):
    result = train(houses, "--target", "price_eur", "--early-stopping", "--epochs", 3)
    kept = int(re.search(r"(\d+) of the rows to learn from are kept to stop with\.", result.stderr)[1])
    n_held = int(re.search(r"(\d+) of them held out", result.stderr)[1])
    assert 150 < kept < 330
    assert re.search(rf"training +{N - n_held - kept:,} ", result.stdout)


def test_quiet_is_quiet(houses):
    result = train(houses, "--target", "price_eur", *FAST, "--quiet")
    assert (result.exit_code, result.output) == (0, "")


@pytest.mark.parametrize(
    ("option", "values"),
    [("--group", ["district"]), ("--ensemble", [2]), ("--time-budget", [9]), ("--intervals", []), ("--report", ["r"])],
)
def test_options_that_take_all_rows_are_refused(houses, option, values):
    refused(f"{option} takes all rows in memory", houses, "--target", "price_eur", option, *values)


def test_what_is_wrong_is_one_line_with_its_place(folder, houses, tmp_path):
    lines = houses.read_text().splitlines()
    lines[700] = lines[700].replace(",", ",abc", 2)
    path = tmp_path / "bad.csv"
    path.write_text("\n".join(lines))
    for message, *arguments in (
        ("bad.csv, line 701, column 'size_m2' holds 'abc.*with --text", path, "--target", "price_eur"),
        ("has no column 'nope'", houses, "--target", "nope"),
        ("has no column 'nope'", houses, "--target", "price_eur", "--without", "nope"),
        ("has no column 'nope'", folder / "houses.parquet", "--target", "price_eur", "--features", "nope"),
        ("none.csv cannot be read", tmp_path / "none.csv", "--target", "price_eur"),
        ("no file that matches", tmp_path / "*.csv.gz", "--target", "price_eur"),
        ("is of another kind than", houses, folder / "houses.parquet", "--target", "price_eur"),
        ("--separator is for CSV files", folder / "houses.parquet", "--target", "price_eur", "--separator", ";"),
        ("Standard input can be read only once", "-", "--target", "price_eur"),
        ("both the target and a feature", houses, "--target", "price_eur", "--features", "price_eur"),
        ("--log-target is for numbers", houses, "--target", "district", "--log-target", "--drop-missing-target"),
        ("cannot be written: it is a file to read", houses, "--target", "price_eur", "--save", houses),
    ):
        result = train(*arguments)
        assert result.exit_code == 2, arguments
        assert re.search(message, result.stderr.splitlines()[-1]), result.stderr


def test_a_buffer_below_a_batch_is_refused(houses):
    result = train(houses, "--target", "price_eur", "--batch-size", 64, rows=50)
    assert result.exit_code == 2
    assert result.stderr.endswith(
        "fastgd: --buffer-rows is 50, less than one batch of 64 rows: take a larger buffer, or a smaller --batch-size."
        "\n"
    )


def test_too_few_rows_are_a_sentence(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x,y\n1,2\n3,5\n")
    result = train(path, "--target", "y", "--validation", 0.01)
    assert result.exit_code == 2
    assert "has only 2 rows: none of them is left to measure with." in result.stderr


def test_several_files_take_a_stream(folder):
    result = run("train", folder / "part0.csv", folder / "part1.csv", "--target", "price_eur")
    assert result.exit_code == 2
    assert "Several files are read as a stream: say with --buffer-rows" in result.stderr


def test_ctrl_c_keeps_the_model(houses, tmp_path):
    arguments = ["train", houses, "--target", "price_eur", "--buffer-rows", 600, "--epochs", 100_000]
    seen, code = in_a_terminal([*arguments, "--save", tmp_path / "m"], interrupt_when=b"val_loss")
    assert code == 130, seen[-500:]
    assert fastgd.load(tmp_path / "m").schema.scaled
    assert "held out" in seen


def test_a_table_that_may_not_fit_is_told_of(houses, monkeypatch):
    advice = "with --buffer-rows 100000 it is read a part at a time."
    result = run("train", houses, "--target", "price_eur", "--epochs", 1)
    assert advice not in result.stderr
    monkeypatch.setattr(footprint, "free_memory", lambda: 5 * houses.stat().st_size)
    result = run("train", houses, "--target", "price_eur", "--epochs", 1)
    assert result.stderr.splitlines()[0].endswith(advice)


LIMITED = """
import resource, sys
import polars, fastgd
from fastgd.command.cli import main
main(["train", "small.parquet", *sys.argv[2:]], standalone_mode=False)
used = next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmData')) << 10
resource.setrlimit(resource.RLIMIT_DATA, (used + (300 << 20),) * 2)
main(["train", sys.argv[1], *sys.argv[2:]])
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory are those of Linux")
def test_memory_is_bounded(tmp_path):
    generator = np.random.default_rng(0)
    frame = pl.DataFrame({f"x{k}": generator.normal(size=800_000) for k in range(20)}).cast(pl.Float32)
    frame = frame.with_columns(y=frame["x0"] * 2)
    frame.write_parquet(tmp_path / "large.parquet", row_group_size=10_000)
    frame[:5000].write_parquet(tmp_path / "small.parquet")

    def limited(*options):
        arguments = ["--target", "y", "--epochs", "1", "--hidden", "8", "--quiet", *options]
        return subprocess.run(
            [sys.executable, "-c", LIMITED, "large.parquet", *arguments], cwd=tmp_path, capture_output=True, text=True,
            timeout=600, check=False, env={**os.environ, "POLARS_MAX_THREADS": "1", "MALLOC_ARENA_MAX": "1"},
        )  # fmt: skip

    streamed = limited("--buffer-rows", "4096")
    assert streamed.returncode == 0, streamed.stderr
    assert limited().returncode != 0  # the limit is one


# What a column is, part by part


COLUMNS = {
    "few": ["a", "b", None] * 200,
    "names": [f"n{k}" for k in range(600)],
    "dates": [f"2024-01-{k % 28 + 1:02d}" for k in range(600)],
    "rows": list(range(600)),
    "rows with a step": [k + (k > 300) for k in range(600)],
    "numbers": [k / 7 for k in range(600)],
    "constant": [3.0] * 600,
    "nearly": [3.0] * 599 + [None],
    "empty": [None] * 600,
    "lists": [[1, 2]] * 600,
}


@pytest.mark.parametrize("name", COLUMNS)
def test_facts_of_parts_are_those_of_the_whole(name):
    column = pl.Series(name, COLUMNS[name])
    found = [FactsSoFar(), FactsSoFar()]
    for first in range(0, 600, 50):
        found[first // 300].add(column[first : first + 50])
    found[0].merge(found[1])
    whole = facts_of(column)
    assert why_not(found[0].facts) == why_not(whole)
    if not whole.kind:
        assert found[0].facts[1:4] == whole[1:4]


def test_many_different_values_are_counted_nearly():
    column = pl.Series("x", np.random.default_rng(0).integers(0, 40_000, 200_000))
    found = FactsSoFar()
    for first in range(0, 200_000, 9_999):
        found.add(column[first : first + 9_999])
    assert found.facts.n_values == pytest.approx(column.n_unique(), rel=0.05)
    assert isinstance(found.facts, Facts)


@pytest.mark.parametrize(
    "values",
    [["1", "2", "10"], ["1", "02", "3"], [1.0, 2.0, 3.0], [1.5, 2.0, 3.0], ["x", "y", "x"], [True, False, True]],
)
def test_targets_of_parts_are_those_of_the_whole(values):
    column = pl.Series("y", values)
    found = [TargetSoFar("y"), TargetSoFar("y")]
    found[0].add(column[:2])
    found[1].add(column[2:])
    found[0].merge(found[1])
    whole, parts = target_of(column, labels_of(column)), found[0].target
    assert parts._replace(labels=None) == whole._replace(labels=None)
    assert (parts.labels is None) == (whole.labels is None)
    assert whole.labels is None or parts.labels.tolist() == whole.labels.tolist()


def test_a_process_without_rows_says_nothing():
    look, other = Look("y", [], 2), Look("y", [], 2)
    frame = pl.DataFrame({"x": [1.0, 2.0], "y": [1.0, None]})
    batch = next(fastgd.Stream([(frame, np.zeros(2))]).source.batches(None, 10))
    look.add(batch, np.array([0, 1]))
    assert other.merge(look).missing == (1, "batch 0, row 1")
    assert (other.n_rows, other.sides.tolist(), other.target.n_rows) == (2, [1, 0], 1)


# evaluate


@pytest.fixture
def in_parts(monkeypatch):
    monkeypatch.setattr(measured_parts, "BUFFER", 0)


@pytest.fixture(scope="module")
def models(folder):
    """A model of prices, and one of districts with rows that have one."""
    known = folder / "known.csv"
    read_table(folder / "houses.csv").drop_nulls().write_csv(known)
    for target in ("price_eur", "district"):
        assert train(known, "--target", target, *FAST, "--save", folder / f"{target}.safetensors").exit_code == 0
    return {target: folder / f"{target}.safetensors" for target in ("price_eur", "district")}, known


@pytest.mark.parametrize("target", ["price_eur", "district"])
def test_a_large_file_is_measured_in_parts(models, target, monkeypatch):
    saved, known = models
    whole = json.loads(run("evaluate", saved[target], known, "--json").stdout)
    monkeypatch.setattr(measured_parts, "BUFFER", 0)
    result = run("evaluate", saved[target], known, "--json")
    parts = json.loads(result.stdout)
    left_out = {"roc_auc", "average_precision"} & whole["metrics"].keys()
    assert parts["metrics"] == pytest.approx({k: v for k, v in whole["metrics"].items() if k not in left_out})
    assert parts["rows"] == whole["rows"]
    assert ("roc_auc and average_precision" in result.stderr) == bool(left_out) == (target == "district")


def test_what_is_wrong_with_a_large_file_has_its_line(models, in_parts, houses, tmp_path):
    saved, _ = models
    result = run("evaluate", saved["district"], houses)
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.search(r"houses.csv, line \d+, column 'district' is empty: fill it", result.stderr.splitlines()[-1])
    other = read_table(houses).drop("size_m2")
    other.write_csv(tmp_path / "o.csv")
    assert "has no column 'size_m2'" in run("evaluate", saved["price_eur"], tmp_path / "o.csv").stderr


def test_what_is_unlike_the_training_is_counted_over_a_large_file(models, in_parts, tmp_path):
    saved, known = models
    read_table(known).with_columns(district=pl.lit("moon")).write_csv(tmp_path / "moon.csv")
    result = run("evaluate", saved["price_eur"], tmp_path / "moon.csv")
    assert result.exit_code == 0
    assert len(re.findall(r"cells with categories that the training did not have, 'moon'", result.stderr)) == 1
