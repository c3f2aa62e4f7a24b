"""How a kernel is compiled: one decorator with every option, and a disk cache that never runs stale code.

Numba's own cache notices an edit in the file of the kernel itself, but not in the files of the kernels that it
calls, and then runs the old machine code. Here the name of every cache file carries a stamp over all sources that
kernels are made from and over the settings that change the code, so a cached kernel is either from these sources or not
found.
Nor does Numba's cache notice a file that was damaged or that two processes wrote at once; here every signature has a
file of its own, and every file begins with a hash over its name and its content.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import secrets
import tempfile
import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numba
from numba.core import caching, config, sigutils
from numba.core.compiler import Compiler
from numba.core.compiler_lock import global_compiler_lock
from numba.extending import overload

from ...errors import CacheWarning
from ..forking import COMPILER, guard

# A child forked while another thread compiles would wait for that thread, which it does not have.
guard(COMPILER, global_compiler_lock.acquire, global_compiler_lock.release, global_compiler_lock.release)

KERNELS = Path(__file__).parents[1]
BESIDE_SOURCES = KERNELS / "__pycache__"
SHARED = ("formulas.py", "rules.py", "codes.py", "records.py")  # files that kernels are made from
COMPILED = ("machinery", "cpu")  # and folders

# Contraction (a·b + c in one rounding) is the only liberty. Reassociation is not needed, because vectors run over
# outputs and never over a sum; "nnan" and "ninf" would delete the checks for finite values.
OPTIONS: dict[str, Any] = {"fastmath": {"contract"}, "error_model": "numpy", "nogil": True, "_nrt": False}


def kernel(
    *, noalias: bool = False, inline: bool = False, merge: bool = False, inner: bool = False
) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function as a kernel.

    `noalias` promises that the arrays it gets never overlap: the compiler leaves out its overlap checks, which cost
    a third of a loop over two of them. `inline` pastes the function into its callers, so that their loops can become
    vector loops. `merge` pastes it as source, before types are inferred, so that it is not compiled by itself as well.
    `inner` says that only kernels call it: the code that takes arguments from Python is left out.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        if config.DISABLE_JIT:
            return function
        options = dict(
            OPTIONS,
            forceinline=inline,
            inline="always" if merge else "never",
            pipeline_class=_COMPILERS[noalias, inner or inline],
        )
        dispatcher = numba.njit(**options)(function)
        dispatcher._cache = _StampedCache(function)
        return dispatcher

    return decorate


def copy_of(loop: Callable[..., Any], name: str, **functions: Any) -> Callable[..., Any]:
    """The same function under another name, calling `functions` where it names them.

    Loops that differ in one formula are written once. They are not closures, because Numba keeps no closure on disk
    that holds a compiled function.
    """
    copy = FunctionType(loop.__code__, {**loop.__globals__, **functions}, name)
    copy.__qualname__, copy.__module__, copy.__doc__ = name, loop.__module__, loop.__doc__
    return copy


def compiled_functions(module: ModuleType, given: tuple[Callable[..., Any], ...]) -> dict[str, Any]:
    """The functions of a module, compiled so that they are pasted into their callers, and into each other.

    Those `given` have compiled forms already.
    """
    names = dict(vars(module))
    for name, function in vars(module).items():
        if isinstance(function, FunctionType) and function.__module__ == module.__name__ and function not in given:
            copy = FunctionType(function.__code__, names, name)
            copy.__qualname__, copy.__module__, copy.__doc__ = name, module.__name__, function.__doc__
            names[name] = kernel(inline=True)(copy)
    return names


def by_dtype(function: Callable[..., Any], float32: Any, float64: Any) -> Any:
    """Give `function(x)` the body `float32(x)` or `float64(x)`, chosen by the type of `x` when a caller is compiled."""

    def choose(x):  # type: ignore[no-untyped-def]  # Numba compares this signature with the lambda's
        return (lambda x: float32(x)) if x == numba.types.float32 else (lambda x: float64(x))

    overload(function, jit_options=dict(OPTIONS, forceinline=True))(choose)
    return function


def is_ready(dispatcher: Any) -> bool:
    """Whether a kernel has machine code: compiled in this process, or kept on disk for these sources."""
    if config.DISABLE_JIT or dispatcher.overloads:
        return True
    return cache_folder() is not None and dispatcher._cache.files.index.exists()


def _compiler(noalias: bool, inner: bool) -> type[Compiler]:
    class KernelCompiler(Compiler):  # type: ignore[misc]
        def define_pipelines(self) -> Any:
            flags = self.state.flags
            flags.noalias, flags.no_cpython_wrapper, flags.no_cfunc_wrapper = noalias, inner, True
            return super().define_pipelines()

    return KernelCompiler


_COMPILERS = {(noalias, inner): _compiler(noalias, inner) for noalias in (False, True) for inner in (False, True)}


def made_from() -> list[Path]:
    """The files that machine code is made from; the plain engine and the contract are not among them."""
    folders = [sorted((KERNELS / part).glob("*.py")) for part in COMPILED]
    return [KERNELS / name for name in SHARED] + [path for folder in folders for path in folder]


@lru_cache(maxsize=1)
def source_stamp() -> str:
    """A hash over the text of all sources that kernels are made from."""
    digest = hashlib.sha256()
    for path in made_from():
        digest.update(path.relative_to(KERNELS).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _settings_stamp() -> str:
    """A hash over the settings that change machine code and that Numba leaves out of its cache key."""
    settings = (
        config.BOUNDSCHECK,
        config.OPT,
        config.LOOP_VECTORIZE,
        config.SLP_VECTORIZE,
        numba.__version__,
    )
    return hashlib.sha256(repr(settings).encode()).hexdigest()[:8]


@lru_cache(maxsize=1)
def cache_folder() -> Path | None:
    """The first folder that can be written to: NUMBA_CACHE_DIR, beside the sources, the user's cache; or none.

    It is made when the first kernel is written there, and not before.
    """
    asked, *others = _folders()
    found = next((folder for folder in (asked, *others) if folder and _is_writable(folder)), None)
    if found is None:
        _say_not_kept(f"no folder is writable ({', '.join(map(str, filter(None, (asked, *others))))})")
    elif config.CACHE_DIR and found != asked:
        _say_once("elsewhere", f"NUMBA_CACHE_DIR is {config.CACHE_DIR}, which is no folder that can be written to: "
                  f"compiled kernels are kept in {found}.")  # fmt: skip
    return found


def _is_writable(folder: Path) -> bool:
    """Whether files can be made there, or where it would be made."""
    try:
        nearest = next(place for place in (folder, *folder.parents) if place.exists())
        tempfile.TemporaryFile(dir=nearest).close()
    except OSError:
        return False
    return True


def _folders() -> list[Path | None]:
    """Where kernels may be kept; first where NUMBA_CACHE_DIR asks for it, or None.

    Without a home, "~" is no folder; a relative XDG_CACHE_HOME is none by its rules.
    """
    asked, home = os.path.expanduser(config.CACHE_DIR), os.path.expanduser("~")
    is_home = os.path.isabs(home) and os.path.isdir(home) and os.path.dirname(home) != home
    user_cache = os.environ.get("XDG_CACHE_HOME", "")
    folders: list[Path | None] = [None, BESIDE_SOURCES]
    if asked and (not config.CACHE_DIR.startswith("~") or (is_home and os.path.isabs(asked))):
        with contextlib.suppress(OSError):  # the working folder, which a relative one starts from, may be gone
            folders[0] = Path(asked).absolute() / "fastgd"
    if os.path.isabs(user_cache):
        folders.append(Path(user_cache) / "fastgd")
    elif is_home:
        folders.append(Path(home) / ".cache" / "fastgd")
    return folders


def _say_not_kept(reason: str) -> None:
    _say_once("not kept", f"compiled kernels cannot be kept on disk: {reason}. Every process compiles them again; "
              "set NUMBA_CACHE_DIR to a writable folder.")  # fmt: skip


_TOLD: set[str] = set()


def _say_once(what: str, message: str) -> None:
    """Warn of something once in a process, and not for each kernel."""
    if what not in _TOLD:
        _TOLD.add(what)
        warnings.warn(message, CacheWarning, stacklevel=3)


class _StampedLocator(caching._CacheLocator):  # type: ignore[misc]
    """Tells Numba where the cache of one kernel is, and which sources it belongs to."""

    def __init__(self, function: Callable[..., Any], source_file: str) -> None:
        self._py_file = source_file  # Numba reads this name when it warns
        self._package = function.__module__.partition(".kernels.")[0]

    def get_cache_path(self) -> str:
        return str(cache_folder())

    def get_source_stamp(self) -> str:
        return source_stamp()

    def get_disambiguator(self) -> str:
        # The package's name, because two versions of it may be loaded under two names in one process.
        return f"{self._package}-{_settings_stamp()}-{source_stamp()}"

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> _StampedLocator:
        return cls(py_func, py_file)


class _StampedCacheImpl(caching.CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_StampedLocator,)


class _SealedFiles:
    """The files of one kernel: an index, and the machine code of each signature.

    A name says which sources, kernel, signature and processor a file is for, so that no two share one. A file begins
    with a hash over its name and its content: what is damaged, truncated or another file's reads as nothing.
    """

    def __init__(self, folder: str, base: str) -> None:
        self.folder, self.base = Path(folder), base
        self.damaged = ""  # the name of a file that was not what was written
        self.index = self.folder / f"{base}.nbi"

    def load(self, key: Any) -> Any:
        """What was saved for a key, or None."""
        name = self._name(key)
        content = self._read(name) if name in self._names() else b""
        return pickle.loads(content) if content else None

    def save(self, key: Any, data: Any) -> None:
        """Keep something for a key. The index of another process may win; then the loser compiles once more."""
        name = self._name(key)
        self._write(name, caching.dumps(data))
        self._write(self.index.name, "\n".join(sorted({*self._names(), name})).encode())

    def flush(self) -> None:
        """Forget everything."""
        self.index.unlink(missing_ok=True)

    def _name(self, key: Any) -> str:
        return f"{self.base}.{hashlib.sha256(repr(key).encode()).hexdigest()[:32]}.nbc"

    def _names(self) -> list[str]:
        return self._read(self.index.name).decode().splitlines()

    def _read(self, name: str) -> bytes:
        try:
            content = (self.folder / name).read_bytes()
        except OSError:
            return b""
        seal, rest = content[:SEAL], memoryview(content)[SEAL:]
        if seal == _seal(name, rest):
            return bytes(rest)
        self.damaged = name
        return b""

    def _write(self, name: str, content: bytes) -> None:
        temporary = self.folder / f"{self.base}.{secrets.token_hex(8)}.nbc"  # with these sources it becomes stale, too
        try:
            temporary.write_bytes(_seal(name, content) + content)
            os.replace(temporary, self.folder / name)
        finally:
            temporary.unlink(missing_ok=True)


SEAL = hashlib.sha256().digest_size  # 1.5 ms for the machine code of a first fit


def _seal(name: str, content: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(name.encode() + b"\0")
    digest.update(content)
    return digest.digest()


class _StampedCache(caching.FunctionCache):  # type: ignore[misc]
    """Numba's cache, except that whatever is wrong on disk means "not cached" and never an error."""

    _impl_class = _StampedCacheImpl

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self.files = self._cache_file = _SealedFiles(self._cache_path, self._impl.filename_base)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        if cache_folder() is None:
            return None
        found = None
        with contextlib.suppress(Exception):  # what Numba cannot rebuild raises anything
            loaded = super().load_overload(sig, target_context)
            if loaded and loaded.signature.args == sigutils.normalize_signature(sig)[0]:
                found = loaded
        damaged, self.files.damaged = self.files.damaged, ""
        if damaged:
            _say_once("damaged", f"{self.files.folder} holds damaged machine code ({damaged}): what is damaged is "
                      "compiled anew, and replaced.")  # fmt: skip
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        if cache_folder() is None:
            return
        try:
            self._remove_stale()
            super().save_overload(sig, data)
        except OSError as error:
            _say_not_kept(f"{error.strerror or error} ({cache_folder()})")
        except Exception:  # what cannot be pickled is compiled anew each time
            pass

    def _remove_stale(self) -> None:
        """Delete what earlier sources left for this kernel beside them; a shared folder may serve other checkouts."""
        if cache_folder() != BESIDE_SOURCES:
            return
        base = self._impl.filename_base
        before, _, after = base.partition(source_stamp())
        for path in Path(self._cache_path).glob(f"{before}*{after}.*nb[ic]"):
            if not path.name.startswith(base):
                path.unlink(missing_ok=True)
