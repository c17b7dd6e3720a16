"""A whole store as Parquet files that other tools read, and back into a store.

A folder with `memories.parquet` (one row per memory), `vectors-<space>.parquet` (one row per vector: int8
codes and the scale that gives them length 1), `blobs/` and `manifest.json`.
The format is docs/formats/memory-export.md.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.columnar import publish, publish_bytes
from arrowmind.errors import InvalidArgumentError, MemoryStoreError
from arrowmind.memory.storage.blobs import read_blob
from arrowmind.memory.times import now_microseconds
from arrowmind.observe import record_fallback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy.typing as npt

    from arrowmind.memory.records import Record
    from arrowmind.memory.storage.blocks import Block, Filter, Space
    from arrowmind.memory.storage.paths import StorePaths
    from arrowmind.memory.storage.snapshot import Snapshot
    from arrowmind.observe import Progress

    FloatArray = npt.NDArray[np.float32]
    Vectors = dict[str, list[FloatArray | None]]

__all__ = ["VERSION", "Exported", "Manifest", "export_store", "read_export", "read_manifest"]

VERSION = 1
_ROWS = 4096
_MEMORIES = "memories.parquet"
_MANIFEST = "manifest.json"
_FORMAT = "arrowmind.memory-export"


@dataclass(frozen=True)
class Exported:
    """What an export holds.

    Attributes:
        memories: in all.
        vectors: by space.
        blobs: images and sounds.
    """

    memories: int
    vectors: dict[str, int]
    blobs: int


def export_store(
    snapshot: Snapshot,
    wanted: Filter,
    describe: Callable[[int], Record | None],
    paths: StorePaths,
    target: Path,
    store: str,
    progress: Progress,
) -> Exported:
    """Writes all memories that are there at one moment.

    Args:
        snapshot: that moment.
        wanted: which of them.
        describe: gives a memory by its id.
        paths: of the store.
        target: a new folder.
        store: id of the store.
        progress: called with (memories written, all, "memories").

    Raises:
        MemoryStoreError: the folder is there already, something is damaged, or nothing can be written.
    """
    if target.exists():
        raise MemoryStoreError(f"{target}: is there already; choose a new folder")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        (part / "blobs").mkdir(parents=True)
        ids = _live_ids(snapshot, wanted)
        names = _write_memories(ids, describe, paths, part, progress)
        vectors = {
            space.row.name: _write_vectors(space, wanted, part)
            for space in snapshot.spaces
            if space.row.dimension
        }
        spaces = [
            {"name": s.row.name, "dimension": s.row.dimension, "encoder": s.row.encoder}
            for s in snapshot.spaces
            if s.row.dimension
        ]
        about = {"store": store, "created": now_microseconds(), "memories": len(ids), "spaces": spaces}
        manifest = {"format": _FORMAT, "version": VERSION, **about}
        publish_bytes(part / _MANIFEST, json.dumps(manifest, indent=1).encode())
        part.rename(target)
    except OSError as error:
        raise MemoryStoreError(f"{target}: cannot be written: {error}; free some space") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Exported(len(ids), vectors, len(names))


def _live_ids(snapshot: Snapshot, wanted: Filter) -> list[int]:
    found = [_live(block, wanted, first_only=True) for block in snapshot.blocks]
    ids = [block.rows.ids[rows] for block, rows in zip(snapshot.blocks, found, strict=True)]
    return sorted(np.concatenate(ids).tolist())


def _live(block: Block, wanted: Filter, *, first_only: bool = False) -> Any:
    excluded = block.excluded(wanted)
    mask = np.ones(len(block.rows), np.bool_) if excluded is None else ~excluded
    return np.flatnonzero(mask & (block.rows.windows == 0) if first_only else mask)


def _write_memories(
    ids: list[int],
    describe: Callable[[int], Record | None],
    paths: StorePaths,
    part: Path,
    progress: Progress,
) -> set[str]:
    import pyarrow as pa  # noqa: PLC0415  heavy
    from pyarrow import parquet  # noqa: PLC0415

    names: set[str] = set()
    with publish(part / _MEMORIES) as file, parquet.ParquetWriter(file, _schema(), **_SAFE) as writer:
        for start in range(0, max(len(ids), 1), _ROWS):
            records = [record for id_ in ids[start : start + _ROWS] if (record := describe(id_)) is not None]
            writer.write_table(pa.Table.from_pylist([_row(record) for record in records], _schema()))
            for record in records:
                for attachment in record.attachments:
                    if attachment.sha256 not in names:
                        names.add(attachment.sha256)
                        publish_bytes(part / "blobs" / attachment.sha256, read_blob(paths, attachment))
            progress(min(start + _ROWS, len(ids)), len(ids), "memories")
    return names


def _write_vectors(space: Space, wanted: Filter, part: Path) -> int:
    import pyarrow as pa  # noqa: PLC0415  heavy
    from pyarrow import parquet  # noqa: PLC0415

    dimension, count = space.row.dimension, 0
    schema = pa.schema(
        [
            ("id", pa.int64()),
            ("window", pa.int32()),
            ("codes", pa.list_(pa.int8(), dimension)),
            ("scale", pa.float32()),
        ]
    )
    path = part / f"vectors-{space.row.name}.parquet"
    with publish(path) as file, parquet.ParquetWriter(file, schema, **_SAFE) as writer:
        for block in space.blocks:
            rows, codes, scales = _stored(block, _live(block, wanted))
            flat = pa.array(np.ascontiguousarray(codes).reshape(-1))
            columns = [
                pa.array(block.rows.ids[rows]),
                pa.array(block.rows.windows[rows]),
                pa.FixedSizeListArray.from_arrays(flat, dimension),
                pa.array(scales),
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
            count += len(rows)
    return count


def _stored(block: Block, rows: Any) -> tuple[Any, Any, Any]:
    """Those of some rows whose vectors can be had, with these: codes and scales."""
    codes, scales = block.rows.stored_vectors(rows)
    if not block.rows.is_cold:
        return rows, codes, scales
    # A memory has all of its vectors or none: who imports it encodes those without.
    lost = np.unique(block.rows.ids[rows[(scales == 0) & (block.rows.scales[rows] > 0)]])
    if len(lost):
        record_fallback("export", "cold memories without vectors", memories=len(lost))
    kept = ~np.isin(block.rows.ids[rows], lost)
    return rows[kept], codes[kept], scales[kept]


# Without sums of pages a flipped bit would pass unnoticed.
_SAFE = {"write_page_checksum": True, "compression": "zstd"}


def _schema() -> Any:
    import pyarrow as pa  # noqa: PLC0415  heavy

    moment, words = pa.timestamp("us", "UTC"), pa.string()
    attachment = pa.struct([("kind", words), ("sha256", words), ("size", pa.int64()), ("media_type", words)])
    quote = pa.struct([("source", pa.int64()), ("text", words)])
    derivation = pa.struct(
        [
            ("change", words),
            ("quotes", pa.list_(quote)),
            ("valid_from", pa.int64()),
            ("valid_to", pa.int64()),
            ("made_by", words),
        ]
    )
    return pa.schema(
        [
            *(("id", pa.int64()), ("text", words), ("category", words), ("namespace", words)),
            *(("origin", words), ("trust", pa.float32()), ("metadata", words), ("timestamp", moment)),
            *(("expires", moment), ("access_count", pa.int64()), ("last_access", moment), ("tier", words)),
            *(("attachments", pa.list_(attachment)), ("derivation", derivation)),
        ]
    )


def _row(record: Record) -> dict[str, Any]:
    names = ("id", "text", "category", "namespace", "origin", "trust", "timestamp", "expires", "access_count")
    derivation = record.derivation
    return {
        **{name: getattr(record, name) for name in (*names, "last_access", "tier")},
        "metadata": json.dumps(record.metadata),
        "attachments": [vars(attachment) for attachment in record.attachments],
        "derivation": derivation
        and {**vars(derivation), "quotes": [vars(quote) for quote in derivation.quotes]},
    }


def read_export(source: Path, manifest: Manifest) -> Iterator[tuple[list[dict[str, Any]], Vectors]]:
    """The memories of an export, some thousands at a time, with their vectors float32 [windows, dimension].

    Raises:
        MemoryStoreError: a file is missing or damaged.
    """
    import pyarrow as pa  # noqa: PLC0415  heavy
    from pyarrow import parquet  # noqa: PLC0415

    try:
        spaces = {name: _VectorFile(source, name) for name in manifest.encoders}
        with parquet.ParquetFile(source / _MEMORIES, page_checksum_verification=True) as file:
            for batch in file.iter_batches(_ROWS):
                rows = batch.to_pylist()
                yield rows, {name: [space.of(row["id"]) for row in rows] for name, space in spaces.items()}
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise MemoryStoreError(f"{source}: the export is damaged: {error}; export again") from error


@dataclass(frozen=True)
class Manifest:
    """What an export says of itself.

    Attributes:
        memories: in all.
        encoders: fingerprints by the names of spaces.
        key: hash of the files' list of memories; tells exports apart.
    """

    memories: int
    encoders: dict[str, str]
    key: str


def read_manifest(source: Path) -> Manifest:
    """What an export says of itself.

    Raises:
        InvalidArgumentError: the folder holds no export, or one of another version.
    """
    try:
        data = (source / _MANIFEST).read_bytes()
        values = json.loads(data)
        version = values["version"] if values["format"] == _FORMAT else None
        encoders = {str(space["name"]): str(space["encoder"]) for space in values["spaces"]}
        found = Manifest(int(values["memories"]), encoders, hashlib.sha256(data).hexdigest())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidArgumentError(f"{source}: holds no export of a store; give such a folder") from error
    if version != VERSION:
        raise InvalidArgumentError(f"{source}: is an export of version {version!r}, not {VERSION}")
    return found


class _VectorFile:
    """The vectors of one space."""

    def __init__(self, source: Path, name: str) -> None:
        from pyarrow import parquet  # noqa: PLC0415  heavy

        path = source / f"vectors-{name}.parquet"
        order = [("id", "ascending"), ("window", "ascending")]
        table = parquet.read_table(path, page_checksum_verification=True).sort_by(order)
        self._ids = table["id"].to_numpy()
        self._scales = table["scale"].to_numpy()
        self._codes = np.asarray(table["codes"].combine_chunks().flatten()).reshape(len(table), -1)

    def of(self, id_: int) -> FloatArray | None:
        """Vectors of a memory; None if it has none here."""
        first, end = np.searchsorted(self._ids, [id_, id_ + 1])
        if first == end:
            return None
        vectors: FloatArray = self._codes[first:end].astype(np.float32) * self._scales[first:end, None]
        return vectors
