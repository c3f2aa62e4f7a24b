"""What one training learns from, and what it has learned of tables before a step: of a table, or of a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from ..data.lesson import prepared
from ..data.rows import Measured
from ..data.schema import Schema
from ..data.splits import check_share
from ..data.streams.ahead import ahead
from ..data.streams.held_out import Split
from ..data.streams.joined import joined
from ..data.streams.pieces import n_rows_of
from ..data.streams.source import Batch, Begun
from ..data.streams.stream import BUFFER, Stream, as_stream
from ..data.streams.survey import Survey
from ..data.streams.taught import Taught
from ..errors import InvalidInputError
from ..kernels.records import Net
from ..training.buffers import Buffers, Passes, Size, buffer_sizes, rows_at_a_time
from ..training.feed import Feed, Whole
from ..training.interrupts import Interrupts

HeldOut = Measured | Stream


class Options(NamedTuple):
    """What a user says of rows and their order."""

    seed: int
    epoch: int
    shuffle: bool
    class_weight: Any
    validation_data: Any
    validation_split: Any
    initializer: Any


class Taken(NamedTuple):
    """A training's rows, and what they teach about tables: nothing of it has reached a model yet."""

    schema: Schema
    net: Net
    feed: Feed
    held_out: HeldOut | None
    seen: Callable[[], HeldOut]  # the rows to learn from, as rows to measure with


def taken(schema: Schema, net: Net, X: Any, y: Any, sample_weight: Any, options: Options) -> Taken:
    """Check a table and everything that a user gave for a training on it."""
    return _of_table(schema, net, (X, y, sample_weight), options)


def check_there_is(y: Any) -> None:
    """Refuse a table without targets."""
    if y is None:
        raise InvalidInputError("y is missing: give the actual value of each row, or a stream that has both.")


def taken_from_stream(
    schema: Schema, net: Net, stream: Stream, options: Options, batch_size: int, tell: Callable[[str], None]
) -> Taken:
    """The same of a stream: one that fits into a buffer is a table; of another, a first pass tells about its columns.

    `tell` hears of such a pass.
    """
    with Interrupts() as interrupts:
        interrupts.listen()  # the end of a thread that reads may swallow Ctrl-C
        found = _of_stream(schema, net, stream, options, batch_size, tell)
        interrupts.check()
        return found


def _of_stream(
    schema: Schema, net: Net, stream: Stream, options: Options, batch_size: int, tell: Callable[[str], None]
) -> Taken:
    most = buffer_rows_of(schema, stream, batch_size)
    batches = stream.source.batches(None, rows_at_a_time(schema.network.n_in + schema.network.n_targets, most))
    if stream.source.is_one_pass:
        return _of_iterator(schema, net, stream, batches, options, most)
    with closing(ahead(batches)) as read:
        return _of_passes(schema, net, stream, read, options, most, tell)


def _of_iterator(
    schema: Schema, net: Net, stream: Stream, batches: Iterator[Batch], options: Options, most: int
) -> Taken:
    """The rows that come only once: the first buffer tells about the columns of all."""
    begun, is_whole = _first_buffer(batches, most)
    if is_whole:
        return _of_table(schema, net, joined(begun), options)
    check_share(options.validation_split, options.validation_data)
    if options.validation_split:
        raise InvalidInputError(
            f"{stream.source.name} can be read only once, but rows of validation_split are measured after each epoch: "
            "give validation_data, or a function that makes an iterator for each pass."
        )
    taught = _surveyed(schema, net, begun, options)
    return _of_buffers(taught, stream, Begun(stream.source.name, chain(begun, batches)), [], options, most)


def _of_passes(
    schema: Schema, net: Net, stream: Stream, batches: Iterator[Batch], options: Options, most: int,
    tell: Callable[[str], None],
) -> Taken:  # fmt: skip
    """The rows that come anew in each pass, of which the batches are the first."""
    begun, is_whole = _first_buffer(batches, most)
    if is_whole and stream.source.is_fixed:
        return _of_table(schema, net, joined(begun), options)
    options, train = _split(options, stream)
    rows: Iterable[Batch] = chain(begun, batches)
    if train is not stream:  # a side of an earlier split is read as such already
        assert isinstance(train.source, Split)
        rows = train.source.kept(rows)
    if is_whole:  # the columns are known as well as those of a table
        begun = list(rows)
        known = _of_table(schema, net, joined(begun), options)
        taught = replace(_surveyed(schema, net, begun, options), schema=known.schema, net=known.net)
    else:
        tell(f"reading {stream.source.name} once, to learn about its columns")
        taught = _surveyed(schema, net, rows, options)
    return _of_buffers(taught, train, train.source, buffer_sizes(taught.n_rows, most), options, most)


def _of_buffers(
    taught: Taught, stream: Stream, passes: Passes, sizes: list[Size], options: Options, most: int
) -> Taken:
    """Rows that are read while others are trained on."""
    rows_of = partial(taught.rows_of, is_new=not stream.source.is_fixed)
    feed = Buffers(passes, rows_of, sizes, taught.probe, most)
    return Taken(taught.schema, taught.net, feed, stream_to_validate(options) or taught.held_out, lambda: stream)


def _of_table(schema: Schema, net: Net, rows: tuple[Any, Any, Any], options: Options) -> Taken:
    (X, y, sample_weight), given = rows, options._asdict()
    check_there_is(y)
    stream = stream_to_validate(options)
    if stream is not None:
        given["validation_data"] = None
    lesson = prepared(schema, net, X, y, sample_weight=sample_weight, **given)
    return Taken(lesson.schema, lesson.net, Whole(lesson.rows), stream or lesson.held_out, lesson.measured)


def _surveyed(schema: Schema, net: Net, batches: Iterable[Batch], options: Options) -> Taught:
    """What a pass over the rows teaches."""
    survey = Survey(schema, net, options.seed, class_weight=options.class_weight)
    for batch in batches:
        survey.look_at(batch)
    given = None if stream_to_validate(options) else options.validation_data
    return survey.learned(net, options.initializer, validation_data=given, shuffle=options.shuffle)


def _split(options: Options, stream: Stream) -> tuple[Options, Stream]:
    """The rows to learn from; those that validation_split holds out of a stream are in the options."""
    check_share(options.validation_split, options.validation_data)
    if not options.validation_split:
        return options, stream
    if options.class_weight is not None:
        raise InvalidInputError(
            "class_weight does not go with validation_split of a stream: give validation_data that is a table."
        )
    train, held_out = stream.split(options.validation_split, options.seed)
    return options._replace(validation_split=0.0, validation_data=held_out), train


def _first_buffer(batches: Iterator[Batch], most: int) -> tuple[list[Batch], bool]:
    """As many batches as fit into a buffer, or one more; and whether they are all."""
    begun: list[Batch] = []
    n_rows = 0
    for batch in batches:
        begun.append(batch)
        n_rows += n_rows_of(batch.X)
        if n_rows > most:
            return begun, False
    return begun, True


def buffer_rows_of(schema: Schema, stream: Stream, batch_size: int) -> int:
    """How many rows a buffer has: as it is asked for, or as many as it has room for; whole batches."""
    if stream.buffer_rows is None:
        row = (schema.network.n_in + schema.network.n_targets + 1) * schema.dtype.itemsize
        return max(BUFFER // row // batch_size, 1) * batch_size
    if stream.buffer_rows < batch_size:
        raise InvalidInputError(
            f"buffer_rows is {stream.buffer_rows:,}, less than one batch of {batch_size:,} rows: take a larger buffer, "
            "or a smaller batch_size."
        )
    return stream.buffer_rows // batch_size * batch_size


def stream_to_validate(options: Options) -> Stream | None:
    """What a user gives to validate with, where it is a stream."""
    given = options.validation_data
    if isinstance(given, Stream):
        stream: Stream | None = given
    elif isinstance(given, tuple | list) and len(given) in (2, 3):
        stream = as_stream(given[0], given[1], given[2] if len(given) == 3 else None, None)
    else:
        return None
    if stream is not None and options.validation_split:
        raise InvalidInputError("validation_data and validation_split cannot both be given.")
    if stream is not None and stream.source.is_one_pass:
        raise InvalidInputError(
            "validation_data is an iterator, which can be read only once, but is measured after each epoch: give a "
            "function that makes one."
        )
    if stream is not None and options.class_weight is not None:
        raise InvalidInputError("class_weight goes with validation_data that is a table, not with a stream.")
    return stream
