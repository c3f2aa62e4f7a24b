"""Models of tables as they come: what is learned of columns, what rows become, and what is said of them."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from model_files import assembled, parts, peak, with_header

import fastgd
from fastgd.data.column_codes import NumberCode
from fastgd.data.columns import read_columns
from fastgd.data.encoding import Encoding, learn
from fastgd.errors import InputWarning, InvalidInputError, ModelFileError, PrecisionWarning

NONE, F64 = np.zeros(0), np.dtype(np.float64)


def learned(frame, encoding=None, weights=NONE, chosen=None):
    table = read_columns(frame, len(frame.columns), None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        return learn(encoding or Encoding(), table, weights, chosen, np.zeros((len(frame), 1))), table


def houses(n=300, seed=0, gaps=True):
    """Prices that follow size and city; the garden is worth nothing."""
    generator = np.random.default_rng(seed)
    size, city = generator.uniform(30, 200, n), generator.choice(["Bonn", "Ulm", "Trier"], n)
    price = 1000 * size + np.where(city == "Bonn", 80_000, np.where(city == "Ulm", 20_000, 0))
    frame = pd.DataFrame({"size": size, "city": city, "garden": generator.random(n) < 0.5})
    if gaps:
        frame.loc[::10, "size"] = np.nan
        frame.loc[5::10, "city"] = None
        price = price.copy()
        price[::10] = 40_000  # where nothing is known of the size, houses are cheap
    return frame, price


# What rows become.


def test_numbers_without_bins_stay_and_gaps_stand_at_the_mean():
    encoder, table = learned(pd.DataFrame({"x": [1.0, None, 3.0], "z": [5.0, 6.0, 10.0]}))
    assert encoder.inputs == (2, ((0, 1),), (0, 1, -1))
    np.testing.assert_array_equal(encoder.encode(table, F64, "plain"), [[1, 5, 0], [2, 6, 1], [3, 10, 0]])


def test_labels_become_levels_in_their_order():
    frame = pd.DataFrame({"city": ["Ulm", "Bonn", None, "Bonn"] * 5, "x": range(0, 40, 2)})
    encoder, table = learned(frame, Encoding(least_rows=5))
    code = encoder.codes[0]
    assert code[:3] == (("Bonn", "Ulm"), False, True)
    assert encoder.encode(table, F64, "plain")[:4, 1].tolist() == [2, 1, 3, 1]


def test_rare_labels_are_pooled_and_the_most_frequent_are_kept():
    labels = ["a"] * 30 + ["b"] * 20 + ["c"] * 12 + ["d"] * 3 + ["e"] * 2
    frame = pd.DataFrame({"s": labels, "x": np.arange(67.0) ** 2})
    (code, _), _ = learned(frame, Encoding(least_rows=10))[0].codes, None
    assert code[:3] == (("a", "b", "c"), True, False)
    (code, _), _ = learned(frame, Encoding(least_rows=10, most_levels=1))[0].codes, None
    assert code[:3] == (("a",), True, False)
    encoder, table = learned(frame, Encoding(least_rows=10, most_levels=1))
    assert set(encoder.encode(table, F64, "plain")[30:, 1]) == {2}


@pytest.mark.parametrize(("n_rows", "least"), [(40, 1), (100, 2), (499, 9), (500, 10), (10**6, 10)])
def test_how_many_rows_a_level_needs(n_rows, least):
    assert Encoding().least_rows_for(n_rows) == least
    assert Encoding(least_rows=3).least_rows_for(n_rows) == 3


def test_a_single_rare_label_needs_no_pool():
    frame = pd.DataFrame({"s": ["a"] * 30 + ["b"], "x": np.arange(31.0) ** 2})
    assert learned(frame)[0].codes[0][:3] == (("a", "b"), False, False)


def test_numbers_with_bins():
    values = np.random.default_rng(0).normal(size=200)
    values[7] = np.nan
    encoder, table = learned(pd.DataFrame({"x": values}), Encoding(bins=8))
    (code,) = encoder.codes
    assert isinstance(code, NumberCode)
    assert encoder.inputs == (1, ((8, 1),), (0,) * 9 + (-1,))
    rows = encoder.encode(table, F64, "plain")
    assert rows[7].tolist() == [0, 9]  # at its mean, and the level that says so
    assert abs(rows[:, 0].std() - 1) < 0.1
    assert rows[np.nanargmin(values), 1] == 0
    assert rows[np.nanargmax(values), 1] == 8


@pytest.mark.parametrize(
    ("n_rows", "n_columns", "bins"),
    [(999, 8, 0), (1000, 8, 8), (1437, 64, 0), (16_512, 8, 86), (10**6, 8, 192), (10**6, 50, 81), (60_000, 784, 0)],
)
def test_how_many_bins_there_are(n_rows, n_columns, bins):
    assert Encoding().bins_for(n_rows, n_columns) == bins
    assert Encoding(bins=5).bins_for(n_rows, n_columns) == 5


@pytest.mark.parametrize("loss", ["mse", "cross_entropy", "binary_cross_entropy"])
def test_bins_follow_the_target(loss):
    generator = np.random.default_rng(0)
    X = generator.uniform(0, 1, (6000, 2))
    wave = np.sin(80 * X[:, 0])
    y = {"mse": wave, "cross_entropy": np.digitize(wave, [-0.5, 0.5]), "binary_cross_entropy": wave > 0}[loss]
    model = fastgd.MLP([2, 4, 3 if loss == "cross_entropy" else 1], loss=loss, encoding="auto")
    model.fit(X, y, epochs=1, verbose=0)
    assert [code.n_bins for code in model.encoder.codes] == [31, 8]


def test_only_the_chosen_rows_that_count_teach():
    frame = pd.DataFrame({"x": [1.0, 2.0, 100.0, np.nan], "s": ["a", "b", "c", "d"]})
    encoder, _ = learned(frame, Encoding(least_rows=1), np.array([1.0, 1.0, 0.0, 1.0]), np.array([0, 1, 2]))
    numbers, labels = encoder.codes
    assert numbers.mean == 1.5
    assert not numbers.has_gaps
    assert labels.levels == ("a", "b")


def test_many_rows_are_sampled_but_labels_and_gaps_are_all_seen(monkeypatch):
    from fastgd.data import encoding

    monkeypatch.setattr(encoding, "MOST_LOOKED_AT", 50)
    frame = pd.DataFrame({"x": np.arange(400.0) ** 2, "s": ["a"] * 390 + ["b"] * 10})
    frame.loc[399, "x"] = np.nan
    encoder, _ = learned(frame)
    assert encoder.codes[0].has_gaps
    assert encoder.codes[1].levels == ("a", "b")


# What is said.


def told(frame, X=None):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table = read_columns(frame, len(frame.columns), None)
        encoder = learn(Encoding(least_rows=10), table, NONE, None, np.zeros((len(frame), 1)))
        if X is not None:
            encoder.encode(read_columns(X, len(frame.columns), table.names), F64, "plain")
            encoder.encode(read_columns(X, len(frame.columns), table.names), F64, "plain")  # and not once more
    return [str(warning.message) for warning in caught]


PLAIN = pd.DataFrame({"x": np.arange(60.0) ** 2, "s": ["a", "b"] * 30})


def test_useless_columns_are_told():
    assert told(PLAIN) == []
    (one,) = told(PLAIN.assign(k=7.0))
    assert one.startswith("X, column 2 (k) is 7 in every row, which tells nothing: left out")
    (one,) = told(PLAIN.assign(k=7.0, t="x", g=None))
    assert "X, column 2 (k) is 7 in every row, which tells nothing; so do 2 more" in one
    (one,) = told(PLAIN.assign(name=[f"n{i}" for i in range(60)]))
    assert "X, column 2 (name) has 60 categories, none of which has 10 rows" in one
    (one,) = told(PLAIN.assign(row=np.arange(60)))
    assert "X, column 2 (row) counts the rows: leave it out" in one
    assert told(PLAIN.assign(row=np.arange(60)[::-1])) == []


def test_unseen_labels_and_gaps_are_counted_and_told_once():
    new = PLAIN.copy()
    new.loc[3:7, "s"] = "z"
    (one,) = told(PLAIN, new)
    assert one == "X, column 1 (s), row 3 is 'z', which the fit has not seen (5 of 60 rows have such categories): it counts as none."  # fmt: skip  # noqa: E501
    rare = pd.concat([PLAIN, pd.DataFrame({"x": [1.0, 2.0], "s": ["p", "q"]})])
    (one,) = told(rare, new)
    assert one.endswith("it counts as a rare one.")
    assert told(rare, rare) == []
    new = PLAIN.copy()
    new.loc[4, "x"] = np.nan
    (one,) = told(PLAIN, new)
    assert one == "X, column 0 (x), row 4 is empty: it counts as its mean."


def test_numbers_that_become_text_are_refused():
    encoder, _ = learned(PLAIN)
    with pytest.raises(InvalidInputError, match=r"X, column 0 \(x\), row 2 holds text \('\?'\), but the model has"):
        encoder.encode(read_columns(PLAIN.assign(x=[None, None, "?"] * 20), 2, ("x", "s")), F64, "plain")
    with pytest.warns(InputWarning, match="60 of 60 rows have gaps"):
        gaps = encoder.encode(read_columns(PLAIN.assign(x=None), 2, ("x", "s")), F64, "plain")
    assert (gaps[:, 0] == encoder.codes[0].mean).all()


def test_a_table_that_tells_nothing():
    told = "^X, column 0 \\(s\\) is 'a' in every row, and there is nothing else to learn from"
    with pytest.raises(InvalidInputError, match=told):  # and no warning beside it
        fastgd.MLP([1, 1], encoding="auto").fit(pd.DataFrame({"s": ["a"] * 20}), np.arange(20.0), verbose=0)


# Models.


@pytest.mark.parametrize("kind", [lambda frame: frame, pl.from_pandas])
@pytest.mark.parametrize("bins", ["auto", 16])
def test_a_table_with_text_and_gaps_is_learned(kind, bins):
    frame, price = houses(600)
    model = fastgd.MLP([3, 16, 1], encoding=Encoding(bins=bins), random_state=0)
    model.fit(kind(frame), price, epochs=60, optimizer=fastgd.AdamW(0.01), verbose=0)
    new, actual = houses(200, seed=1)
    assert model.evaluate(kind(new), actual)["r2"] > 0.94
    without = fastgd.MLP([1, 16, 1], encoding=Encoding(bins=bins), random_state=0)
    without.fit(kind(frame[["size"]]), price, epochs=60, optimizer=fastgd.AdamW(0.01), verbose=0)
    assert without.evaluate(kind(new[["size"]]), actual)["r2"] < 0.75


def test_columns_in_another_order_predict_the_same():
    frame, price = houses()
    model = fastgd.MLP([3, 8, 1], encoding="auto")
    model.fit(frame, price, epochs=2, verbose=0)
    np.testing.assert_array_equal(model.predict(frame[["garden", "size", "city"]]), model.predict(frame))
    assert model.feature_names == ("size", "city", "garden")


def test_small_tables_of_numbers_learn_the_same_bits_without_encoding():
    X, y = fastgd.datasets.houses(300, random_state=0)
    encoded, plain = fastgd.MLP([4, 8, 1], encoding="auto"), fastgd.MLP([4, 8, 1])
    for model in (encoded, plain):
        model.fit(X, y, epochs=2, verbose=0)
    np.testing.assert_array_equal(encoded.parameters, plain.parameters)


def test_the_first_fit_makes_the_weights_and_later_ones_go_on():
    frame, price = houses()
    model = fastgd.MLP([3, 8, 1], encoding="auto", random_state=3)
    assert [weights.shape for weights, _ in model.get_parameters()] == [(3, 8), (8, 1)]
    model.fit(frame, price, epochs=2, verbose=0)
    shapes = [weights.shape for weights, _ in model.get_parameters()]
    assert shapes == [(1 + 1 + 4 + 2, 8), (8, 1)]
    assert model.encoder.weight_names(["size", "city", "garden"]) == [
        "size", "size is missing", "city = Bonn", "city = Trier", "city = Ulm", "city is missing", "garden = False",
        "garden = True",
    ]  # fmt: skip
    once = fastgd.MLP([3, 8, 1], encoding="auto", random_state=3)
    once.fit(frame, price, epochs=4, verbose=0)
    model.fit(frame, price, epochs=2, verbose=0)
    np.testing.assert_array_equal(model.parameters, once.parameters)


def test_a_fit_that_is_refused_changes_nothing():
    frame, price = houses()
    model = fastgd.MLP([3, 8, 1], encoding="auto")
    before = model.parameters.copy()
    with pytest.raises(InvalidInputError):
        model.fit(frame, price[:-1], verbose=0)
    with pytest.raises(fastgd.errors.DivergenceError):
        model.fit(frame, price, optimizer=fastgd.SGD(1e30), verbose=0)
    assert model.encoder is None or model.fit_state is not None
    fresh = fastgd.MLP([3, 8, 1], encoding="auto")
    fresh.fit(frame, price, epochs=1, verbose=0)
    if model.encoder is None:
        np.testing.assert_array_equal(model.parameters, before)
        model.fit(frame, price, epochs=1, verbose=0)
        np.testing.assert_array_equal(model.parameters, fresh.parameters)


def test_weights_that_were_given_are_kept_where_the_first_layer_reads_the_columns():
    X, y = fastgd.datasets.houses(100, random_state=0)
    start = [(np.full((4, 1), 0.5), np.zeros(1))]
    model = fastgd.MLP([4, 1], encoding="auto", initializer=start)
    model.fit(X, y, epochs=0, verbose=0)
    np.testing.assert_array_equal(model.get_parameters()[0][0], 0.5)
    with pytest.raises(InvalidInputError, match=r"weights of layer 0 have shape \(19, 1\), but \(4, 1\) was given"):
        fastgd.MLP([4, 1], encoding=Encoding(bins=4), initializer=start).fit(X, y, epochs=0, verbose=0)


def test_validation_rows_do_not_teach_the_encoding():
    frame, price = houses()
    odd = frame.copy()
    odd["city"] = "Mars"
    model = fastgd.MLP([3, 8, 1], encoding="auto")
    with pytest.warns(InputWarning, match="^validation_data: X, column 1 .*'Mars', which the fit has not seen"):
        history = model.fit(frame, price, epochs=2, validation_data=(odd, price), verbose=0)
    assert "Mars" not in model.encoder.codes[1].levels
    assert len(history.history["val_loss"]) == 2


@pytest.mark.parametrize("device", ["cpu", "plain"])
def test_files_keep_the_encoding(tmp_path, device):
    frame, price = houses(2500)
    model = fastgd.MLP([3, 8, 1], encoding="auto", random_state=1, log_target=True, clip_predictions=True)
    model.fit(frame, price, epochs=1, optimizer=fastgd.Adam(), device=device, verbose=0)
    assert model.encoder.has_bins
    model.save(tmp_path / "m", training_state=True)
    loaded = fastgd.load(tmp_path / "m")
    loaded.device = device
    np.testing.assert_array_equal(loaded.predict(frame), model.predict(frame))
    assert repr(loaded.encoder) == repr(model.encoder)
    assert loaded.encoding == model.encoding
    for each in (model, loaded):
        each.fit(frame, price, epochs=1, verbose=0)
    np.testing.assert_array_equal(loaded.parameters, model.parameters)


def test_files_of_models_that_were_never_fitted(tmp_path):
    frame, price = houses()
    model = fastgd.MLP([3, 8, 1], encoding=Encoding(bins=4), initializer="lecun_normal", random_state=1)
    model.save(tmp_path / "m")
    loaded = fastgd.load(tmp_path / "m")
    for each in (model, loaded):
        each.fit(frame, price, epochs=1, verbose=0)
    np.testing.assert_array_equal(loaded.parameters, model.parameters)


def test_text_without_an_encoding_is_refused_with_advice():
    frame, price = houses()
    with pytest.raises(InvalidInputError, match="encoding='auto'"):
        fastgd.MLP([3, 8, 1]).fit(frame, price, verbose=0)
    with pytest.raises(InvalidInputError, match="encoding='auto'"):
        fastgd.MLP([1, 8, 1]).fit(frame[["size"]], price, verbose=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoding": "bins"}, "encoding must be None, 'auto'"),
        ({"encoding": True}, "encoding must be None, 'auto'"),
        ({"log_target": 1.5}, "log_target"),
        ({"clip_predictions": "yes"}, "clip_predictions"),
        ({"log_target": True, "output_activation": "softplus"}, "output_activation='identity'"),
        ({"log_target": True, "loss": "poisson"}, "log_target is for losses"),
        ({"clip_predictions": True, "loss": "binary_cross_entropy"}, "clip_predictions is for losses"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(InvalidInputError, match=message):
        fastgd.MLP([1, 1], **options)


@pytest.mark.parametrize(
    "options", [{"bins": -1}, {"bins": 20_000}, {"bins": "many"}, {"least_rows": 0}, {"most_levels": 1.5}]
)
def test_encodings_that_cannot_be(options):
    with pytest.raises(InvalidInputError):
        Encoding(**options)


def test_numbers_that_the_cast_flattens_are_told():
    frame = pd.DataFrame({"year": 1e9 + np.arange(60.0) % 7, "x": np.arange(60.0) ** 2})
    with pytest.warns(PrecisionWarning, match=r"X, column 0 \(year\) varies by 1.99"):
        fastgd.MLP([2, 4, 1], encoding="auto").fit(frame, np.arange(60.0), epochs=1, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", PrecisionWarning)  # bins are found before the cast
        fastgd.MLP([2, 4, 1], encoding=Encoding(bins=6)).fit(frame, np.arange(60.0), epochs=1, verbose=0)


@pytest.mark.parametrize("bins", [0, 8])
def test_extreme_numbers(bins):
    generator = np.random.default_rng(0)
    X = np.column_stack([10.0 ** generator.uniform(-300, 300, 400), generator.normal(size=400)])
    model = fastgd.MLP([2, 4, 1], encoding=Encoding(bins=bins))
    if bins:
        model.fit(X, X[:, 1], epochs=2, verbose=0)
        assert np.isfinite(model.predict(X)).all()
    else:
        with pytest.raises(InvalidInputError, match=r"too large"):
            model.fit(X, X[:, 1], epochs=2, verbose=0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_both_engines_encode_the_same(dtype):
    frame, _ = houses(3000)
    frame["rooms"] = np.random.default_rng(1).integers(1, 9, 3000)
    frame["new"] = np.random.default_rng(2).normal(size=3000)
    encoder, table = learned(frame)
    assert encoder.has_bins
    plain, cpu = (encoder.encode(table, np.dtype(dtype), device) for device in ("plain", "cpu"))
    np.testing.assert_allclose(cpu, plain, rtol=1e-15 if dtype == "float64" else 1e-6, atol=1e-15)
    new = frame.copy()
    new[["size", "rooms", "new"]] *= 1e6  # far beyond, on both sides
    new.loc[3, "rooms"] = np.nan
    with pytest.warns(InputWarning, match="rooms"):
        far = encoder.encode(read_columns(new, 5, table.names), np.dtype(dtype), "cpu")
    np.testing.assert_array_equal(far, encoder.encode(read_columns(new, 5, table.names), np.dtype(dtype), "plain"))
    assert np.isfinite(far).all()


def test_the_encoder_prints_what_became_of_each_column():
    frame, price = houses()
    model = fastgd.MLP([3, 4, 1], encoding="auto")
    assert model.encoder is None
    model.fit(frame, price, epochs=1, verbose=0)
    code = model.encoder.codes[0]
    assert repr(model.encoder).splitlines() == [
        "column  how it is encoded",
        f"size    as it is, from {code.low:.6g} to {code.high:.6g}, with gaps",
        "city    4 levels: Bonn, Trier, Ulm, missing",
        "garden  2 levels: False, True",
    ]


def test_a_model_that_was_never_fitted_reads_numbers_alone():
    frame, price = houses()
    model = fastgd.MLP([3, 4, 1], encoding="auto")
    assert model.predict(np.zeros((2, 3))).shape == (2,)
    for call in (model.predict, lambda X: model.evaluate(X, price)):
        with pytest.raises(InvalidInputError, match=r"never been fitted.*call fit first"):
            call(frame)
    with pytest.raises(InvalidInputError, match="is a date"):
        model.predict(frame.assign(garden=pd.Timestamp("2024-01-01")))


def test_the_encoder_has_the_names_that_the_model_has(tmp_path):
    frame, price = houses()
    frame["garden"] = "yes"
    model = fastgd.MLP([3, 8, 1], encoding="auto")
    with pytest.warns(InputWarning, match="'yes' in every row"):
        model.fit(frame.to_numpy(), price, epochs=0, verbose=0)
    assert repr(model.encoder).splitlines()[1].startswith("0 ")
    model.fit(frame, price, epochs=0, verbose=0)
    assert repr(model.encoder).splitlines()[1].startswith("size ")
    model.feature_names = ["area", "city", "garden"]
    assert repr(model.encoder).splitlines()[1].startswith("area ")
    assert repr(model.encoder).splitlines()[3] == "garden  left out"
    model.save(tmp_path / "m")
    assert repr(fastgd.load(tmp_path / "m").encoder) == repr(model.encoder)


def test_many_classes_take_no_room_for_each_row():
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(900, 2)), generator.integers(0, 2000, 900)
    model = fastgd.MLP([2, 2000], encoding="auto", loss="cross_entropy", classes=range(2000))
    assert peak(lambda: model.fit(X, y, epochs=0, verbose=0)) < 900 * 2000 * 8


def test_no_position_is_called_far():
    generator = np.random.default_rng(0)
    X = [[number, f"level {row:04d}"] for row, number in enumerate(generator.normal(size=1500))]
    model = fastgd.MLP([2, 1], encoding=Encoding(least_rows=1, most_levels=2000))
    model.fit(X, generator.normal(size=1500), epochs=0, verbose=0)
    model.parameters[:] = 3e38
    with pytest.raises(InvalidInputError, match="The weights of the model are too large"):
        model.predict([[100, X[1499][1]]])


# What one table left behind is nothing for another.


def test_two_searches_of_a_new_model_have_scratch_of_their_own():
    frame, price = houses(gaps=False)
    many = frame.assign(city=[f"city {row % 40}" for row in range(len(frame))])
    model, other = (fastgd.MLP([3, 8, 1], encoding="auto") for _ in range(2))
    model.find_learning_rate(many, price, epochs=2, lowest=0.01, highest=0.1)
    again = model.find_learning_rate(frame, price, epochs=2, lowest=0.01, highest=0.1)
    assert len(model.store.kept) == 2
    np.testing.assert_array_equal(
        again.losses, other.find_learning_rate(frame, price, epochs=2, lowest=0.01, highest=0.1).losses
    )


def test_a_fit_without_a_step_leaves_nothing_of_its_size():
    class Refuses(fastgd.callbacks.Callback):
        def on_train_begin(self, logs=None):
            raise RuntimeError

    X, y = fastgd.datasets.houses(300, random_state=0)
    more, prices = fastgd.datasets.houses(2000, random_state=1)
    model, other = (fastgd.MLP([4, 8, 1], encoding="auto") for _ in range(2))
    with pytest.raises(RuntimeError):
        model.fit(X, y, optimizer=fastgd.Adam(0.02), callbacks=[Refuses()], verbose=0)
    model.fit(more, prices, epochs=0, verbose=0)
    assert model.encoder.has_bins
    assert model.fit_state.state.velocity.size == model.parameters.size
    model.fit(more, prices, epochs=1, verbose=0)
    other.fit(more, prices, epochs=1, optimizer=fastgd.Adam(0.02), verbose=0)
    np.testing.assert_array_equal(model.parameters, other.parameters)


def test_a_constant_with_gaps_is_constant():
    frame, price = houses()
    frame["rooms"] = np.where(np.arange(len(frame)) % 3 == 0, np.nan, 5.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", PrecisionWarning)
        fastgd.MLP([4, 8, 1], encoding="auto").fit(frame, price, epochs=0, verbose=0)
    frame["rooms"] = np.where(np.isnan(frame["rooms"]), np.nan, 5e12 + np.arange(len(frame)))
    with pytest.warns(PrecisionWarning, match=r"column 3 \(rooms\) varies by 7\d\.\d around"):
        fastgd.MLP([4, 8, 1], encoding="auto").fit(frame, price, epochs=0, verbose=0)


def test_a_row_that_counts_next_to_nothing_stays_near(tmp_path):
    generator = np.random.default_rng(0)
    X = np.column_stack([generator.choice([1.0, 2.0], 2000), generator.normal(size=2000)])
    X[0, 0], weights = 0, np.ones(2000)
    y = X.sum(axis=1)
    for weights[0] in (1e-10, 1e-30):
        model = fastgd.MLP([2, 16, 1], encoding="auto", random_state=0)
        model.fit(X, y, epochs=2, sample_weight=weights, verbose=0)
        assert abs(model.predict(X[:1]) - y[0]) < 20
        model.save(tmp_path / "m")
        np.testing.assert_array_equal(fastgd.load(tmp_path / "m").predict(X), model.predict(X))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        *(("bin_std", value) for value in (-1.0, 0.0, 5e-324, 1e300, np.nan)),
        *(("bin_mean", value) for value in (-2.0, 1e300, np.nan)), ("edges", -1e300), ("edges", np.nan),
    ],
)  # fmt: skip
def test_files_with_bins_that_cannot_be(tmp_path, place, value):
    X, y = fastgd.datasets.houses(1000, random_state=0)
    model = fastgd.MLP([4, 8, 1], encoding="auto")
    model.fit(X, y, epochs=0, verbose=0)
    model.save(tmp_path / "m")
    outer, inner, arrays = parts(tmp_path / "m")
    start = outer[f"encoder.{place}"]["data_offsets"][0] + 8
    assembled(tmp_path / "m", outer, inner, arrays)
    fastgd.load(tmp_path / "m")
    assembled(tmp_path / "m", outer, inner, arrays[:start] + np.float64(value).tobytes() + arrays[start + 8 :])
    with pytest.raises(ModelFileError, match="a column of numbers contradicts itself"):
        fastgd.load(tmp_path / "m")


@pytest.mark.parametrize("change", ["no encoding", "one more column", "a million columns"])
def test_files_whose_encoder_is_of_other_tables(tmp_path, change):
    frame, price = houses()
    model = fastgd.MLP([3, 8, 1], encoding="auto")
    model.fit(frame, price, epochs=1, verbose=0)
    model.save(tmp_path / "m")

    def changed(header):
        if change == "no encoding":
            del header["encoding"]
        elif change == "one more column":
            header["encoder"].append(
                {"kind": "levels", "levels": [], "has_rare": False, "known": [], "has_gaps": False}
            )
        else:
            header["layer_sizes"][0], header["feature_names"] = 1_000_000, None

    with_header(tmp_path / "m", lambda header: None)
    fastgd.load(tmp_path / "m")
    with_header(tmp_path / "m", changed)
    assert peak(lambda: fastgd.load(tmp_path / "m")) < 1 << 22
    with pytest.raises(ModelFileError, match="its encoder is not one of"):
        fastgd.load(tmp_path / "m")


def test_an_outlier_of_a_small_table_counts_as_lying_at_a_fence():
    """One value of a million among those from 0 to 6 would take all difference from the others."""
    generator = np.random.default_rng(0)
    X = np.column_stack([generator.uniform(0, 6, 400), generator.normal(size=400)])
    y = 2 * X[:, 0] + X[:, 1]
    X[3, 0] = 1e6
    r2 = []
    for encoding in ("auto", None):
        model = fastgd.MLP([2, 16, 1], encoding=encoding, random_state=0)
        model.fit(X, y, epochs=30, verbose=0)
        r2.append(model.evaluate(np.delete(X, 3, 0), np.delete(y, 3))["r2"])
    assert r2[0] > 0.99
    assert r2[1] < 0.5
    encoded = fastgd.MLP([2, 16, 1], encoding="auto")
    encoded.fit(X, y, epochs=1, verbose=0)
    low, high = encoded.encoder.codes[0].low, encoded.encoder.codes[0].high
    assert -35 < low < -20
    assert 25 < high < 40
    far = np.array([[1e9, 0], [high, 0], [-1e9, 0], [low, 0]])
    for device in ("cpu", "plain"):
        encoded.device = device
        predicted = encoded.predict(far)
        np.testing.assert_array_equal(predicted[[0, 2]], predicted[[1, 3]])


@pytest.mark.parametrize("first", [bool, int])
def test_yes_and_no_read_the_same_as_1_and_0(first):
    frame, price = houses()
    price = price + 300_000 * frame["garden"]
    model = fastgd.MLP([3, 8, 1], encoding="auto", random_state=0)
    model.fit(frame.assign(garden=frame["garden"].astype(first)), price, epochs=20, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_numbers, as_bools = (
            model.predict(frame.assign(garden=frame["garden"].astype(kind))) for kind in (int, bool)
        )
    np.testing.assert_array_equal(as_numbers, as_bools)
    assert as_numbers[frame["garden"]].mean() > as_numbers[~frame["garden"]].mean() + 200_000
    with pytest.warns(InputWarning, match="'2'") if first is bool else warnings.catch_warnings():
        model.predict(frame.assign(garden=2))


def test_a_gap_that_was_told_does_not_hide_unseen_labels():
    frame, price = houses(gaps=False)
    model = fastgd.MLP([3, 4, 1], encoding="auto")
    model.fit(frame, price, epochs=1, verbose=0)
    one_gap = frame.assign(city=[None, *frame["city"][1:]])
    with pytest.warns(InputWarning, match="row 0 is empty"):
        model.predict(one_gap)
    with pytest.warns(InputWarning, match="300 of 300 rows have such categories"):
        model.predict(frame.assign(city="Mars"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(one_gap.assign(city="Mars"))


def test_of_columns_that_are_left_out_nothing_is_said_later():
    frame, price = houses()
    model = fastgd.MLP([4, 4, 1], encoding="auto")
    with pytest.warns(InputWarning, match="300 categories"):
        model.fit(frame.assign(id=[f"i{i}" for i in range(300)]), price, epochs=1, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(frame.assign(id="new"))


def test_numbers_that_are_stored_as_text_are_told():
    frame, price = houses(gaps=False)
    with pytest.warns(InputWarning, match="though its text reads as numbers"):
        fastgd.MLP([4, 4, 1], encoding="auto").fit(
            frame.assign(area=frame["size"].rank().astype(str)), price, epochs=1, verbose=0
        )
