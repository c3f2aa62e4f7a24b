"""Reading a stream takes the memory of a few parts, whatever the size of the file."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

N, COLUMNS = 400_000, 16  # 51 MB as float64
# bytes that a pass may take besides what the process has after a small one
MORE = {"read": 40 << 20, "fit": 64 << 20, "encoded": 64 << 20}

CODE = """
import resource, sys
import numpy as np, polars as pl, fastgd
from fastgd.data.reading import source
from fastgd.data.streams import parts
parts.PART, source.PIECE = 1 << 20, 1 << 20
fastgd.Stream(SMALL, spool='.')
for batch in fastgd.Stream(SMALL, spool='.').source.batches(None, 1000): pass
stream = fastgd.Stream(LARGE, spool='.')
used = next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmData')) << 10
resource.setrlimit(resource.RLIMIT_DATA, (used + MORE,) * 2)
if sys.argv[1] == 'parts':
    n = [sum(len(batch.X) for batch in stream.source.batches(None, 1000)) for _ in range(2)]
else:
    n = [sum(len(batch.X) for batch in list(stream.source.batches(None, 1000)))] * 2
print(n)
"""


FIT = """
import resource, sys
import numpy as np, polars as pl, fastgd
from fastgd.data.reading import source
from fastgd.data.streams import parts
from fastgd.data.streams import survey
parts.PART, source.PIECE, survey.MOST_ROWS = 1 << 20, 1 << 20, 1 << 13
def trained(path):
    model = fastgd.MLP([15, 8, 1], encoding=ENCODING, random_state=0)
    given = {'X': path, 'y': 'y' + path}
    if not path.endswith('npy'):
        given = {'X': fastgd.Stream(path, target='last', spool='.')}
    model.fit(**given, buffer_rows=BUFFER, epochs=2, batch_size=500, verbose=0)
    model.evaluate(**given)
    return model
trained(SMALL)
used = next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmData')) << 10
resource.setrlimit(resource.RLIMIT_DATA, (used + MORE,) * 2)
if sys.argv[1] == 'whole':
    X = np.zeros((2 * N, 15))
    X[:] = 1
print(trained(LARGE).fit_state.steps)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory are those of Linux")
@pytest.mark.parametrize("ending", ["npy", "parquet", "csv"])
@pytest.mark.parametrize("what", MORE)
def test_memory_is_bounded(tmp_path, ending, what):
    X = np.random.default_rng(0).integers(0, 1 << 20, size=(N, COLUMNS)).astype(float)
    for name, table in ("small", X[:5000]), ("large", X):
        path = tmp_path / f"{name}.{ending}"
        if ending == "npy" and what != "read":
            np.save(path, table[:, 1:].astype(np.float32))
            np.save(path.with_name(f"y{path.name}"), table[:, 0].astype(np.float32))
        elif ending == "npy":
            np.save(path, table)
        else:
            frame = pl.DataFrame(table).rename({"column_0": "last"})
            (frame.write_csv if ending == "csv" else frame.write_parquet)(path)
    names = {
        "SMALL": repr(f"small.{ending}"), "LARGE": repr(f"large.{ending}"), "MORE": repr(MORE[what]),
        "BUFFER": "20_000",
        "(2 * N,": f"({2 * N},", "ENCODING": repr("auto" if what == "encoded" else None),
    }  # fmt: skip
    code = CODE if what == "read" else FIT
    for word, value in names.items():
        code = code.replace(word, value)
    environment = {**os.environ, "POLARS_MAX_THREADS": "1", "MALLOC_ARENA_MAX": "1"}

    def run(how):
        return subprocess.run(
            [sys.executable, "-c", code, how], cwd=tmp_path, capture_output=True, text=True, timeout=120,
            env=environment, check=False,
        )  # fmt: skip

    read = run("parts")
    assert read.stdout == (f"[{N}, {N}]\n" if what == "read" else f"{2 * N // 500}\n"), read.stderr
    assert run("whole").returncode != 0  # the limit is one
