"""Compiled code is never stale, never compiled twice, and never an error when the disk is unkind."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastgd
from fastgd.errors import CacheWarning
from fastgd.kernels import cpu
from fastgd.kernels.cpu.activations import FORWARD
from fastgd.kernels.formulas import ACTIVATION_CODES
from fastgd.kernels.machinery import compile as compile_module

TANH = ACTIVATION_CODES["tanh"]
hyperbolic_tangent = FORWARD[TANH]
PACKAGE = Path(fastgd.__file__).parent

# The kernel of a layer's activation is in one file, the hyperbolic tangent that it calls in another.
ASK = """
import numpy as np
from fastgd.kernels import cpu
from fastgd.kernels.cpu.activations import FORWARD
from fastgd.kernels.formulas import ACTIVATION_CODES
a = np.full((1, 3), 0.5)
cpu.activate(a, ACTIVATION_CODES["tanh"])
print(a[0, 0], sum(FORWARD[ACTIVATION_CODES["tanh"]].stats.cache_hits.values()))
"""


ASK_FLOAT32 = ASK.replace("0.5)", "0.5, np.float32)")


def run(code, home, warned="", **environment):
    inherited = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    result = subprocess.run(
        [sys.executable, "-W", "always" if warned else "error::UserWarning", "-c", code],
        cwd=home,
        env={**inherited, "PYTHONPATH": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("CacheWarning: ") == bool(warned)
    assert warned in result.stderr
    return result.stdout.split()


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "fastgd", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def cache_files(home):
    return sorted((home / "fastgd" / "kernels" / "__pycache__").glob("activations.tanh-*.nb[ic]"))


def test_an_edit_in_a_file_that_a_kernel_calls_is_never_missed(copy):
    value, hits = run(ASK, copy)
    assert (float(value), hits) == (pytest.approx(np.tanh(0.5)), "0")
    assert run(ASK, copy) == [value, "1"]
    callee = copy / "fastgd" / "kernels" / "cpu" / "elementary.py"
    text = callee.read_text()
    kept = callee.stat()
    # The exponential that the hyperbolic tangent is made of gives half as much as before.
    callee.write_text(f"{text}\n\nexpm1_float64 = kernel(inline=True)(lambda x, half=0.5: half * x)\n")
    os.utime(callee, (kept.st_atime, kept.st_mtime))  # not even when the file looks as old as before
    changed, hits = run(ASK, copy)
    assert (changed != value, hits) == (True, "0")
    assert len(cache_files(copy)) == 2, "what the old sources left is removed"
    callee.write_text(text)
    assert run(ASK, copy)[0] == value


def test_other_compiler_settings_have_code_of_their_own(copy):
    run(ASK, copy)
    assert run(ASK, copy, NUMBA_BOUNDSCHECK="1")[1] == "0"
    assert run(ASK, copy)[1] == "1"


def test_damaged_cache_files_are_compiled_anew(copy):
    value, _ = run(ASK, copy)
    for kind in (".nbi", ".nbc"):
        for damage in (b"", b"not a pickle"):
            damaged = [path for path in cache_files(copy) if path.suffix == kind]
            assert damaged
            for path in damaged:
                path.write_bytes(damage)
            assert run(ASK, copy, warned="holds damaged machine code (activations.tanh-") == [value, "0"]
            assert run(ASK, copy) == [value, "1"]


def test_the_code_of_another_signature_is_never_run(copy):
    """Two processes that fill an empty cache at once leave the index of one and the code of both."""
    one, other = copy / "one" / "fastgd", copy / "other" / "fastgd"
    value, _ = run(ASK, copy, NUMBA_CACHE_DIR=str(one.parent))
    short, _ = run(ASK_FLOAT32, copy, NUMBA_CACHE_DIR=str(other.parent))
    own = {path.name for path in one.iterdir()}
    for path in other.glob("*.nbc"):
        shutil.copy(path, one)
    assert run(ASK, copy, NUMBA_CACHE_DIR=str(one.parent)) == [value, "1"]
    for path in other.glob("*.nbi"):
        shutil.copy(path, one)
    assert run(ASK, copy, NUMBA_CACHE_DIR=str(one.parent)) == [value, "0"]
    for code, expected in ((ASK, value), (ASK_FLOAT32, short)):
        assert run(code, copy, NUMBA_CACHE_DIR=str(one.parent)) == [expected, "1"]
    (right,) = (path for path in one.glob("activations.tanh-*.nbc") if path.name in own)
    (wrong,) = (path for path in one.glob("activations.tanh-*.nbc") if path.name not in own)
    shutil.copy(wrong, right)
    assert run(ASK, copy, warned="damaged", NUMBA_CACHE_DIR=str(one.parent)) == [value, "0"]


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """How a kernel that was compiled is read from the disk, and copies of the files from which it is."""
    cpu.activate(np.full((1, 3), 0.5), TANH)
    cache, target = hyperbolic_tangent._cache, hyperbolic_tangent.targetctx
    signature = next(iter(hyperbolic_tangent.overloads))
    names = [cache.files.index.name, cache.files._name(cache._index_key(signature, target.codegen()))]
    for name in names:
        shutil.copy(cache.files.folder / name, tmp_path)
    monkeypatch.setattr(cache.files, "folder", tmp_path)
    monkeypatch.setattr(compile_module, "_TOLD", {"damaged"})  # this has been said
    return lambda: cache.load_overload(signature, target), [tmp_path / name for name in names]


def test_a_flipped_bit_is_noticed_before_code_is_run(kept):
    load, files = kept
    assert load() is not None
    for path in files:
        content = path.read_bytes()
        for place in range(0, len(content), max(1, len(content) // 500)):
            flipped = bytearray(content)
            flipped[place] ^= 1 << place % 8
            path.write_bytes(flipped)
            assert load() is None, (path.suffix, place)
        path.write_bytes(content)
    assert load() is not None


def test_cache_files_of_any_kind_are_no_error(kept):
    load, files = kept
    for path in files:
        content = path.read_bytes()
        for foreign in (b"", content[:16], content[:-1], content + b"\0", b"\0" * 4096, files[0].read_bytes()[::-1]):
            path.write_bytes(foreign)
            assert load() is None
        path.unlink()
        assert load() is None
        path.mkdir()
        assert load() is None
        path.rmdir()
        path.write_bytes(content)
    assert load() is not None


def test_another_result_than_the_signature_asks_for_is_not_taken(kept, monkeypatch):
    load, _ = kept
    found = load()
    foreign = found._replace(signature=found.signature.replace(args=(*found.signature.args, *found.signature.args)))
    monkeypatch.setattr(hyperbolic_tangent._cache._impl, "rebuild", lambda *arguments: foreign)
    assert load() is None


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A working folder, and no place for the cache that anybody has asked for."""
    (tmp_path / "file").write_text("")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(compile_module, "BESIDE_SOURCES", tmp_path / "file" / "__pycache__")
    monkeypatch.setattr(compile_module.config, "CACHE_DIR", "")
    monkeypatch.setenv("HOME", "")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    compile_module._TOLD.clear()
    return tmp_path


def unknown(*arguments):
    raise KeyError("no such user")


@pytest.mark.parametrize(
    "environment",
    [
        {"XDG_CACHE_HOME": "cache"}, {"XDG_CACHE_HOME": "./cache"}, {"XDG_CACHE_HOME": "~/.cache"},
        {"XDG_CACHE_HOME": ""}, {"HOME": "home"}, {"HOME": "."}, {"HOME": "/"}, {"HOME": "{}/gone"},
        {"HOME": None}, {"NUMBA_CACHE_DIR": "~/x", "HOME": None}, {"NUMBA_CACHE_DIR": "~/x", "HOME": "home"},
        {"NUMBA_CACHE_DIR": "~/x", "HOME": ""}, {"NUMBA_CACHE_DIR": "~/x", "HOME": "{}/gone"},
    ],
    ids=str,
)  # fmt: skip
def test_no_folder_appears_where_nobody_asked_for_one(nowhere, monkeypatch, environment):
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name, value in environment.items():
        if name == "NUMBA_CACHE_DIR":  # Numba has read it when it was imported
            monkeypatch.setattr(compile_module.config, "CACHE_DIR", value)
        elif value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value.format(nowhere))
    with pytest.warns(CacheWarning, match="no folder is writable"):
        assert compile_module.cache_folder.__wrapped__() is None
    assert os.listdir(nowhere / "work") == []
    assert sorted(os.listdir(nowhere)) == ["file", "work"]


@pytest.mark.parametrize(
    ("asked", "environment", "place"),
    [
        ("", {"XDG_CACHE_HOME": "{}/new"}, "new/fastgd"), ("", {"HOME": "{}/work"}, "work/.cache/fastgd"),
        ("", {"HOME": "{}/work", "XDG_CACHE_HOME": "new"}, "work/.cache/fastgd"), ("new/er", {}, "work/new/er/fastgd"),
        ("{}/new", {"HOME": "{}/work"}, "new/fastgd"), ("~/new", {"HOME": "{}"}, "new/fastgd"),
    ],
)  # fmt: skip
def test_a_folder_is_made_when_something_is_written_there(nowhere, monkeypatch, asked, environment, place):
    monkeypatch.setattr(compile_module.config, "CACHE_DIR", asked.format(nowhere))
    for name, value in environment.items():
        monkeypatch.setenv(name, value.format(nowhere))
    assert compile_module.cache_folder.__wrapped__() == nowhere / place
    assert (sorted(os.listdir(nowhere)), os.listdir(nowhere / "work")) == (["file", "work"], [])


@pytest.mark.parametrize("asked", ["{}/file", "{}/file/in", "~/x"])
def test_another_folder_than_the_one_that_was_asked_for_is_told(nowhere, monkeypatch, asked):
    monkeypatch.setattr(compile_module.config, "CACHE_DIR", asked.format(nowhere))
    monkeypatch.setattr(compile_module, "BESIDE_SOURCES", nowhere / "work" / "__pycache__")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.delenv("HOME")
    with pytest.warns(CacheWarning, match=r"NUMBA_CACHE_DIR is .*: compiled kernels are kept in .*__pycache__"):
        assert compile_module.cache_folder.__wrapped__() == nowhere / "work" / "__pycache__"


def test_a_disk_that_fills_up_is_told_once_and_not_for_each_kernel(tmp_path):
    """Where an empty file can be made, and no more."""
    code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n{ASK}"
    folders = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(PACKAGE.parent)}
    run(code, tmp_path, warned="cannot be kept on disk: File too large", **folders)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_no_writable_folder_means_one_warning_and_the_same_result(copy):
    code = (
        "import warnings\nfrom pathlib import Path\nimport tempfile\n"
        "def refuse(*a, **k): raise OSError('read-only')\n"
        "tempfile.TemporaryFile = refuse\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    warnings.simplefilter('always')\n" + "".join(f"    {line}\n" for line in ASK.strip().splitlines()) +
        "print(len(seen), str(seen[0].message).split(';')[-1].strip().replace(' ', '_'))\n"
    )  # fmt: skip
    value, hits, warnings, advice = run(code, copy)
    assert float(value) == pytest.approx(np.tanh(0.5))
    assert (hits, warnings, advice) == ("0", "1", "set_NUMBA_CACHE_DIR_to_a_writable_folder.")


def test_the_stamp_covers_what_kernels_are_made_from_and_no_more(tmp_path, monkeypatch):
    folder = tmp_path / "kernels"
    shutil.copytree(PACKAGE / "kernels", folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(compile_module, "KERNELS", folder)
    stamps = {compile_module.source_stamp.__wrapped__()}
    sources = compile_module.made_from()
    assert {path.name for path in sources} >= {"formulas.py", "codes.py", "records.py", "lanes.py", "training.py"}
    for source in sources:
        source.write_text(source.read_text() + "\n# edited\n")
        stamps.add(compile_module.source_stamp.__wrapped__())
    assert len(stamps) == len(sources) + 1
    others = [path for path in folder.rglob("*.py") if path not in sources]
    assert {path.parent.name for path in others} == {"kernels", "plain", "cuda"}
    for source in others:
        source.write_text(source.read_text() + "\n# edited\n")
    assert compile_module.source_stamp.__wrapped__() in stamps, "what is not compiled compiles nothing anew"


def test_nothing_is_compiled_twice():
    generator = np.random.default_rng(0)

    def session(sizes, activation, rows):
        X = generator.normal(size=(rows, sizes[0])).astype(np.float32)
        X.flags.writeable = bool(rows % 2)
        y = generator.normal(size=rows)
        model = fastgd.MLP(sizes, activation=activation)
        model.fit(X, y, epochs=1, batch_size=7, verbose=0)
        model.predict(np.asfortranarray(X))
        model.evaluate(X.astype(float), y)
        model.gradient(X, y)

    def signatures():
        kernels = {name: getattr(cpu, name) for name in cpu.__all__}
        return {name: len(kernel.overloads) for name, kernel in kernels.items() if hasattr(kernel, "overloads")}

    session([3, 4, 1], "relu", 20)
    counts = signatures()
    session([3, 4, 1], "relu", 20)
    session([5, 6, 7, 1], "tanh", 31)
    session([2, 1], "sigmoid", 1)
    assert signatures() == counts


def test_nothing_is_left_to_compile_after_the_warm_up(tmp_path):
    code = (
        "import fastgd, numpy as np\nfrom numba.core import event\n"
        "class Count(event.Listener):\n    names = []\n"
        "    def on_start(self, e): self.names.append(e.data['dispatcher'].py_func.__name__)\n"
        "    def on_end(self, e): pass\n"
        "for _ in __import__('fastgd.command.warming').command.warming.warm_up(): pass\n"
        "event.register('numba:compile', Count())\n"
        "X, y = fastgd.datasets.houses(600)\n"
        "model = fastgd.MLP([4, 8, 8, 1], activation=['gelu', 'elu'], loss='huber', dropout=0.1, dtype='float64')\n"
        "options = dict(epochs=1, batch_size=300, n_threads=2, optimizer=fastgd.AdamW(), verbose=0)\n"
        "model.fit(X, y, validation_split=0.1, **options); model.fit(X, y, sample_weight=np.ones(600), **options)\n"
        "model.predict(X); model.evaluate(X, y); model.gradient(X, y)\n"
        "table = fastgd.MLP([4, 8, 1], encoding='auto', log_target=True).fit(X, y, **options)\n"
        "fastgd.features.permutation_importance(model, X, y); model.blame(X, y, by='input'); print(Count.names)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr[-500:]
