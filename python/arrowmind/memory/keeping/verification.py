"""Reads a whole store and checks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind.errors import MemoryStoreError
from arrowmind.joint.state import load
from arrowmind.memory.records import VerifyReport
from arrowmind.memory.searching.indexing import index_problem
from arrowmind.memory.storage import tables
from arrowmind.memory.storage.attachments import all_blobs
from arrowmind.memory.storage.blobs import blob_problem
from arrowmind.memory.storage.cold_rows import ColdRows, open_rows
from arrowmind.memory.storage.rows import rows_of_pending
from arrowmind.memory.storage.sealing import seal_problems
from arrowmind.memory.storage.segment import file_checksum
from arrowmind.memory.storage.spaces import HOME, all_spaces
from arrowmind.memory.storage.vectors import sign_codes

if TYPE_CHECKING:
    import sqlite3

    import numpy.typing as npt

    from arrowmind.memory.storage.catalogue import Catalogue
    from arrowmind.memory.storage.paths import StorePaths
    from arrowmind.memory.storage.rows import Rows
    from arrowmind.memory.storage.tables import SegmentRow

__all__ = ["verify_store"]


def verify_store(paths: StorePaths, catalogue: Catalogue) -> VerifyReport:
    """Checks the catalogue, every byte of every segment, what is derived from them, and the text index."""
    problems: list[str] = []
    ids: list[npt.NDArray[np.int64]] = []
    # One read transaction: nothing that the catalogue names can vanish from its view, though files may.
    with catalogue.reading() as db:
        problems += _check_tables(db)
        dimensions = {space.id: space.dimension for space in all_spaces(db)}
        segments = tables.segments(db)
        for segment in segments:
            try:
                found = _check_segment(paths, segment, dimensions.get(segment.space, 0), problems)
            except FileNotFoundError:
                # Another process may have compacted since this view of the catalogue was taken.
                if _is_named(catalogue, segment):
                    problems.append(f"segment {segment.name} is missing")
                continue
            if found is not None and segment.space == HOME:
                ids.append(found)
        pending = rows_of_pending(tables.pending_after(db, 0), dimensions.get(HOME, 0), "the catalogue")
        ids.append(pending.ids[pending.first_rows])
        problems += _check_ids(db, np.concatenate(ids))
        problems += _check_index(db, paths)
        problems += _check_joint(db, paths)
        blobs = all_blobs(db)
        problems += filter(None, (blob_problem(paths, name, size) for name, size in blobs.items()))
    return VerifyReport(sum(map(len, ids)), len(segments), problems)


def _is_named(catalogue: Catalogue, segment: SegmentRow) -> bool:
    with catalogue.reading() as db:
        return segment.id in {other.id for other in tables.segments(db)}


def _check_tables(db: sqlite3.Connection) -> list[str]:
    lines = [str(row[0]) for row in db.execute("PRAGMA integrity_check(20)")]
    if lines != ["ok"]:
        return [f"catalogue: {line}" for line in lines]
    return seal_problems(db)


def _check_segment(
    paths: StorePaths, segment: SegmentRow, dimension: int, problems: list[str]
) -> npt.NDArray[np.int64] | None:
    """Adds what is wrong to ``problems``; returns the ids in the segment, or None if it cannot be read."""
    path = paths.segments / segment.name
    try:
        blocks = open_rows(path, segment, dimension, files=paths.files)
    except MemoryStoreError as error:
        problems.append(str(error))
        return None
    if file_checksum(path) != segment.checksum:
        problems.append(f"segment {segment.name}: checksum mismatch")
    problems += [problem for rows in blocks for problem in _check_rows(rows)]
    ids = np.concatenate([rows.ids[rows.first_rows] for rows in blocks])
    if len(ids) != segment.records:
        problems.append(f"segment {segment.name}: has {len(ids)} memories, not {segment.records}")
    return ids


def _check_rows(rows: Rows) -> list[str]:
    problems = []
    if np.any(np.diff(rows.ids) < 0):
        problems.append(f"segment {rows.name}: ids do not ascend")
    try:
        follow = _do_codes_follow(rows)
    except MemoryStoreError as error:
        return [*problems, str(error)]
    if not follow:
        problems.append(f"segment {rows.name}: one-bit codes do not follow from the vectors")
    for row in rows.first_rows.tolist():
        try:
            rows.content(row)
        except (MemoryStoreError, ValueError) as error:
            problems.append(str(error))
    return problems


def _do_codes_follow(rows: Rows) -> bool:
    if isinstance(rows, ColdRows):
        return rows.do_codes_follow()
    return rows.signs is None or np.array_equal(rows.signs, sign_codes(rows.codes))


def _check_ids(db: sqlite3.Connection, ids: npt.NDArray[np.int64]) -> list[str]:
    problems = []
    unique, counts = np.unique(ids, return_counts=True)
    problems += [f"memory {id_} is stored twice" for id_ in unique[counts > 1][:20].tolist()]
    known = {segment.id for segment in tables.segments(db)}
    lost = [id_ for id_, segment in tables.tombstones(db) if segment not in known]
    problems += [f"forgotten memory {id_} lies in no segment" for id_ in lost[:20]]
    pending = sum(row.windows for row in tables.pending_after(db, 0))
    if pending != tables.pending_vectors(db):
        problems.append(
            f"{pending} vectors wait in the catalogue, its counter says {tables.pending_vectors(db)}"
        )
    return problems


def _check_index(db: sqlite3.Connection, paths: StorePaths) -> list[str]:
    problem = index_problem(db, paths.index)
    return [f"{problem} (recall builds it again)"] if problem else []


def _check_joint(db: sqlite3.Connection, paths: StorePaths) -> list[str]:
    name = tables.settings(db).get("joint")
    try:
        if name is not None:
            load(paths.joint / str(name), paths.files)  # holds its values against a fingerprint
    except MemoryStoreError as error:
        return [str(error)]
    return []
