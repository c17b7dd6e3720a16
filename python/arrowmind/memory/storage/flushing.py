"""Moves memories from the catalogue, or from a large batch, into segments. All functions need the lock."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory.steps import reached
from arrowmind.memory.storage import tables
from arrowmind.memory.storage.rows import concatenate, rows_of_pending
from arrowmind.memory.storage.spaces import HOME
from arrowmind.memory.storage.tables import PendingRow

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from arrowmind.memory.storage.catalogue import Catalogue
    from arrowmind.memory.storage.rows import Rows
    from arrowmind.memory.storage.segment import SegmentWriter
    from arrowmind.memory.storage.snapshot import Snapshot
    from arrowmind.memory.storage.spaces import SpaceRow
    from arrowmind.memory.storage.tables import NewRecord, SegmentRow

    Also = Callable[[sqlite3.Connection, list[int]], None]
    Writers = Callable[[SpaceRow], SegmentWriter]

__all__ = ["flush_pending", "split_rows", "write_batch"]

_BATCH_TEXT_BYTES = 256 << 20


def flush_pending(catalogue: Catalogue, writers: Writers, snapshot: Snapshot, batch_rows: int) -> None:
    """Makes a segment of everything that waits in each space; something must wait in that of texts."""
    waiting = [(space.row, space.pending.rows) for space in snapshot.spaces]
    written = _write_all(writers, waiting, batch_rows)
    rows = snapshot.pending.rows
    with catalogue.writing() as db:
        ids = rows.ids[rows.first_rows].tolist()
        gone = set(ids) - set(tables.delete_pending(db, ids))
        for segment, vectors in written:
            number = tables.insert_segment(db, segment)
            # Forgotten while the files were written: its bytes are in the segments now.
            tables.insert_tombstones(db, _marks(vectors, gone, number))
        tables.touch_layout(db)
        reached("flush.before_commit")
    reached("flush.committed")


def write_batch(
    catalogue: Catalogue,
    writers: Writers,
    spaces: Sequence[SpaceRow],
    records: Sequence[NewRecord],
    batch_rows: int,
    also: Also,
) -> list[int]:
    """Stores many memories as segments of their own, past the catalogue; returns their ids.

    What ``also`` writes about these ids becomes true together with them.
    """
    with catalogue.writing() as db:
        ids = tables.take_ids(db, len(records))
    waiting = [
        (space, rows_of_pending(_numbered(ids, records, space), space.dimension, "a batch"))
        for space in spaces
    ]
    written = _write_all(writers, waiting, batch_rows)
    with catalogue.writing() as db:
        for segment, _ in written:
            tables.insert_segment(db, segment)
        also(db, list(ids))
        tables.touch_layout(db)
        reached("batch.before_commit")
    reached("batch.committed")
    return list(ids)


def _write_all(
    writers: Writers, waiting: Sequence[tuple[SpaceRow, Rows]], batch_rows: int
) -> list[tuple[SegmentRow, Rows]]:
    return [
        (writers(space).write(split_rows(rows, batch_rows)), rows) for space, rows in waiting if len(rows)
    ]


def _marks(rows: Rows, gone: set[int], segment: int) -> Iterator[tuple[int, int, int]]:
    """Tombstones for those of some memories that lie in a segment."""
    for id_ in gone:
        row = rows.find(id_)
        if row is not None:
            yield id_, segment, rows.window_count(row)


def _numbered(ids: Iterable[int], records: Sequence[NewRecord], space: SpaceRow) -> list[PendingRow]:
    """What records hold in one space."""
    found = []
    for id_, record in zip(ids, records, strict=True):
        shared = (record.traits, record.metadata, record.timestamp, record.expires)
        if space.id == HOME:
            found.append(PendingRow(id_, record.text, *shared, record.windows, record.vectors))
        for other in record.others:
            if other.space == space.id:
                bare = (record.traits, b"", record.timestamp, record.expires)
                found.append(PendingRow(id_, b"", *bare, other.windows, other.vectors))
    return found


def split_rows(rows: Rows, batch_rows: int) -> Iterator[Rows]:
    """Rows with signs in parts of at most ``batch_rows`` rows and 256 MB of text; no memory is split."""
    sizes = np.array([len(rows.texts[row]) + len(rows.metadata[row]) for row in rows.first_rows.tolist()])
    ends = [*rows.first_rows[1:].tolist(), len(rows)]
    start, text_bytes = 0, 0
    for number, (first, end) in enumerate(zip(rows.first_rows.tolist(), ends, strict=True)):
        text_bytes += int(sizes[number])
        if first > start and (end - start > batch_rows or text_bytes > _BATCH_TEXT_BYTES):
            yield _part(rows, start, first)
            start, text_bytes = first, int(sizes[number])
    yield _part(rows, start, len(rows))


def _part(rows: Rows, start: int, end: int) -> Rows:
    keep = np.zeros(len(rows), dtype=np.bool_)
    keep[start:end] = True
    return replace(concatenate([(rows, keep)], signs=True), name=rows.name)
