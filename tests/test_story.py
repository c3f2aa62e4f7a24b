"""The demo, as a person meets it: all scenes in order, keys, Ctrl-C, and its page."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
from inside import ctrl_c_in_a_step, overheard
from shell import FASTGD, SCENES, in_a_terminal, run


def test_demo():
    result = run("demo", "--epochs", 2)
    assert result.exit_code == 0, result.output
    out = result.output
    assert [line for line in out.splitlines() if line in SCENES] == SCENES
    assert re.search(r"predicted -?[\d,]+ EUR   actual [\d,]+ EUR   error -?[\d,]+ EUR", out)
    for verdict in ("too high", "too low", "well chosen"):
        assert re.search(rf"Learning rate [\d.]+: {verdict}  ", out)
    columns = r"^ (?:size|bedrooms|distance|age) +[+-][\d.]+ +[+-][\d.]+ +\d+% +\d+% +(\w+ ?\w+)"
    blamed = re.findall(columns, out, re.MULTILINE)
    assert sorted(set(blamed)) == ["close", "slightly off", "way off"]
    effects = ("larger contribution", "slight increase", "barely touched", "smaller contribution", "weaker")
    assert all(effect in out for effect in effects)
    assert re.search(r"epoch 2/2  loss ", out)
    before, after = (float(re.search(rf"{when} .*? (-?\d\.\d+) *\n", out)[1]) for when in ("before", "after"))
    assert before < 0 < 0.9 < after
    houses = re.findall(r"^ ?\d+ m² .* years +-?[\d,]+ +[\d,]+ +[+-][\d.]+% *$", out, re.MULTILINE)
    assert len(houses) == 10
    assert re.search(r"200,000 rows in [\d.]+ s of training: [\d,]+ rows/s", out)
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out


@pytest.mark.parametrize("columns", [80, 120])
def test_demo_on_a_terminal(columns):
    seen, code = in_a_terminal(["demo", "--fast"], columns, NO_COLOR="1")
    assert code == 0
    plain = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", seen).replace("\r", "\n")
    assert [line.strip() for line in plain.splitlines() if line.strip() in SCENES] == SCENES
    assert max(len(line) for line in plain.splitlines()) <= columns


@pytest.mark.parametrize("key", [b" ", b"\x1b[A", b"\x1bOB", b"\xc3\xa9"], ids=["space", "up", "down", "é"])
def test_demo_waits_for_a_key_after_each_scene(key):
    seen, code = in_a_terminal(["demo", "--fast", "--step"], answer=key)
    assert code == 0
    assert seen.count("press a key") == len(SCENES)


@pytest.mark.parametrize("key", [b"q", b"\x1b", b"\x03", b"\x04"], ids=["q", "Escape", "Ctrl-C", "Ctrl-D"])
def test_a_key_ends_the_demo(key, tmp_path):
    page = tmp_path / "page.html"
    seen, code = in_a_terminal(["demo", "--fast", "--step", "--report", page], answer=key)
    assert seen.count("press a key") == 1
    assert "Traceback" not in seen
    if key == b"\x03":
        assert code == 130
        assert "\rfastgd: interrupted" in seen
        assert not page.exists()
    else:
        assert code == 0
        assert page.read_text().count("<h2>") == 1, "what has been told is in the page"


@pytest.mark.parametrize("scene", ["Small batches", "Past cliffs and plateaus"])
def test_ctrl_c_ends_the_demo_in_any_scene(scene, monkeypatch, tmp_path):
    from fastgd.pages import story

    told, scenes, before = [], story.scenes, SCENES[SCENES.index(scene) - 1]

    def watched(telling):
        for part in scenes(telling):
            yield part
            told.append(part.title)

    monkeypatch.setattr(story, "scenes", watched)
    overheard(monkeypatch, "train", lambda call: told[-1:] == [before] and ctrl_c_in_a_step(call))
    result = run("demo", "--fast", "--report", tmp_path / "page.html")
    assert (result.exit_code, result.stderr) == (130, "fastgd: interrupted\n")
    assert told[-1] == before
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


def test_a_terminal_without_unicode():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    result = subprocess.run([*FASTGD, "demo", "--epochs", "1"], capture_output=True, env=environment)
    assert result.returncode == 0, result.stderr
    assert b"EUR" in result.stdout


def test_a_live_bar_on_a_terminal():
    out, code = in_a_terminal(["demo", "--epochs", "5"])
    assert code == 0, out
    assert re.search(r"epoch 5/5  loss \d", out)
    assert re.search(r"[\d,]+ rows/s", out)
    assert "━" in out


def test_ctrl_c_on_a_terminal_shows_what_was_learned():
    out, code = in_a_terminal(["demo", "--epochs", "5000"], interrupt_when=b"epoch 2")
    assert code == 130, out
    assert re.search(r"stopped after \d+ complete epochs: interrupted in epoch \d+", out)
    assert "Ten of the houses" in out
    assert "Traceback" not in out


DIVERGES = [*SCENES[:9], "It diverges", "The whole training, again", SCENES[9]]


@pytest.mark.parametrize(
    ("options", "scenes"),
    [
        (["--learning-rate", 0.6], DIVERGES),
        (["--learning-rate", 1e6], DIVERGES),
        (["--learning-rate", 3, "--batch-size", 1], DIVERGES),
        (["--learning-rate", 1e5, "--batch-size", 100_000, "--seed", 3], DIVERGES),
        (["--learning-rate", 0.05], SCENES),
    ],
    ids=str,
)
def test_a_divergence_is_a_scene(options, scenes, tmp_path):
    page = tmp_path / "page.html"
    result = run("demo", "--fast", *options, "--report", page)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    out = result.output
    assert [line for line in out.splitlines() if line in {*SCENES, *DIVERGES}] == scenes
    assert page.read_text().count("<h2>") == len(scenes)
    diverged = scenes is DIVERGES
    assert bool(re.search(r"^ 32 .* diverged *$", out, re.MULTILINE)) == diverged
    assert bool(re.search(r"^ plain descent +diverged at step \d+ *$", out, re.MULTILINE)) == diverged
    assert bool(re.search(r"In step [\d,]+ the loss is no longer a number", " ".join(out.split()))) == diverged
    errors = dict(re.findall(r"^ (before|after) .*? ([\d,]+) EUR", out, re.MULTILINE))
    before, after = (float(errors[when].replace(",", "")) for when in ("before", "after"))
    if "--batch-size" not in options:
        assert after < 0.2 * before, "with the smaller rate it learns"


@pytest.mark.parametrize(
    ("rate", "told"),
    [
        (1, "After step 3 the predictions are no longer numbers. Shortly before, the loss was 2.4"),
        (1e20, "After step 1 the predictions are no longer numbers. Shortly before, the loss was 4.126e+11."),
        (10, "In step 2 the loss is no longer a number. Shortly before, the loss was 8."),
    ],
)
def test_a_blow_up_in_the_last_steps_is_a_divergence_too(rate, told):
    epochs = 3 if rate < 100 else 1
    result = run("demo", "--fast", "--learning-rate", rate, "--batch-size", 100_000, "--epochs", epochs, "--seed", 5)
    assert (result.exit_code, result.stderr) == (0, "")
    out = " ".join(result.output.split())
    assert told in out
    assert ("The network is of no use any more. Now from the start" in out) == (told.startswith("After"))
    assert ("has gone back to its last good weights" in out) == (told.startswith("In"))
    assert "On 10,000 houses that it has never seen" in out


@pytest.mark.parametrize(
    ("rate", "seed", "worse"),
    [(3, 0, True), (0.6, 1, True), (0.05, 0, False)],
    ids=["far", "out of range", "not at all"],
)
def test_a_training_that_overshot_without_an_end_is_called_worse(rate, seed, worse):
    epochs = 3 if seed else 1
    options = ["--learning-rate", rate, "--batch-size", 100_000, "--epochs", epochs, "--seed", seed]
    result = run("demo", "--fast", *options)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert ("It is worse than before" in result.output) == worse
    assert ("so many are to blame" in result.output) != worse, "its gradient may be out of range"
    assert "…" not in result.output, "every number is whole"


def test_what_is_to_blame_becomes_less():
    out = run("demo", "--fast").output
    told = dict(re.findall(r"^ (way off|slightly off|nothing left to blame) +([\d,]+ +[\d,]+) *$", out, re.MULTILINE))
    counts = {word: [int(n.replace(",", "")) for n in numbers.split()] for word, numbers in told.items()}
    assert counts["way off"][0] > 0 == counts["way off"][1]
    assert counts["nothing left to blame"][0] < 1000 < 4000 < counts["nothing left to blame"][1]


def test_the_prompt_leaves_nothing_between_the_scenes():
    seen, _ = in_a_terminal(["demo", "--fast", "--step"], answer=b" ")
    prompts = re.findall(r"… press a key \(q ends\)(.{24})", seen, re.DOTALL)
    assert len(prompts) == len(SCENES)
    assert all(re.fullmatch(r"\r {22,}\r?", after) for after in prompts)


def test_the_help_says_which_scenes_a_flag_touches():
    told = " ".join(run("demo", "--help").output.split())
    for words in ("in the whole training", "from the small batches on", "in all scenes", "which are others"):
        assert words in told
    first = {}
    for options in ([], ["--learning-rate", 0.01, "--epochs", 2, "--batch-size", 64], ["--seed", 1]):
        scenes = run("demo", "--fast", *options).output.split("Small batches")[0]
        first[str(options)] = scenes
    plain, others, another_seed = first.values()
    assert plain == others, "the scenes of the four weights"
    assert plain != another_seed


def test_where_fancier_rules_lose_it_says_what_that_may_mean():
    from fastgd.pages import story

    def told(seed):
        options = story.StoryOptions(10_000, 1, 32, 0.05, seed, lambda *args: None)
        scene = next(s for s in story.scenes(options) if s.title == "Past cliffs and plateaus")
        text = " ".join(part.text for part in scene.parts if hasattr(part, "text"))
        return "plain descent that came furthest" in text, story.OTHERS_LOSE in text

    seen = {told(seed) for seed in range(6)}
    assert seen <= {(True, True), (False, False)}
