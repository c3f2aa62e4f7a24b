"""The command `train` on tables as they come: columns, targets, gaps, and several networks."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from shell import run

import fastgd
from fastgd.command.recipes import OPTIMIZERS, SCHEDULES, Wishes, chosen
from fastgd.data.files import read_table

FAST = ["--epochs", 2]


@pytest.fixture(scope="module")
def houses(tmp_path_factory):
    """The table that `fastgd example` writes."""
    path = tmp_path_factory.mktemp("example") / "houses.csv"
    assert run("example", path).exit_code == 0
    return path


def answer(*arguments):
    """The JSON object of a training."""
    result = run("train", *arguments, "--json")
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 1
    return json.loads(result.stdout)


def lines(path, *rows):
    path.write_text("".join(f"{row}\n" for row in rows))
    return path


def test_the_example_is_a_table_with_text_and_gaps(houses, tmp_path):
    frame = read_table(houses)
    assert frame.columns == ["house_id", "size_m2", "bedrooms", "distance_km", "age_years", "district", "price_eur"]
    assert len(frame) == 3000
    assert {name for name in frame.columns if frame[name].null_count()} == {"bedrooms", "age_years", "district"}
    mean = dict(frame.drop_nulls().group_by("district").agg(price=frame["price_eur"].mean()).iter_rows())
    assert len(mean) == 6
    content = houses.read_bytes()
    again = run("example", houses)
    assert again.exit_code == 2
    assert "it is there already; say --overwrite to replace it" in again.stderr
    assert houses.read_bytes() == content
    for arguments in (["--rows", 10], ["--seed", 1]):
        assert run("example", tmp_path / "other.csv", "--overwrite", *arguments).exit_code == 0
        assert (tmp_path / "other.csv").read_bytes() != content


def test_the_commands_of_a_first_look(houses, tmp_path):
    saved = tmp_path / "houses.safetensors"
    result = run("train", houses, "--target", "price_eur", "--save", saved)
    assert result.exit_code == 0, result.output
    for told in (
        "Features: size_m2, bedrooms, distance_km, age_years, district; left out: house_id (different in most rows).",
        "473 cells are empty (age_years 226, district 146, bedrooms 101): that a value is missing is learned, too.",
        "houses.csv: 3,000 rows, 600 of them held out.",
    ):
        assert told in result.stderr.splitlines()
        assert told not in result.stdout
    assert float(re.search(r"held out +600 +(\S+)", result.stdout)[1]) > 0.93
    model = fastgd.load(saved)
    assert model.target_names == ("price_eur",)
    assert model.feature_names == ("size_m2", "bedrooms", "distance_km", "age_years", "district")
    predicted = run("predict", saved, houses, "--key", "house_id")
    assert predicted.exit_code == 0, predicted.output
    without = answer(houses, "--target", "price_eur", "--without", "district")
    assert without["left_out"] == {"district": "as asked", "house_id": "different in most rows"}
    assert without["held_out"]["r2"] < 0.93, "the district tells of the price"


def test_the_recipe_is_that_of_the_estimators(houses):
    """To the bit, with the same rows and the same seed; and not with another recipe."""
    from fastgd.data.splits import split_rows

    frame = read_table(houses).drop("house_id")
    train, held_out = split_rows(len(frame), 0.2, None, 3)
    X, y = frame.drop("price_eur"), frame["price_eur"].to_numpy()
    model = fastgd.MLPRegressor(random_state=3).fit(X[train], y[train])
    expected = model.score(X[held_out], y[held_out])
    assert answer(houses, "--target", "price_eur", "--seed", 3)["held_out"]["r2"] == expected
    assert answer(houses, "--target", "price_eur", "--seed", 3, "--dropout", 0.2)["held_out"]["r2"] != expected


def test_columns_that_tell_nothing_are_left_out_and_named(tmp_path):
    draw = np.random.default_rng(0)
    rows = [
        f"{k},{k + 7},7,,x{k},2024-01-{k % 28 + 1:02},{draw.integers(9)},{'ab'[k % 2]},0{k % 7},{k % 5}"
        for k in range(200)
    ]
    path = lines(tmp_path / "t.csv", ",row,same,empty,name,sold,a,b,code,y", *rows)
    found = answer(path, "--target", "y", "--regression", *FAST)
    assert found["features"] == ["a", "b", "code"]
    assert found["left_out"] == {
        "": "the number of the row", "row": "the number of the row", "same": "the same in every row",
        "empty": "empty", "name": "different in most rows", "sold": "dates",
    }  # fmt: skip
    named = answer(path, "--target", "y", "--features", "row,a", *FAST)
    assert (named["features"], named["left_out"]) == (["row", "a"], {})
    alone = run("train", path, "--target", "y", "--without", "a,b,code")
    assert alone.exit_code == 2
    assert "t.csv has no column to predict 'y' from; left out: a (as asked)" in alone.stderr
    for option in ("--without", "--text", "--group", "--target"):
        wrong = run("train", path, "--target", "y", option, "none", *FAST)
        assert wrong.exit_code == 2
        assert "t.csv has no column 'none'" in wrong.stderr


@pytest.mark.parametrize(
    ("values", "arguments", "classes"),
    [
        (["yes", "no"], [], ["no", "yes"]),
        (["0", "1"], [], [0, 1]),
        (["0", "1"], ["--regression"], None),
        (["1", "2", "3"], [], None),
        (["1", "2", "3"], ["--classes"], [1, 2, 3]),
        (["01", "02"], ["--classes"], ["01", "02"]),
        (["true", "false"], [], ["false", "true"]),
        (["1.5", "2.5"], [], None),
        (["x", "y", "z"], [], ["x", "y", "z"]),
    ],
)
def test_what_the_target_is_is_found_and_said(tmp_path, values, arguments, classes):
    path = lines(tmp_path / "t.csv", "a,y", *(f"{k % 9},{values[k % len(values)]}" for k in range(120)))
    result = run("train", path, "--target", "y", *arguments, "--json", "--save", tmp_path / "m", *FAST)
    found = json.loads(result.stdout)
    assert found["classes"] == classes
    told = [line for line in result.stderr.splitlines() if line.startswith("The target")]
    if classes is None and arguments:
        assert told == []
    elif classes is None:
        assert "has numbers" in told[0]
        assert ("--classes" in told[0]) == ("1.5" not in values)
    else:
        shown = ", ".join(map(str, classes))
        assert f"'y' has {len(classes)} values, which are predicted as classes: {shown}" in told[0]
        assert ("--regression" in told[0]) == (values[0] == "0" and not arguments)
    known = fastgd.load(tmp_path / "m").classes
    assert (None if known is None else known.tolist()) == classes
    measured = run("evaluate", tmp_path / "m", path, "--json")
    assert measured.exit_code == 0, measured.output


@pytest.mark.parametrize("values", [(0, 1), (1, 2, 3), ("no", "yes")])
def test_how_good_each_class_is_told_whatever_classes_are_called(tmp_path, values):
    path = lines(tmp_path / "t.csv", "a,y", *(f"{k % 9},{values[k % len(values)]}" for k in range(120)))
    result = run("train", path, "--target", "y", "--classes", *FAST)
    assert result.exit_code == 0, result.output
    listed = result.stdout.partition("recall")[2].splitlines()[2:]
    assert [line.split()[0] for line in listed if line] == list(map(str, values))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "price_eur", "--classes"], r"too many for classes: leave --classes out to predict numbers\.$"),
        (["--target", "house_id"], r"too many for classes, and no numbers: name another --target\.$"),
        (
            ["--target", "price_eur", "--features", "size_m2", "--without", "size_m2"],
            "'size_m2' is in --features and in",
        ),
    ],
)
def test_wishes_that_contradict_the_table_or_each_other(houses, arguments, message):
    result = run("train", houses, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.search(message, result.stderr.strip())


def test_rows_without_a_target(tmp_path):
    path = lines(tmp_path / "t.csv", "a,y", *(f"{k},{k if k % 4 else ''}" for k in range(1, 101)))
    result = run("train", path, "--target", "y", *FAST)
    assert result.exit_code == 2
    assert "25 of 100 rows have no y, the first is line 5: fill them, or leave these rows out" in result.stderr
    result = run("train", path, "--target", "y", "--drop-missing-target", "--json", *FAST)
    assert json.loads(result.stdout)["rows"] == 75
    assert "25 of 100 rows have no y: they are left out." in result.stderr


def test_a_european_file_simply_works(tmp_path):
    draw = np.random.default_rng(0)
    rows = ["Größe;Ort;Preis"]
    for _ in range(200):
        size, town = draw.uniform(30, 200), draw.choice(["Köln", "Brühl"])
        price = f"{3000 * size:,.2f}".translate(str.maketrans(",.", ".,"))
        rows.append(f"{size:.1f};{town};{price}".replace(".", ",", 1))
    path = tmp_path / "t.csv"
    path.write_bytes("\r\n".join(rows).encode("latin-1"))
    result = run("train", path, "--target", "Preis", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["features"] == ["Größe", "Ort"]
    assert found["held_out"]["r2"] > 0.9
    assert "t.csv is not UTF-8 and is read as Western European text (cp1252)." in result.stderr
    wrong = run("train", path, "--target", "Preis", "--separator", ",")
    assert wrong.exit_code == 2
    assert "t.csv" in wrong.stderr
    given = ["--separator", ";", "--decimal", ",", "--encoding", "latin-1", "--missing", "Köln"]
    assert "cells are empty (Ort" in run("train", path, "--target", "Preis", *given, *FAST).stderr


def test_quiet_and_json(houses):
    assert run("train", houses, "--target", "price_eur", "--quiet", *FAST).output == ""
    result = run("train", houses, "--target", "price_eur", "--quiet", "--json", *FAST)
    assert result.stderr == ""
    assert json.loads(result.stdout)["rows_held_out"] == 600
    assert run("train", houses, "--target", "none", "--quiet").stderr.startswith("fastgd: ")


def test_a_model_replaces_no_file_unasked(houses, tmp_path):
    saved = tmp_path / "m"
    saved.write_bytes(b"precious")
    result = run("train", houses, "--target", "price_eur", "--save", saved, *FAST)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{saved} cannot be written: it is there already; say --overwrite to replace it." in result.stderr
    assert saved.read_bytes() == b"precious"
    assert run("train", houses, "--target", "price_eur", "--save", saved, "--overwrite", *FAST).exit_code == 0
    assert fastgd.load(saved).target_names == ("price_eur",)


def test_several_networks(houses, tmp_path):
    saved = tmp_path / "m"
    found = answer(houses, "--target", "price_eur", "--ensemble", 3, "--save", saved, "--epochs", 10)
    assert len(found["networks"]) == 3
    assert len(set(found["networks"])) > 1, "they differ"
    assert len(fastgd.load(saved)) == 3
    alike = answer(houses, "--target", "price_eur", "--ensemble", 3, "--hidden", "16", "--activation", "relu",
                   "--dropout", 0.1, "--epochs", 2)  # fmt: skip
    assert [name.split(" ")[0] for name in alike["networks"]] == ["5-16-1"] * 3, "but not in what was chosen"
    budget = answer(houses, "--target", "price_eur", "--time-budget", 0.5, "--ensemble", 2)
    assert 1 <= len(budget["networks"]) <= 2
    for seconds, message in ((0, "above 0"), ("nan", "above 0"), (1e-9, "--time-budget 1e-09 allows no network")):
        result = run("train", houses, "--target", "price_eur", "--time-budget", seconds)
        assert result.exit_code == 2
        assert message in result.stderr


def test_intervals_are_calibrated_for_predict(houses, tmp_path):
    saved = tmp_path / "m"
    result = run("train", houses, "--target", "price_eur", "--intervals", "--save", saved)
    assert result.exit_code == 0, result.output
    assert "480 of the rows to learn from are kept to calibrate with." in result.stderr
    assert 85 < float(re.search(r"held out (\S+)% lie in their intervals for 90 %", result.stderr)[1]) < 95
    predicted = run("predict", saved, houses, "--interval", 0.9)
    assert predicted.stdout.startswith("prediction,low,high\n")
    plain = run("train", houses, "--target", "price_eur", "--save", saved, "--overwrite", *FAST)
    assert plain.exit_code == 0
    assert run("predict", saved, houses, "--interval", 0.9).exit_code == 2


def test_early_stopping_ends_before_the_last_epoch(houses):
    arguments = [houses, "--target", "price_eur", "--optimizer", "adam", "--learning-rate", 0.01, "--epochs", 300]
    result = run("train", *arguments, "--early-stopping")
    assert "240 of the rows to learn from are kept to stop with." in result.stderr
    epochs = [int(number) for number in re.findall(r"epoch +(\d+)/300", result.stderr)]
    assert epochs[-1] < 300


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", [None, *SCHEDULES])
def test_optimizers_and_schedules(optimizer, schedule):
    made, _ = chosen(Wishes(optimizer=optimizer, schedule=schedule, learning_rate=0.002), 5000, 4, False)
    usual, _ = chosen(Wishes(optimizer=optimizer, schedule=schedule), 5000, 4, False)
    kind = {"sgd": fastgd.SGD, "momentum": fastgd.SGD, "adagrad": fastgd.Adagrad, "rmsprop": fastgd.RMSprop}
    assert isinstance(made.optimizer, kind.get(optimizer, fastgd.Adam))
    assert getattr(made.optimizer, "momentum", 0) == (0.9 if optimizer == "momentum" else 0)
    if schedule is None:
        assert made.optimizer.rate == 0.002
    else:
        assert type(made.optimizer.rate) is type(SCHEDULES[schedule](0.1))
        assert made.optimizer.rate.learning_rate == 0.002
        assert usual.optimizer.rate.learning_rate == OPTIMIZERS[optimizer]().rate


def test_optimizers_of_the_options_are_those_that_there_are():
    from fastgd.command import train as command

    assert set(command.OPTIMIZERS) == set(OPTIMIZERS)
    assert set(command.SCHEDULES) == set(SCHEDULES)


def test_a_report_of_a_table_with_text_and_gaps(houses, tmp_path):
    page = tmp_path / "r.html"
    result = run("train", houses, "--target", "price_eur", "--report", page, *FAST)
    assert result.exit_code == 0, result.output
    text = page.read_text()
    for column in ("size_m2", "district"):
        assert f"price_eur by {column}" in text
    assert "Traceback" not in text
    for option in (["--ensemble", 2], ["--time-budget", 1], ["--intervals"]):
        result = run("train", houses, "--target", "price_eur", "--report", tmp_path / "other.html", *option)
        assert result.exit_code == 2
        assert "--report is about one network: leave --ensemble, --time-budget and --intervals out." in result.stderr


def test_the_group_may_be_a_column_of_text(tmp_path):
    draw = np.random.default_rng(0)
    path = lines(tmp_path / "t.csv", "a,g,y", *(f"{draw.integers(9)},{k // 10},{draw.normal()}" for k in range(300)))
    found = answer(path, "--target", "y", "--group", "g", *FAST)
    assert found["features"] == ["a"]
    assert run("train", path, "--target", "y", "--group", "y").exit_code == 2
    gaps = lines(tmp_path / "u.csv", "a,g,y", *(f"{k % 9},{k // 10 or ''},{k % 7}" for k in range(300)))
    result = run("train", gaps, "--target", "y", "--group", "g")
    assert result.exit_code == 2
    assert "10 rows have no g, the first is line 2: fill it, or drop these rows." in result.stderr


def test_advice_names_options_that_there_are(tmp_path):
    path = lines(tmp_path / "t.csv", "x,y", *(f"{k // 20},{k % 9}" for k in range(200)), "big,3")
    result = run("train", path, "--target", "y", *FAST)
    assert result.stderr.endswith("correct it, or drop the line, or read the column as text with --text.\n")
    found = answer(path, "--target", "y", "--text", "x", "--features", "x", "--regression", *FAST)
    assert found["features"] == ["x"]
    either = lines(tmp_path / "u.csv", "x;y", *(f"1,23{k % 9};{k}" for k in range(50)))
    told = run("train", either, "--target", "y").stderr
    for option in re.findall(r"--[a-z-]+", result.stderr + told):
        assert option in run("train", "--help").output
    assert "say --decimal , or --decimal . to tell" in told
