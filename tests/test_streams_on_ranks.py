"""Ranks that read their shares of a stream: as many buffers on each, every row once, errors on all. MPI is doubled."""

from __future__ import annotations

import numpy as np
import pytest
from ranks_double import returned, together

import fastgd
from fastgd.callbacks import EarlyStopping
from fastgd.data.streams.joined import joined
from fastgd.errors import InputWarning, InvalidInputError, RankError
from fastgd.training.shared_buffers import first_rows, shared_sizes

SIZE = 3
QUIET = {"verbose": 0, "epochs": 3}


@pytest.fixture(scope="module")
def houses():
    return fastgd.datasets.houses(230, random_state=1)


@pytest.fixture
def files(houses, tmp_path):
    paths = [str(tmp_path / name) for name in ("X.npy", "y.npy")]
    for path, table in zip(paths, houses, strict=True):
        np.save(path, table)
    return paths


def new_model():
    return fastgd.MLP([4, 8, 1], random_state=2)


def same(models):
    """The parameters that all ranks have."""
    (bits,) = {model.parameters.tobytes() for model in models}
    return bits


@pytest.mark.parametrize("sizes", [[7], [10, 10], [3, 90, 7], [1, 1, 1, 1], [100, 1, 1], [10**12, 3 * 10**12 + 1]])
def test_ranks_walk_evenly_and_never_back(sizes):
    n_all, before = sum(sizes), [0] * len(sizes)
    places = range(n_all + 1) if n_all < 200 else [0, 1, 2, 999, n_all // 3, n_all - 1, n_all]
    for place in places:
        counts = first_rows(place, sizes)
        assert sum(counts) == place
        assert all(old <= count <= n for old, count, n in zip(before, counts, sizes, strict=True))
        assert all(abs(count - place * n / n_all) < 2 for count, n in zip(counts, sizes, strict=True))
        before = counts
    assert before == sizes


@pytest.mark.parametrize(("sizes", "most", "batch_size"), [([100, 100], 25, 10), ([30, 71, 50], 20, 7), ([64], 16, 16)])
def test_buffers_are_whole_batches_of_all_ranks(sizes, most, batch_size):
    buffers = [shared_sizes(sizes, [most] * len(sizes), batch_size, rank) for rank in range(len(sizes))]
    for rank, own in enumerate(buffers):
        assert sum(size.own for size in own) == sizes[rank]
        assert max(size.own for size in own) <= most + 2
        assert [size.all for size in own] == [size.all for size in buffers[0]]
        assert all(size.all % batch_size == 0 for size in own[:-1])
    assert [size.all for size in buffers[0]] == [sum(parts[k].own for parts in buffers) for k in range(len(buffers[0]))]
    assert len(buffers[0]) > 2


def test_tables_in_memory_are_one_buffer_however_few_rows_a_rank_has():
    assert [len(shared_sizes([1, 5000], [1, 5000], 32, rank)) for rank in (0, 1)] == [1, 1]


def test_a_rank_with_too_few_rows_for_all_buffers_is_named():
    for rank in range(2):
        with pytest.raises(InvalidInputError, match=r"rank 0 has 2 of 1,002 rows, which are too few .* share the rows"):
            shared_sizes([2, 1000], [100, 100], 10, rank)


def stream_of(files, comm, **options):
    return fastgd.Stream(*files, **options).share(comm.rank, comm.size)


def test_a_stream_that_fits_has_the_bits_of_the_same_tables(files):
    def from_stream(comm):
        model = new_model()
        return model, model.fit(stream_of(files, comm), comm=comm, **QUIET)

    def from_tables(comm):
        X, y, _ = joined(list(stream_of(files, comm).source.batches(None, 10**6)))
        model = new_model()
        return model, model.fit(X, y, comm=comm, **QUIET)

    streamed, tables = returned(SIZE, from_stream), returned(SIZE, from_tables)
    assert same([model for model, _ in streamed]) == same([model for model, _ in tables])
    assert streamed[1][1].history == tables[1][1].history


@pytest.mark.parametrize("shuffle", [True, False])
def test_several_buffers_have_every_row_in_each_pass(files, houses, shuffle):
    def fit(comm):
        model = new_model()
        stream = stream_of(files, comm, buffer_rows=30)
        return model, model.fit(stream, comm=comm, shuffle=shuffle, batch_size=30, **QUIET)

    found = returned(SIZE, fit)
    same([model for model, _ in found])
    model, history = found[0]
    assert history.steps == 3 * 8  # 230 rows in batches of 30
    np.testing.assert_allclose(model.scaling.input_mean, houses[0].mean(axis=0), rtol=1e-6)
    again = returned(SIZE, fit)
    assert same([model for model, _ in again]) == same([model for model, _ in found])


def test_batches_of_a_function_are_shared_and_the_loss_of_all_rows_is_watched(houses):
    X, y = houses
    stop = EarlyStopping(monitor="loss", patience=1)

    def batches():
        for start in range(0, len(X), 10):
            yield X[start : start + 10], y[start : start + 10]

    def fit(comm):
        model, stream = new_model(), fastgd.Stream(batches, buffer_rows=40).share(comm.rank, comm.size)
        callbacks = [stop] if comm.rank == 0 else []
        history = model.fit(stream, comm=comm, callbacks=callbacks, batch_size=32, validation_data=houses, **QUIET)
        return model, history

    found = returned(SIZE, fit)
    same([model for model, _ in found])
    loss = found[0][0].evaluate(*houses)["loss"]
    assert loss == pytest.approx(stop.best, rel=1e-4)
    assert found[2][1].kept["val_loss"] == pytest.approx(loss, rel=1e-6)


def test_a_stream_that_breaks_on_one_rank_ends_all_with_the_same_model(houses):
    X, y = houses
    models = [new_model() for _ in range(SIZE)]

    def fit(comm):
        passes = []

        def batches():
            passes.append(1)
            for start in range(0, len(X), 10):
                if comm.rank == 1 and len(passes) == 3 and start > 100:
                    raise OSError("the disk is gone")
                yield X[start : start + 10], y[start : start + 10]

        stream = fastgd.Stream(batches, buffer_rows=20).share(comm.rank, comm.size)
        models[comm.rank].fit(stream, comm=comm, epochs=9, verbose=0)

    errors = together(SIZE, fit)
    assert isinstance(errors[1], OSError)
    assert {(type(error), str(error)) for error in errors[::2]} == {(RankError, "rank 1: OSError: the disk is gone")}
    same(models)
    assert len({model.fit_state.steps for model in models}) == 1
    assert models[0].fit_state.steps > 8


def test_a_broken_row_is_named_with_its_rank_and_its_place(files):
    X = np.load(files[0])
    X[17, 2] = np.inf
    np.save(files[0], X)
    errors = together(2, lambda comm: new_model().fit(stream_of(files, comm), comm=comm, **QUIET))
    (sentence,) = {str(error) for error in errors}
    assert sentence.startswith("rank ")
    assert "X.npy, row 17" in sentence


def test_the_whole_stream_on_every_rank_is_warned_of(files):
    with pytest.warns(
        InputWarning, match=r"Each of the 2 ranks reads the whole of .*X.npy: give each its part, stream"
    ):
        returned(2, lambda comm: new_model().fit(fastgd.Stream(*files), comm=comm, **QUIET))


def test_more_ranks_than_rows_in_a_file(tmp_path):
    np.save(tmp_path / "X.npy", np.ones((2, 4)))
    np.save(tmp_path / "y.npy", np.ones(2))
    paths = [str(tmp_path / "X.npy"), str(tmp_path / "y.npy")]
    with pytest.raises(InvalidInputError, match="fewer than the 3 processes that share it"):
        fastgd.Stream(*paths).share(0, 3)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (lambda houses: iter([houses]), "X is an iterator, which can be read only once"),
        (lambda houses: lambda: iter([houses]), "rank 1 has X a table, but rank 0 has a stream"),
    ],
)
def test_what_cannot_be_shared_is_a_sentence_on_all(houses, given, sentence):
    def fit(comm):
        if comm.rank == 1 and "table" in sentence:
            return new_model().fit(*houses, comm=comm, **QUIET)
        return new_model().fit(given(houses), comm=comm, **QUIET)

    for error in together(2, fit):
        assert isinstance(error, InvalidInputError)
        assert sentence in str(error)
