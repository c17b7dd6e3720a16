"""Rewrites segments: without what was forgotten, several as one. All functions need the lock of the store."""

from __future__ import annotations

import contextlib
import math
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory import tables
from arrowmind.memory.rows import concatenate
from arrowmind.memory.spaces import HOME
from arrowmind.memory.steps import reached
from arrowmind.observe import get_logger

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from arrowmind.memory.blocks import Block, Space
    from arrowmind.memory.catalogue import Catalogue
    from arrowmind.memory.rows import Rows
    from arrowmind.memory.segment import SegmentWriter
    from arrowmind.memory.settings import StoreSettings
    from arrowmind.memory.tables import SegmentRow

__all__ = [
    "crowded_segments",
    "erase_leftovers",
    "remove_orphans",
    "rewrite",
    "segments_of",
    "small_segments",
    "spoilt_segments",
    "wasteful_segments",
]

_log = get_logger(__name__)


@dataclass(frozen=True)
class _Source:
    """A block to be copied, and which of its rows."""

    rows: Rows
    keep: npt.NDArray[np.bool_] | None


def crowded_segments(space: Space, settings: StoreSettings) -> list[SegmentRow]:
    """Segments of about one size of which there are too many: a group to merge, or none."""
    levels = defaultdict(list)
    for segment in segments_of(space):
        size = max(segment.vectors / settings.flush_rows, 1.0)
        levels[int(math.log(size, settings.merge_count))].append(segment)
    for _, group in sorted(levels.items()):
        chosen = _prefix(group[: settings.merge_count], settings.merge_rows)
        if len(chosen) == settings.merge_count:
            return chosen
    return []


def small_segments(space: Space, settings: StoreSettings) -> list[list[SegmentRow]]:
    """All segments below the size of a batch, in groups that may be merged."""
    rest = [segment for segment in segments_of(space) if segment.vectors < settings.batch_rows]
    groups = []
    while rest:
        groups.append(_prefix(rest, settings.merge_rows))
        rest = rest[len(groups[-1]) :]
    return groups


def _prefix(segments: list[SegmentRow], most: int) -> list[SegmentRow]:
    """The first segments that together have at most ``most`` vectors; one at least."""
    total, count = 0, 0
    for segment in segments:
        total += segment.vectors
        if count and total > most:
            break
        count += 1
    return segments[:count]


def wasteful_segments(space: Space, settings: StoreSettings) -> list[SegmentRow]:
    """Segments in which more than the allowed share is forgotten."""
    return [
        segment
        for segment in segments_of(space)
        if _gone(space, segment) > settings.dead_share * segment.vectors
    ]


def spoilt_segments(space: Space) -> list[SegmentRow]:
    """Segments in which anything is forgotten."""
    return [segment for segment in segments_of(space) if _gone(space, segment)]


def segments_of(space: Space) -> list[SegmentRow]:
    """The segments of a space, oldest first."""
    unique = {block.segment.id: block.segment for block in space.blocks if block.segment}
    return list(unique.values())


def _gone(space: Space, segment: SegmentRow) -> int:
    """Vectors of a segment that are forgotten."""
    masks = [block.dead for block in _blocks(space, [segment])]
    return sum(int(mask.sum()) for mask in masks if mask is not None)


def _blocks(space: Space, segments: Sequence[SegmentRow]) -> list[Block]:
    ids = {segment.id for segment in segments}
    return [block for block in space.blocks if block.segment and block.segment.id in ids]


def rewrite(
    catalogue: Catalogue,
    writer: SegmentWriter,
    space: Space,
    segments: Sequence[SegmentRow],
    batch_rows: int,
) -> list[int]:
    """Puts one new segment in the place of several of a space, without forgotten memories.

    Returns:
        Ids of the memories whose bytes are gone with the old files.
    """
    sources, removed = [], []
    for block in _blocks(space, segments):
        gone = block.dead
        sources.append(_Source(block.rows, None if gone is None else ~gone))
        if gone is not None:
            removed.extend(np.unique(block.rows.ids[gone]).tolist())
    remaining = any(source.keep is None or source.keep.any() for source in sources)
    new = writer.write(_batches(sources, batch_rows)) if remaining else None
    with catalogue.writing() as db:
        old = [segment.id for segment in segments]
        tables.delete_tombstones(db, removed, old)
        if space.row.id == HOME:
            tables.delete_accesses(db, removed)
        if new is not None:
            _name_instead(db, new, segments)
        tables.delete_segments(db, old)
        tables.touch_layout(db)
        reached("rewrite.before_commit")
    reached("rewrite.committed")
    for segment in segments:
        (writer.folder / segment.name).unlink(missing_ok=True)
    reached("rewrite.unlinked")
    return removed


def _name_instead(db: sqlite3.Connection, new: SegmentRow, old: Sequence[SegmentRow]) -> None:
    new_id = tables.insert_segment(db, new)
    if all(segment.indexed for segment in old):
        tables.mark_indexed(db, [new_id])
    # What was forgotten while the file was written lies in the new segment.
    tables.move_tombstones(db, [segment.id for segment in old], new_id)


def _batches(sources: Sequence[_Source], batch_rows: int) -> Iterator[Rows]:
    """Rows to copy, gathered into batches of at most ``batch_rows``; a larger block stays whole."""
    group: list[_Source] = []
    rows = 0
    for source in sorted(sources, key=lambda item: int(item.rows.ids[0])):
        count = len(source.rows) if source.keep is None else int(source.keep.sum())
        if count == 0:
            continue
        if group and rows + count > batch_rows:
            yield _merged(group)
            group, rows = [], 0
        group.append(source)
        rows += count
    if group:
        yield _merged(group)


def _merged(group: list[_Source]) -> Rows:
    return concatenate([(source.rows, source.keep) for source in group], signs=True)


def erase_leftovers(catalogue: Catalogue, busy_seconds: float) -> bool:
    """Rewrites the catalogue and empties its log, so that no deleted byte stays in either.

    Returns:
        Whether the log could be emptied; a reader that holds an old view forbids it.
    """
    deadline = time.monotonic() + busy_seconds
    with catalogue.connection() as db:
        db.execute("VACUUM")
        while True:
            busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy or time.monotonic() > deadline:
                break
            time.sleep(0.05)
    if busy:
        _log.warning("catalogue_log_in_use", catalogue=str(catalogue.path), seconds=busy_seconds)
    return not busy


def remove_orphans(folder: Path, named: Collection[str], older_than_seconds: float) -> list[Path]:
    """Deletes segment files that the catalogue does not name; young ones are left alone."""
    removed = []
    for entry in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            age = time.time() - entry.stat().st_mtime
            if entry.suffix == ".arrow" and entry.name not in named and age >= older_than_seconds:
                entry.unlink()
                removed.append(entry)
    if removed:
        _log.info("orphans_removed", folder=str(folder), files=len(removed))
    return removed
