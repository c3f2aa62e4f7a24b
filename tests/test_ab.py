"""The A/B tool: verdicts, a planted slow-down, what is renamed, what cannot be compared, what no case ran."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import shutil
import typing

import numpy as np
import pytest
from trees import copied, planted, renamed

import fastgd
from benchmarks import ab, judging, machine_code, problems, processes, stages, unmeasured, versions
from benchmarks.cases import CASES, Case
from benchmarks.tool import ToolError


def simulated(generator, factor, noise=0.05, bias=0.01, processes=3, pairs=15):
    """Ratios as a noisy machine gives them: scatter from pair to pair, and a bias of each process."""
    return [
        (factor * (1 + bias * generator.normal()) * (1 + noise * generator.standard_t(3, pairs) / 1.7)).tolist()
        for _ in range(processes)
    ]


@pytest.mark.parametrize(("factor", "word"), [(1.0, "same"), (1.1, "slower"), (0.9, "faster")])
def test_verdicts(factor, word):
    generator = np.random.default_rng(1)
    words = [
        judging.judged(
            simulated(generator, factor, noise=0.02, bias=0.003), simulated(generator, 1.0, 0.02, 0.003), 0.03
        ).word
        for _ in range(20)
    ]
    assert words.count(word) >= 18
    wrong = {"same": {"slower", "faster"}, "slower": {"faster", "same"}, "faster": {"slower", "same"}}[word]
    assert not wrong & set(words)


def test_a_wild_machine_means_cannot_tell():
    generator = np.random.default_rng(2)
    words = {
        judging.judged(simulated(generator, 1.04, 0.4, 0.1), simulated(generator, 1.0, 0.4, 0.1), 0.03).word
        for _ in range(10)
    }
    assert words <= {"cannot tell", "same"}


def test_exit_codes_and_tables():
    same, slower = judging.Verdict("same", 1.0, 0.99, 1.01), judging.Verdict("slower", 1.2, 1.1, 1.3)
    assert judging.exit_code({"a": same, "b": judging.Verdict("unchanged"), "c": judging.Verdict("faster")}) == 0
    assert judging.exit_code({"a": same, "b": slower, "c": judging.Verdict("cannot tell")}) == 1
    for word in ("cannot tell", "answers differ", "not comparable"):
        assert judging.exit_code({"a": same, "b": judging.Verdict(word)}) == 2
    assert "1.200" in ab.table({"b": slower}, markdown=False)
    assert "| b | slower | 1.200 | 1.100 to 1.300 |" in ab.table({"b": slower}, markdown=True)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """One folder for all comparisons: what two of them compile alike is compiled once."""
    return tmp_path_factory.mktemp("work")


def options(cases, **changed):
    return argparse.Namespace(
        **{"cases": cases, "limit": 3.0, "processes": 3, "most": 6, "time_all": True, "markdown": False, **changed}
    )


@pytest.mark.parametrize(("noise", "bias"), [(0.02, 0.003), (0.05, 0.03), (0.1, 0.06), (0.4, 0.1)])
@pytest.mark.parametrize("processes", [3, 6])
def test_processes_hardly_ever_agree_that_identical_code_differs(noise, bias, processes):
    generator = np.random.default_rng(3)
    found = [judging.is_apart(simulated(generator, 1.0, noise, bias, processes)) for _ in range(1000)]
    assert sum(found) <= 20
    assert all(judging.is_apart(simulated(generator, 2.0, noise, bias / 10, 6)) for _ in range(100))


def test_processes_that_happen_to_lie_on_one_side_prove_nothing():
    quiet = [[1.0, 1.001, 0.999]] * 3
    assert judging.judged([[1.01], [1.05], [1.12]], quiet, 0.03).word == "cannot tell"
    assert judging.judged([[1.10], [1.11], [1.12]], quiet, 0.03).word == "slower"
    assert judging.judged([[1.2] * 5], quiet, 0.03).word == "cannot tell"  # a single process


def test_identical_trees_are_timed_against_each_other_and_themselves(tmp_path, monkeypatch, work):
    names = ("gather 4-64-64-1 b1024", "loss 4-64-64-1 b1024")
    monkeypatch.setattr(ab, "CASES", [case for case in CASES if case.name in names])
    base, head = copied(tmp_path / "base"), copied(tmp_path / "head")
    timed, _ = ab.compare(base, head, options("", processes=1, most=1), work)
    assert sorted(timed) == sorted(names)
    for verdict in timed.values():
        assert 0 < verdict.low <= verdict.ratio <= verdict.high


# Half of the rows are gathered twice: the answer is the same, and gathering takes much longer.
SLOWER = """
import inspect, numba
_options = {**gather.targetoptions, "inline": "never"}
_once, _names = numba.njit(**_options)(gather.py_func), ", ".join(inspect.signature(gather.py_func).parameters)
exec(f"def gather({_names}):\\n _once({_names})\\n order = order[: order.size // 2]\\n _once({_names})")
gather = numba.njit(**_options)(gather)
"""
WRONG = """
import inspect, numba
_options = {**gather.targetoptions, "inline": "never"}
_right, _names = numba.njit(**_options)(gather.py_func), ", ".join(inspect.signature(gather.py_func).parameters)
exec(f"def gather({_names}):\\n _right({_names})\\n x[0, 0] += 1")
gather = numba.njit(**_options)(gather)
"""
DEADLY = """
import os, signal, sys
sys.modules[__name__].MLP.predict = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_planted_slow_down_is_named(tmp_path, monkeypatch, work):
    names = [f"{stage} 4-64-64-1 b1024" for stage in ("gather", "forward", "loss")]
    monkeypatch.setattr(ab, "CASES", [case for case in CASES if case.name in names])
    base, slow = copied(tmp_path), copied(tmp_path / "slow")
    planted(slow, "fastgd/kernels/cpu/__init__.py", SLOWER)
    relu, elu = "    return where(z < zero, zero, z)", "    return where(z < zero, expm1("
    formulas = slow / "fastgd" / "kernels" / "formulas.py"
    text = formulas.read_text()
    for line in (relu, elu):  # with another code, but the same machine code
        assert line in text
        text = text.replace(line, line.replace("    return", "    zero = zero\n    return"))
    formulas.write_text(text)
    verdicts, forgotten = ab.compare(base, slow, options("", time_all=False), work)
    assert verdicts["gather 4-64-64-1 b1024"].word == "slower"
    assert verdicts["loss 4-64-64-1 b1024"].word == verdicts["forward 4-64-64-1 b1024"].word == "unchanged"
    # relu ran, as the activation of these cases; in softplus stands the same line.
    assert forgotten == {"fastgd/kernels/formulas.py": ["elu", "softplus"]}
    assert [name for name, verdict in verdicts.items() if verdict.word == "slower"] == ["gather 4-64-64-1 b1024"]


SOURCE = '''
SIZE, OTHER = 3, 4
LIMIT = 1

def first(x):
    """What it does."""
    return SIZE * x

@decorated
def second(x):
    def inside():
        return x  # as it came
    return inside

class Third:
    """A class."""
    def method(self):
        return LIMIT
'''


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("What it does", "It does something else", []),
        ("as it came", "as it is", []),
        ("SIZE * x", "SIZE + x", ["first"]),
        ("SIZE, OTHER = 3, 4", "SIZE, OTHER = 3, 5", ["first"]),
        ("LIMIT = 1", "LIMIT = 2", ["Third.method"]),
        ("return x", "return x + 1", ["second"]),
        ("def first", "def other", ["other"]),
    ],
)
def test_changed_functions_that_did_not_run_are_named(tmp_path, old, new, changed):
    for name, text in (("base", SOURCE), ("head", SOURCE.replace(old, new))):
        (tmp_path / name / "fastgd").mkdir(parents=True)
        (tmp_path / name / "fastgd" / "m.py").write_text(text)
    assert old in SOURCE
    found = unmeasured.unmeasured(tmp_path / "base", tmp_path / "head", [])
    assert found == ({"fastgd/m.py": changed} if changed else {})
    (tmp_path / "head" / "fastgd" / "pages").mkdir()
    (tmp_path / "head" / "fastgd" / "pages" / "m.py").write_text("def drawn():\n    return 1\n")
    assert unmeasured.unmeasured(tmp_path / "base", tmp_path / "head", []) == found, "no case is about pages"
    every_line = [("fastgd/m.py", line) for line in range(len(SOURCE.splitlines()) + 1)]
    assert unmeasured.unmeasured(tmp_path / "base", tmp_path / "head", every_line) == {}
    assert changed == [] or changed[-1] in unmeasured.told(found)


def test_what_is_printed_fits_into_80_columns():
    verdict = judging.Verdict("not comparable", 1.125, 1.123, 1.234, "the base cannot run it " * 9)
    found = ab.Comparison({case.name: verdict for case in CASES}, {"fastgd/a.py": ["a_name"] * 40})
    printed = ab.report(found, argparse.Namespace(base="f" * 40, markdown=False)).splitlines()
    assert max(map(len, printed)) <= 80
    assert "now / base" in printed[3]
    assert "Changed or new, but no case ran or compiled it:" in printed


def test_cases_are_chosen_by_words():
    assert ab.chosen("") == [case.name for case in CASES]
    assert ab.chosen("tanh epoch") == ["epoch 4-64-64-1 b256 tanh"]
    assert {"forward 4-64-64-1 b256 tanh", "epoch 4-64-64-1 b256 tanh"} == set(ab.chosen("tanh"))


def test_other_answers_are_not_timed(tmp_path, work):
    base, wrong = copied(tmp_path), copied(tmp_path / "wrong")
    planted(wrong, "fastgd/kernels/cpu/__init__.py", WRONG)
    verdicts, _ = ab.compare(base, wrong, options("gather", processes=1, most=1), work)
    assert verdicts["gather 4-64-64-1 b1024"].word == "answers differ"


@pytest.mark.skipif(os.name != "posix", reason="there are no such signals")
def test_a_measuring_process_that_dies_is_named(tmp_path, work):
    base, deadly = copied(tmp_path), copied(tmp_path / "deadly")
    planted(deadly, "fastgd/__init__.py", DEADLY)
    with pytest.raises(ToolError, match=r"was ended by SIGKILL at predict_row 4-64-64-1 b1\."):
        ab.compare(base, deadly, options("predict_row", processes=1, most=1), work)
    with pytest.raises(ToolError, match=r"ended with an error \(.*\) at its start\."):
        processes.child(["times", str(tmp_path / "nowhere"), str(base), "--names", "[]"], work)


# The kernel takes its arguments in another order …
REORDERED = """
import inspect
_former, _names = fetch, list(inspect.signature(getattr(fetch, "py_func", fetch)).parameters)
exec(f"def fetch(net, {', '.join(_names[:-1])}):\\n _former({', '.join(_names)})")
if hasattr(_former, "targetoptions"):
    import numba
    fetch = numba.njit(**{**_former.targetoptions, "inline": "never"})(fetch)
"""
REORDERED_CALLS = re.compile(r"(cpu_gather|kernels\.fetch)\((w\.x.*), p\.net\)")  # … and the tree's own stages know it.


def test_what_is_renamed_with_its_stages_is_compared(tmp_path, work):
    """A module, two kernels, the order of arguments and a private attribute."""
    base, head = copied(tmp_path / "base"), copied(tmp_path / "head")
    renamed(head, {"gather": "fetch", "forward": "onward", "_net": "_numbers"})
    for engine in ("cpu", "plain"):
        folder = head / "fastgd" / "kernels" / engine
        (folder / "forward.py").rename(folder / "onward.py")
        planted(head, f"fastgd/kernels/{engine}/__init__.py", REORDERED)
    own = head / "benchmarks" / "stages.py"
    text, n_calls = REORDERED_CALLS.subn(r"\1(p.net, \2)", own.read_text())
    assert n_calls == 2
    own.write_text(text)
    cases = "gather 4-64-64-1 b1024"
    verdict = ab.compare(base, head, options(cases, processes=1, most=1), work).verdicts[cases]
    assert verdict.word in ("slower", "faster", "same", "cannot tell"), verdict
    # The control: with the base's stages, as if they served both, there is no answer.
    for name in ("problems.py", "stages.py"):
        shutil.copy(base / "benchmarks" / name, head / "benchmarks" / name)
    verdict = ab.compare(base, head, options(cases, processes=1, most=1), work).verdicts[cases]
    assert (verdict.word, verdict.note[:27]) == ("not comparable", "the head cannot run it (Att")


FLAT_RUNNER = """
from stages import repeated
def runner(package, case, data):
    run, answer = repeated(package, case, data)
    return lambda: run(1), answer
"""


def flattened(tree):
    """The benchmarks of a copied tree as they were before they became a package: with names at the top level."""
    folder = tree / "benchmarks"
    (folder / "__init__.py").unlink()
    for path in folder.glob("*.py"):
        text = path.read_text().replace("from . import", "import")
        path.write_text(re.sub(r"from \.(\w+) import", r"from \1 import", text))
    (folder / "ab.py").write_text(FLAT_RUNNER)
    return tree


def test_a_base_from_before_benchmarks_were_a_package(tmp_path, work):
    base, head = flattened(copied(tmp_path / "base")), copied(tmp_path / "head")
    verdicts, _ = ab.compare(base, head, options("loss b1024", processes=1, most=1), work)
    (verdict,) = verdicts.values()
    assert verdict.word in ("slower", "faster", "same", "cannot tell"), verdict


def test_a_case_that_a_version_cannot_express():
    class Older(typing.NamedTuple):
        stage: str
        sizes: tuple[int, ...] = (1, 1)

    version = versions.Version("base", fastgd, versions.Benchmarks(Older, None, None, None))
    plain = Case("predict", sentence="what is said of it does not matter")
    assert version.own(plain) == Older(plain.stage, plain.sizes)
    with pytest.raises(TypeError, match="its cases have no dtype"):
        version.own(plain._replace(dtype="float64"))
    with pytest.raises(ValueError, match="it has no stage dream"):
        stages.repeated(fastgd, plain._replace(stage="dream"), problems.tables(plain))


def test_records_get_names_of_their_own_wherever_they_are(tmp_path):
    """In a package of its own, whose modules hold a record each and share one; other classes keep their names."""
    home = tmp_path / "records"
    (home / "inner").mkdir(parents=True)
    (home / "__init__.py").write_text("")
    first = "from typing import NamedTuple\n"
    (home / "inner" / "__init__.py").write_text(f"{first}class A(NamedTuple): x: int\n")
    second = "from fractions import Fraction\nfrom . import A\n"
    (home / "inner" / "deep.py").write_text(f"{first}{second}class B(NamedTuple): x: int\n")
    package = versions.imported("records_of_a_test", home)
    deep = importlib.import_module("records_of_a_test.inner.deep")
    versions.tell_records_apart(package)
    names = [kind.__name__ for kind in (deep.A, deep.B, deep.Fraction)]
    assert names == ["A_records_of_a_test", "B_records_of_a_test", "Fraction"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Which revision?"),
        (["--base", "nowhere"], "There is no revision 'nowhere'|is in no git repository"),
        (["--base", "HEAD", "--limit", "0"], "--limit between 0 and 100"),
        (["--base", "HEAD", "--processes", "9"], "--processes must be from 1 to --most"),
        (["--base", "HEAD", "--cases", "nothing"], "No case has 'nothing' in its name"),
    ],
)
def test_mistakes_are_one_sentence(arguments, message, capsys):
    assert ab.main(arguments) == 2
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert error.startswith("ab: ")
    assert len(error.splitlines()) == 1


def test_normalised_assembly():
    one = '\t.file\t"a"\n_ZN6fastgd1a:\n\tcall\t_ZN6fastgd1b  # comment\n\tret\n'
    two = one.replace("fastgd", "fastgd_head")
    assert machine_code.normalised(one) == machine_code.normalised(two) != ""
    assert machine_code.normalised(one) != machine_code.normalised(two.replace("ret", "nop"))
