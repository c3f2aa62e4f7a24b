"""`fit(..., comm=comm)`: what is learned of the rows of all ranks, options, callbacks, errors. MPI is doubled here."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from ranks_double import returned, together

import fastgd
from fastgd.callbacks import Callback, EarlyStopping, Recorder
from fastgd.errors import DeviceError, DivergenceError, InvalidInputError, RankError

SIZE = 3
QUIET = {"verbose": 0, "epochs": 3}


@pytest.fixture(scope="module")
def houses():
    return fastgd.datasets.houses(200, random_state=1)


def share(table, rank, size, cuts=None):
    """A rank's part of a table."""
    bounds = [len(table) * r // size for r in range(size + 1)] if cuts is None else [0, *cuts, len(table)]
    return table[bounds[rank] : bounds[rank + 1]]


def new_model(**options):
    return fastgd.MLP([4, 8, 1], **{"random_state": 2} | options)


def fitted(comm, tables, model=None, cuts=None, **options):
    """A rank's model and history; `options` may be functions of the rank."""
    model = model or new_model()
    X, y = (share(table, comm.rank, comm.size, cuts) for table in tables)
    own = {name: value(comm.rank) if callable(value) else value for name, value in options.items()}
    return model, model.fit(X, y, comm=comm, **QUIET | own)


def same(models):
    """The parameters that all ranks have."""
    (bits,) = {model.parameters.tobytes() for model in models}
    return bits


def test_one_rank_fits_as_a_model_alone(houses):
    alone, [(model, history)] = new_model(), returned(1, fitted, houses)
    expected = alone.fit(*houses, **QUIET)
    assert model.parameters.tobytes() == alone.parameters.tobytes()
    assert history.history == expected.history


@pytest.mark.parametrize("cuts", [None, [10, 150]])
def test_all_ranks_have_one_model_one_scaling_and_one_history(houses, cuts):
    found = returned(SIZE, lambda comm: fitted(comm, houses, cuts=cuts))
    same([model for model, _ in found])
    assert len({repr(history.to_dict()) for _, history in found}) == 1
    assert found[0][1].thread_reason.startswith("each rank trains with one thread")
    X, y = houses
    for model, _ in found:
        np.testing.assert_allclose(model.scaling.input_mean, X.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(model.scaling.target_std, [y.std()], rtol=1e-6)
    predictions = [model.predict(X) for model, _ in found]
    assert all((other == predictions[0]).all() for other in predictions)


def test_ranks_learn_as_well_as_one_process(houses):
    found = returned(4, lambda comm: fitted(comm, houses, epochs=40))
    alone = new_model()
    alone.fit(*houses, epochs=40, verbose=0)
    assert found[0][0].evaluate(*houses)["r2"] == pytest.approx(alone.evaluate(*houses)["r2"], abs=0.05)


def test_weights_have_their_mean_over_all_ranks(houses):
    X, y = houses
    weights = np.linspace(0.1, 5, len(X))

    def fit(comm):
        model = new_model(standardize=False, dtype="float64", activation="tanh")
        part = share(weights, comm.rank, comm.size)
        optimizer = fastgd.SGD(learning_rate=1e-9)
        model.fit(share(X, comm.rank, comm.size), share(y, comm.rank, comm.size), sample_weight=part, comm=comm,
                  epochs=1, batch_size=len(X), optimizer=optimizer, verbose=0)  # fmt: skip
        return model

    start, model = new_model(standardize=False, dtype="float64", activation="tanh"), returned(SIZE, fit)[0]
    gradient = start.gradient(X, y, sample_weight=weights)
    np.testing.assert_allclose(model.parameters, start.parameters - 1e-9 * gradient, rtol=1e-12)


def test_classes_of_all_ranks_are_known():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(90, 4)), np.repeat(["a", "b", "c"], 30)

    def fit(comm):
        model = fastgd.MLP([4, 8, 3], loss="cross_entropy", random_state=0)
        model.fit(share(X, comm.rank, 3), share(y, comm.rank, 3), class_weight="balanced", comm=comm, **QUIET)
        return model

    models = returned(3, fit)
    same(models)
    assert [model.classes.tolist() for model in models] == [["a", "b", "c"]] * 3


def test_encoded_tables_are_learned_from_all_ranks():
    import polars as pl

    frame = pl.DataFrame(
        {"street": ["north", "south", "east"] * 30, "size": np.arange(90.0) * 7 % 90, "y": np.arange(90) % 7}
    )

    def fit(comm):
        part = frame[comm.rank * 30 : comm.rank * 30 + 30].filter(pl.col("street") != "east" if comm.rank < 2 else True)
        model = fastgd.MLP([2, 8, 1], encoding="auto", random_state=0)
        model.fit(part.select("street", "size"), part["y"], comm=comm, **QUIET)
        return model

    models = returned(3, fit)
    same(models)
    assert [model.feature_names for model in models] == [("street", "size")] * 3
    assert models[2].predict(pl.DataFrame({"street": ["east"], "size": [3.0]})).shape == (1,)


def test_all_start_with_the_model_of_rank_0(houses):
    found = returned(SIZE, lambda comm: fitted(comm, houses, new_model(random_state=comm.rank)))
    expected = returned(SIZE, lambda comm: fitted(comm, houses, new_model(random_state=0)))
    assert same([model for model, _ in found]) == same([model for model, _ in expected])


@pytest.mark.parametrize("optimizer", [fastgd.Adam(learning_rate=0.01), fastgd.AdamW(ema_decay=0.9), None])
def test_a_second_fit_goes_on(houses, optimizer):
    def in_two(comm):
        model, _ = fitted(comm, houses, epochs=2, optimizer=optimizer)
        return fitted(comm, houses, model, epochs=1)[0]

    def loaded_on_rank_0(comm):
        model, _ = fitted(comm, houses, epochs=2, optimizer=optimizer)
        return fitted(comm, houses, model if comm.rank == 0 else None, epochs=1)[0]

    whole = same([model for model, _ in returned(SIZE, lambda comm: fitted(comm, houses, optimizer=optimizer))])
    assert same(returned(SIZE, in_two)) == whole
    assert same(returned(SIZE, loaded_on_rank_0)) == whole


def test_early_stopping_and_validation_on_rank_0(houses):
    stop = EarlyStopping(patience=2)
    found = returned(SIZE, lambda comm: fitted(
        comm, houses, epochs=60, optimizer=fastgd.SGD(learning_rate=0.3),
        callbacks=lambda rank: [stop] if rank == 0 else [],
        validation_data=lambda rank: houses if rank == 0 else None,
    ))  # fmt: skip
    same([model for model, _ in found])
    histories = [history for _, history in found]
    assert histories[0].ended == "callback"
    assert {history.best_epoch for history in histories} == {stop.best_epoch + 1}
    assert {tuple(history["val_loss"]) for history in histories} == {tuple(histories[0]["val_loss"])}
    (X, y), model = houses, found[2][0]
    assert model.evaluate(X, y)["loss"] == pytest.approx(histories[2].kept["val_loss"])


def test_early_stopping_may_watch_the_loss_of_all_rows(houses):
    stop = EarlyStopping(monitor="loss", patience=1)
    found = returned(
        SIZE,
        lambda comm: fitted(comm, houses, callbacks=lambda rank: stop if rank == 0 else EarlyStopping(monitor="loss")),
    )
    model = found[0][0]
    assert same([model for model, _ in found])
    assert model.evaluate(*houses)["loss"] == pytest.approx(stop.best, rel=1e-4)


def test_plateaus_of_validation_are_seen_by_all(houses):
    optimizer = fastgd.SGD(learning_rate=fastgd.schedules.ReduceOnPlateau(0.5, patience=0, threshold=0.5))
    found = returned(
        SIZE,
        lambda comm: fitted(
            comm, houses, epochs=6, optimizer=optimizer, validation_data=lambda rank: houses if rank == 0 else None
        ),
    )
    same([model for model, _ in found])
    assert found[1][1]["learning_rate"][-1] < 0.5


def test_what_a_recorder_keeps_is_there_on_rank_0(houses):
    recorder = Recorder()
    model, _ = returned(SIZE, lambda comm: fitted(comm, houses, callbacks=lambda rank: recorder if rank == 0 else ()))[
        0
    ]
    assert [entry.epoch for entry in recorder.recorded] == [0, 1, 2, 3]
    assert (recorder.recorded[-1].parameters == model.parameters).all()


def test_a_function_as_learning_rate_is_that_of_rank_0(houses):
    def fit(comm, factor):
        optimizer = fastgd.SGD(learning_rate=lambda step: 0.01 * (1 + factor * comm.rank))
        return fitted(comm, houses, optimizer=lambda rank: optimizer)[0]

    assert same(returned(SIZE, fit, 1)) == same(returned(SIZE, fit, 0))


def failing(size, tables, **options):
    """The sentences with which ranks end."""
    answers = together(size, lambda comm: fitted(comm, tables, **options))
    assert all(isinstance(answer, Exception) for answer in answers), answers
    return [str(answer) for answer in answers]


@pytest.mark.parametrize(
    ("option", "values", "sentence"),
    [
        ("batch_size", (32, 32, 64), "rank 2 has batch_size 64, but rank 0 has 32: all ranks must be given the same."),
        ("epochs", (3, 4, 3), "rank 1 has epochs 4, but rank 0 has 3: all ranks must be given the same."),
        (
            "optimizer", (None, None, fastgd.SGD(learning_rate=0.5)),
            "rank 2 has optimizer SGD(learning_rate=0.5), but rank 0 has none: all ranks must be given the same.",
        ),
        ("shuffle", (True, False, True), "rank 1 has shuffle False, but rank 0 has True"),
        ("device", ("cpu", "cpu", "plain"), "rank 2 has device plain, but rank 0 has cpu"),
        ("batch_size", (32, 0, 32), "rank 1: batch_size must be"),
        ("epochs", ("3", "3", "3"), "epochs must be"),
        ("optimizer", ("adam",) * 3, "optimizer must be"),
        ("validation_split", (0.2,) * 3, "validation_split cannot be used with comm: give validation_data on rank 0"),
        ("n_threads", (2,) * 3, "n_threads is 2, but with comm each rank trains with one thread"),
        ("batch_size", (2,) * 3, "batch_size=2 is below the 3 ranks"),
        ("callbacks", ([3], [], []), "rank 0: 3 is not a callback"),
        ("callbacks", ([EarlyStopping()], [], []), "There is no quantity 'val_loss' to monitor"),
        ("verbose", (7, 0, 0), "rank 0: verbose must be"),
        ("validation_data", ((1, 2), None, None), "validation_data: "),
        ("sample_weight", (None, np.ones(67), None), "rank 1 has sample_weight some, but rank 0 has none"),
    ],
)  # fmt: skip
def test_options_that_differ_or_are_wrong_are_a_sentence_on_all(houses, option, values, sentence):
    for text in failing(SIZE, houses, **{option: lambda rank: values[rank]}):
        assert sentence in text


def test_networks_that_differ(houses):
    def fit(comm):
        return fitted(comm, houses, fastgd.MLP([4, 8 + comm.rank, 1]))

    for error in together(2, fit):
        assert str(error).startswith("rank 1 has layer_sizes [4, 9, 1], but rank 0 has [4, 8, 1]")
        assert isinstance(error, InvalidInputError)


def test_many_networks_take_no_communicator(houses):
    X, y = houses
    with pytest.raises(InvalidInputError, match=r"^There is no option `comm`"):
        fastgd.fit_many([{"layer_sizes": [4, 8, 1]}], X, y, comm=object())


def test_a_gpu_is_refused(houses, monkeypatch):
    with pytest.raises((InvalidInputError, DeviceError)):
        returned(1, lambda comm: fitted(comm, houses, device="cuda"))


@pytest.mark.parametrize("fitted_before", [False, True])
def test_rows_that_cannot_be_used_leave_all_models_as_they_were(houses, fitted_before):
    X, y = houses
    broken = X.copy()
    broken[-3, 2] = np.nan

    def fit(comm):
        model = new_model()
        if fitted_before:
            fitted(comm, houses, model)
        before = model.parameters.tobytes(), model.scaling.input_mean.tobytes(), model.fit_state
        with pytest.raises(InvalidInputError) as caught:
            fitted(comm, (broken, y), model)
        after = model.parameters.tobytes(), model.scaling.input_mean.tobytes(), model.fit_state
        assert before[:2] == after[:2]
        assert (before[2] is None) == (after[2] is None)
        assert fitted(comm, houses, model)[1].epochs == 3  # and can be used
        return str(caught.value)

    for text in returned(SIZE, fit):
        assert text.startswith("rank 2, row 64: X, column 2 is ")


def test_columns_that_differ(houses):
    X, y = houses

    def fit(comm):
        own = X[:, :3] if comm.rank == 1 else X
        return fitted(comm, (own, y))

    for error in together(SIZE, fit):
        assert isinstance(error, InvalidInputError)
        assert str(error).startswith("rank 1: X has ")


def test_names_of_columns_that_differ(houses):
    import polars as pl

    X, y = houses

    def fit(comm):
        names = ["a", "b", "c", "d"] if comm.rank < 2 else ["b", "a", "c", "d"]
        return fitted(comm, (pl.DataFrame(X, schema=names), y))

    for error in together(SIZE, fit):
        assert str(error).startswith("rank 2")
        assert "b, a, c, d" in str(error)
        assert "rank 0" in str(error)


def test_a_column_that_is_text_on_one_rank_is_named_with_it():
    import polars as pl

    def fit(comm):
        sizes = ["large"] * 30 if comm.rank == 1 else list(range(30))
        frame = pl.DataFrame({"size": sizes, "age": range(30)})
        fastgd.MLP([2, 4, 1], encoding="auto").fit(frame, np.arange(30), comm=comm, **QUIET)

    for error in together(SIZE, fit):
        assert isinstance(error, InvalidInputError)
        assert str(error).startswith("rank 1: X, column 0 (size) holds text here, but held numbers before")


@pytest.mark.parametrize("rows", [1, 2])
def test_more_ranks_than_rows(houses, rows):
    X, y = houses
    for text in failing(SIZE, (X[:rows], y[:rows])):
        assert text == "rank 0: X is empty: it has shape (0, 4) and no rows."


class Failing(Callback):
    def __init__(self, where):
        setattr(self, where, self.fail)

    def fail(self, *arguments):
        raise OSError("disk full")


@pytest.mark.parametrize("where", ["on_train_begin", "on_epoch_begin", "on_epoch_end", "on_train_end"])
def test_a_callback_that_fails_ends_all_with_the_same_model(houses, where):
    models = [new_model() for _ in range(SIZE)]

    def fit(comm):
        callbacks = [Failing(where)] if comm.rank == 0 else []
        return fitted(comm, houses, models[comm.rank], callbacks=lambda rank: callbacks)

    found = together(SIZE, fit)
    assert isinstance(found[0], OSError)
    assert {(type(error), str(error)) for error in found[1:]} == {(RankError, "rank 0: OSError: disk full")}
    same(models)
    assert (models[1].fit_state is not None) == (where in ("on_epoch_end", "on_train_end"))


def test_a_blow_up_leaves_the_same_model_everywhere(houses):
    models = [new_model(activation="relu") for _ in range(SIZE)]

    def fit(comm):
        with warnings.catch_warnings():
            return fitted(comm, houses, models[comm.rank], optimizer=fastgd.SGD(learning_rate=1e12))

    errors = together(SIZE, fit)
    assert {type(error) for error in errors} == {DivergenceError}
    assert len({str(error) for error in errors}) == 1
    same(models)


class Pressing(Callback):
    """Presses Ctrl-C on rank 0, as its handler would note it."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


def test_after_ctrl_c_all_have_the_same_usable_model(houses):
    found = returned(SIZE, lambda comm: fitted(comm, houses, epochs=50, callbacks=lambda rank: [Pressing()]))
    same([model for model, _ in found])
    assert {history.ended for _, history in found} == {"interrupted"}
    assert {history.epochs for _, history in found} == {2}
    assert np.isfinite(found[2][0].predict(houses[0])).all()


def test_only_rank_0_shows_the_training(houses, capsys):
    returned(SIZE, lambda comm: fitted(comm, houses, verbose=2))
    assert capsys.readouterr().out.count("epoch") == 3


def test_many_networks_are_not_trained_by_ranks(houses):
    with pytest.raises(InvalidInputError, match="comm"):
        fastgd.fit_many([{"layer_sizes": [4, 1]}], *houses, comm=None, verbose=0)
