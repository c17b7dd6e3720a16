"""Moves memories from the catalogue, or from a large batch, into segments. All functions need the lock."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory import tables
from arrowmind.memory.rows import concatenate, rows_of_pending
from arrowmind.memory.steps import reached
from arrowmind.memory.tables import PendingRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from arrowmind.memory.catalogue import Catalogue
    from arrowmind.memory.rows import Rows
    from arrowmind.memory.segment import SegmentWriter
    from arrowmind.memory.snapshot import Snapshot
    from arrowmind.memory.tables import NewRecord

__all__ = ["flush_pending", "split_rows", "write_batch"]

_BATCH_TEXT_BYTES = 256 << 20


def flush_pending(catalogue: Catalogue, writer: SegmentWriter, snapshot: Snapshot, batch_rows: int) -> None:
    """Makes a segment of everything that waits, which must be something."""
    rows = snapshot.pending.rows
    segment = writer.write(split_rows(rows, batch_rows))
    with catalogue.writing() as db:
        written = {int(rows.ids[row]): rows.window_count(row) for row in rows.first_rows.tolist()}
        moved = set(tables.delete_pending(db, written))
        segment_id = tables.insert_segment(db, segment)
        # Forgotten while the file was written: its bytes are in the segment now.
        gone = ((id_, segment_id, windows) for id_, windows in written.items() if id_ not in moved)
        tables.insert_tombstones(db, gone)
        tables.touch_layout(db)
        reached("flush.before_commit")
    reached("flush.committed")


def write_batch(
    catalogue: Catalogue,
    writer: SegmentWriter,
    records: Sequence[NewRecord],
    batch_rows: int,
) -> list[int]:
    """Stores many memories as a segment of their own, past the catalogue; returns their ids."""
    with catalogue.writing() as db:
        ids = tables.take_ids(db, len(records))
    numbered = [PendingRow(**vars(record), id=id_) for id_, record in zip(ids, records, strict=True)]
    rows = rows_of_pending(numbered, writer.dimension, "a batch")
    segment = writer.write(split_rows(rows, batch_rows))
    with catalogue.writing() as db:
        tables.insert_segment(db, segment)
        tables.touch_layout(db)
        reached("batch.before_commit")
    reached("batch.committed")
    return list(ids)


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
