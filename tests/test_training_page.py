"""The page of `train`: what is on it, and when there is none."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from inside import ctrl_c_in_a_step, overheard
from shell import ARGUMENTS, FASTGD, in_a_terminal, run, write


@pytest.mark.slow
def test_train_writes_a_page(tmp_path):
    path, report = write(tmp_path / "houses.csv"), tmp_path / "report.html"
    arguments = ["train", path, *ARGUMENTS, "--hidden", "8", "--report", report]
    result = run(*arguments, "--epochs", 20)
    assert result.exit_code == 0, result.output
    text = report.read_text()
    assert text.count("<figure>") == 12
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", text), "it needs nothing else"
    assert "rates from 1e-06 to 10 it has the lowest loss after 20 epochs" in text
    assert "trained weights" not in text, "the rate is one for the training that is over"
    held_out = re.search(r"held out +40 +(\S+) +(\S+)", result.output)
    assert f"<td>{held_out[1]}</td><td>{held_out[2]}</td>" in text, "page and terminal say the same"
    plain = run(*arguments[:-2], "--epochs", 20)
    assert re.findall("held out .*", plain.output) == re.findall("held out .*", result.output), "watching costs nothing"
    still = run(*arguments, "--epochs", 2, "--learning-rate", 1e-60, "--overwrite")
    assert still.exit_code == 0, still.output
    assert "Loss surface: The parameters never moved" in report.read_text()


@pytest.mark.slow
def test_the_page_of_a_classifier(tmp_path):
    kind = ["flat" if i % 3 else "house" for i in range(200)]
    path, report = write(tmp_path / "houses.csv", kind=kind), tmp_path / "report.html"
    arguments = ["--target", "kind", "--features", "size,rooms", "--classes", "--hidden", "8", "--epochs", 5]
    result = run("train", path, *arguments, "--report", report)
    assert result.exit_code == 0, result.output
    text = report.read_text()
    figures = re.findall(r"<figcaption>(.*?)</figcaption>", text)
    assert {"Confusion matrix", "Reliability"} <= set(figures)
    assert "Predicted against actual" not in figures
    assert "growth of the loss" in text
    assert "probability of house" in text, "of two classes the second is the positive one"
    assert "<td>balanced" in text or "<th>balanced" in text


@pytest.mark.slow
def test_the_page_of_several_classes_has_a_curve_of_each(tmp_path):
    kind = [f"kind{min(i % 9, 7)}" for i in range(200)]  # eight, of which the last is the most frequent
    path, report = write(tmp_path / "houses.csv", kind=kind), tmp_path / "report.html"
    arguments = ["--target", "kind", "--features", "size,rooms", "--classes", "--hidden", "8", "--epochs", 2]
    result = run("train", path, *arguments, "--report", report)
    assert result.exit_code == 0, result.output
    (picture,) = re.findall(r'<svg role="img" aria-label="kind by size".*?</svg>', report.read_text(), re.DOTALL)
    named = set(re.findall(r"kind\d", picture.split(">", 1)[1]))
    assert len(named) == 6, "as many as there are colours"
    assert "kind7" in named
    assert "mean probability" in picture


@pytest.mark.slow
def test_a_page_after_ctrl_c(tmp_path):
    path, report = write(tmp_path / "houses.csv"), tmp_path / "report.html"
    arguments = ["train", path, *ARGUMENTS, "--epochs", 9999999, "--report", report]
    out, code = in_a_terminal(arguments, interrupt_when=b"epoch 2")
    assert code == 130, out
    assert report.read_text().count("<figure>") == 12


def test_a_training_without_a_whole_epoch_has_no_page(tmp_path, monkeypatch):
    overheard(monkeypatch, "train", ctrl_c_in_a_step)
    report = tmp_path / "report.html"
    result = run("train", write(tmp_path / "houses.csv"), *ARGUMENTS, "--report", report)
    assert result.exit_code == 130
    assert "report.html: not one epoch was completed." in result.output.replace("\n", "")
    assert not report.exists()


def test_a_page_needs_matplotlib_and_says_so_before_the_training(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    result = run("train", write(tmp_path / "houses.csv"), *ARGUMENTS, "--report", tmp_path / "report.html")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "fastgd: Plots need matplotlib: run `pip install matplotlib`.\n"


@pytest.mark.slow
def test_a_page_goes_to_the_standard_output(tmp_path):
    rows = [f"{i},{i % 7},{3 * i}" for i in range(60)]
    (tmp_path / "table.csv").write_text("\n".join(["a,b,y", *rows]))
    options = ["--target", "y", "--features", "a,b", "--epochs", "1", "--report", "/dev/stdout", "--save", "/dev/null"]
    run = [*FASTGD, "train", str(tmp_path / "table.csv"), *options]
    with open(tmp_path / "page.html", "wb") as page:
        told = subprocess.run(run, stdout=page, stderr=subprocess.PIPE, text=True, check=True).stderr
    text = (tmp_path / "page.html").read_text()
    assert text.startswith("<!doctype html>")
    assert text.endswith("</html>\n")
    assert text.count("<!doctype html>") == 1
    assert "held out" in told
    assert "epoch 1/1" in told
    assert sorted(os.listdir(tmp_path)) == ["page.html", "table.csv"]
    assert Path("/dev/stdout").is_symlink()
