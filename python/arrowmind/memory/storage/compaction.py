"""Rewrites segments: without what was forgotten, several as one. All functions need the lock of the store."""

from __future__ import annotations

import contextlib
import math
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory.resting import may_rest
from arrowmind.memory.steps import reached
from arrowmind.memory.storage import tables
from arrowmind.memory.storage.rows import concatenate
from arrowmind.memory.storage.spaces import HOME
from arrowmind.observe import get_logger

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    IntArray = npt.NDArray[np.int64]

    from arrowmind.memory.settings import StoreSettings
    from arrowmind.memory.storage.blocks import Block, Space
    from arrowmind.memory.storage.catalogue import Catalogue
    from arrowmind.memory.storage.rows import Rows
    from arrowmind.memory.storage.segment import SegmentWriter
    from arrowmind.memory.storage.tables import SegmentRow

__all__ = [
    "Source",
    "batches",
    "blocks_of",
    "crowded_segments",
    "erase_leftovers",
    "gone_of",
    "remove_orphans",
    "rewrite",
    "segments_of",
    "small_segments",
    "spoilt_segments",
    "swap",
    "wasteful_segments",
]

_log = get_logger(__name__)


@dataclass(frozen=True)
class Source:
    """A block to be copied, and which of its rows."""

    rows: Rows
    keep: npt.NDArray[np.bool_] | None


def crowded_segments(space: Space, settings: StoreSettings) -> list[SegmentRow]:
    """Segments of about one size of which there are too many: a group to merge, or none."""
    levels = defaultdict(list)
    for segment in _warm(space):
        size = max(segment.vectors / settings.flush_rows, 1.0)
        levels[int(math.log(size, settings.merge_count))].append(segment)
    for _, group in sorted(levels.items()):
        chosen = _prefix(group[: settings.merge_count], settings.merge_rows)
        if len(chosen) == settings.merge_count:
            return chosen
    return []


def small_segments(space: Space, settings: StoreSettings) -> list[list[SegmentRow]]:
    """All segments below the size of a batch, in groups that may be merged."""
    rest = [segment for segment in _warm(space) if segment.vectors < settings.batch_rows]
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


def wasteful_segments(space: Space, settings: StoreSettings, *, cold: bool = False) -> list[SegmentRow]:
    """Segments, cold ones or others, in which more than the allowed share is forgotten."""
    chosen = [segment for segment in segments_of(space) if segment.is_cold == cold]
    return [segment for segment in chosen if gone_of(space, segment) > settings.dead_share * segment.vectors]


def spoilt_segments(space: Space) -> list[SegmentRow]:
    """Segments in which anything is forgotten."""
    return [segment for segment in _warm(space) if gone_of(space, segment)]


def _warm(space: Space) -> list[SegmentRow]:
    """Segments with vectors; those of cold memories are looked after by `settling`."""
    return [segment for segment in segments_of(space) if not segment.is_cold]


def segments_of(space: Space) -> list[SegmentRow]:
    """The segments of a space, oldest first."""
    unique = {block.segment.id: block.segment for block in space.blocks if block.segment}
    return list(unique.values())


def gone_of(space: Space, segment: SegmentRow) -> int:
    """Vectors of a segment that are forgotten."""
    masks = [block.dead for block in blocks_of(space, [segment])]
    return sum(int(mask.sum()) for mask in masks if mask is not None)


def blocks_of(space: Space, segments: Sequence[SegmentRow]) -> list[Block]:
    """The blocks of some segments."""
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
    for block in blocks_of(space, segments):
        gone = block.dead
        sources.append(Source(block.rows, None if gone is None else ~gone))
        if gone is not None:
            removed.extend(np.unique(block.rows.ids[gone]).tolist())
    remaining = any(source.keep is None or source.keep.any() for source in sources)
    new = [(writer.write(batches(sources, batch_rows)), None)] if remaining else []
    swap(catalogue, writer, segments, new, removed)
    return removed


def swap(
    catalogue: Catalogue,
    writer: SegmentWriter,
    old: Sequence[SegmentRow],
    new: Sequence[tuple[SegmentRow, IntArray | None]],
    removed: Sequence[int],
) -> None:
    """Puts segments in the place of others of their space, in one transaction; the old files go.

    Args:
        catalogue: of the store.
        writer: wrote the new ones.
        old: what they take the place of.
        new: each with the memories that it holds; None stands for all.
        removed: memories that were in the old ones and are in none of the new.
    """
    with catalogue.writing() as db:
        numbers = [segment.id for segment in old]
        tables.delete_tombstones(db, removed, numbers)
        if writer.space.id == HOME:
            tables.delete_accesses(db, removed)
        named = [(tables.insert_segment(db, segment), ids) for segment, ids in new]
        if all(segment.indexed for segment in old):
            tables.mark_indexed(db, [number for number, _ in named])
        for number in numbers:
            _move_tombstones(db, number, named)
        tables.delete_segments(db, numbers)
        tables.touch_layout(db)
        reached("rewrite.before_commit")
    reached("rewrite.committed")
    for segment in old:
        (writer.folder / segment.name).unlink(missing_ok=True)
    reached("rewrite.unlinked")


def _move_tombstones(db: sqlite3.Connection, old: int, named: Sequence[tuple[int, IntArray | None]]) -> None:
    """What was forgotten while the files were written lies in the new segments."""
    for id_ in tables.tombstones_in(db, old):
        for number, ids in named:
            if ids is None or id_ in ids:
                tables.move_tombstone(db, id_, old, number)


def batches(sources: Sequence[Source], batch_rows: int) -> Iterator[Rows]:
    """Rows to copy, gathered into batches of at most ``batch_rows``; a larger block stays whole."""
    group: list[Source] = []
    rows = 0
    for source in sorted(sources, key=lambda item: int(item.rows.ids[0])):
        count = len(source.rows) if source.keep is None else int(source.keep.sum())
        if count == 0:
            continue
        may_rest()
        if group and rows + count > batch_rows:
            yield _merged(group)
            group, rows = [], 0
        group.append(source)
        rows += count
    if group:
        yield _merged(group)


def _merged(group: list[Source]) -> Rows:
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
