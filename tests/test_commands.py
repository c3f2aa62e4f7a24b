"""`fastgd evaluate`, `explain`, `info`, `export` and `completion`: what the package says, at a command line."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from commanded import FEATURES, houses, write_models
from model_files import assembled, parts
from shell import FASTGD, run

import fastgd
from fastgd.features import partial_dependence, permutation_importance

NARROW = 50


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def models(folder):
    houses(60, seed=2).write_csv(folder / "sold.csv")
    return write_models(folder)


@pytest.fixture
def file(models, folder):
    return folder / "sold.csv"


def told(*arguments):
    """The one JSON object of an answer."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    (line,) = result.stdout.splitlines()
    return json.loads(line)


def refused(message, *arguments):
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert re.search(message, result.stderr), result.stderr


def widest(text):
    return max(map(len, text.splitlines()))


# evaluate


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        ("tables", ["price"]), ("logs", ["price"]), ("whole", ["price"]), ("kinds", ["kind"]), ("numbers", ["price"]),
        ("several", ["price", "size_again"]), ("quantiles", ["price"]), ("yes_or_no", ["is_dear"]),
    ],
)  # fmt: skip
def test_metrics_are_those_of_the_model(models, folder, tmp_path, name, targets):
    table = houses(60, seed=2).with_columns(size_again="size", is_dear=(pl.col("price") > 3e5).cast(pl.Int64))
    table.write_csv(tmp_path / "sold.csv")
    said = [word for target in targets for word in ("--target", target)]
    found = told("evaluate", folder / name, tmp_path / "sold.csv", *said)
    model = models[name]
    y = table[targets[0]].to_list() if name == "kinds" else table.select(targets).to_numpy()
    expected = model.evaluate(table.select(model.feature_names), y)
    assert found["metrics"] == pytest.approx(expected, rel=1e-6)
    assert found["metrics"] != pytest.approx(model.evaluate(table.select(model.feature_names), y[::-1]), rel=1e-6)
    assert (found["rows"], found["target"]) == (60, targets)
    shown = run("evaluate", folder / name, tmp_path / "sold.csv", *said)
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert f"{', '.join(targets)}, 60 rows" in shown.stdout
    assert all(re.search(rf"^ {metric} +\S+$", shown.stdout, re.MULTILINE) for metric in expected)


def test_labels_that_are_numbers_or_yes_and_no(tmp_path):
    table = houses(200)
    dear = table["price"].to_numpy() > 3e5
    table = table.with_columns(dear=pl.Series(dear), rank=pl.Series(dear * 3 + 1))
    table.write_csv(tmp_path / "sold.csv")
    X = table.select("size", "rooms")
    for target in ("dear", "rank"):
        model = fastgd.MLP([2, 8, 2], loss="cross_entropy")
        model.fit(X, table[target].to_numpy(), epochs=20, verbose=0)
        model.target_names = [target]
        model.save(tmp_path / target)
        found = told("evaluate", tmp_path / target, tmp_path / "sold.csv")
        assert found["metrics"]["accuracy"] > 0.8
        assert found["target"] == [target]


def test_the_model_remembers_its_target(models, folder, file, tmp_path):
    refused("holds the actual values: --target COLUMN", "evaluate", folder / "tables", file)
    model = fastgd.load(folder / "tables")
    model.target_names = ["price"]
    model.save(tmp_path / "named")
    assert fastgd.load(tmp_path / "named").target_names == ("price",)
    found = told("evaluate", tmp_path / "named", file)
    assert found["metrics"] == told("evaluate", folder / "tables", file, "--target", "price")["metrics"]
    whole = fastgd.Ensemble([models["logs"], fastgd.load(tmp_path / "named")])
    whole.save(tmp_path / "whole")
    assert told("evaluate", tmp_path / "whole", file)["target"] == ["price"]
    for names in (["price", "size"], "price", 3):
        with pytest.raises(
            fastgd.errors.InvalidInputError, match="target_names must be a list of 1 different names, not"
        ):
            model.target_names = names
    model.target_names = None
    model.save(tmp_path / "named")
    refused("--target COLUMN", "evaluate", tmp_path / "named", file)


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (None, ["tables", "--target", "cost"], "sold.csv has no column 'cost'; its columns are: id, size"),
        (None, ["tables", "--target", "size"], "reads the column 'size': it cannot be the target, too"),
        (None, ["tables", "--target", "price", "--target", "id"], "predicts 1 target: --target has to name each"),
        (None, ["several", "--target", "price"], "predicts 2 targets: --target has to name each"),
        (None, ["tables", "--target", "kind"], "line 2, column 'kind' holds 'dear', which is not a number"),
        (None, ["kinds", "--target", "id"], "00000"),
        ("price", ["tables", "--target", "price"], "sold.csv: 2 rows have no price, the first is line 5: fill"),
        ("kind", ["kinds", "--target", "kind"], "sold.csv: 2 rows have no kind, the first is line 5: fill"),
        ("size", ["numbers", "--target", "price"],
         "sold.csv: 2 rows have no value where the model needs one, the first in line 5, column 'size'"),
        (None, ["yes_or_no", "--target", "price"],
         "sold.csv, line 2, column 'price' has the label 223500, which the model does not know"),
    ],
)  # fmt: skip
def test_targets_that_cannot_be_used(models, folder, tmp_path, change, arguments, message):
    table, path = houses(60, seed=2), tmp_path / "sold.csv"
    if change:
        rows = pl.int_range(pl.len())
        table = table.with_columns(pl.when((rows != 3) & (rows != 9)).then(change).alias(change))
    table.write_csv(path)
    name, *others = arguments
    refused(message, "evaluate", folder / name, path, *others)


# explain


def test_importance_is_that_of_the_package(models, folder, file):
    table = houses(60, seed=2)
    found = told("explain", folder / "whole", file, "--target", "price")
    expected = permutation_importance(models["whole"], table.select(FEATURES), table["price"].to_numpy()).to_dict()
    assert found["features"] == expected["features"]
    assert found["increase"] == pytest.approx(expected["increase"], rel=1e-5)
    shown = run("explain", folder / "whole", file, "--target", "price").stdout
    largest = expected["features"][int(np.argmax(expected["increase"]))]
    assert re.search(rf"─\n {largest} ", shown)


@pytest.mark.parametrize("column", FEATURES)
def test_what_a_column_does(models, folder, file, monkeypatch, column):
    found = told("explain", folder / "tables", file, "--column", column)
    expected = partial_dependence(models["tables"], houses(60, seed=2).select(FEATURES), column).to_dict()
    assert found["values"] == expected["values"]
    assert found["predictions"] == pytest.approx(expected["predictions"], rel=1e-6)
    monkeypatch.setenv("COLUMNS", str(NARROW))
    shown = run("explain", folder / "tables", file, "--column", column)
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert widest(shown.stdout) <= NARROW
    assert ("●" in shown.stdout) == (column != "town")
    if column == "town":
        assert re.findall(r"^ (Bern|Oslo|Rome) +[\d,]+ +[\d,]+ +[\d,]+$", shown.stdout, re.MULTILINE)


def test_which_output(models, folder, file):
    classes = told("explain", folder / "kinds", file, "--column", "size", "--output", "dear")
    assert classes["output"] == "probability of dear"
    numbered = told("explain", folder / "several", file, "--column", "size", "--output", "1")
    assert numbered["output"] == "output 1"
    refused(
        "Say which of 3 outputs, with --output 0 to 2, or a class: cheap, dear, middling",
        "explain",
        folder / "kinds",
        file,
        "--column",
        "size",
    )
    refused("There is no class 'deer'", "explain", folder / "kinds", file, "--column", "size", "--output", "deer")
    refused("There is no feature 'sise'.*'size'", "explain", folder / "kinds", file, "--column", "sise")


def test_who_is_to_blame_for_a_row(models, folder, file):
    X, price = houses(60, seed=2).select(FEATURES), houses(60, seed=2)["price"].to_numpy()
    for name in ("tables", "whole"):
        found = told("explain", folder / name, file, "--target", "price", "--row", 7)
        model = models[name]
        blamed = model.blame(X[6:7], price[6:7], by="input") if name == "tables" else model.blame(X[6:7], price[6:7])
        assert found["actual"] == price[6]
        assert found["prediction"] == pytest.approx(float(model.predict(X[6:7])[0]), rel=1e-6)
        assert found["blame"]["share"] == pytest.approx(blamed["share"].tolist(), rel=1e-5)
        assert found["columns"] == dict(zip(FEATURES, X.row(6), strict=True))
    shown = run("explain", folder / "tables", file, "--target", "price", "--row", 7)
    assert f", {price[6]:,.0f} is right." in " ".join(shown.stdout.split())
    refused(
        "There is no row 61: the file has 60 rows", "explain", folder / "tables", file, "--target", "price", "--row", 61
    )
    refused("two questions", "explain", folder / "tables", file, "--row", 1, "--column", "size")
    refused("--target COLUMN", "explain", folder / "tables", file)


def test_what_is_odd_is_told_once(models, folder, tmp_path):
    path = tmp_path / "sold.csv"
    houses(60, seed=2).with_columns(town=pl.lit("Bonn")).write_csv(path)
    said = f"fastgd: {path}, column 'town': 60 cells with categories that the training did not have, 'Bonn' in line 2"
    for command in (["evaluate"], ["explain"], ["explain", "--column", "size"], ["explain", "--row", 3]):
        name, *others = command
        target = [] if "--column" in others else ["--target", "price"]
        result = run(name, folder / "whole", path, *target, *others, "--quiet")
        assert (result.exit_code, "town'" in result.stderr) == (0, False)
        lines = [
            line for line in run(name, folder / "whole", path, *target, *others).stderr.splitlines() if "Bonn" in line
        ]
        assert lines == [f"{said} (taken as none)."]
    command = [*FASTGD, "evaluate", folder / "whole", "-", "--target", "price"]
    piped = subprocess.run(command, input=path.read_bytes(), capture_output=True)
    assert piped.stderr.startswith(b"fastgd: standard input, column 'town': 60 cells with"), piped.stderr


def test_rows_are_told_by_their_lines_everywhere(models, folder, tmp_path):
    """Blank lines, and lines within a cell, count as an editor counts them; rows of a Parquet file have numbers."""
    table = houses(60, seed=2).with_columns(note=pl.lit("two\nlines"))
    odd = table.with_columns(size=pl.when(pl.int_range(pl.len()) == 9).then(9999.0).otherwise("size"))
    gaps = table.with_columns(price=pl.when(pl.int_range(pl.len()) != 9).then("price"))
    for name, place in (("sold.csv", "line 21"), ("sold.parquet", "row 10")):
        path = tmp_path / name
        for frame in (odd, gaps):
            if name == "sold.csv":
                path.write_text(frame.write_csv().replace("\n", "\n\n", 1))
            else:
                frame.write_parquet(path)
            if frame is odd:
                for command in (["evaluate"], ["explain"], ["predict"]):
                    target = [] if command == ["predict"] else ["--target", "price"]
                    result = run(*command, folder / "whole", path, *target)
                    assert (result.exit_code, result.stderr.count("9999")) == (0, 1), result.stderr
                    assert f"9999 in {place} (taken as" in result.stderr
            else:
                for command in (["evaluate", folder / "whole"], ["explain", folder / "whole"], ["train"]):
                    refused(f"no price, the first is {place}: fill", *command, path, "--target", "price")
                refused(f"no price, the first is {place}", "train", path, "--target", "size", "--group", "price", "-q")

    path.with_suffix(".csv").write_text(table.write_csv())
    shown = run("explain", folder / "whole", path.with_suffix(".csv"), "--target", "price", "--row", 10)
    assert shown.stdout.startswith("Row 10 (line 20): ")


# lr-find


def test_the_rate_that_is_found_serves_a_training(models, tmp_path):
    path = tmp_path / "houses.csv"
    houses(300).write_csv(path)
    training = [
        path,
        "--target",
        "price",
        "--features",
        "size,town",
        "--hidden",
        8,
        "--epochs",
        3,
        "--optimizer",
        "sgd",
    ]
    found = told("lr-find", *training)
    assert (found["rows"], found["target"]) == (300, "price")
    rates, losses = found["rates"], found["losses"]
    assert rates == sorted(rates)
    assert found["learning_rate"] == rates[int(np.argmin(losses))]
    shown = run("lr-find", *training)
    assert shown.stdout.splitlines()[-1] == f"--learning-rate {found['learning_rate']:.3g}"
    assert found["reason"] in " ".join(shown.stderr.split())
    good, bad = (
        told("train", *training, "--learning-rate", rate)["held_out"]["rmse"]
        for rate in (found["learning_rate"], found["learning_rate"] / 1000)
    )
    assert good < bad / 2
    classes = told("lr-find", path, "--target", "kind", "--without", "price", "--hidden", 4, "--epochs", 1)
    assert 1e-6 < classes["learning_rate"] < 10
    refused("has no column 'cost'", "lr-find", path, "--target", "cost")


def test_lr_find_has_the_options_that_its_messages_name(tmp_path):
    path = tmp_path / "t.csv"
    lines = [f"{k},{'x' if k == 5 else k},{'' if k == 7 else 2 * k}" for k in range(60)]
    path.write_text("\n".join(["a,code,y", *lines]))
    asked = ["lr-find", path, "--target", "y", "--hidden", 2, "--epochs", 1]
    refused("read the column as text with --text", *asked)
    refused("leave these rows out with --drop-missing-target", *asked, "--text", "code")
    assert told(*asked, "--text", "code", "--group", "code", "--drop-missing-target")["rows"] == 59


# info


def test_info_says_what_is_in_a_file(models, folder, monkeypatch):
    found = told("info", folder / "tables")
    assert (found["kind"], found["format"], found["checksum"]) == ("network", 1, "right")
    assert found["bytes"] == (folder / "tables").stat().st_size
    assert (found["layer_sizes"], found["parameters"]) == ([3, 8, 1], models["tables"].network.n_parameters)
    assert [(column["name"], column["holds"]) for column in found["columns"]] == [
        ("size", "numbers"), ("rooms", "numbers"), ("town", "labels"),
    ]  # fmt: skip
    assert found["columns"][2]["levels"] == ["Bern", "Oslo", "Rome"]
    assert told("info", folder / "kinds")["classes"] == ["cheap", "dear", "middling"]
    assert [column["name"] for column in told("info", folder / "nameless")["columns"]] == ["column 1", "column 2"]
    whole = told("info", folder / "whole")
    assert (whole["kind"], len(whole["networks"]), whole["intervals"]["rows"]) == ("ensemble", 2, 400)
    assert whole["networks"][1]["log_target"]
    monkeypatch.setenv("COLUMNS", str(NARROW))
    for name in models:
        shown = run("info", folder / name)
        assert (shown.exit_code, shown.stderr) == (0, "")
        assert max(map(len, shown.stdout.splitlines()[1:])) <= NARROW


def test_info_tells_of_a_training_that_can_go_on(tmp_path):
    model = fastgd.MLP([2, 1])
    model.save(tmp_path / "m")
    assert not told("info", tmp_path / "m")["fitted"]
    assert "training  never fitted" in run("info", tmp_path / "m").stdout
    model.fit(np.arange(8.0).reshape(4, 2), np.arange(4.0), epochs=3, batch_size=2, verbose=0)
    model.save(tmp_path / "m", training_state=True)
    training = told("info", tmp_path / "m")["training"]
    assert (training["epochs"], training["steps"]) == (3, 6)
    assert "3 epochs, 6 steps; can go on with AdamW" in " ".join(run("info", tmp_path / "m").stdout.split())


def test_info_runs_nothing(models, folder):
    code = (
        "import sys\nfrom fastgd.command.cli import main\n"
        f"try: main(['info', {str(folder / 'tables')!r}])\nexcept SystemExit: pass\n"
        "print([m for m in ('numba', 'polars', 'sklearn') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


def test_one_of_a_thing_is_told_as_one(tmp_path):
    path, model = tmp_path / "t.csv", tmp_path / "m"
    path.write_text("a,y\n" + "".join(f"{k},{k * k}\n" for k in range(5)))
    arguments = ["--target", "y", "--features", "a", "--hidden", 4, "--epochs", 1, "--batch-size", 1, "--save", model]
    result = run("train", path, *arguments)
    assert result.exit_code == 0, result.output
    assert "Training: 1 row a step, 1 epoch, AdamW" in result.stderr
    assert "It reads 1 column:" in run("info", model).stdout
    assert run("example", tmp_path / "one.csv", "--rows", 1).stderr.startswith("1 house is in ")
    path.write_text("a,y\n1,1\n")
    assert run("predict", model, path, "-o", tmp_path / "out.csv").stderr.startswith("1 prediction is in ")
    assert "y, 1 row" in run("evaluate", model, path).stdout


# export


def test_export_goes_by_the_ending(models, folder, file, tmp_path):
    out = tmp_path / "house.py"
    result = run("export", folder / "numbers", out)
    assert (result.exit_code, result.stdout, result.stderr.replace("\n", "")) == (0, "", f"{out} is written.")
    names = {}
    exec(compile(out.read_text(), out, "exec"), names)
    X = houses(60, seed=2).select("size", "rooms")
    np.testing.assert_allclose(names["predict"](X.to_numpy()), models["numbers"].predict(X), rtol=1e-5)
    refused("house.py cannot be written: it is there already; say --overwrite", "export", folder / "numbers", out)
    again = run("export", folder / "kinds", out, "--overwrite", "--quiet")
    assert (again.exit_code, again.output) == (0, "")
    refused("has intervals, which cannot be exported: say --without", "export", folder / "whole", tmp_path / "whole.py")
    alone = run("export", folder / "whole", tmp_path / "whole.py", "--without-intervals")
    assert alone.exit_code == 0, alone.output
    for name in ("house.txt", "house.safetensors"):
        refused(
            r"are exported as .onnx, .h \(C99\) or .py \(NumPy\): choose one",
            "export",
            folder / "tables",
            tmp_path / name,
        )
    refused("is a file to read from", "export", folder / "numbers", folder / "numbers", "--overwrite")


# every command that reads a model


def damaged(folder, tmp_path, how):
    path = tmp_path / "model"
    shutil.copy(folder / "tables", path)
    content = path.read_bytes()
    if how == "truncated":
        path.write_bytes(content[:-9])
    elif how == "altered":
        path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    elif how == "foreign":
        path.write_bytes(b"PK\x03\x04" + content)
    elif how == "future":
        outer, inner, arrays = parts(path)
        assembled(path, outer, inner | {"format": 99}, arrays)
    elif how == "missing":
        path.unlink()
    return path


READING = [["predict"], ["evaluate", "--target", "price"], ["explain", "--target", "price"],
           ["explain", "--column", "size"], ["export"], ["info"]]  # fmt: skip


@pytest.mark.parametrize("how", ["truncated", "altered", "foreign", "future", "missing", "whole"])
@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_damaged_model_is_one_sentence(models, folder, file, tmp_path, command, how):
    path = damaged(folder, tmp_path, how)
    name, *others = command
    operand = {"export": [tmp_path / "out.py"], "info": []}.get(name, [file])
    result = run(name, path, *operand, *others)
    if how == "whole":
        assert result.exit_code == 0, result.output
        return
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (2, "", 1)
    assert str(path) in result.stderr
    message = {
        "truncated": "truncated",
        "altered": "damaged",
        "foreign": "not a safetensors file (",
        "future": "update fastgd",
    }
    assert message.get(how, "is not there") in result.stderr
    assert "ValueError" not in result.stderr
    assert not (tmp_path / "out.py").exists()


PRINTING = [*(command for command in READING if command != ["export"]), ["completion"]]


@pytest.mark.parametrize("command", PRINTING, ids=" ".join)
@pytest.mark.parametrize(
    ("redirections", "told", "codes"),
    [
        ("> /dev/full", "fastgd: the output cannot be written: No space left on device.\n", [2]),
        ("| true", "", [0, 1]),
        (">&-", "", [0]),
        (">&- 2>&- <&-", "", [0]),
    ],
)
def test_outputs_that_fail(models, folder, file, tmp_path, command, redirections, told, codes):
    name, *others = command
    operands = {"info": [folder / "tables"], "completion": ["bash"]}
    given = [*FASTGD, name, *operands.get(name, [folder / "tables", file]), *others]
    given += ["--quiet"] * (name in ("predict", "evaluate", "explain"))
    line = f'set -o pipefail; "$@" {redirections}'
    result = subprocess.run(["bash", "-c", line, "bash", *map(str, given)], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("", told)
    assert result.returncode in codes


def test_ctrl_c_ends_every_command(models, folder, file, monkeypatch):
    from fastgd.many import ensemble

    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(ensemble, "load", interrupted)
    for command in (["info"], ["export"]):
        result = run(*command, folder / "tables", *[folder / "none.py"] * (command == ["export"]))
        assert (result.exit_code, result.stderr) == (130, "fastgd: interrupted\n")


# completion


def completed(words, shell="bash"):
    """What bash would offer for the last of these words."""
    return run_with({"_FASTGD_COMPLETE": f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))})


def run_with(environment):
    import os

    command = [sys.executable, "-c", "from fastgd.command.cli import main; main(prog_name='fastgd')"]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}).stdout


def test_completion_scripts_are_valid(tmp_path):
    for shell in ("bash", "zsh", "fish"):
        script = run("completion", shell)
        assert (script.exit_code, script.stderr) == (0, "")
        assert "_FASTGD_COMPLETE" in script.stdout
        if shutil.which(shell):
            check = subprocess.run([shell, "-n"], input=script.stdout, capture_output=True, text=True)
            assert (check.returncode, check.stderr) == (0, "")
    broken = subprocess.run(
        ["bash", "-n"], input=run("completion", "bash").stdout + "fi", capture_output=True, text=True
    )
    assert broken.returncode != 0
    refused("'csh' is not one of 'bash', 'zsh', 'fish'", "completion", "csh")


def test_completion_completes():
    assert "plain,predict\n" in completed("fastgd pre")
    assert "train" not in completed("fastgd pre")
    assert "plain,--probabilities\n" in completed("fastgd predict --pro")


def test_bash_completes_a_command(tmp_path):
    """The script itself, in a shell."""
    program = tmp_path / "fastgd"
    program.write_text(
        f"#!/bin/sh\nexec {sys.executable} -c \"from fastgd.command.cli import main; main(prog_name='fastgd')\"\n"
    )
    program.chmod(0o755)
    (tmp_path / "script").write_text(run("completion", "bash").stdout)
    line = (
        f"source {tmp_path}/script; COMP_WORDS=(fastgd eva); COMP_CWORD=1; _fastgd_completion {program}; "
        'echo "${COMPREPLY[@]}"'
    )
    result = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert result.stdout == "evaluate\n"
