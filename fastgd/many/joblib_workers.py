"""Workers of joblib, of the backend and as many as `joblib.parallel_config` says; large arrays are theirs together.

A process of joblib that is killed ends its pool, and nobody says which networks it had: all that had begun is begun
again in a new one, and what was lost twice is tried alone, so that a network that kills takes no others with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from ..errors import ClusterError, InvalidInputError, not_installed
from .parcels import Bundle, end, one_line, train_bundle
from .workers import MOST_LOST, Came, Errand, Event, GivenUp, Lost

POOL = "a process of joblib"
ALONE = 2  # losses, after which a bundle is tried alone


class JoblibWorkers:
    """Those of the backend that is set."""

    def __init__(self) -> None:
        try:
            import cloudpickle  # noqa: F401  earlier versions of joblib do not bring it
            import joblib
        except ImportError as error:
            raise not_installed("Workers of joblib", error.name or "joblib") from error
        self.joblib = joblib
        backend, _ = joblib.parallel.get_active_backend()
        if not backend.supports_return_generator:
            raise InvalidInputError(
                f"client: joblib's {type(backend).__name__} sends no results as they come: take another one, such as "
                "joblib.parallel_config(backend='loky', n_jobs=2)."
            )
        self.n_threads = joblib.effective_n_jobs(None)
        self.results: Iterator[Any] | None = None
        self.waiting: deque[Bundle] = deque()
        self.suspects: deque[Bundle] = deque()
        self.out: dict[int, Bundle] = {}

    def begin(self, errand: Errand, bundles: Sequence[Bundle]) -> None:
        """Note them: joblib begins when somebody looks."""
        self.errand = errand
        self.waiting.extend(bundles)

    def add(self, bundles: Iterable[Bundle]) -> None:
        """Train these, too."""
        for bundle in bundles:
            (self.suspects if bundle.n_lost >= ALONE else self.waiting).append(bundle)

    def _calls(self) -> Iterator[Any]:
        """What joblib takes, as it takes it: all, and then suspects one by one."""
        while self.waiting:
            yield self._call(self.waiting.popleft())
        if self.suspects and not self.out:
            self.suspects[0].is_alone = True
            yield self._call(self.suspects.popleft())

    def _call(self, bundle: Bundle) -> Any:
        self.out[bundle.number] = bundle
        luggage, *told = self.errand
        return self.joblib.delayed(train_bundle)(luggage, bundle.number, bundle.parcels, *told)

    def look(self) -> Iterable[Event]:
        """Wait for the next bundle."""
        if self.results is None:
            # One call for each bundle, and none that waits in the pool: these are of some seconds already.
            options = {"return_as": "generator_unordered", "batch_size": 1, "pre_dispatch": "n_jobs"}
            self.results = self.joblib.Parallel(**options)(self._calls())
        try:
            number, answer = next(self.results)
        except StopIteration:
            self.results = None
            return []
        except BrokenProcessPool:
            self.results = None
            return self._broken()
        except Exception as error:  # of whatever backend
            raise ClusterError(f"joblib's workers have failed: {one_line(error)}.") from error
        return [Came(self.out.pop(number), answer)]

    def _broken(self) -> Iterator[Event]:
        """All that had begun is to be begun again; what was lost too often is given up."""
        begun, self.out = list(self.out.values()), {}
        for bundle in begun:
            yield Lost(bundle, POOL)
            if bundle.n_lost > MOST_LOST:
                yield GivenUp(bundle)
            else:
                self.add([bundle])

    def stop(self) -> bool:
        """End the pool: what it trains is given up."""
        self.waiting.clear()
        self.suspects.clear()
        end(self.errand.call)  # networks in threads of this process
        if self.results is not None:
            self.results.close()  # type: ignore[attr-defined]
            self.results = None
        return False

    def begun(self) -> list[Bundle]:
        """Those that joblib has taken."""
        return list(self.out.values())

    def end(self) -> None:
        """Forget the bundles."""
        if self.results is not None:
            self.results.close()  # type: ignore[attr-defined]
            self.results = None
        self.waiting.clear()
        self.suspects.clear()
        self.out.clear()

    def close(self) -> None:
        """joblib keeps its processes, for a while."""
