"""Long trainings stay at their floor, in memory and loss: the trial with few steps, and controls."""

from __future__ import annotations

from trials import long_run


def test_a_long_run_stays_as_it_is(monkeypatch):
    kept = {name: long_run.OPTIMIZERS[name] for name in ("SGD", "AdamW")}
    monkeypatch.setattr(long_run, "OPTIMIZERS", kept)
    assert long_run.try_long_runs(20_000, seed=0).failures == []


def test_what_drifts_grows_or_becomes_slow_is_found():
    losses, seconds, memory = [1e-3] * 20, [0.1] * 20, [10**8, 10**8]
    good = long_run.Course(losses, seconds, memory, [10**6, 10**6])
    assert list(long_run.objections(good, good, 10**6, 1e-9)) == []
    for wrong, steps in (
        (good._replace(losses=[1e-3] * 15 + [1e-2] * 5), 10**6),
        (good._replace(seconds=[0.1] * 17 + [0.4] * 3), 10**6),
        (good._replace(resident=[10**8, 2 * 10**8]), 10**6),
        (good._replace(objects=[10**6, 10**7]), 10**6),
    ):
        assert list(long_run.objections(wrong, good, steps, 1e-9))
    assert list(long_run.objections(good, good._replace(losses=[1e-9] * 20), 10**6, 1e-9)), "float64 does far better"
