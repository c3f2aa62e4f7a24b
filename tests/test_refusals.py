"""What the trials of bad inputs found, as it should be: refusals in one clear sentence, and the right numbers."""

from __future__ import annotations

import numpy as np
import pytest

import fastgd
from fastgd.errors import InvalidInputError
from trials.bad_values import ODD, SPOILT


def test_messages_show_what_was_passed_in_one_short_line():
    with pytest.raises(InvalidInputError) as refused:
        fastgd.SGD(momentum=np.ones((50, 50)))
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200
    assert str(refused.value).startswith("momentum must be a number of at least 0 and below 1, not array([[1., 1.,")
    with pytest.raises(InvalidInputError, match=r"not a _Unprintable\.$"):
        fastgd.SGD(momentum=ODD["unprintable"]())


def test_an_array_is_no_word():
    for option in ({"encoding": np.ones(3)}, {"initializer": np.ones(3)}):
        with pytest.raises(InvalidInputError):
            fastgd.MLP([4, 1], **option)
    with pytest.raises(InvalidInputError, match="bins must be a whole number"):
        fastgd.Encoding(bins=np.ones(3))


@pytest.mark.parametrize("name", ["blame", "nudge", "step"])
def test_what_is_explained_is_a_model(name):
    with pytest.raises(InvalidInputError, match=r"^model must be a fastgd\.MLP, not str\.$"):
        getattr(fastgd.explain, name)("model", np.ones((2, 4)), np.ones(2))


def test_tiny_weights_of_a_first_piece_count_by_their_ratios():
    X, y = fastgd.datasets.houses(64, random_state=0)
    weights = np.arange(64) % 2 + 1.0
    models = [fastgd.MLP([4, 3, 1]), fastgd.MLP([4, 3, 1])]
    for model, scale in zip(models, (1.0, 2.0**-200), strict=True):
        model.partial_fit(X, y, sample_weight=weights * scale)
    assert np.array_equal(*(model.parameters for model in models))


def test_a_rate_of_another_kind_of_number_trains_the_same():
    X, y = fastgd.datasets.houses(64, random_state=0)
    ends = []
    for start in (0.25, np.longdouble(0.25)):
        model = fastgd.MLP([4, 3, 1])
        optimizer = fastgd.SGD(fastgd.schedules.WarmUp(0.5, 4, start=start))
        model.fit(X, y, epochs=2, optimizer=optimizer, verbose=0)
        ends.append(model.parameters)
    assert np.array_equal(*ends)


def test_long_doubles_are_measured_as_float64():
    X, y = fastgd.datasets.houses(64, random_state=0)
    model = fastgd.MLP([4, 3, 1])
    model.fit(X, y, epochs=1, verbose=0)
    assert model.evaluate(X, y.astype(np.longdouble)) == model.evaluate(X, y.astype(np.float64))


def test_labels_in_float16():
    X, y = fastgd.datasets.houses(64, random_state=0)
    labels = (y > np.median(y)).astype(np.float16)
    models = [fastgd.MLP([4, 2], loss="cross_entropy") for _ in range(2)]
    for model, given in zip(models, (labels, labels.astype(np.float64)), strict=True):
        model.fit(X, given, epochs=1, verbose=0)
    assert np.array_equal(*(model.parameters for model in models))


def test_houses_have_sizes_that_are_finite_and_not_negative():
    for wrong, told in ((-1.0, "size_m2 is -1"), (1e300, r"size_m2 is 1e\+300"), (np.nan, "is nan")):
        with pytest.raises(InvalidInputError, match=told):
            fastgd.datasets.expected_price([[wrong, 3, 5, 30]])


def test_groups_without_an_order_are_refused():
    X, y = fastgd.datasets.houses(64, random_state=0)
    with pytest.raises(InvalidInputError, match="groups must be numbers or text, all of one kind"):
        fastgd.search({"layer_sizes": [[4, 1]]}, X, y, groups=[1, "a"] * 32, cv=2, n_candidates=1, verbose=0)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: fastgd.losses.Quantile(ODD["a list that holds itself"]()), "levels must be different numbers"),
        (lambda: fastgd.losses.Quantile([[0.1], [0.2, 0.3]]), "levels must be different numbers"),
        (lambda: fastgd.space.Integer(1, 2**63), "high must be from -2\\*\\*63 to below 2\\*\\*63"),
        (lambda: fastgd.schedules.Function(0.1), "function must be a function of the step, not 0.1"),
        (lambda: fastgd.schedules.ReduceOnPlateau(0.1, least=0.2), "least must be at most the learning rate 0.1"),
        (lambda: fastgd.MLP([4, 1], feature_names=SPOILT["2**31 rows"](np.ones(4))), "must be a list of 4 different"),
        (lambda: fastgd.space.Choice(SPOILT["2**31 rows"](np.ones(4))), "Choice: values must be a list"),
        (lambda: fastgd.callbacks.EarlyStopping(monitor=np.ones(99)), r"not array\(\[1., 1., 1.,"),
        (lambda: fastgd.Ensemble([fastgd.MLP([4, 1])], weights=np.array(1.0)), "has never been fitted"),
    ],
)
def test_refusals_that_were_found(call, told):
    with pytest.raises(InvalidInputError, match=told):
        call()


def test_a_search_takes_a_list_of_folds():
    X, y = fastgd.datasets.houses(64, random_state=0)
    with pytest.raises(InvalidInputError, match="cv must be a number of folds"):
        fastgd.search({"layer_sizes": [[4, 1]]}, X, y, cv=np.array(0.5), n_candidates=1, verbose=0)


def test_rates_next_to_nothing_are_compared():
    X, y = fastgd.datasets.houses(4, random_state=0)
    creeping, _ = fastgd.explain.learning_rates(fastgd.MLP([4, 1]), X, y, [5e-324, 0.1], steps=4)
    assert creeping.verdict == "too low"


def test_a_rate_for_a_batch_is_any_real_number():
    X, y = fastgd.datasets.houses(64, random_state=0)
    losses = []
    for rate in (0.25, np.longdouble(0.25), np.float32(0.25)):
        model = fastgd.MLP([4, 3, 1])
        model.fit(X, y, epochs=1, verbose=0)
        losses.append([fastgd.train_batch(model.compiled(), X, y, rate) for _ in range(2)])
    assert losses[0] == losses[1] == losses[2]
    for wrong in (True, 10**400):
        with pytest.raises(InvalidInputError, match="takes learning_rate as a number"):
            fastgd.train_batch(model.compiled(), X, y, wrong)


def test_one_weight_for_all_rows_is_looked_at_by_estimators():
    X, y = fastgd.datasets.houses(64, random_state=0)
    model = fastgd.MLPRegressor(hidden_layer_sizes=(3,), epochs=1)
    for wrong, told in ((np.nan, "must be finite numbers, not nan"), (1j, "has complex numbers")):
        with pytest.raises(ValueError, match=told):
            model.fit(X, y, sample_weight=wrong)


def test_streams_are_shared_by_whole_numbers_of_processes():
    stream = fastgd.Stream(np.ones((10, 3)), np.ones(10))
    with pytest.raises(InvalidInputError, match="rank must be below the number of processes, 2, not 2"):
        stream.share(2, 2)
    with pytest.raises(InvalidInputError, match="change must be a function"):
        stream.changed("no function")
    with pytest.raises(InvalidInputError, match="buffer_rows must be a whole number"):
        stream.buffered("5")


def test_names_of_files_are_shown_in_one_line(tmp_path):
    with pytest.raises(fastgd.errors.ModelFileError) as refused:
        fastgd.load(tmp_path / "one\ntwo")
    assert "\n" not in str(refused.value)
    with pytest.raises(InvalidInputError, match="no file has such a name"):
        fastgd.Stream(f"half {chr(0xD800)}.npy")


def test_a_table_beyond_memory_is_refused(monkeypatch):
    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr(np, "ascontiguousarray", full)
    with pytest.raises(InvalidInputError, match="X takes more memory than there is"):
        fastgd.MLP([4, 1]).predict(np.ones((3, 4), np.float16))
