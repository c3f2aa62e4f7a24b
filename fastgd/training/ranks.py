"""Several processes that train one network together: who they are, and how they agree.

Each process, a rank as MPI calls it, runs the same program on rows of its own. Between two exchanges each works alone,
and what goes wrong there is told at the next one: then all ranks raise it together, and nobody waits for a rank that
has given up. Ctrl-C is only noted between exchanges, for the same reason.
"""

from __future__ import annotations

import contextlib
import copy
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, Protocol, TypeVar

from ..errors import FastgdError, InvalidInputError, RankError
from ..options import shown
from .interrupts import Remembered

T = TypeVar("T")
MET_BY_ALL = "is_met_by_all_ranks"  # the attribute of an error that every rank raises


class Communicator(Protocol):
    """What is asked of mpi4py's communicators."""

    rank: int
    size: int

    def allgather(self, sendobj: Any) -> list[Any]: ...
    def bcast(self, obj: Any, root: int = 0) -> Any: ...
    def send(self, obj: Any, dest: int) -> None: ...
    def recv(self, buf: None = None, source: int = -1) -> Any: ...
    def Allgather(self, sendbuf: Any, recvbuf: Any) -> None: ...  # noqa: N802
    def Alltoall(self, sendbuf: Any, recvbuf: Any) -> None: ...  # noqa: N802
    def Abort(self, errorcode: int = 0) -> Any: ...  # noqa: N802


class Failure(NamedTuple):
    """An error as other ranks hear of it."""

    kind: str
    text: str
    error: FastgdError | None  # what they raise, too; an error of another library says nothing to them
    is_joint: bool  # whether what was wrong concerns all, whoever has found it

    def told(self, rank: int) -> FastgdError:
        """The error that a rank raises because of another one."""
        if self.error is None:
            return RankError(f"rank {rank}: {f'{self.kind}: {self.text}' if self.text else self.kind}")
        told, name = copy.copy(self.error), f"rank {rank}"
        if not self.is_joint and not self.text.startswith(name):
            told.args = (f"{name}: {self.text}",)
        return told


class Said(NamedTuple):
    """What a rank says at a meeting."""

    message: Any
    failure: Failure | None
    is_interrupted: bool


class Ranks:
    """The processes of one communicator, seen from one of them; used as `with` for the time of a training."""

    def __init__(self, comm: Any) -> None:
        self.comm: Communicator = checked(comm)
        self.rank, self.size = int(comm.rank), int(comm.size)
        self.ctrl_c = Remembered()
        self.agreed: BaseException | None = None  # the last error that all have raised
        self.has_failed = False  # whether that ended the training of all
        self.is_alone = False  # whether the others can no longer be reached

    def __enter__(self) -> Ranks:
        if self.size > 1:
            end_all_by_errors(self.comm)
        self.ctrl_c.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ctrl_c.__exit__(kind, error, trace)

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, which shows, validates and calls callbacks for all."""
        return not self.rank

    def meet(self, message: Any = None, error: BaseException | None = None, is_joint: bool = False) -> list[Any]:
        """The messages of all ranks in their order; no rank gets them before all have come.

        Where one brings an error, or has noted Ctrl-C, all raise that.
        """
        if self.has_failed:
            assert self.agreed is not None
            raise self.agreed
        if isinstance(error, KeyboardInterrupt):
            self.ctrl_c.seen, error = True, None
        failure = None if error is None else _failure(error, is_joint)
        said = [
            Said(*one) for one in self.reached(self.comm.allgather, tuple(Said(message, failure, self.ctrl_c.seen)))
        ]
        failures = {rank: one.failure for rank, one in enumerate(said) if one.failure}
        if failures:
            self.has_failed = True
            raise self._agree(_common(failures, self.rank, self.size, error))
        if any(one.is_interrupted for one in said):
            self.ctrl_c.answered()
            raise self._agree(KeyboardInterrupt())
        return [one.message for one in said]

    def fail(self, error: BaseException) -> None:
        """Tell the others of an error of this rank, if they have not raised it themselves; raise what all raise."""
        if error is self.agreed or self.has_failed or self.is_alone:
            return
        self.meet(error=error)

    def of_first(self, message: T | None) -> T:
        """What rank 0 says; all must be known to come here."""
        said: T = self.reached(self.comm.bcast, message if self.is_first else None)
        return said

    def done_by_first(self, work: Callable[[], T], is_joint: bool = False) -> T:
        """What rank 0 finds out for all, or the error that it meets."""
        found, failed = None, None
        if self.is_first:
            try:
                found = work()
            except BaseException as error:
                failed = error
        self.meet(error=failed, is_joint=is_joint)
        return self.of_first(found)

    def merged(self, part: T, merge: Callable[[T, T], T]) -> T | None:
        """merge(… merge(part of rank 0, that of rank 1) …, that of the last) on rank 0, made two by two."""
        step, whole, failed = 1, part, None
        while step < self.size:
            if self.rank % (2 * step):
                self.reached(self.comm.send, None if failed else [whole], dest=self.rank - step)
                break
            if self.rank + step < self.size:
                other = self.reached(self.comm.recv, source=self.rank + step)  # nothing where a merge has failed
                try:
                    whole = merge(whole, *other) if other and not failed else whole
                except BaseException as error:
                    failed = error
            step *= 2
        self.meet(error=failed, is_joint=True)
        return whole if self.is_first else None

    def reached(self, exchange: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """What an exchange gives. One that fails says that ranks are gone: there is no further one."""
        try:
            return exchange(*arguments, **options)
        except Exception as error:
            self.is_alone = self.has_failed = True
            raise self._agree(
                RankError(
                    f"rank {self.rank} can no longer reach the others ({error}): the model is as it was after the last "
                    "step that all have taken."
                )
            ) from error

    def _agree(self, error: BaseException) -> BaseException:
        self.agreed = error
        with contextlib.suppress(AttributeError):
            setattr(error, MET_BY_ALL, not self.is_alone)
        return error


def checked(comm: Any) -> Any:
    """A communicator, or the sentence that it is none."""
    names = "rank", "size", "allgather", "bcast", "send", "recv", "Allgather", "Alltoall"
    lacking = [name for name in names if not hasattr(comm, name)]
    if lacking:
        raise InvalidInputError(
            f"comm must be a communicator of mpi4py, such as mpi4py.MPI.COMM_WORLD, not {shown(comm)} (without "
            f"{lacking[0]!r})."
        )
    return comm


def _failure(error: BaseException, is_joint: bool) -> Failure:
    is_ours = isinstance(error, FastgdError) and type(error).__module__ == FastgdError.__module__
    return Failure(type(error).__name__, str(error), error if is_ours else None, is_joint)  # type: ignore[arg-type]


def _common(failures: dict[int, Failure], rank: int, size: int, own: BaseException | None) -> BaseException:
    """The error that a rank raises: that of the lowest rank that has one; its own where all have the same."""
    first, failure = next(iter(failures.items()))
    if len(failures) == size and len({failure.kind for failure in failures.values()}) == 1:
        failure = failure._replace(is_joint=True)  # a blow-up, which all have seen
    if first == rank and failure.error is None:
        assert own is not None
        return own
    told = failure.told(first)
    told.__suppress_context__ = True  # it says the same, or was told elsewhere
    return told.with_traceback(own.__traceback__) if first == rank and own is not None else told


_watched: list[Any] = []  # the communicator whose ranks end together


def end_all_by_errors(comm: Any) -> None:
    """From now on an error that this process does not catch ends all ranks, which would wait for it for ever.

    An error that all ranks have met ends each of them anyway, so that each can print it.
    """
    if _watched or not hasattr(comm, "Abort"):
        return
    _watched.append(comm)
    before = sys.excepthook

    def tell_and_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        before(kind, error, trace)
        if not getattr(error, MET_BY_ALL, False):
            sys.stderr.flush()
            comm.Abort(1)

    sys.excepthook = tell_and_end
