"""Peers that crash, or compute something else, are named; and how many threads they get."""

from __future__ import annotations

import sys

import pytest

from benchmarks import (
    peers,
)
from benchmarks.cases import PEER_CASES


def test_mistakes_with_peers(monkeypatch, capsys):
    import importlib.util

    assert peers.main(["--peers", "numpy_tuned", "--cases", "nothing"]) == 2
    assert capsys.readouterr().err.startswith("peers: no case has 'nothing' in its name; there are: epoch")
    assert peers.main(["--record", "--peers", "numpy_tuned"]) == 2
    assert capsys.readouterr().err == "peers: --record keeps whole runs only: leave out --cases and --peers.\n"
    assert peers.main(["--vectors", "avx2", "--peers", "jax_tuned"]) == 2
    assert capsys.readouterr().err.startswith("peers: jax_tuned takes long vectors all the same")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert peers.main([]) == 2
    assert capsys.readouterr().err.startswith("peers: not installed: scikit-learn torch jax. Run pip install")


STEADY = """
import json, sys
print(json.dumps({"worst": WORST}), flush=True)
taken = min(THREADS, 2)
for _ in sys.stdin: print(json.dumps({"seconds": 1 / taken, "threads": taken}), flush=True)
"""
DYING = STEADY.replace("for _ in sys.stdin:", "sys.stdin.readline(); sys.exit('no more')\nfor _ in sys.stdin:")
CODES = {
    "fastgd_fit": STEADY.replace("WORST", "0"),
    "numpy_tuned": DYING.replace("WORST", "0"),
    "jax_tuned": STEADY.replace("WORST", "0.5"),
}


@pytest.fixture
def pretended(monkeypatch):
    """Peers that only pretend; the list of their servers."""
    servers = []

    class Server(peers.Server):
        def __init__(self, *arguments):
            servers.append(self)
            super().__init__(*arguments)

    def serving(peer, case, threads):
        return [sys.executable, "-c", CODES[peer].replace("THREADS", str(threads))]

    monkeypatch.setattr(peers, "Server", Server)
    monkeypatch.setattr(peers, "serving", serving)
    return servers


def test_peers_that_die_or_compute_something_else_are_named(pretended, capsys):
    found, well = peers.measured(PEER_CASES[0], list(CODES), 1)
    assert not well
    assert list(found) == ["fastgd_fit"]
    assert capsys.readouterr().err.splitlines() == [
        "peers: numpy_tuned ×1 on epoch 4-64-64-1 b1: no more.",
        "peers: jax_tuned ×1 on epoch 4-64-64-1 b1: it computes something else (0.5 of a step).",
    ]


def test_numbers_of_threads(pretended):
    assert [peers.thread_counts(cores) for cores in (1, 2, 6, 8)] == [[1], [1, 2], [1, 2, 4, 6], [1, 2, 4, 8]]
    found, well = peers.measured(PEER_CASES[0], ["fastgd_fit"], 4)
    assert well
    assert (found["fastgd_fit"]["seconds"], found["fastgd_fit"]["threads"]) == (0.5, 2)  # with 4 it is the same
    assert [len(server.times) for server in pretended] == [peers.ROUNDS] * 3
    assert "500.0 ×2" in peers.table([{"case": "c", "results": found}], ["fastgd_fit"])


def test_an_interrupted_comparison_of_peers_leaves_no_process(pretended, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(peers.Server, "round", interrupted)
    with pytest.raises(KeyboardInterrupt):
        peers.measured(PEER_CASES[0], ["fastgd_fit", "jax_tuned"], 1)
    assert len(pretended) == 2
    assert all(server.process.poll() is not None for server in pretended)
