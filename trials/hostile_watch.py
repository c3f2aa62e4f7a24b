"""What a hostile input did to the process that met it: a child in which every case is limited, measured and overheard.

A worker is a function of a random generator and an empty folder. It prepares the files of a case and returns an
`Attempt`, which is then made under watch: it must end in time, by success or by one sentence of fastgd, in so much
memory, and open nothing but what it was given. A child that dies takes one case with it, and another child goes on.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .trial import Outcome

SECONDS = 120  # that a case may take: many times what it takes on a machine that does nothing else
ADDRESSES = 6 << 30  # bytes that a case may ask for, whether it fills them or not
CANARY = "canary"  # the file that appears in a case's folder where code of a file was run
LONGEST = 4000  # characters of a sentence
MOST_DEATHS = 20
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
ROOTS = ("/proc/", "/sys/", "/etc/", "/usr/", "/lib", "/dev/null", "/dev/urandom")
CHANGES = {"os.remove": 1, "os.rename": 2, "os.mkdir": 1, "os.rmdir": 1, "os.link": 2, "os.symlink": 1, "os.chmod": 1,
           "os.chown": 1, "os.truncate": 1, "os.utime": 1, "shutil.rmtree": 1, "shutil.move": 2}  # fmt: skip
PICKLED = ("numba", "fastgd", "numpy", "llvmlite", "copyreg", "_codecs", "builtins.object")  # of caches, and copies
NEVER = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "socket.connect",
         "socket.bind", "socket.getaddrinfo", "socket.sendto", "marshal.loads", "code.__new__")  # fmt: skip


class Attempt(NamedTuple):
    """What is tried, and what it may do."""

    what: str  # told where it fails
    act: Callable[[], object]  # raises AssertionError where an answer is wrong
    most: int  # bytes by which the process may grow
    reads: tuple[Path, ...] = ()  # files that may be opened
    writes: tuple[Path, ...] = ()  # files that may be made


Worker = Callable[[random.Random, Path], Attempt]


class Guard:
    """Hears what Python is about to do, and notes what nobody has asked for."""

    def __init__(self) -> None:
        self.is_armed, self.noted = False, list[str]()
        self.reads: set[str] = set()
        self.writes: set[str] = set()
        own = str(Path(__file__).parents[1])
        cache = os.environ.get("NUMBA_CACHE_DIR", str(Path.home() / ".cache"))
        self.caches = (cache, f"{own}/fastgd", os.environ.get("MPLCONFIGDIR", cache), "/dev/null")
        self.roots = (*ROOTS, sys.prefix, sys.base_prefix, own, *self.caches)

    def hear(self, event: str, given: tuple[Any, ...]) -> None:
        """A hook of sys.addaudithook."""
        if not self.is_armed:
            return
        if event in NEVER and not _is_importing():
            self.noted.append(f"{event} of {given!r:.200}")
            raise PermissionError(event)
        if event == "open":
            writing = bool((given[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))
            self._place(event, given[0], writing)
        elif event in CHANGES:
            within = given[-1] if isinstance(given[-1], int) and given[-1] >= 0 and CHANGES[event] == 1 else None
            for path in given[: CHANGES[event]]:
                folder = os.getcwd() if within is None else os.readlink(f"/proc/self/fd/{within}")
                self._place(event, os.path.join(folder, os.fsdecode(path)), writing=True)
        elif event == "exec" and not _is_importing() and not given[0].co_filename.startswith(self.roots):
            self.noted.append(f"exec of {given[0]!r}")
        elif event == "pickle.find_class" and not ".".join(map(str, given)).startswith(PICKLED):
            self.noted.append(f"unpickling of {given!r:.200}")

    def _place(self, event: str, path: Any, writing: bool) -> None:
        if isinstance(path, int):
            return
        name = os.path.abspath(os.fsdecode(path))
        own = re.sub(r"/\.fastgd-[0-9a-f]{16}$", "/", name)  # beside what it will replace
        if name in self.writes or (own != name and any(other.startswith(own) for other in self.writes)):
            return
        if re.match(rf"{re.escape(tempfile.gettempdir())}/fastgd-stream-", name) or name.startswith(self.caches):
            return
        if writing or not (name in self.reads or name.startswith(self.roots)):
            self.noted.append(f"{event} of {name!r}{' for writing' * writing}")


def _is_importing() -> bool:
    """Whether what happens is a module's being imported."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def status(name: str) -> int:
    """Bytes of a line of /proc/self/status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    raise LookupError(name)


def made(attempt: Attempt, guard: Guard, folder: Path) -> tuple[str, int]:
    """What was wrong with it, in a sentence or "", and by how many bytes the process grew."""
    from fastgd.errors import FastgdError

    guard.noted.clear()
    guard.reads = {os.path.abspath(path) for path in (*attempt.reads, *attempt.writes)}
    guard.writes = {os.path.abspath(path) for path in attempt.writes}
    Path("/proc/self/clear_refs").write_text("5")  # the highest size is counted from here
    before, wrong = status("VmRSS"), ""
    limit = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (status("VmSize") + ADDRESSES, limit[1]))
    guard.is_armed = True
    try:
        attempt.act()
    except FastgdError as error:
        wrong = faults_of(str(error))
    except BaseException as error:
        wrong = f"{type(error).__name__}: {str(error)[:300]}"
    finally:
        guard.is_armed = False
        resource.setrlimit(resource.RLIMIT_AS, limit)
    grown = status("VmHWM") - before
    if grown > attempt.most:
        wrong += f"; it grew by {grown >> 20} MB, more than {attempt.most >> 20}"
    if (folder / CANARY).exists():
        wrong += "; code of the file was run"
    return "; ".join(filter(None, [wrong.removeprefix("; "), *dict.fromkeys(guard.noted)])), grown


def faults_of(message: str) -> str:
    """What is wrong with a sentence of fastgd."""
    if "\n" in message or len(message) > LONGEST or not message.endswith((".", "?")):
        return f"no sentence: {message[:200]!r} ({len(message):,} characters)"
    return ""


def child(worker: str, first: int, last: int, seed: int, seconds: float) -> None:
    """Make the attempts of these numbers, and tell of each on a line of standard output."""
    module, _, name = worker.partition(":")
    function: Worker = getattr(importlib.import_module(module), name)
    out = os.fdopen(os.dup(1), "w")
    guard = Guard()
    sys.addaudithook(guard.hear)
    for number in range(first, last):
        with tempfile.TemporaryDirectory(prefix="hostile-", ignore_cleanup_errors=True) as folder:
            os.chdir(folder)
            attempt = function(random.Random(f"{seed}/{number}"), Path(folder))
            print(json.dumps({"number": number, "what": attempt.what[:300]}), file=out, flush=True)
            faulthandler.dump_traceback_later(seconds, exit=True)
            wrong, grown = made(attempt, guard, Path(folder))
            faulthandler.cancel_dump_traceback_later()
            os.chdir("/")
            shutil.rmtree(folder, ignore_errors=True)
        print(json.dumps({"number": number, "wrong": wrong, "grown": grown}), file=out, flush=True)


def _told(worker: str, first: int, last: int, seed: int, seconds: float) -> Iterator[dict[str, Any]]:
    """The lines of one child, and how it ended if that was before its time."""
    command = [sys.executable, "-X", "faulthandler", "-m", f"{__package__}.hostile_watch", worker]
    given = [str(number) for number in (first, last, seed, seconds)]
    paths = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONPATH": paths, "RUST_BACKTRACE": "0", "MPLBACKEND": "Agg"}
    with tempfile.TemporaryDirectory() as plots, tempfile.TemporaryFile("w+") as errors, subprocess.Popen(
        [*command, *given], stdout=subprocess.PIPE, stderr=errors, text=True, env=environment | {"MPLCONFIGDIR": plots}
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
        code = process.wait()
        errors.seek(0)
        if code:
            told = [line for line in errors.read().splitlines() if line.strip()]
            is_late = any(line.startswith("Timeout (") for line in told)
            end = f"it took more than {seconds:g} s" if is_late else f"the process ended with {code}"
            at = next((line.strip() for line in told if line.strip().startswith("File ")), "")
            yield {"died": f"{end} {at or ' '.join(told[-1:])[:300]}"}


def watched(worker: str, cases: int, seed: int, seconds: float = SECONDS) -> Outcome:
    """Make the attempts of a worker, "module:function", one after the other.

    Raises:
        RuntimeError: the system has no /proc of Linux.
    """
    if not Path("/proc/self/clear_refs").exists():
        raise RuntimeError("Memory is measured by /proc/self/clear_refs, which only Linux has.")
    failures, done, most, deaths = list[str](), 0, 0, 0
    while done < cases and deaths < MOST_DEATHS:
        what, started = "", done
        for told in _told(worker, done, cases, seed, seconds):
            if "died" in told:
                failures.append(f"seed {seed}, case {done}, {what}: {told['died']}")
                done, deaths = done + 1, deaths + 1
            elif "what" in told:
                what = told["what"]
            else:
                done, most = told["number"] + 1, max(most, told["grown"])
                if told["wrong"]:
                    failures.append(f"seed {seed}, case {told['number']}, {what}: {told['wrong']}")
        if done == started:
            raise RuntimeError(f"{worker} ended before its first case.")
    return Outcome(done, failures, f"none took more than {seconds:g} s, or more than {most >> 20} MB")


if __name__ == "__main__":
    child(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
