"""The kept history of measurements: one JSON file a run in benchmarks/results/, with the machine that it ran on.

pytest --benchmark-only --benchmark-json=run.json && python benchmarks/results.py run.json
python benchmarks/peers.py --record
"""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"


def keep(kind: str, records: Any, machine_facts: dict[str, Any] | None = None) -> Path:
    """Write a run to the folder; `kind` is "suite" or "peers"."""
    if machine_facts is None:
        import machine

        machine_facts = {**machine.facts(), "fingerprint": machine.fingerprint(), "peak_gflops": machine.peak_gflops()}
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
    runs = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob(f"*-{kind}.json")))
    return [run for run in runs if run["kind"] == kind]


def from_pytest(saved: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What pytest-benchmark saved, as our records, and the machine."""
    records = [
        {**benchmark["extra_info"], "median": benchmark["stats"]["median"], "rounds": benchmark["stats"]["rounds"]}
        for benchmark in saved["benchmarks"]
        if "case" in benchmark["extra_info"]
    ]
    facts = saved["machine_info"]
    names = ("processor", "cores", "system", "python", "numpy", "numba", "fingerprint", "peak_gflops", "threads")
    return records, {name: facts[name] for name in names if name in facts}


def _commit() -> str:
    result = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=FOLDER.parent, capture_output=True, text=True
    )
    return result.stdout.strip() or "unknown"


def main() -> int:
    if len(sys.argv) != 2:
        print("results: name the file that pytest --benchmark-json wrote.", file=sys.stderr)
        return 2
    try:
        saved = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
        records, facts = from_pytest(saved)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"results: {sys.argv[1]} is not what pytest --benchmark-json writes ({error}).", file=sys.stderr)
        return 2
    print(f"kept in {keep('suite', records, facts)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
