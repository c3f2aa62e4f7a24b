"""What the engine of the GPU learns has the same bits however threads and blocks are laid out; without a GPU."""

from __future__ import annotations

import cuda_double
import numpy as np
import pytest
from cuda_tasks import MANY_BLOCKS, ONE_BLOCK, TASKS, Task, results, same

import fastgd
from fastgd.kernels.cuda.block import N_WIDE, RESERVED, numbers_of

CONSTRUCTION = "layer_sizes", "random_state", "activation", "dropout", "dtype"  # what is no option of fit
LAYOUTS = {
    "again": {},
    "threads backwards": {"order": "descending"},
    "threads in any order": {"order": "random"},
    "one thread": {"threads": 1},
    "ten threads": {"threads": 10, "order": "random"},
    "more threads than work": {"threads": 32},
    "one block": {"blocks": 1},
    "two blocks": {"blocks": 2},
    "parameters in global memory": {"limit": "tile"},
    "all in global memory": {"limit": 10},
}


def laid_out(task, blocks=1024, limit=48 << 10, **options):
    """What comes out of a task, and how networks that train have been laid out."""
    if limit == "tile":
        (work,) = laid_out(task)[1]
        limit = work.room.bytes - np.dtype(task.dtype).itemsize * work.plan.parameters.size + beside(work)
    with cuda_double.engine(limit=limit, **options) as engine:
        works, work_of = set(), engine.work_of

        def seen(*arguments, trains):
            work = work_of(*arguments, trains=trains)
            if trains and engine.double.launches == []:
                works.add(work)
            return work

        engine.work_of = seen
        return results(engine, task._replace(blocks=blocks)), works


def beside(work):
    """Bytes of shared memory that a block has beside the tile and the parameters."""
    return RESERVED + 8 * (numbers_of(len(work.plan.shape.layers)) + N_WIDE)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["one block", "many blocks, float64", "classes", "one layer, many blocks"])
def test_bits_depend_on_no_layout(name, layout):
    expected, (work,) = laid_out(TASKS[name])
    assert (work.plan.tile.T, *work.room[:2]) == (8, True, True)
    found, (work,) = laid_out(TASKS[name], **LAYOUTS[layout])
    wanted = {"tile": (False, True), 10: (False, False)}.get(LAYOUTS[layout].get("limit"), (True, True))
    assert (work.plan.tile.T, *work.room[:2]) == (8, *wanted)
    assert LAYOUTS[layout].get("threads", 8) == work.plan.NT
    assert same(found, expected)


@pytest.mark.parametrize(
    "optimizer", [fastgd.SGD(0.1, momentum=0.5), fastgd.AdamW(clip_norm=0.02, ema_decay=0.8)], ids=str
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("batch_size", "most_shards"), [(5, 256), (20, 256), (20, 1)])
def test_one_block_learns_what_many_learn(batch_size, most_shards, dtype, optimizer):
    """Where a shard is a tile, or the whole batch: the sums are the same."""
    task = Task(dtype=dtype, batch_size=batch_size, most_shards=most_shards, optimizer=optimizer)
    of_one, of_many = (laid_out(task._replace(small_batch=small))[0] for small in (ONE_BLOCK, MANY_BLOCKS))
    assert same(of_one, of_many)


def test_other_bits_are_noticed():
    one, other = (laid_out(Task(dropout=dropout))[0] for dropout in (0.3, 0.31))
    assert not same(one, other)
    assert not same({"a": np.array([0.0])}, {"a": np.array([-0.0])})


@pytest.mark.parametrize("small_batch", [ONE_BLOCK, MANY_BLOCKS])
def test_many_networks_learn_what_each_fit_learns(small_batch):
    X, y = fastgd.datasets.houses(50, random_state=0)
    specs = [
        {"layer_sizes": [4, 6, 1], "random_state": 1, "batch_size": 10},
        {"layer_sizes": [4, 6, 1], "random_state": 2, "batch_size": 10, "optimizer": fastgd.SGD(0.003, momentum=0.9)},
        {"layer_sizes": [4, 6, 1], "random_state": 3, "batch_size": 7, "epochs": 1, "dropout": 0.2},
        {"layer_sizes": [4, 5, 3, 1], "random_state": 4, "batch_size": 30, "activation": "gelu"},
        {"layer_sizes": [4, 6, 1], "random_state": 5, "dtype": "float64", "optimizer": fastgd.Adam(clip_norm=0.1)},
    ]
    shared = {"epochs": 2, "verbose": 0, "device": "cuda", "optimizer": fastgd.SGD(0.01, momentum=0.5)}
    with cuda_double.engine() as engine:
        engine.SMALL_BATCH = small_batch
        records = fastgd.fit_many(specs, X, y, **shared)
        for spec, record in zip(specs, records, strict=True):
            construction = {name: spec[name] for name in CONSTRUCTION if name in spec}
            alone = fastgd.MLP(**construction)
            history = alone.fit(
                X, y, **shared | {name: value for name, value in spec.items() if name not in construction}
            )
            np.testing.assert_array_equal(record.model.parameters, alone.parameters)
            assert record.history.history["loss"] == history.history["loss"]
            np.testing.assert_array_equal(record.model.predict(X), alone.predict(X))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_prediction_has_the_same_bits_alone_and_in_any_batch(dtype):
    with cuda_double.engine() as engine:
        X, y = fastgd.datasets.houses(40, random_state=0)
        model = fastgd.MLP([4, 7, 3], random_state=1, dtype=dtype, activation="gelu")
        model.fit(X, np.column_stack([y, -y, y**2]), epochs=1, batch_size=10, device="cuda", verbose=0)
        together = model.predict(X)
        for n in (1, 3, 11):
            parts = [model.predict(X[at : at + n]) for at in range(0, 40, n)]
            np.testing.assert_array_equal(np.concatenate(parts), together)
        engine.TILE_BLOCKS = 1
        np.testing.assert_array_equal(model.predict(X), together)


def test_units_are_dropped_at_the_end_of_a_span():
    """The last tile of a batch has room for more rows than have numbers there, with tiles as large as a device's."""
    task = Task(sizes=(3, 5, 2), n_rows=260, batch_size=51, only_trains=True)
    tasks = [task, task._replace(small_batch=MANY_BLOCKS, most_shards=256)]
    one_block, many_blocks = (laid_out(each, tiles=(32, 16, 8, 4))[0] for each in tasks)
    assert same(one_block, many_blocks)
