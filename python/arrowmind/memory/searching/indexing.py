"""Brings the text index up to the memories. All functions need the lock of the store."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from arrowmind.columnar import sync_folder
from arrowmind.memory.resting import may_rest
from arrowmind.memory.searching.index_files import damaged_file, state_of
from arrowmind.memory.searching.text_index import (
    IndexDamagedError,
    IndexedText,
    TextIndex,
    new_generation,
    remove_generations,
)
from arrowmind.memory.steps import reached
from arrowmind.memory.storage import tables
from arrowmind.memory.storage.tables import IndexRow
from arrowmind.observe import get_logger

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from arrowmind.memory.storage.blocks import Block
    from arrowmind.memory.storage.catalogue import Catalogue
    from arrowmind.memory.storage.snapshot import Snapshot

__all__ = ["INDEX_STATE", "index_problem", "rebuild_index", "stale_records", "texts_of", "update_index"]

_log = get_logger(__name__)
INDEX_STATE = "text_index_state"
"""Setting: the generation of the text index, and what `state_of` said of it."""


def update_index(catalogue: Catalogue, folder: Path, snapshot: Snapshot, removed: Iterable[int] = ()) -> None:
    """Adds the segments that are not indexed yet, removes given memories. A damaged index is rebuilt."""
    missing = [block for block in snapshot.blocks if block.segment and not block.segment.indexed]
    removed = list(removed)
    if not missing and not removed:
        return
    row = snapshot.text_index
    if row is None:
        rebuild_index(catalogue, folder, snapshot)
        return
    try:
        index = TextIndex(folder / row.generation)
        records, added = index.write(_texts(missing), removed)
    except IndexDamagedError as error:
        _log.warning("text_index_damaged", error=str(error), action="rebuild")
        rebuild_index(catalogue, folder, snapshot)
        return
    reached("index.committed")
    _record(catalogue, folder, replace(row, records=records, terms=row.terms + added), missing)


def rebuild_index(catalogue: Catalogue, folder: Path, snapshot: Snapshot) -> None:
    """Makes a new index of all live memories in segments and puts it in use."""
    blocks = [block for block in snapshot.blocks if block.segment]
    generation = new_generation()
    index = TextIndex(folder / generation, create=True)
    records, added = index.write(_texts(blocks), ())
    reached("index.rebuilt")
    _record(catalogue, folder, IndexRow(generation, records, added), blocks)
    remove_generations(folder, keep=generation)


def index_problem(db: sqlite3.Connection, folder: Path) -> str:
    """What is wrong with the text index in use; empty if nothing is.

    Args:
        db: a connection.
        folder: of all generations.
    """
    row = tables.text_index(db)
    if row is None:
        return ""
    noted = str(tables.settings(db).get(INDEX_STATE, ""))
    generation, _, state = noted.partition(" ")
    damaged = damaged_file(folder / row.generation, state if generation == row.generation else None)
    if damaged:
        return f"the text index is damaged ({damaged})"
    try:
        records = TextIndex(folder / row.generation).records
    except IndexDamagedError as error:
        return str(error)
    # More than noted is what a death between the commits of index and catalogue leaves; it does no harm.
    return "" if records >= row.records else f"the text index holds {records} memories, not {row.records}"


def stale_records(snapshot: Snapshot) -> int:
    """Memories the index still holds although they are forgotten."""
    if snapshot.text_index is None:
        return 0
    live = sum(_live_records(block) for block in snapshot.blocks if block.segment and block.segment.indexed)
    return max(snapshot.text_index.records - live, 0)


def _live_records(block: Block) -> int:
    first = block.rows.first_rows
    return len(first) if block.dead is None else int((~block.dead[first]).sum())


def _texts(blocks: Iterable[Block]) -> Iterator[IndexedText]:
    for block in blocks:
        yield from texts_of(block, block.rows.first_rows.tolist())


def texts_of(block: Block, firsts: Iterable[int]) -> Iterator[IndexedText]:
    """Those of some memories of a block, named by their first rows, that are not forgotten."""
    rows = block.rows
    for row in firsts:
        may_rest()
        if block.is_live(row):
            yield IndexedText(
                int(rows.ids[row]), rows.text(row), int(rows.categories[row]), int(rows.timestamps[row])
            )


def _record(catalogue: Catalogue, folder: Path, row: IndexRow, indexed: Iterable[Block]) -> None:
    # tantivy syncs its files, but not the folder in which the last of them, `meta.json`, took its name:
    # without this a power cut may leave an older index than the catalogue tells of, to be built again.
    sync_folder(folder / row.generation)
    sync_folder(folder)
    state = state_of(folder / row.generation)
    with catalogue.writing() as db:
        tables.set_text_index(db, row)
        tables.replace_setting(db, INDEX_STATE, f"{row.generation} {state}")
        tables.mark_indexed(db, {block.segment.id for block in indexed if block.segment})
        tables.touch_layout(db)
    reached("index.recorded")
