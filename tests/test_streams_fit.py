"""fit, predict and evaluate over streams: what fits into a buffer has the bits of a table, and nothing else is lost."""

from __future__ import annotations

import threading

import numpy as np
import pandas as pd
import pytest

import fastgd
from fastgd.errors import InvalidInputError
from fastgd.model.streamed import check_stream
from fastgd.training.buffers import Buffers

ROWS = 3000


@pytest.fixture(scope="module")
def table():
    X, y = fastgd.datasets.houses(ROWS, random_state=0)
    return X.astype(np.float32), np.asarray(y, np.float32) / 1e5


@pytest.fixture
def files(table, tmp_path):
    X, y = table
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    return tmp_path / "X.npy", tmp_path / "y.npy"


def batches_of(table, n=70):
    X, y = table
    return [(X[start : start + n], y[start : start + n]) for start in range(0, len(X), n)]


def fitted(*rows, model=None, sizes=(4, 8, 1), **options):
    options = {"epochs": 3, "batch_size": 32, "verbose": 0} | options
    model = model or fastgd.MLP(sizes, random_state=1)
    history = model.fit(*rows, **options)
    return model, history


def same(one, other):
    return (one.parameters == other.parameters).all() and one.parameters.size == other.parameters.size


@pytest.mark.parametrize("kind", ["paths", "Stream", "memmap", "list", "function", "iterator"])
def test_what_fits_into_a_buffer_has_the_bits_of_the_table(kind, table, files):
    rows = {
        "paths": files,
        "Stream": (fastgd.Stream(*files),),
        "memmap": (fastgd.Stream(np.load(files[0], mmap_mode="r"), table[1]),),
        "list": (batches_of(table),),
        "function": (lambda: iter(batches_of(table)),),
        "iterator": (iter(batches_of(table)),),
    }[kind]
    model, history = fitted(*rows)
    whole, known = fitted(*table)
    assert same(model, whole)
    assert history.history == known.history
    assert (history.steps, history.rows_seen) == (known.steps, known.rows_seen)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("device", ["cpu", "plain"])
def test_buffers_in_order_have_the_bits_of_the_table(device, n_threads, table, files):
    options = {"shuffle": False, "device": device, "epochs": 2, "batch_size": 300, "n_threads": n_threads}
    model, history = fitted(*files, model=fastgd.MLP([4, 8, 1], standardize=False), buffer_rows=700, **options)
    whole, known = fitted(*table, model=fastgd.MLP([4, 8, 1], standardize=False), **options)
    assert same(model, whole)
    assert history.history == known.history
    assert history.rows_seen == 2 * ROWS


def test_several_buffers_learn_as_well_and_the_same_every_time(table, files):
    first, history = fitted(*files, buffer_rows=500, epochs=20)
    second, _ = fitted(*files, buffer_rows=500, epochs=20)
    other, _ = fitted(*files, model=fastgd.MLP([4, 8, 1], random_state=2), buffer_rows=500, epochs=20)
    whole, known = fitted(*table, epochs=20)
    assert same(first, second)
    assert not same(first, other)
    assert history.steps == 20 * (6 * 15 + 4)  # of 480 rows, and of what is left
    assert history.history["loss"][-1] < 1.2 * known.history["loss"][-1]
    assert np.allclose(first.scaling.input_std, whole.scaling.input_std, rtol=1e-6)


def test_a_second_fit_goes_on(files):
    whole, _ = fitted(*files, buffer_rows=500, epochs=4)
    parts, _ = fitted(*files, buffer_rows=500, epochs=1)
    fitted(*files, model=parts, buffer_rows=500, epochs=3)
    assert same(whole, parts)


def test_a_function_is_called_for_each_pass(table):
    calls = []

    def made():
        calls.append(threading.current_thread().name)
        return batches_of(table)

    fitted(made, epochs=3, buffer_rows=500)
    assert len(calls) == 4  # one more tells about the columns
    calls.clear()
    fitted(made, epochs=3)
    assert len(calls) == 4


@pytest.mark.parametrize("made", [np.array, list, pd.DataFrame], ids=["arrays", "lists of rows", "frames"])
@pytest.mark.parametrize("buffer_rows", [None, 320], ids=["a buffer", "several buffers"])
def test_a_loader_may_write_each_batch_to_the_same_memory(made, buffer_rows, table):
    own = batches_of(table, 500)
    X, y = made(own[0][0]), own[0][1].copy()

    def loader():
        for rows, targets in own:
            if isinstance(X, pd.DataFrame):
                X.loc[:] = rows
            else:
                X[:] = list(rows)
            y[:] = targets
            yield X, y

    for once in (lambda source: source, lambda source: source()):
        options = {"epochs": 1, "buffer_rows": buffer_rows}
        model, expected = (fitted(once(source), **options)[0] for source in (loader, lambda: iter(own)))
        assert same(model, expected)
        assert (model.predict(once(loader)) == expected.predict(np.concatenate([X for X, _ in own]))).all()
        assert model.evaluate(once(loader)) == expected.evaluate(own)


def test_an_iterator_gives_one_epoch(table):
    model, history = fitted(iter(batches_of(table)), epochs=1, buffer_rows=500)
    assert (history.epochs, history.rows_seen) == (1, ROWS)
    assert np.isfinite(model.predict(table[0])).all()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"epochs": 2}, "can be read only once, but epochs=2"),
        ({"optimizer": fastgd.SGD(fastgd.schedules.Cosine(0.1))}, "stretches over all steps"),
    ],
)
def test_what_an_iterator_cannot_do_is_told(options, told, table):
    model = fastgd.MLP([4, 8, 1], random_state=1)
    before = model.parameters.copy()
    with pytest.raises(InvalidInputError, match=told):
        fitted(iter(batches_of(table)), model=model, **({"epochs": 1, "buffer_rows": 500} | options))
    assert (model.parameters == before).all()
    assert model.fit_state is None


def test_weights_and_classes_come_through(table):
    X, y = table
    labels, weights = np.where(y > np.median(y), "dear", "cheap"), np.linspace(0, 2, ROWS)
    labels[-40:] = "dear"

    def batches():
        return ((X[at : at + 50], labels[at : at + 50], weights[at : at + 50]) for at in range(0, ROWS, 50))

    def new():
        return fastgd.MLP([4, 8, 2], loss="cross_entropy", random_state=1)

    whole, known = fitted(X, labels, sample_weight=weights, class_weight="balanced", model=new(), epochs=15)
    model, history = fitted(batches, model=new(), class_weight="balanced", buffer_rows=500, epochs=15)
    assert model.classes.tolist() == whole.classes.tolist() == ["cheap", "dear"]
    assert history.history["loss"][-1] == pytest.approx(known.history["loss"][-1], rel=0.1)
    assert (model.predict(X) == whole.predict(X)).mean() > 0.97


def test_text_and_gaps_are_encoded_by_what_all_rows_tell(tmp_path):
    import polars as pl

    random = np.random.default_rng(0)
    town = random.choice(["Bonn", "Köln", "Ulm"], ROWS, p=[0.5, 0.45, 0.05])
    size = random.gamma(3, 30, ROWS)
    price = size * np.where(town == "Bonn", 3, 2) + random.normal(size=ROWS)
    frame = pl.DataFrame(
        {
            "town": town,
            "size": [None if gap else value for gap, value in zip(random.random(ROWS) < 0.1, size, strict=True)],
            "price": price,
        }
    )
    frame.write_csv(tmp_path / "houses.csv")

    def new():
        return fastgd.MLP([2, 16, 1], encoding="auto", random_state=1)

    stream = fastgd.Stream(tmp_path / "houses.csv", target="price", buffer_rows=640)
    model, _ = fitted(stream, model=new(), epochs=30)
    whole, _ = fitted(frame.drop("price"), frame["price"], model=new(), epochs=30)
    assert repr(model.encoder) == repr(whole.encoder)
    assert model.target_names == whole.target_names == ("price",)
    errors = [each.evaluate(frame.drop("price"), frame["price"])["rmse"] for each in (model, whole)]
    assert errors[0] < 1.15 * errors[1]
    streamed = model.evaluate(fastgd.Stream(tmp_path / "houses.csv", target="price"))
    assert streamed["rmse"] == pytest.approx(errors[0], rel=1e-9)


def test_predictions_and_metrics_are_those_of_the_table(table, files):
    model, _ = fitted(*table)
    assert (model.predict(files[0]) == model.predict(table[0])).all()
    assert (model.predict(iter([table[0][:7], table[0][7:20]])) == model.predict(table[0][:20])).all()
    assert model.evaluate(*files) == pytest.approx(model.evaluate(*table), rel=1e-12)


def test_rows_to_validate_with_may_be_a_stream(table, files):
    X, y = table
    watch = fastgd.callbacks.EarlyStopping(patience=2)
    model, history = fitted(X, y, validation_data=files, callbacks=[watch], epochs=5)
    known, of_table = fitted(X, y, validation_data=(X, y), callbacks=[fastgd.callbacks.EarlyStopping(patience=2)],
                             epochs=5)  # fmt: skip
    assert same(model, known)
    assert history.history["val_loss"] == pytest.approx(of_table.history["val_loss"], rel=1e-12)
    with pytest.raises(InvalidInputError, match="validation_data is an iterator"):
        fitted(X, y, validation_data=(iter(batches_of(table)), None))
    with pytest.raises(InvalidInputError, match="cannot both be given"):
        fitted(X, y, validation_data=files, validation_split=0.1)


def test_early_stopping_may_look_at_the_rows_of_the_stream(files):
    _, history = fitted(*files, buffer_rows=500, callbacks=[fastgd.callbacks.EarlyStopping("loss", patience=1)])
    assert history.best_epoch is not None


def test_a_buffer_holds_a_batch(files):
    with pytest.raises(InvalidInputError, match="buffer_rows is 31, less than one batch of 32 rows"):
        fitted(*files, buffer_rows=31)


def test_what_takes_a_table_says_so(files):
    stream, model = fastgd.Stream(*files), fitted(*files)[0]
    estimator = fastgd.MLPRegressor(n_networks=1, epochs=1)
    calls = (
        lambda: model.partial_fit(stream, None), lambda: model.health(stream), lambda: model.gradient(stream, None),
        lambda: model.find_learning_rate(stream, None), lambda: fastgd.Ensemble([model, model]).predict(stream),
        lambda: estimator.fit(stream, np.load(files[1])),
        lambda: fastgd.fit_many([{"layer_sizes": [4, 8, 1]}], stream, None, epochs=1),
        lambda: fastgd.search({"layer_sizes": [[4, 4, 1], [4, 8, 1]]}, stream, None),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(
            InvalidInputError, match=r"is a stream, which fit, predict and evaluate of fastgd\.MLP read"
        ):
            call()


def test_batches_of_different_shapes_are_one_sentence(table):
    X, y = table
    with pytest.raises(InvalidInputError, match=r"batches up to batch 1 do not fit together.* each batch one shape\."):
        fitted([(X[:100], y[:100, None]), (X[100:], y[100:])])


def test_y_must_be_somewhere(table, files):
    model, _ = fitted(*table)
    for call in (lambda: model.fit(table[0]), lambda: model.fit(files[0]), lambda: model.evaluate(table[0])):
        with pytest.raises(InvalidInputError, match="y is missing"):
            call()
    with pytest.raises(InvalidInputError, match=r"X\.npy, rows 0 to \d+: there is no y"):
        model.fit(files[0], buffer_rows=500)


def test_a_wrong_row_is_named_and_changes_nothing(table):
    X, y = table[0].copy(), table[1]
    X[2345, 2] = np.nan
    model = fastgd.MLP([4, 8, 1], random_state=1)
    before = model.parameters.copy()
    for rows in (200, 10_000):
        with pytest.raises(InvalidInputError, match=r"row (35|2345).*column 2 is nan"):
            fitted(lambda: batches_of((X, y)), model=model, buffer_rows=rows)
        assert (model.parameters == before).all()
        assert model.fit_state is None
        assert not model.schema.scaled


def breaking(table, in_pass, at):
    passes = []

    def made():
        passes.append(0)
        for number, batch in enumerate(batches_of(table)):
            if len(passes) == in_pass and number == at:
                raise OSError("the disk is gone")
            yield batch

    return made


def test_what_breaks_on_the_way_leaves_the_last_whole_step(table):
    model = fastgd.MLP([4, 8, 1], random_state=1)
    with pytest.raises(OSError, match="the disk is gone"):
        fitted(breaking(table, 3, 30), model=model, buffer_rows=500, epochs=5)
    assert model.fit_state.steps == 94 + 60  # an epoch, and four buffers of 15 steps
    assert np.isfinite(model.predict(table[0])).all()
    known = fastgd.MLP([4, 8, 1], random_state=1)
    fitted(lambda: batches_of(table), model=known, buffer_rows=500, epochs=1)
    assert not same(model, known)
    fitted(lambda: batches_of(table), model=model, buffer_rows=500, epochs=1)  # it goes on
    assert not [thread for thread in threading.enumerate() if thread.name == "fastgd-read"]


def test_a_file_that_changes_on_the_way_is_told(table, files):
    class Writes(fastgd.callbacks.Callback):
        def on_epoch_end(self, epoch, logs):
            np.save(files[0], table[0][:-1])

    model = fastgd.MLP([4, 8, 1], random_state=1)
    with pytest.raises(InvalidInputError, match=r"X\.npy.* has changed"):
        fitted(*files, model=model, buffer_rows=500, callbacks=[Writes()])
    assert model.fit_state.steps == 94


def test_a_pass_with_fewer_rows_is_told(table):
    n_left = [ROWS, ROWS, 1000]

    def made():
        n = n_left.pop(0)
        return batches_of((table[0][:n], table[1][:n]))

    with pytest.raises(InvalidInputError, match=r"ended after 1,000 rows, but had 3,000 when it was first read"):
        fitted(made, buffer_rows=500)


def test_ctrl_c_keeps_what_was_learned(table, files):
    class Stops(fastgd.callbacks.Callback):
        def on_epoch_end(self, epoch, logs):
            raise KeyboardInterrupt

    model, history = fitted(*files, buffer_rows=500, callbacks=[Stops()])
    assert history.ended == "interrupted"
    assert np.isfinite(model.predict(table[0])).all()


def test_a_gpu_takes_tables():
    feed = Buffers.__new__(Buffers)
    feed.n_rows = 5
    with pytest.raises(InvalidInputError, match="not with device='cuda'"):
        check_stream(feed, 1, fastgd.SGD(), "cuda")


def test_a_large_memmap_is_streamed(table, files, monkeypatch):
    monkeypatch.setattr("fastgd.data.streams.stream.BUFFER", 1000)
    monkeypatch.setattr("fastgd.model.lessons.BUFFER", 1000 * 24)
    model, history = fitted(np.load(files[0], mmap_mode="r"), table[1])
    assert history.steps == 3 * (3 * 31 + 1)
    assert not same(model, fitted(*table)[0])
