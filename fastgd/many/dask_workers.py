"""Workers of Dask: who answers, which version they have, and bundles that go there and come back.

Dask schedules, copies the luggage to each worker, and begins a task again whose worker is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .. import __version__
from ..errors import ClusterError, InvalidInputError, not_installed
from .parcels import Bundle, end, one_line, train_bundle
from .workers import JOBLIB, MOST_LOST, Came, Errand, Event, GivenUp, Lost

CONNECTING = 5.0  # seconds in which a scheduler answers
STARTING = 10.0  # seconds in which the first worker is there
GONE = 30.0  # seconds without any worker, after which none is waited for
LOOKS = 0.02  # seconds between two looks
COUNTS = 1.0  # seconds between two counts of the workers
AHEAD = 2  # bundles for each thread that are handed out: one to train, one that waits beside it
NO_SCHEDULER = "The scheduler is gone: start it again, and train these networks anew."
PACKAGE = "fastgd"
# By text: where the package is missing, there is no function of ours. Dask's get_versions misses a checkout.
VERSION = eval, f"__import__({PACKAGE!r}).__version__"


def connected(client: Any) -> Any:
    """A client of our own to the same scheduler: what happens to its tasks is nobody else's.

    Raises:
        InvalidInputError: `client` is no client that could be asked, and no address.
        ClusterError: nobody answers.
    """
    try:
        from distributed import Client, Security
    except ImportError as error:
        raise not_installed("Workers of Dask", "distributed") from error
    address, security = client, Security()
    if isinstance(client, Client):
        if client.status != "running":
            raise InvalidInputError(f"client is {client.status}: make a new one, as dask.distributed.Client does.")
        address, security = client.scheduler.address, client.security
    if not isinstance(address, str):
        raise InvalidInputError(
            f"client must be a dask.distributed.Client, the address of a scheduler such as 'tcp://10.0.0.1:8786', or "
            f"{JOBLIB!r}, not {type(client).__name__}."
        )
    try:
        with ThreadPoolExecutor(1) as thread:  # a notebook has a loop in this one
            thread.submit(asyncio.run, _answer(address, security.get_connection_args("client"))).result()
        return Client(address, timeout=CONNECTING, set_as_default=False, security=security)
    except (OSError, ValueError) as error:  # of the network, or of an address that is none
        raise ClusterError(
            f"client={address!r}: no scheduler of Dask has answered within {CONNECTING:g} s ({one_line(error)}). Is "
            "the address right, and `dask scheduler` running there?"
        ) from error


async def _answer(address: str, options: dict[str, Any]) -> None:
    """Wait for the first answer, and not for long: a client would wait for ever where somebody listens and is mute."""
    from distributed.comm import connect

    async with asyncio.timeout(CONNECTING):
        comm = await connect(address, timeout=CONNECTING, **options)
        await comm.close()


@contextlib.contextmanager
def scheduler_there() -> Iterator[None]:
    """What is asked of a scheduler that is gone by now ends in one sentence."""
    try:
        yield
    except OSError as error:
        raise ClusterError(NO_SCHEDULER) from error


class DaskWorkers:
    """Those of one scheduler."""

    errand: Errand  # of the last call of begin

    def __init__(self, client: Any) -> None:
        from distributed import as_completed

        self.client = client
        self.events: deque[tuple[str, Any]] = deque()  # worker, and what the scheduler has noted of it
        self.heard: set[str] = set()  # workers whose events are heard
        self.waiting: deque[Bundle] = deque()
        self.suspects: deque[Bundle] = deque()
        self.out: dict[str, tuple[Any, Bundle]] = {}  # key → future and bundle
        self.done = as_completed(loop=client.loop, with_results=True, raise_errors=False)
        self.luggage: Any = None
        self.n_keys, self.seen, self.is_gone = 0, time.monotonic(), False
        try:
            self._check()
        except BaseException:
            self.close()
            raise

    def _check(self) -> None:
        """Whether there are workers, and have what they need."""
        try:
            self.client.submit(int, pure=False).result(timeout=STARTING)  # adaptive clusters wait for some work
        except TimeoutError as error:
            raise ClusterError(
                f"client: the scheduler {self.client.scheduler.address} has had no worker for {STARTING:g} s: start "
                "some, such as `dask worker` there, and wait for them with client.wait_for_workers(1)."
            ) from error
        named = {f"the worker {worker}": told for worker, told in self.client.run(*VERSION, on_error="return").items()}
        try:
            named["the scheduler"] = self.client.run_on_scheduler(*VERSION)
        except Exception as error:  # whatever an import there raises
            named["the scheduler"] = error
        for name, told in named.items():
            if told != __version__:
                has = f"has {PACKAGE} {told}" if isinstance(told, str) else f"has no {PACKAGE} ({one_line(told)})"
                raise ClusterError(
                    f"client: {name} {has}, but this process has {__version__}: install {PACKAGE} {__version__} there, "
                    "and start it again."
                )
        self._count()

    def _count(self) -> None:
        self.counted = time.monotonic()
        workers = self.client.nthreads()
        self.n_threads = sum(workers.values())
        for worker in workers.keys() - self.heard:
            self.heard.add(worker)
            self.client.subscribe_topic(worker, lambda event, worker=worker: self.events.append((worker, event[1])))
        if self.n_threads:
            self.seen = self.counted
        elif self.counted - self.seen > GONE:
            raise ClusterError(f"There has been no worker for {GONE:g} s: start some, and train these networks anew.")

    def begin(self, errand: Errand, bundles: Sequence[Bundle]) -> None:
        """Send the luggage to all workers, and the first bundles."""
        is_there = self.luggage is not None and self.errand.luggage is errand.luggage
        self.errand = errand
        self.waiting.extend(bundles)
        with scheduler_there():
            if not (is_there and self.luggage.status == "finished"):
                self._scatter()
            self._hand_out()

    def _scatter(self) -> None:
        """Send the luggage to all workers, and once more where some are lost while they take it."""
        from dask.sizeof import sizeof

        luggage, started = self.errand.luggage, time.monotonic()
        luggage.n_bytes = sum(map(sizeof, luggage.parts))
        while True:
            try:
                self.luggage = self.client.scatter(luggage, broadcast=True, hash=False)
                return
            except (TypeError, AttributeError, pickle.PicklingError) as error:
                raise InvalidInputError(f"The table cannot be sent to a worker: {one_line(error)}.") from error
            except Exception as error:  # whatever Dask meets where workers are lost meanwhile
                if self.client.status != "running":
                    raise ClusterError(NO_SCHEDULER) from error
                if time.monotonic() - started > GONE:
                    raise ClusterError(
                        f"No worker has taken the table for {GONE:g} s ({one_line(error)}): start some, and train "
                        "these networks anew."
                    ) from error
            time.sleep(LOOKS)

    def _hand_out(self) -> None:
        """Keep each thread busy, and no more: the longest come first, whoever joins or leaves; suspects one by one."""
        while self.waiting and len(self.out) < AHEAD * max(self.n_threads, 1):
            self._send(self.waiting.popleft())
        if self.suspects and not self.out:
            self.suspects[0].is_alone = True
            self._send(self.suspects.popleft())

    def _send(self, bundle: Bundle) -> None:
        import dask

        errand = self.errand
        self.n_keys += 1
        key = f"{PACKAGE}-{errand.call}-{self.n_keys}"
        # Large networks are as large as that; they are sent once, as they should be.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 PiB"}):
            future = self.client.submit(
                train_bundle, self.luggage, bundle.number, bundle.parcels, *errand[1:], key=key, pure=False
            )
        self.out[key] = future, bundle
        self.done.add(future)

    def add(self, bundles: Iterable[Bundle]) -> None:
        """Train these, too, alone: Dask suspects all that a lost worker had, also what only waited there."""
        self.suspects.extend(bundles)

    def look(self) -> Iterator[Event]:
        """What has come, and which workers were lost before."""
        came = self.done.next_batch(block=False)
        with scheduler_there():
            yield from self._lost()
            for future, result in came:
                yield from self._come(future, result)
            if self.is_gone:
                raise ClusterError(NO_SCHEDULER)
            if time.monotonic() - self.counted > COUNTS:
                self._count()
            self._hand_out()
        if not came:
            time.sleep(LOOKS)

    def _lost(self) -> Iterator[Event]:
        """Bundles whose worker was removed while it had them."""
        while self.events:
            worker, told = self.events.popleft()
            if isinstance(told, dict) and told.get("action") == "remove-worker":
                for key in {*told.get("processing-tasks", ()), *told.get("lost-computed-tasks", ())}:
                    if key in self.out:
                        yield Lost(self.out[key][1], worker)

    def _come(self, future: Any, result: Any) -> Iterator[Event]:
        """What a future has become."""
        from distributed.scheduler import KilledWorker

        if future.key not in self.out:
            return
        _, bundle = self.out.pop(future.key)
        if future.status == "finished":
            yield Came(bundle, result[1])
        elif future.status == "error":
            error = result[1]
            if isinstance(error, KilledWorker):
                yield GivenUp(bundle)
            else:
                yield Came(bundle, ClusterError(f"A worker could not train it: {one_line(error)}."))
        elif self.client.status != "running":
            self.is_gone = True
        elif bundle.n_lost > MOST_LOST:
            yield GivenUp(bundle)
        else:  # the last copy of the luggage was lost with a worker
            if self.luggage.status != "finished":
                self._scatter()
            self.waiting.appendleft(bundle)

    def stop(self) -> bool:
        """Have all workers end the networks of this call."""
        self.waiting.clear()
        self.suspects.clear()
        try:
            self.client.run(end, self.errand.call, on_error="ignore")
        except OSError:  # of a scheduler that is gone
            return False
        return True

    def begun(self) -> list[Bundle]:
        """Those handed out."""
        return [bundle for _, bundle in self.out.values()]

    def end(self) -> None:
        """Cancel what is left."""
        self.waiting.clear()
        self.suspects.clear()
        if self.out:
            with contextlib.suppress(Exception):  # of a cluster that is gone
                self.client.cancel([future for future, _ in self.out.values()], force=True)
        self.out.clear()
        self.done.clear()

    def close(self) -> None:
        """Close the client of our own: the scheduler forgets what it had sent."""
        self.luggage = None
        self.client.close()
