"""The kept history of measurements: one JSON file a run in benchmarks/results/, with the machine that it ran on.

pytest --benchmark-only --benchmark-json=run.json && python benchmarks/results.py run.json
python benchmarks/peers.py --record
"""

from __future__ import annotations

import sys
from pathlib import Path

# A file that is run is in no package, so that its relative imports fail: import it from the root, and run that.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])
    from benchmarks.results import main

    sys.exit(main())

import datetime
import json
import subprocess
from typing import Any

from .baselines import BASELINES
from .cases import EPOCHS, PREDICTIONS
from .tool import Parser, ToolError, guarded

FOLDER = Path(__file__).parent / "results"


def keep(kind: str, records: Any, machine_facts: dict[str, Any] | None = None) -> Path:
    """Write a run to the folder; `kind` is "suite" or "peers"."""
    if machine_facts is None:
        from . import machine

        machine_facts = machine.facts_for_results()
    now = datetime.datetime.now(datetime.UTC)
    run = {
        "kind": kind,
        "time": now.isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": machine_facts,
        "records": records,
    }
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{now:%Y%m%dT%H%M%S}-{kind}.json"
    path.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    return path


def kept(kind: str) -> list[dict[str, Any]]:
    """All runs of a kind, oldest first."""
    runs = []
    for path in sorted(FOLDER.glob(f"*-{kind}.json")):
        try:
            run = json.loads(path.read_text(encoding="utf-8"))
            if run["kind"] == kind and run["records"] and run["machine"] and run["time"] and run["commit"]:
                runs.append(run)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ToolError(f"{path} is no kept run ({type(error).__name__}: {error}): mend or delete it.") from None
    return runs


def from_pytest(saved: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What pytest-benchmark saved, as our records, and the machine; its measured peak stands in every record."""
    records = [
        {**benchmark["extra_info"], "median": benchmark["stats"]["median"], "rounds": benchmark["stats"]["rounds"]}
        for benchmark in saved["benchmarks"]
        if "case" in benchmark["extra_info"]
    ]
    facts = saved["machine_info"]
    names = ("processor", "cores", "system", "python", "numpy", "numba", "blas", "fingerprint", "threads")
    peaks = [record.pop("peak_gflops") for record in records]
    return records, {name: facts[name] for name in names if name in facts} | {"peak_gflops": max(peaks, default=0.0)}


def missing(records: list[dict[str, Any]]) -> list[str]:
    """Which figures of the table in docs/performance.md are not in a run."""
    there = {(record["case"], record["who"]) for record in records}
    wanted = [(case.name, "fastgd") for case in EPOCHS + PREDICTIONS]
    others = [case for case in EPOCHS + PREDICTIONS if case.stage != "predict_row_compiled"]
    wanted += [(case.name, baseline.name) for case in others for baseline in BASELINES]
    return [f"{who} on {case}" for case, who in wanted if (case, who) not in there]


def _commit() -> str:
    result = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=FOLDER.parent, capture_output=True, text=True
    )
    return result.stdout.strip() or "unknown"


def run(path: Path) -> int:
    """Keep what pytest-benchmark has written."""
    try:
        records, facts = from_pytest(json.loads(path.read_text(encoding="utf-8")))
        absent = missing(records)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ToolError(
            f"{path} is not what pytest --benchmark-json writes ({type(error).__name__}: {error})."
        ) from None
    if absent:
        raise ToolError(f"only whole runs are kept: {path} lacks {len(absent)} figures, such as {absent[0]}.")
    print(f"kept in {keep('suite', records, facts)}")
    return 0


def main(arguments: list[str] | None = None) -> int:
    parser = Parser("results", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="what pytest --benchmark-json wrote")
    options = parser.parse_args(arguments)
    return guarded("results", lambda: run(options.file))
