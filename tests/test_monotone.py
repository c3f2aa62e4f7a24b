"""Monotone columns: predictions never fall, or never rise, with them, on any grid, whatever the data say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from model_files import with_header
from networks import make_case

import fastgd
from fastgd.errors import InvalidInputError, ModelFileError
from fastgd.kernels import cpu, plain

COLUMNS = ["size", "rooms", "age"]
RISING = {"size": 1, "age": -1}
OPTIMIZERS = {
    "plain descent": fastgd.SGD(0.05),
    "momentum and decay": fastgd.SGD(0.02, momentum=0.9, weight_decay=0.01, l1=0.001),
    "RMSprop": fastgd.RMSprop(0.003),
    "AdamW with average": fastgd.AdamW(0.01, weight_decay=0.3, ema_decay=0.9, clip_norm=1.0),
}


def waving(n=600, seed=0):
    """A target that waves with every column, and follows two of them on the whole."""
    generator = np.random.default_rng(seed)
    X = generator.uniform([20, 1, 0], [200, 6, 100], (n, 3))
    y = (
        np.sin(X[:, 0] / 20)
        + X[:, 0] / 60
        + X[:, 1] * np.cos(X[:, 2] / 15) / 2
        - X[:, 2] / 60
        + generator.normal(0, 0.1, n)
    )
    return X, y


def steps_of(predict, column, n_rows=20):
    """How predictions change along a grid that is wider than the table, for rows at random: (n_rows, n_steps)."""
    X, _ = waving(n_rows, seed=1)
    grid = np.linspace(*((-50, 400), (0, 9), (-30, 200))[column], 300)
    rows = np.repeat(X[:, None], len(grid), axis=1)
    rows[:, :, column] = grid
    return np.diff(predict(rows.reshape(-1, 3)).reshape(n_rows, len(grid)), axis=1)


def model_of(monotone=RISING, activation="relu", sizes=(3, 16, 12, 1), **options):
    options = {"feature_names": COLUMNS, "random_state": 0} | options
    return fastgd.MLP(sizes, activation=activation, monotone=monotone, **options)


def is_monotone(predict):
    return bool((steps_of(predict, 0) >= 0).all() and (steps_of(predict, 2) <= 0).all())


@pytest.mark.parametrize("encoding", [None, fastgd.Encoding(bins=12)])
@pytest.mark.parametrize("activation", ["relu", "tanh", "softplus", ["elu", "leaky_relu"]])
def test_on_a_grid(activation, encoding):
    """Free networks follow the waves; those with monotone columns do not, and learn of the others what they can."""
    X, y = waving()
    free, held = (model_of(monotone, activation, encoding=encoding) for monotone in (None, RISING))
    for model in (free, held):
        model.fit(X, y, epochs=30, batch_size=32, verbose=0)
    assert not is_monotone(free.predict)
    assert is_monotone(held.predict)
    rooms = steps_of(held.predict, 1)
    assert (rooms > 0).any(), "a column of no sign is free"
    assert (rooms < 0).any(), "in both directions"
    assert held.evaluate(X, y)["r2"] > 0.2, "and the target's trends are learned"
    assert (steps_of(held.predict, 0) > 0).any()


def test_whatever_the_data_say():
    """Where the target falls, a prediction that must rise stays level."""
    X, _ = waving()
    model = model_of({"size": 1}, log_target=True)
    model.fit(X, 1000 - 4 * X[:, 0], epochs=20, verbose=0)
    steps = steps_of(model.predict, 0)
    assert (steps >= 0).all()
    assert steps.sum(axis=1).max() < 200, "of 720 that a free network would go down"


@pytest.mark.parametrize("device", ["cpu", "plain"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_after_every_step(name, device):
    """Signs hold with every rule, in batches of one row, too."""
    X, y = waving(40)
    batch_size = 1 if name == "plain descent" else 8
    model = model_of()
    model.fit(X, y, epochs=3, batch_size=batch_size, optimizer=OPTIMIZERS[name], device=device, verbose=0)
    signs = model.net.signs
    assert (model.parameters * signs >= 0).all()
    assert (model.parameters[signs != 0] == 0).mean() < 0.9, "and not because all are 0"
    free = model_of(None, initializer=model_of().get_parameters())
    free.fit(X, y, epochs=3, batch_size=batch_size, optimizer=OPTIMIZERS[name], device=device, verbose=0)
    assert (free.parameters * signs < 0).any()


def test_threads_do_not_matter():
    X, y = waving(2000)
    found = []
    for n_threads in (1, 2, 3):
        model = model_of(encoding="auto", sizes=[3, 64, 64, 1])
        model.fit(X, y, epochs=2, batch_size=1024, n_threads=n_threads, verbose=0)
        found.append(model.parameters.copy())
    assert (found[0] == found[1]).all()
    assert (found[0] == found[2]).all()


@pytest.mark.tiny
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_engines_hold_the_same_weights(optimizer):
    case = make_case(4, [3, 5, 1], "float64", optimizer=optimizer)
    n = case.net.parameters.size
    gradient = np.random.default_rng(1).normal(size=n)
    signs = np.resize([1.0, 0, -1], n)
    found = []
    for kernels, wanted in ((cpu, signs), (plain, signs), (cpu, np.zeros(0))):
        net = case.net._replace(parameters=case.net.parameters.copy(), signs=wanted)
        state = optimizer.new_state(net.parameters)
        kernels.update(net, state, gradient.copy(), optimizer.rule(), 0.5)
        found.append((net.parameters, state.average))
    (held, average), (expected, expected_average), (free, _) = found
    np.testing.assert_allclose(held, expected, rtol=1e-12)
    np.testing.assert_allclose(average, expected_average, rtol=1e-12)
    assert (held == np.where(free * signs < 0, 0, free)).all()
    assert (held != free).any()


def test_two_classes():
    X, y = waving()
    labels = np.where(y > np.median(y), "yes", "no")
    model = model_of(loss="binary_cross_entropy")
    model.fit(X, labels, epochs=20, verbose=0)
    assert is_monotone(lambda rows: model.predict_proba(rows)[:, 1])
    assert model.evaluate(X, labels)["accuracy"] > 0.6


def test_gaps_and_text_beside_them():
    X, y = waving(1500)
    frame = pd.DataFrame(X, columns=COLUMNS).assign(city=np.where(X[:, 1] > 3, "A", "B"))
    frame.loc[::20, "size"] = np.nan
    options = {"encoding": "auto", "feature_names": [*COLUMNS, "city"], "sizes": [4, 16, 1]}
    model = model_of(**options)
    model.fit(frame, y, epochs=5, verbose=0)
    grid = frame.iloc[np.full(200, 1)].assign(size=np.linspace(0, 300, 200))
    assert (np.diff(model.predict(grid)) >= 0).all()
    assert np.isfinite(model.predict(frame[:1])).all()
    names = model.encoder.weight_names(options["feature_names"])
    signs, _ = model.network.split(model.net.signs)[0]
    bound = [name for name, row in zip(names, signs, strict=True) if row.any()]
    assert {"size", "age"} < set(bound)
    assert {"rooms", "size is missing", "city = A"} < set(names) - set(bound)
    with pytest.raises(InvalidInputError, match=r"city.* has no numbers"):
        model_of({"city": 1}, **options).fit(frame, y, verbose=0)


def test_estimators_and_their_means():
    X, y = waving()
    frame = pd.DataFrame(X, columns=COLUMNS)
    model = fastgd.MLPRegressor(monotone=RISING, n_networks=3, epochs=20, random_state=0).fit(frame, y)
    assert is_monotone(lambda rows: model.predict(pd.DataFrame(rows, columns=COLUMNS)))
    assert {recipe.activation for recipe in model.recipes_} == {"relu"}
    assert len({recipe.dropout for recipe in model.recipes_}) > 1
    more = fastgd.MLPRegressor(monotone={0: 1}, epochs=1).fit(*waving(1500))
    assert more.recipe_.activation == "softplus"
    alone = fastgd.MLPClassifier(monotone={0: -1}, epochs=10, random_state=0).fit(X, y > 0)
    assert (steps_of(lambda rows: alone.predict_proba(rows)[:, 1], 0) <= 0).all()
    with pytest.raises(InvalidInputError, match="silu does not"):
        fastgd.MLPRegressor(monotone={0: 1}, activation="silu").fit(X, y)
    with pytest.raises(InvalidInputError, match="no names here"):
        fastgd.MLPRegressor(monotone={"size": 1}).fit(X, y)


def test_files(tmp_path):
    X, y = waving(200)
    path = tmp_path / "m.safetensors"
    model = model_of(encoding=fastgd.Encoding(bins=4))
    model.fit(X, y, epochs=3, verbose=0)
    model.save(path, training_state=True)
    loaded = fastgd.load(path)
    assert (loaded.net.signs == model.net.signs).all()
    assert (loaded.predict(X) == model.predict(X)).all()
    for each in (model, loaded):
        each.fit(X, y, epochs=2, verbose=0)
    assert (loaded.parameters == model.parameters).all()
    with_header(path, lambda header: header.update(monotone=[-1, 0, 1]))
    with pytest.raises(ModelFileError, match="other sign"):
        fastgd.load(path)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"monotone": ["size"]}, "must be such as"),
        ({"monotone": {"size": 2}}, "must be 1"),
        ({"monotone": {"size": 1, 0: -1}}, "names one column twice: 'size' and 0"),
        ({"monotone": {"size": True}}, "must be 1"),
        ({"monotone": {"weight": 1}}, "none of size, rooms, age"),
        ({"monotone": {3: 1}}, "columns are 0 to 2"),
        ({"monotone": {1.5: 1}}, "columns are 0 to 2"),
        ({"feature_names": None}, "no names here"),
        ({"activation": "gelu"}, "gelu does not"),
        ({"output_activation": "silu"}, "silu does not"),
        ({"loss": "gaussian_nll", "sizes": [3, 4, 2]}, "not for gaussian_nll"),
        ({"loss": "cross_entropy", "sizes": [3, 4, 3]}, "not for cross_entropy"),
        ({"initializer": [(-np.ones((3, 1)), np.zeros(1))], "sizes": [3, 1]}, "other sign"),
    ],
)
def test_what_is_refused(options, said):
    with pytest.raises(InvalidInputError, match=said):
        model_of(**options)


def test_weights_of_the_other_sign_are_refused():
    model = model_of()
    before = model.parameters.copy()
    with pytest.raises(InvalidInputError, match="other sign"):
        model.parameters = -before
    with pytest.raises(InvalidInputError, match="other sign"):
        model.set_parameters([(-weights, biases) for weights, biases in model.get_parameters()])
    assert (model.parameters == before).all()
    model.set_parameters(model.get_parameters())
    assert model_of({"size": 0}).net.signs.size == 0
    with pytest.raises(InvalidInputError, match="is called `monotone`"):
        fastgd.MLP([3, 1], monotonic_cst=[1, 0, 0])
