"""Turn the kept runs into tables and a chart.

    python benchmarks/report.py            writes docs/performance.md and, in short, README.md between their markers,
                                           and docs/throughput.svg
    python benchmarks/report.py --check    exits with 1 if they are not what the kept runs give
    python benchmarks/report.py --history  the course of every case on this kind of machine, with its change points,
                                           and how many runs there are on others

The newest run of each kind counts. Change points are a help to the eye: nothing passes or fails by them.
"""

from __future__ import annotations

import sys
from pathlib import Path

# A file that is run is in no package, so that its relative imports fail: import it from the root, and run that.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])
    from benchmarks.report import main

    sys.exit(main())

import math
import re
import statistics
from collections import Counter
from typing import Any

from . import results
from .cases import PEER_CASES
from .peers import OURS, times_threads
from .tool import Parser, ToolError, guarded

ROOT = Path(__file__).parents[1]
README, PAGE, CHART = ROOT / "README.md", ROOT / "docs" / "performance.md", ROOT / "docs" / "throughput.svg"
BEGIN, END = "<!-- benchmarks begin -->", "<!-- benchmarks end -->"
NAMES = {
    OURS: "fastgd",
    "numpy_tuned": "NumPy, tuned",
    "scikit_learn": "scikit-learn",
    "torch_eager": "PyTorch eager",
    "torch_compiled": "PyTorch compiled",
    "jax_tuned": "JAX, tuned",
}
COLOURS = {  # light, dark
    "fastgd": ("#c2410c", "#fb923c"),
    "NumPy, tuned": ("#1d4ed8", "#60a5fa"),
    "NumPy, textbook": ("#64748b", "#94a3b8"),
    "scikit-learn": ("#a16207", "#facc15"),
    "PyTorch eager": ("#7e22ce", "#c084fc"),
    "PyTorch compiled": ("#be185d", "#f472b6"),
    "JAX, tuned": ("#15803d", "#4ade80"),
}
HOUSES = [4, 64, 64, 1]
SHORTLY = (  # README's cases, two that we win and two that we lose
    "epoch 4-64-64-1 b32", "epoch 16-256-256-256-1 b256", "epoch 784-512-256-10 b32", "epoch 100-1024-1024-1 b1000",
)  # fmt: skip
STEP_CLEARLY = 4.0  # a change point is a step of so many times the scatter around it …
STEP_AT_LEAST = 0.05  # … and of so large a share


# Tables.


def peers_table(run: dict[str, Any]) -> str:
    """Rows and milliseconds of one epoch for each peer, and the best peer's time divided by ours."""
    present = [peer for peer in NAMES if any(peer in record["results"] for record in run["records"])]
    header = ["one epoch, ms", "rows", *(NAMES[peer] for peer in present), "best peer ÷ fastgd"]
    rows = [header, ["---", *["---:"] * (len(header) - 1)]]
    for record in run["records"]:
        found = {peer: record["results"][peer] for peer in present if peer in record["results"]}
        times = {peer: 1e3 * result["seconds"] for peer, result in found.items()}
        others = [time for peer, time in times.items() if peer != OURS]
        ratio = f"{min(others) / times[OURS]:.2f}" if others and OURS in times else ""
        case = record["case"].removeprefix("epoch ").replace(" b", ", batch ")
        cells = [milliseconds(times[peer]) + times_threads(found[peer]) if peer in found else "" for peer in present]
        rows.append([case, f"{rows_of(record):,}", *cells, ratio])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def rows_of(record: dict[str, Any]) -> int:
    """How many rows a peer's epoch goes through; runs that do not tell had those of today's case."""
    return int(record.get("rows") or next(case.rows for case in PEER_CASES if case.name == record["case"]))


def suite_table(run: dict[str, Any]) -> str:
    """Each whole epoch and prediction beside NumPy, one thread each."""
    cases: dict[str, dict[str, Any]] = {}
    for record in run["records"]:
        if record["stage"] in ("epoch", "predict", "predict_row", "predict_row_compiled"):
            cases.setdefault(record["case"], {})[record["who"]] = record
    rows = [["one thread", "rows", "fastgd", "NumPy, tuned", "NumPy, textbook", "tuned ÷ fastgd", "share of peak"]]
    rows.append(["---", *["---:"] * 6])
    for case, by_name in cases.items():
        ours = by_name.get("fastgd")
        if ours is None:
            continue
        times = [by_name[who]["microseconds"] if who in by_name else None for who in rows[0][2:5]]
        ratio = f"{times[1] / times[0]:.2f}" if times[1] else ""
        n = round(ours["rows_per_second"] * ours["microseconds"] / 1e6)
        rows.append([case, f"{n:,}", *map(duration, times), ratio, f"{ours['fraction_of_peak']:.0%}"])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def milliseconds(value: float) -> str:
    """Three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def duration(microseconds: float | None) -> str:
    """Three digits and a unit."""
    if microseconds is None:
        return ""
    if microseconds >= 1000:
        return f"{milliseconds(microseconds / 1000)} ms"
    return f"{microseconds:.3g} µs"


def section() -> str:
    """What stands between the markers."""
    parts = []
    compared = newest_by_machine(results.kept("peers"))
    if compared:
        n_kinds = len({run["machine"]["processor"] for run in compared})
        kinds = "one kind of processor" if n_kinds == 1 else f"{n_kinds} kinds of processor"
        parts.append(
            "An epoch of plain SGD through what users call (fastgd: `fit` with its defaults), median, each peer in its "
            f"best form and at its best number of threads, ×2 for two; recorded on {kinds}. "
            "With AVX2 where the processor has AVX-512, libraries were told to do without it; JAX cannot be told."
        )
    parts += [f"{place(run)}:\n\n{peers_table(run)}" for run in compared]
    for run in results.kept("suite")[-1:]:
        words = "The compiled loops and predictions without `fit` around them, median time"
        parts.append(f"{words} ({place(run)}):\n\n{suite_table(run)}")
    chart = "![Rows per second against batch size](throughput.svg)"
    return "\n\n".join([BEGIN, *parts, chart, *lost(compared), END])


def headline() -> str:
    """What stands between the markers of README.md: a few cases on the fastest core."""
    parts = []
    for run in newest_by_machine(results.kept("peers"))[:1]:
        chosen = [record for record in run["records"] if record["case"] in SHORTLY]
        words = "An epoch of plain SGD, each library in its best form and at its best number of threads, ×2 for two"
        parts = [f"{words} ({place(run)}):\n\n{peers_table({**run, 'records': chosen})}"] if chosen else []
    return "\n\n".join([BEGIN, *parts, END])


def lost(runs: list[dict[str, Any]]) -> list[str]:
    """Where another library takes less time, most first: a paragraph, or nothing."""
    lines = {}
    for run in runs:
        for record in run["records"]:
            times = {peer: result["seconds"] for peer, result in record["results"].items() if peer in NAMES}
            best = min(times, key=lambda peer: times[peer])
            if best != OURS and OURS in times:
                case = record["case"].removeprefix("epoch ").replace(" b", ", batch ")
                vectors = run["machine"].get("vectors", run["machine"]["processor"])
                words = f"- {case} ({vectors}): {NAMES[best]} takes {times[best] / times[OURS]:.0%} of fastgd's time"
                lines[words] = times[best] / times[OURS]
    told = "\n".join(sorted(lines, key=lambda words: lines[words]))
    return [f"## What we lose\n\nIn these cases another library is faster:\n\n{told}"] if told else []


def newest_by_machine(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The newest run on each kind of processor, and with each length of vectors; the fastest core first."""
    newest = {(run["machine"]["processor"], run["machine"].get("vectors")): run for run in runs}
    return sorted(newest.values(), key=lambda run: float(run["machine"]["peak_gflops"]), reverse=True)


def place(run: dict[str, Any]) -> str:
    """Where and when a run was recorded."""
    facts = run["machine"]
    vectors = f", {facts['vectors']}" if "vectors" in facts else ""
    where = f"{facts['processor']}{vectors}, {facts['cores']} cores, {facts['peak_gflops']:.0f} GFLOP/s a core"
    return f"{where}; {run['time'][:10]}, `{run['commit']}`"


# The chart.


def throughput() -> tuple[str, dict[str, dict[int, float]]]:
    """Rows per second of an epoch of the house network, by name and batch size; all from one run, and how it was made.

    The run of the peers on the fastest core, or the suite's newest where there is none.
    """
    lines: dict[str, dict[int, float]] = {}
    for run in newest_by_machine(results.kept("peers"))[:1]:
        for record in run["records"]:
            match = re.fullmatch(r"epoch 4-64-64-1 b(\d+)", record["case"])
            for peer, result in record["results"].items() if match else ():
                lines.setdefault(NAMES[peer], {})[int(match[1])] = rows_of(record) / result["seconds"]
    if lines:
        return "each at its best number of threads", lines
    for run in results.kept("suite")[-1:]:
        for r in run["records"]:
            if r["stage"] == "epoch" and r["sizes"] == HOUSES and len(r["case"].split()) == 3:
                lines.setdefault(r["who"], {})[r["batch_size"]] = r["rows_per_second"]
    return "one thread each", lines


def style(colours: list[tuple[str, str]]) -> str:
    """Text, grid and lines on light and dark pages: class c0 has the first pair of colours."""
    parts = ["text{font:13px sans-serif;fill:#334155}.g{stroke:#e2e8f0}"]
    parts += [f".c{i}{{stroke:{light};fill:{light}}}" for i, (light, _) in enumerate(colours)]
    parts += ["@media(prefers-color-scheme:dark){text{fill:#cbd5e1}.g{stroke:#334155}"]
    parts += [f".c{i}{{stroke:{dark};fill:{dark}}}" for i, (_, dark) in enumerate(colours)] + ["}"]
    return "".join(parts)


def chart() -> str:
    """An SVG with logarithmic axes, for light and dark pages."""
    how, lines = throughput()
    values = [value for line in lines.values() for value in line.values()]
    if not values:
        return ""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    left, top, width, height = 70, 20, 520, 300

    def x(batch: float) -> float:
        return left + width * math.log2(batch) / 13

    def y(rate: float) -> float:
        return top + height * (high - math.log10(rate)) / (high - low)

    parts = [f"<style>{style([COLOURS[name] for name in lines])}</style>"]
    for power in range(low, high + 1):
        at = y(10**power)
        parts.append(f'<line class="g" x1="{left}" x2="{left + width}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{left - 8}" y="{at + 4:.1f}" text-anchor="end">{10**power:,}</text>')
    for batch in (1, 8, 32, 128, 256, 1024, 8192):
        parts.append(f'<text x="{x(batch):.1f}" y="{top + height + 20}" text-anchor="middle">{batch}</text>')
    parts.append(f'<text x="{left + width / 2}" y="{top + height + 42}" text-anchor="middle">rows in a batch</text>')
    parts.append(f'<text x="{left}" y="12" text-anchor="middle">rows per second</text>')
    parts.append(f'<text x="{left + width}" y="12" text-anchor="end">an epoch of 4-64-64-1, {how}</text>')
    ends: list[float] = []
    for i, (name, line) in enumerate(lines.items()):
        points = sorted(line.items())
        path = " ".join(f"{x(b):.1f},{y(r):.1f}" for b, r in points)
        parts.append(f'<polyline class="c{i}" style="fill:none;stroke-width:2" points="{path}"/>')
        parts += [f'<circle class="c{i}" cx="{x(b):.1f}" cy="{y(r):.1f}" r="3"/>' for b, r in points]
        at = y(points[-1][1]) + 4
        while any(abs(at - other) < 15 for other in ends):
            at += 1
        ends.append(at)
        parts.append(f'<text x="{left + width + 8}" y="{at:.1f}">{name}</text>')
    box = f'viewBox="0 0 {left + width + 130} {top + height + 55}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box}>\n' + "\n".join(parts) + "\n</svg>\n"


# History.


def change_points(values: list[float], first: int = 0) -> list[int]:
    """Where a series steps: it is cut where the two sides scatter least around their medians, and each side again."""

    def scatter(part: list[float]) -> float:
        return sum(abs(value - statistics.median(part)) for value in part)

    places = range(2, len(values) - 1)
    if not places:
        return []
    cut = min(places, key=lambda i: scatter(values[:i]) + scatter(values[i:]))
    before, after = values[:cut], values[cut:]
    step = abs(statistics.median(after) - statistics.median(before))
    noise = (scatter(before) + scatter(after)) / len(values)
    if step <= max(STEP_CLEARLY * noise, STEP_AT_LEAST * statistics.median(before)):
        return []
    return [*change_points(before, first), first + cut, *change_points(after, first + cut)]


def history(fingerprint: str) -> str:
    """The course of our own cases on machines like this one."""
    runs = [run for run in results.kept("suite") if run["machine"].get("fingerprint") == fingerprint]
    series: dict[str, list[tuple[str, float]]] = {}
    for run in runs:
        for record in run["records"]:
            if record["who"] == "fastgd":
                series.setdefault(record["case"], []).append((run["commit"], record["microseconds"]))
    lines = [f"{count(len(runs))} on {fingerprint}"]
    for case, points in series.items():
        steps = change_points([value for _, value in points])
        marked = [
            f"{duration(value)}{' ← changed at ' + commit if i in steps else ''}"
            for i, (commit, value) in enumerate(points)
        ]
        lines.append(f"{case}: {', '.join(marked)}")
    others = Counter(run["machine"].get("fingerprint", "an unknown machine") for run in results.kept("suite"))
    lines += [f"{count(n)} on another machine, {name}" for name, n in others.items() if name != fingerprint]
    return "\n".join(lines)


def count(n: int) -> str:
    """So many runs."""
    return f"{n} run{'s' * (n != 1)}"


def run(check: bool) -> int:
    """Write the report, or look whether it is there."""
    fresh = {page: renewed(page, words) for page, words in ((README, headline()), (PAGE, section()))}
    fresh |= {CHART: drawing} if (drawing := chart()) else {}
    if not check:
        for path, text in fresh.items():
            path.write_text(text, encoding="utf-8")
        return 0
    stale = [path.name for path, text in fresh.items() if not path.exists() or path.read_text("utf-8") != text]
    if stale:
        words = "is" if len(stale) == 1 else "are"
        print(
            f"report: {', '.join(stale)} {words} not what the kept runs give: run it without --check.", file=sys.stderr
        )
        return 1
    return 0


def renewed(page: Path, words: str) -> str:
    """The page with these words between its markers."""
    text = page.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ToolError(f"{page.name} needs the markers {BEGIN} and {END}, once each.")
    before, _, rest = text.partition(BEGIN)
    return before + words + rest.partition(END)[2]


def show_history() -> int:
    """Print the history on this machine."""
    from . import machine

    print(history(machine.fingerprint()))
    return 0


def main(arguments: list[str] | None = None) -> int:
    parser = Parser("report", description=(__doc__ or "").splitlines()[0])
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--check", action="store_true", help="exit with 1 if the report is not what the runs give")
    either.add_argument("--history", action="store_true", help="the course of every case on this kind of machine")
    options = parser.parse_args(arguments)
    return guarded("report", show_history if options.history else lambda: run(options.check))
