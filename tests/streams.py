"""Streams of every kind over one table, and what is read of them."""

from __future__ import annotations

import gzip

import numpy as np
import polars as pl

import fastgd

N = 500


def table(n=N):
    """X (n, 3), whose first column numbers the rows, y (n,) and weights (n,)."""
    X = (np.random.default_rng(0).integers(-999, 999, size=(n, 3)) / 8).astype(np.float32)  # exact as text, too
    X[:, 0] = np.arange(n)
    return X, X[:, 1] * 2 + 1, np.arange(n) % 7 + 1.0


def frame(X, y, weights):
    """The same as a data frame."""
    return pl.DataFrame({"id": X[:, 0], "a": X[:, 1], "b": X[:, 2], "y": y, "w": weights})


def pieces(*tables, rows=60):
    """The same as batches."""
    return [tuple(each[first : first + rows] for each in tables) for first in range(0, len(tables[0]), rows)]


def _npy(folder, name, *tables, order="C"):
    paths = [folder / f"{name}_{what}.npy" for what in "Xyw"]
    for path, values in zip(paths, tables, strict=True):
        np.save(path, np.asarray(values, order=order))
    return paths


def _files(folder, ending, *tables, cuts=(N,)):
    """The table in files of this ending, cut at these rows."""
    first = 0
    for number, last in enumerate(cuts):
        part = frame(*(each[first:last] for each in tables))
        path = folder / f"{number}.{ending}"
        if ending == "parquet":
            part.write_parquet(path, row_group_size=70)
        elif ending == "csv.gz":
            path.write_bytes(gzip.compress(part.write_csv().encode()))
        else:
            part.write_csv(path)
        first = last
    return [folder / f"{number}.{ending}" for number in range(len(cuts))]


NAMED = {"sample_weight": "w", "target": "y"}


def _mapped(folder, *tables):
    return fastgd.Stream(*(np.load(path, mmap_mode="r") for path in _npy(folder, "m", *tables)))


def _several(folder, *tables):
    halves = zip(*([each[:200], each[200:]] for each in tables), strict=True)
    found = [_npy(folder, str(k), *half) for k, half in enumerate(halves)]
    return fastgd.Stream(*(list(paths) for paths in zip(*found, strict=True)))


STREAMS = {
    "arrays": lambda folder, *t: fastgd.Stream(*t),
    "memmap": _mapped,
    "npy": lambda folder, *t: fastgd.Stream(*_npy(folder, "n", *t)),
    "npy by column": lambda folder, *t: fastgd.Stream(*_npy(folder, "f", *t, order="F")),
    "several npy": _several,
    "parquet": lambda folder, *t: fastgd.Stream(*_files(folder, "parquet", *t), **NAMED),
    "several parquet": lambda folder, *t: fastgd.Stream(_files(folder, "parquet", *t, cuts=(123, 130, N)), **NAMED),
    "pattern": lambda folder, *t: (
        _files(folder, "parquet", *t, cuts=(9, N)) and fastgd.Stream(folder / "*.parquet", **NAMED)
    ),
    "csv": lambda folder, *t: fastgd.Stream(*_files(folder, "csv", *t), **NAMED),
    "csv without a copy": lambda folder, *t: fastgd.Stream(*_files(folder, "csv", *t), spool=False, **NAMED),
    "packed csv": lambda folder, *t: fastgd.Stream(*_files(folder, "csv.gz", *t), spool=folder, **NAMED),
    "several csv": lambda folder, *t: fastgd.Stream(_files(folder, "csv", *t, cuts=(123, 130, N)), **NAMED),
    "batches": lambda folder, *t: fastgd.Stream(pieces(*t)),
    "function": lambda folder, *t: fastgd.Stream(lambda: iter(pieces(*t))),
    "frames": lambda folder, *t: fastgd.Stream(
        (f[["id", "a", "b"]], f["y"], f["w"]) for f in (frame(*each) for each in pieces(*t))
    ),
}


def read(source, order=None, most=10**9):
    """What a pass gives: X, y and weights as arrays, and the batches."""
    found = list(source.batches(order, most))
    assert all(1 <= len(batch.y) == len(batch.X) <= most for batch in found)
    X = np.concatenate([np.asarray(batch.X) for batch in found])
    return X, *(np.concatenate([np.asarray(batch[k]) for batch in found]) for k in (1, 2)), found
