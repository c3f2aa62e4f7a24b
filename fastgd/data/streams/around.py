"""Sources around another one, whose rows they leave out or change on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from .source import Batch, Source

Self = TypeVar("Self", bound="Around")


class Around:
    """A source that reads another one."""

    n_rows = None

    def __init__(self, source: Source) -> None:
        self.source = source

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.source.name

    @property
    def files(self) -> Sequence[str]:
        """Those of the source."""
        return self.source.files

    @property
    def n_parts(self) -> int | None:
        """As many as the source has."""
        return self.source.n_parts

    @property
    def is_one_pass(self) -> bool:
        """As the source."""
        return self.source.is_one_pass

    @property
    def is_fixed(self) -> bool:
        """As the source."""
        return self.source.is_fixed

    def batches(self, order: Sequence[int] | None, most: int) -> Iterator[Batch]:
        """What is left of the rows of the source."""
        return self.kept(self.source.batches(order, most))

    def kept(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """What is left of the batches of a pass of the source."""
        raise NotImplementedError

    def share(self: Self, rank: int, size: int) -> Self:
        """What one of several machines reads."""
        return self.around(self.source.share(rank, size))

    def sized(self: Self, buffer_rows: int) -> Self:
        """The same in other parts."""
        return self.around(self.source.sized(buffer_rows))

    def once(self: Self) -> Self:
        """The same for one pass."""
        return self.around(self.source.once())

    def around(self: Self, source: Source) -> Self:
        """The same with another source."""
        raise NotImplementedError


class Changed(Around):
    """Batches as a function makes them of those of a source; without those for which it gives None."""

    def __init__(self, source: Source, change: Callable[[Batch], Batch | None]) -> None:
        super().__init__(source)
        self.change = change

    def kept(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches that the function makes."""
        for batch in batches:
            made = self.change(batch)
            if made is not None:
                yield made

    def around(self, source: Source) -> Changed:
        """The same with another source."""
        return Changed(source, self.change)
