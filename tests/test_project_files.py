"""Workflows, forms and the citation: they parse, what they run exists, and they say what pyproject.toml says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import fastgd
from tools import oldest, try_package

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")
FOREIGN = {"touch", "cat", "test", "echo", "code=0", "{", "if", "fi", "gh"}  # a runner has them


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def faults(workflow, root=ROOT):
    """What a workflow lacks, each in a sentence."""
    found = [] if "permissions" in workflow else ["it asks for all permissions"]
    for name, job in workflow["jobs"].items():
        if "timeout-minutes" not in job:
            found.append(f"{name} has no limit of time")
        known = workflow["jobs"].keys()
        needs = job.get("needs", [])
        found += [
            f"{name} needs {need}" for need in ([needs] if isinstance(needs, str) else needs) if need not in known
        ]
        for step in job["steps"]:
            if "uses" in step and not re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+)", step["uses"]):
                found.append(f"{name} uses {step['uses']}, which is no major version")
            commands = re.sub(r"\$\{\{.*?\}\}", "X", step.get("run", ""))
            for line in filter(None, map(str.strip, commands.splitlines())):
                first = line.split()[0]
                if first not in FOREIGN | {"python", "pip"} and not (root / first).is_file():
                    found.append(f"{name} runs {first}, which is not there")
            paths = re.findall(r"python ((?:tools|benchmarks)/\S+\.py)", commands)
            found += [f"{name} runs {path}, which is not there" for path in paths if not (root / path).is_file()]
            modules = re.findall(r"python -m (\w+)", commands)
            found += [
                f"{name} runs -m {module}" for module in modules if module not in ("pip", "pytest", "sphinx", "build")
            ]
            markers = re.findall(r"-m '?([\w ]+?)'?$", commands, re.M) if "pytest" in commands else []
            words = {word for marker in markers for word in marker.split()} - {"not", "and", "or", "pytest"}
            declared = {line.split(":")[0] for line in PROJECT["tool"]["pytest"]["ini_options"]["markers"]}
            found += [f"{name} asks for the marker {word}" for word in sorted(words - declared)]
            extras = re.findall(r"'\.\[([\w,]+)\]'", commands)
            wanted = {extra for one in extras for extra in one.split(",")}
            found += [
                f"there is no extra {e}" for e in sorted(wanted - PROJECT["project"]["optional-dependencies"].keys())
            ]
    return found


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_can_run(path):
    assert faults(read(path)) == []


def test_a_fault_is_found():
    steps = [
        {"uses": "actions/checkout@main"},
        {"run": "python tools/nothing.py\npython -m pytest -m 'not slw'\npip install '.[dew]'\n.ci/runs"},
    ]
    assert faults({"jobs": {"a": {"steps": steps, "needs": "b"}}}) == [
        "it asks for all permissions",
        "a has no limit of time",
        "a needs b",
        "a uses actions/checkout@main, which is no major version",
        "a runs .ci/runs, which is not there",
        "a runs tools/nothing.py, which is not there",
        "a asks for the marker slw",
        "there is no extra dew",
    ]


def test_the_matrix_has_what_is_promised():
    test = read(ROOT / ".github" / "workflows" / "test.yml")
    matrix = test["jobs"]["matrix"]["strategy"]["matrix"]
    classified = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["project"]["classifiers"]))
    assert matrix["python"] == classified
    assert PROJECT["project"]["requires-python"] == f">={classified[0]}"
    assert [entry["python"] for entry in matrix["include"] if entry["versions"] == "oldest"] == [classified[0]] * 3
    assert {name.split("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}


def test_a_release_is_published_without_a_password():
    release = read(ROOT / ".github" / "workflows" / "release.yml")
    jobs = release["jobs"]
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert jobs["publish"]["environment"]["name"] == "pypi"
    assert jobs["publish"]["needs"] == "try"
    assert jobs["try"]["needs"] == "build"
    assert "secrets." not in (ROOT / ".github" / "workflows" / "release.yml").read_text()


def test_the_oldest_versions_are_those_of_the_project():
    text = """
        [project]
        dependencies = ["numpy>=2.0", "numba>=0.62"]
        optional-dependencies.a = ["numpy>=2.10", "my-lib>=3; sys_platform != 'win32'", "other-lib[cu12]>=0.6,<0.7"]
    """
    assert oldest.constraints(text) == ["my-lib==3.*", "numba==0.62.*", "numpy==2.10.*", "other-lib==0.6.*"]
    assert "numba==0.62.*" in oldest.constraints((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_can_be_shown(path):
    form = read(path)
    assert {"name", "description", "body"} <= form.keys()
    assert len({field["id"] for field in form["body"]}) == len(form["body"]) >= 2
    for field in form["body"]:
        assert field["type"] in ("textarea", "input", "dropdown")
        assert field["attributes"]["label"]
    assert any(field.get("validations", {}).get("required") for field in form["body"])


def test_there_are_forms():
    assert [path.stem for path in FORMS] == ["bug", "feature", "question"]


def test_the_citation_is_of_this_version():
    citation = read(ROOT / "CITATION.cff")
    assert citation["version"] == fastgd.__version__
    assert citation["cff-version"] == "1.2.0"
    assert citation["license"] == PROJECT["project"]["license"] == "BSD-3-Clause"
    assert {"message", "title", "authors"} <= citation.keys()


def test_what_a_source_archive_needs_is_here():
    assert [name for name in try_package.SOURCES if not (ROOT / name).exists()] == []


def test_what_readme_tells_a_newcomer_is_tried():
    assert [command[0] for command in try_package.commands_of_readme()] == ["example", "train", "predict"]
