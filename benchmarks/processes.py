"""Fresh processes, in which the A/B tool measures and compiles; worker.py is what they run.

Each has its own cache of machine code, writes its answer as JSON, and says on the way which case it is at, so that one
that dies can be told with the case. None outlives the run that has started it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from .tool import ToolError

WORKER = Path(__file__).with_name("worker.py")


def child(arguments: list[str], folder: Path) -> Any:
    """Run the worker in a fresh process, with its cache in the folder, and return what it wrote as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    out, cases, errors = (folder / name for name in ("out.json", "cases", "errors"))
    out.unlink(missing_ok=True)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, str(WORKER), *arguments, "--out", str(out)]
    with (
        cases.open("w") as to_cases,
        errors.open("w") as to_errors,
        subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=to_cases, stderr=to_errors, start_new_session=True
        ) as process,
    ):
        try:
            code = process.wait()
        except BaseException:
            end(process)
            raise
    if code or not out.exists():
        last = (errors.read_text(errors="replace").strip().splitlines() or ["no message"])[-1]
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with an error ({last})"
        at = (cases.read_text(errors="replace").splitlines() or ["its start"])[-1]
        raise ToolError(f"A measuring process {how} at {at}.")
    return json.loads(out.read_text())


def end(process: subprocess.Popen[Any]) -> None:
    """Kill a process, and those that it has started."""
    with contextlib.suppress(ProcessLookupError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
    process.wait()


def end_with_parent() -> None:
    """A run that is killed leaves no process behind that would disturb the next one: standard input ends with it."""
    threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start()
