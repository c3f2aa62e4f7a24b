"""Everything that needs an NVIDIA card, in one go and within half an hour: tests, memory checks, and benchmarks.

python tools/try_gpu.py out                           all parts; each one's output, and a summary, lie in out/
python tools/try_gpu.py out --wheels DIR              packages come from this folder, where none can be downloaded
python tools/try_gpu.py out --parts tests memcheck    some of them
python tools/try_gpu.py out --minutes 12              less time for each
python tools/try_gpu.py --help

A part that cannot run says why in its line of the summary. Exit code: 0 nothing has failed, 1 something has.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import tomllib
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
MINUTES = 30.0
SHARES = {"card": 0.02, "environment": 0.2, "tests": 0.2, "memcheck": 0.1, "racecheck": 0.13, "benchmarks": 0.35}
DRIVER_OF_13 = 580  # the first that CUDA 13 runs on
HANDS = 8  # processes that tests are dealt to: compiling takes most of their time
NEEDED = ("pytest", "pytest_benchmark")
PEERS = ("torch", "jax")
TOOLKIT = Path("/usr/local/cuda/bin")
MISTAKE = 9  # exit code of the sanitizer where it has found one
TINY = """
import fastgd
X, y = fastgd.datasets.houses(300, random_state=0)
for batch_size in (16, 51, 150):
    model = fastgd.MLP([4, 8, 1], random_state=0, dropout=0.2)
    model.fit(X, y, epochs=2, batch_size=batch_size, device="cuda", verbose=0)
    model.predict(X), model.gradient(X, y)
specs = [{"layer_sizes": [4, 8, 1], "random_state": number} for number in range(3)]
fastgd.fit_many(specs, X, y, epochs=1, device="cuda", verbose=0)
"""


class Skipped(Exception):  # noqa: N818  it is no error
    """Why a part does not run."""


class Failed(Exception):  # noqa: N818
    """What went wrong in a part."""


class Attempt:
    """What the parts share: the folder, the Python of the environment, and how much time there is."""

    def __init__(self, folder: Path, minutes: float, wheels: Path | None) -> None:
        self.folder, self.minutes, self.wheels = folder.resolve(), minutes, wheels
        self.python, self.driver = Path(sys.executable), ""
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def run(self, part: str, *command: object, seconds: float | None = None) -> tuple[int, str]:
        """Exit code and output of a command, which go into the part's log."""
        (done,) = self.run_all(part, [command], seconds)
        return done

    def run_all(
        self, part: str, commands: list[tuple[object, ...]], seconds: float | None = None
    ) -> list[tuple[int, str]]:
        """The same of commands side by side. Who needs more time than the part has is ended.

        Raises:
            Failed: one did.
        """
        limit = seconds or 60 * self.minutes * SHARES[part]
        ends_at = time.monotonic() + limit
        logs = [self.folder / f"{part}{'' if not i else f'_{i}'}.log" for i in range(len(commands))]
        with contextlib.ExitStack() as stack:
            started = [stack.enter_context(started_in(command, log, self.environment)) for command, log in
                       zip(commands, logs, strict=True)]  # fmt: skip
            for process in started:
                try:
                    process.wait(max(ends_at - time.monotonic(), 0))
                except subprocess.TimeoutExpired:
                    raise Failed(f"it took more than its {limit:.0f} s") from None
        texts = [log.read_text(errors="replace") for log in logs]
        return [(process.returncode, text) for process, text in zip(started, texts, strict=True)]

    def lacks(self, *names: str) -> list[str]:
        """Which of these modules the environment has not."""
        code = "import importlib.util, sys; print(*[n for n in sys.argv[1:] if importlib.util.find_spec(n) is None])"
        told = subprocess.run([self.python, "-c", code, *names], capture_output=True, text=True, cwd=self.folder)
        return told.stdout.split()


@contextlib.contextmanager
def started_in(
    command: tuple[object, ...], log: Path, environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A process with its output in a file; it and what it has started end with the block."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(map(str, command)), stdout=output, stderr=subprocess.STDOUT, cwd=ROOT, env=environment,
            start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def last_line(text: str) -> str:
    """The last line that says something."""
    return (text.strip().splitlines() or ["it ended without a word"])[-1].strip(" =")


def card(attempt: Attempt) -> str:
    """Which card and driver there are."""
    if shutil.which("nvidia-smi") is None:
        raise Skipped("there is no nvidia-smi, and so no driver for NVIDIA cards")
    fields = "--query-gpu=name,driver_version,memory.total,clocks.max.sm,clocks.max.mem"
    code, text = attempt.run("card", "nvidia-smi", fields, "--format=csv,noheader")
    if code:
        raise Failed(last_line(text))
    attempt.driver = text.split(",")[1].strip()
    return f"{text.splitlines()[0]}: extra {extra_for(attempt.driver)}"


def extra_for(driver: str) -> str:
    """The extra of fastgd that suits a driver."""
    return "cuda13" if int(driver.split(".")[0]) >= DRIVER_OF_13 else "cuda12"


def environment(attempt: Attempt) -> str:
    """A fresh environment that also sees the packages of this Python, with fastgd's compiler for GPUs in it."""
    needs_card(attempt)
    place = attempt.folder / "venv"
    venv.create(place, with_pip=True, clear=True)
    attempt.python = place / "bin" / "python"
    (site,) = place.glob("lib/python*/site-packages")
    (site / "those_of_the_other.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"][extra_for(attempt.driver)], *NEEDED]
    source = ["--no-index", "--find-links", attempt.wheels] if attempt.wheels else ["--retries", "1", "--timeout", "15"]
    pip = (attempt.python, "-m", "pip", "install", "--disable-pip-version-check", *source)
    code, text = attempt.run("environment", *pip, *wanted)
    lacking = attempt.lacks("numba_cuda_mlir", "numba", *NEEDED, *PEERS)
    told = f"; missing: {', '.join(lacking)}" if lacking else ""
    if code:
        raise Failed(f"not all could be installed ({last_line(text)}){told}")
    return f"installed{told}"


def needs_card(attempt: Attempt) -> None:
    """Nothing but a summary can come of a part where there is no card."""
    if not attempt.driver:
        raise Skipped("there is no card")


def runnable(attempt: Attempt) -> None:
    """Whether fastgd finds all it needs, by its own words."""
    needs_card(attempt)
    code = "from fastgd.kernels import missing; print(missing('cuda'))"
    told = subprocess.run(
        [attempt.python, "-c", code], capture_output=True, text=True, cwd=ROOT, env=attempt.environment
    )
    if told.returncode or told.stdout.strip():
        raise Skipped(told.stdout.strip() or last_line(told.stderr))


def tests(attempt: Attempt) -> str:
    """Those that run on a card, dealt to several processes."""
    runnable(attempt)
    if lacking := attempt.lacks(*NEEDED):
        raise Skipped(f"not installed: {', '.join(lacking)}")
    pytest = (attempt.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "gpu", "tests/test_cuda_device.py")
    code, text = attempt.run("tests", *pytest, "--collect-only")
    names = [line for line in text.splitlines() if "::" in line]
    if code or not names:
        raise Failed(last_line(text))
    hands = dealt(names, min(HANDS, os.cpu_count() or 1))
    found = attempt.run_all("tests", [(*pytest[:-1], "-rs", *hand) for hand in hands])
    told = "; ".join(last_line(text) for _, text in found)
    if any(code for code, _ in found):
        raise Failed(told)
    return told


def dealt(names: list[str], n: int) -> list[list[str]]:
    """Names in n hands, none of which is empty."""
    return [hand for hand in (names[i::n] for i in range(n)) if hand]


def sanitized(tool: str) -> Callable[[Attempt], str]:
    """A tiny training under a tool of compute-sanitizer."""

    def part(attempt: Attempt) -> str:
        runnable(attempt)
        sanitizer = shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path=str(TOOLKIT))
        if sanitizer is None:
            raise Skipped(f"there is no compute-sanitizer, neither in PATH nor in {TOOLKIT}")
        code, text = attempt.run(
            tool, sanitizer, "--tool", tool, "--error-exitcode", MISTAKE, attempt.python, "-c", TINY
        )
        if code:
            raise Failed(last_line(text))
        return last_line(text)

    return part


def benchmarks(attempt: Attempt) -> str:
    """All jobs of benchmarks/gpu.py."""
    runnable(attempt)
    code, text = attempt.run("benchmarks", attempt.python, "benchmarks/gpu.py")
    if code:
        raise Failed(last_line(text))
    lacking = attempt.lacks(*PEERS)
    told = f"; not installed: {', '.join(lacking)}" if lacking else ""
    return f"measured, see benchmarks.log{told}"


PARTS: dict[str, Callable[[Attempt], str]] = {
    "card": card, "environment": environment, "tests": tests, "memcheck": sanitized("memcheck"),
    "racecheck": sanitized("racecheck"), "benchmarks": benchmarks,
}  # fmt: skip


class Outcome(NamedTuple):
    """What became of a part."""

    part: str
    what: str
    seconds: float
    told: str

    def __str__(self) -> str:
        return f"{self.part:12} {self.what:8} {self.seconds:6.1f} s  {' '.join(self.told.split())}"


def outcome(part: str, attempt: Attempt) -> Outcome:
    """Run a part."""
    started = time.monotonic()
    try:
        what, told = "passed", PARTS[part](attempt)
    except Skipped as reason:
        what, told = "skipped", str(reason)
    except Failed as reason:
        what, told = "FAILED", str(reason)
    return Outcome(part, what, time.monotonic() - started, told)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the output goes")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"for all together (by default {MINUTES:.0f})")
    parser.add_argument("--wheels", type=Path, help="a folder of packages to install from")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    for log in options.folder.glob("*.log"):
        log.unlink()
    attempt, outcomes = Attempt(options.folder, options.minutes, options.wheels), []
    for part in [part for part in PARTS if part in (*options.parts, "card")]:
        outcomes.append(outcome(part, attempt))
        print(outcomes[-1], flush=True)
        (options.folder / "summary.txt").write_text("".join(f"{each}\n" for each in outcomes), encoding="utf-8")
    return 1 if any(each.what == "FAILED" for each in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
