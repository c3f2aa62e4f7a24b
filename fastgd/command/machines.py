"""Whether this is one process of several that mpiexec has started, and how they do things together.

What goes wrong in one of them is raised by all, and told by the first.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from ..errors import InvalidInputError, pip_install
from .guard import EXIT_INTERRUPTED
from .launched import launched
from .terminal import complain, is_quiet, set_quiet

T = TypeVar("T")
Check = Callable[[], None]  # ends what takes long where Ctrl-C was pressed


class Together(Protocol):
    """The processes of one command."""

    rank: int
    size: int
    comm: Any  # None for one process

    def met(self, work: Callable[[Check], T]) -> T:
        """What `work` gives in this process, when all have done theirs."""
        ...

    def by_first(self, work: Callable[[], T]) -> T:
        """What the first process finds out for all."""
        ...

    def merged(self, part: T, merge: Callable[[T, T], T]) -> T | None:
        """The parts of all, for the first."""
        ...


class Alone:
    """The only process."""

    rank, size, comm = 0, 1, None

    def met(self, work: Callable[[Check], T]) -> T:
        """What the work gives."""
        return work(lambda: None)

    def by_first(self, work: Callable[[], T]) -> T:
        """What the work gives."""
        return work()

    def merged(self, part: T, merge: Callable[[T, T], T]) -> T | None:
        """The part."""
        return part


class Several:
    """One of the processes of a communicator."""

    def __init__(self, comm: Any) -> None:
        self.comm, self.rank, self.size = comm, int(comm.rank), int(comm.size)

    def met(self, work: Callable[[Check], T]) -> T:
        """What the work gives here; what goes wrong anywhere is raised by all."""
        from ..training.ranks import Ranks

        with Ranks(self.comm) as ranks:
            try:
                found = work(ranks.ctrl_c.check)
            except BaseException as error:
                ranks.fail(error)
                raise
            ranks.meet()
            return found

    def by_first(self, work: Callable[[], T]) -> T:
        """What the first finds out, or the error that it meets."""
        from ..training.ranks import Ranks

        with Ranks(self.comm) as ranks:
            return ranks.done_by_first(work, is_joint=True)

    def merged(self, part: T, merge: Callable[[T, T], T]) -> T | None:
        """All parts, on the first."""
        from ..training.ranks import Ranks

        with Ranks(self.comm) as ranks:
            return ranks.merged(part, merge)


def communicator() -> Any:
    """That of all processes of this command; None where it is the only one. All but the first are quiet from now on.

    Raises:
        InvalidInputError: there are several, but they cannot reach each other.
    """
    size, rank = launched()
    if size < 2:
        return None
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # the latter where it finds no MPI
        raise _of_first(
            rank, f"{size} processes were started together, which takes mpi4py: run {pip_install('mpi4py')}, or start "
            f"one. ({error})"
        ) from error  # fmt: skip
    comm = MPI.COMM_WORLD
    if comm.size != size:
        raise _of_first(
            rank, f"{size} processes were started together, but mpi4py finds {comm.size}: start them with the mpiexec "
            "of the MPI that mpi4py uses."
        )  # fmt: skip
    set_quiet(is_quiet() or comm.rank > 0)
    return comm


def _of_first(rank: int, message: str) -> BaseException:
    """An error that each process meets by itself, and the first tells."""
    return SystemExit(2) if rank else InvalidInputError(message)


@contextmanager
def ending_alike(together: Together) -> Iterator[None]:
    """All processes end with one exit code, and the first tells of the error that all have raised.

    An error that the others do not know of is told here, and ends them.
    """
    if together.comm is None:
        yield
        return
    from ..training.ranks import MET_BY_ALL

    try:
        yield
    except Exception as error:
        if not getattr(error, MET_BY_ALL, False):
            complain(error)
            sys.stderr.flush()
            together.comm.Abort(2)
        if together.rank:
            raise SystemExit(2) from error
        raise
    except KeyboardInterrupt as error:
        if together.rank:
            raise SystemExit(EXIT_INTERRUPTED) from error
        raise
