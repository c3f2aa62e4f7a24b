"""Which kernels have the same machine code in both versions: those need no timing.

Each version is compiled in a process of its own, under the same name, and the texts are compared without what differs
from one compilation to the next.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from .cases import CASES, STAGES
from .problems import tables
from .processes import child
from .unmeasured import Place, Watch
from .versions import loaded


def kernel_sources(tree: Path) -> dict[str, bytes]:
    """The text of every kernel source of a tree."""
    folder = tree / "fastgd" / "kernels"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.py"))}


def normalised(assembly: str) -> str:
    """Assembly without what differs from package to package: names of symbols in order of appearance, no comments."""
    seen: dict[str, str] = {}
    text = re.sub(r"[#;].*", "", assembly)
    text = re.sub(
        r"\b_?_Z\w+|\bcfunc\.\w+|\.L__\w+|\bnumba\.\w+", lambda m: seen.setdefault(m[0], f"s{len(seen)}"), text
    )
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(
        line for line in lines if line and not re.match(r"\.(file|ident|section|size|type|globl|p2align)", line)
    )


def assembly(tree: Path, names: list[str]) -> dict[str, Any]:
    """The normalised machine code of the kernels of each case, empty where there is none; and what has run."""
    version = loaded("compiled", tree)
    texts: dict[str, str] = {}
    watch = Watch(tree)
    for case in CASES:
        if case.stage in STAGES and case.name in names:
            print(case.name, flush=True)
            try:
                with watch:
                    run, _ = version.repeated(case, tables(case))
                    run(1)
                parts = [kernel.inspect_asm().values() for kernel in version.kernels_of(case)]
                assert all(parts)
                texts[case.name] = "\n".join(normalised(text) for part in parts for text in part)
            except Exception:  # whatever is wrong, the machine code is not known
                texts[case.name] = ""
    return {"cases": texts, "ran": watch.ran()}


def unchanged_cases(base: Path, head: Path, names: list[str], folder: Path) -> tuple[list[str], list[Place]]:
    """The kernel cases whose machine code is the same in both trees, and what the head has run to find out."""
    kernels = [case.name for case in CASES if case.stage in STAGES and case.name in names]
    sources = kernel_sources(base)
    if sources and sources == kernel_sources(head):
        return kernels, []
    answers = [
        child(["assembly", str(tree), "--names", json.dumps(kernels)], folder / f"assembly-{i}")
        for i, tree in enumerate((base, head))
    ]
    texts = [answer["cases"] for answer in answers]
    same = [name for name in kernels if texts[0].get(name) and texts[0][name] == texts[1].get(name)]
    return same, answers[1]["ran"]
