"""What test_mpi.py has several processes do: `mpiexec -n 2 python mpi_program.py NAME`.

Each rank ends with one line "rank 1: …". Tasks take any communicator, so that the test can have threads do them, too.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys

import numpy as np

import fastgd
from fastgd.callbacks import Callback, EarlyStopping


def rows(comm, n=211):
    """A rank's share of a table; the first has fewest rows."""
    X, y = fastgd.datasets.houses(n, random_state=4)
    first, last = (n * part**2 // comm.size**2 for part in (comm.rank, comm.rank + 1))
    return X[first:last], y[first:last]


def new_model():
    return fastgd.MLP([4, 16, 1], random_state=5, dropout=0.1)


def train(comm, model=None, **options):
    model = new_model() if model is None else model
    X, y = rows(comm)
    history = model.fit(X, y, comm=comm, **{"epochs": 4, "batch_size": 20, "verbose": 0} | options)
    return model, history


def told(model, history):
    """What all ranks must agree on, in a few words: the weights first."""
    digests = (
        hashlib.sha256(bits).hexdigest()[:8] for bits in (model.parameters.tobytes(), repr(history.history).encode())
    )
    return f"{' '.join(digests)} {history.epochs} {history.ended}"


def bits(comm):
    return told(*train(comm))


def weights(comm):
    return told(*train(comm, sample_weight=np.linspace(1, 2 + comm.rank, len(rows(comm)[0]))))


def early(comm):
    first = comm.rank == 0
    held_out = fastgd.datasets.houses(50, random_state=6) if first else None
    callbacks = [EarlyStopping(patience=1)] if first else []
    optimizer = fastgd.SGD(learning_rate=0.02, momentum=0.9, clip_norm=1.0)
    return told(*train(comm, epochs=60, optimizer=optimizer, callbacks=callbacks, validation_data=held_out))


def schedule(comm):
    return told(*train(comm, optimizer=fastgd.Adam(learning_rate=fastgd.schedules.Cosine(0.05))))


def resume(comm):
    model, _ = train(comm, epochs=3)
    return told(*train(comm, model if comm.rank == 0 else None, epochs=1))


def wide(comm):
    """Gradients so long that they are added slice by slice."""
    model = fastgd.MLP([4, 200, 200, 1], random_state=5)
    return told(*train(comm, model, epochs=2))


def together(comm):
    """All that ends well, in one start of the processes."""
    return "; ".join(task(comm) for task in (bits, weights, early, schedule, resume, wide))


def broken_row(comm):
    X, y = rows(comm)
    if comm.rank == comm.size - 1:
        X[3, 1] = np.nan
    new_model().fit(X, y, comm=comm, verbose=0)


def columns(comm):
    X, y = rows(comm)
    new_model().fit(X[:, : 4 - comm.rank % 2], y, comm=comm, verbose=0)


def options(comm):
    train(comm, batch_size=20 + comm.rank // (comm.size - 1))


def callback(comm):
    class Full(Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise OSError("disk full")

    train(comm, callbacks=[Full()] if comm.rank == 0 else [])


def killed(comm):
    """The last rank dies in the middle of the training."""

    def rate(step):
        if step > 100 and comm.rank == comm.size - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0.001

    train(comm, epochs=10**6, optimizer=fastgd.SGD(learning_rate=rate))


def own_error(comm):
    """One rank has an error of its own while the others wait for it."""
    train(comm, epochs=1)
    if comm.rank == comm.size - 1:
        raise KeyError("a column of this rank")
    train(comm)


def ctrl_c(comm):
    """Says on rank 0 when the training has begun, with the process ids of all; then all wait for Ctrl-C."""
    pids = comm.allgather(os.getpid())

    class Begun(Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 0:
                print("training", *pids, flush=True)

    model, history = train(comm, epochs=10**9, callbacks=[Begun()] if comm.rank == 0 else [])
    prediction = model.predict(rows(comm)[0][:1])
    return f"{told(model, history)} {np.isfinite(prediction).all()}"


if __name__ == "__main__":
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    answer = globals()[sys.argv[1]](world)
    sys.stdout.write(f"rank {world.rank}: {answer}\n")
