"""Ranks without MPI: threads that exchange as mpi4py's communicators do.

Collectives are matched in the order in which each rank calls them. As in MPI, a rank that is missing keeps all others
waiting, and ranks that call different ones are an error of the program; here both end with an exception.
"""

from __future__ import annotations

import pickle
import queue
import threading
from types import SimpleNamespace

import numpy as np

PATIENCE = 20.0  # seconds without a rank


class Comm:
    """One rank's view of the others."""

    def __init__(self, shared, rank):
        self.shared, self.rank, self.size = shared, rank, shared.size
        self.calls = []  # what was exchanged, by name

    def _all(self, what, value):
        """What all ranks have brought to this collective."""
        self.calls.append(what)
        shared = self.shared
        shared.said[self.rank] = (what, value)
        shared.barrier.wait(PATIENCE)
        found = list(shared.said)
        shared.barrier.wait(PATIENCE)
        names = {name for name, _ in found}
        assert len(names) == 1, f"ranks call different collectives: {[name for name, _ in found]}"
        return [value for _, value in found]

    def allgather(self, sendobj):
        return [pickle.loads(one) for one in self._all("allgather", pickle.dumps(sendobj))]

    def bcast(self, obj, root=0):
        return pickle.loads(self._all("bcast", pickle.dumps(obj) if self.rank == root else None)[root])

    def send(self, obj, dest):
        self.calls.append("send")
        self.shared.mail[self.rank, dest].put(pickle.dumps(obj))

    def recv(self, buf=None, source=-1):
        self.calls.append("recv")
        return pickle.loads(self.shared.mail[source, self.rank].get(timeout=PATIENCE))

    def Allgather(self, sendbuf, recvbuf):  # noqa: N802
        parts = self._all("Allgather", sendbuf.copy())
        flat = np.concatenate([part.reshape(-1) for part in parts])
        recvbuf.reshape(-1)[:] = flat
        assert recvbuf.size == flat.size

    def Alltoall(self, sendbuf, recvbuf):  # noqa: N802
        parts = self._all("Alltoall", sendbuf.copy())
        flat = np.concatenate([np.split(part.reshape(-1), self.size)[self.rank] for part in parts])
        recvbuf.reshape(-1)[:] = flat

    def Abort(self, errorcode=0):  # noqa: N802
        self.shared.barrier.abort()


def together(size, work, *arguments):
    """work(comm, …) on so many ranks; what each returned, or the error that it raised."""
    pairs = {(a, b): queue.Queue() for a in range(size) for b in range(size)}
    shared = SimpleNamespace(size=size, said=[None] * size, barrier=threading.Barrier(size), mail=pairs)
    answers = [None] * size

    def run(rank):
        try:
            answers[rank] = work(Comm(shared, rank), *arguments)
        except BaseException as error:
            answers[rank] = error

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(3 * PATIENCE)
    assert not any(thread.is_alive() for thread in threads), "a rank hangs"
    return answers


def returned(size, work, *arguments):
    """The same where no rank may raise."""
    answers = together(size, work, *arguments)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return answers
