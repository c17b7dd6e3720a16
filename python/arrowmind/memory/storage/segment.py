"""Segment files: memories in immutable Arrow files, written once and mapped by readers.

The format is docs/formats/memory-store.md.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.columnar import ArrowWriter, Field, crc32c
from arrowmind.columnar.files import PLAIN
from arrowmind.errors import MemoryStoreError, OptimizationError, StorageError
from arrowmind.memory.steps import reached
from arrowmind.memory.storage.rows import TRAITS, Rows
from arrowmind.memory.storage.tables import SegmentRow
from arrowmind.memory.storage.traits import Traits
from arrowmind.memory.storage.vectors import ROTATION_SEED, row_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy.typing as npt

    from arrowmind.columnar import ArrowFile, Batch
    from arrowmind.columnar.files import Files
    from arrowmind.memory.storage.spaces import SpaceRow

__all__ = ["FORMAT", "FORMAT_VERSION", "SUFFIX", "SegmentWriter", "file_checksum", "open_segment"]

FORMAT = "arrowmind.memory-segment"
FORMAT_VERSION = "2"
_FIRST_VERSION = "1"
SUFFIX = ".arrow"
_READ_BYTES = 4 << 20


# Column of each array of `TRAITS`.
_TRAIT_COLUMNS = dict(zip(TRAITS, ("category", "namespace", "origin", "trust", "presence"), strict=True))
# What memories of version 1 are, whose files lack these columns.
_BEFORE = Traits()


def _fields(dimension: int, version: str = FORMAT_VERSION) -> list[Field]:
    fields = _first_fields(dimension)
    if version == _FIRST_VERSION:
        return fields
    traits = [
        Field("namespace", "int32"),
        *(Field(name, "uint8") for name in ("origin", "trust", "presence")),
    ]
    return [*fields, *traits]


def _first_fields(dimension: int) -> list[Field]:
    """Columns of version 1."""
    return [
        Field("id", "int64"),
        Field("window", "int32"),
        Field("text", "utf8"),
        Field("category", "int32"),
        Field("metadata", "utf8"),
        Field("timestamp", "timestamp[us, tz=UTC]"),
        Field("expires", "int64"),
        Field("checksum", "uint32"),
        Field("vector", f"fixed_size_list<int8, {dimension}>"),
        Field("scale", "float32"),
        Field("signs", f"fixed_size_binary<{row_bytes(dimension)}>"),
    ]


@dataclass(frozen=True)
class SegmentWriter:
    """Writes segments of one store.

    Attributes:
        folder: where segments live.
        store: id of the store, noted in each file.
        space: what the vectors are of; its name and encoder are noted in each file.
        files: how they are written.
    """

    folder: Path
    store: str
    space: SpaceRow
    files: Files = PLAIN

    def write(self, batches: Iterable[Rows]) -> SegmentRow:
        """Publishes a segment; it becomes part of the store when the catalogue names it.

        Args:
            batches: rows with signs, one record batch each; taken one by one, so they need not fit in memory.

        Returns:
            What the catalogue notes; the id is 0.

        Raises:
            MemoryStoreError: there is no room, or the folder cannot be written.
        """
        path = self.folder / f"{secrets.token_hex(8)}{SUFFIX}"
        vectors, records, first_id, last_id = 0, 0, 0, 0
        try:
            with (
                self.files.publish(path) as file,
                ArrowWriter(file, _fields(self.space.dimension), self._metadata()) as writer,
            ):
                for rows in batches:
                    writer.write_batch(_columns(rows))
                    first_id = int(rows.ids[0]) if vectors == 0 else min(first_id, int(rows.ids[0]))
                    last_id = max(last_id, int(rows.ids[-1]))
                    vectors += len(rows)
                    records += len(rows.first_rows)
                    reached("segment.batch_written")
            reached("segment.published")
            size, checksum = path.stat().st_size, file_checksum(path)
        except (StorageError, OSError) as error:
            raise MemoryStoreError(f"segment {path} cannot be written: {error}") from error
        return SegmentRow(0, path.name, records, vectors, first_id, last_id, size, checksum, 0, self.space.id)

    def _metadata(self) -> dict[str, str]:
        return {
            "arrowmind.format": FORMAT,
            "arrowmind.version": FORMAT_VERSION,
            "arrowmind.store": self.store,
            "arrowmind.encoder": self.space.encoder,
            "arrowmind.space": self.space.name,
            "arrowmind.rotation_seed": str(ROTATION_SEED),
        }


def _columns(rows: Rows) -> dict[str, object]:
    return {
        "id": rows.ids,
        "window": rows.windows,
        "text": [bytes(rows.texts[i]).decode() for i in range(len(rows))],
        "metadata": [bytes(rows.metadata[i]).decode() for i in range(len(rows))],
        "timestamp": rows.timestamps,
        "expires": rows.expires,
        "checksum": rows.checksums,
        "vector": rows.codes,
        "scale": rows.scales,
        "signs": rows.signs,
        **{column: getattr(rows, name) for name, column in _TRAIT_COLUMNS.items()},
    }


def file_checksum(path: Path) -> int:
    """CRC-32C of a whole file."""
    checksum = 0
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            checksum = crc32c(data, checksum)
    return checksum


def open_segment(path: Path, expected: SegmentRow, dimension: int, files: Files = PLAIN) -> list[Rows]:
    """Maps a segment: one entry per record batch, views of the file, or of what was opened in memory.

    Raises:
        FileNotFoundError: the file is gone, as after a compaction by another process.
        MemoryStoreError: it is damaged or not what the catalogue says.
    """
    size = path.stat().st_size
    try:
        if size != expected.bytes:
            raise MemoryStoreError(f"has {size} bytes, the catalogue says {expected.bytes}")
        file = files.open_arrow(path)
        version = file.metadata.get("arrowmind.version", "")
        if file.metadata.get("arrowmind.format") != FORMAT or version not in (_FIRST_VERSION, FORMAT_VERSION):
            raise MemoryStoreError(f"is no memory segment of version {FORMAT_VERSION} (has {version!r})")
        _check_fields(file, dimension, version)
        batches = [_rows(file.batch(i), path.name, int(version)) for i in range(file.num_batches)]
        rows = sum(map(len, batches))
        if rows != expected.vectors:
            raise MemoryStoreError(f"has {rows} rows, the catalogue says {expected.vectors}")
    except OptimizationError as error:
        if not path.exists():
            raise FileNotFoundError(path) from error
        raise MemoryStoreError(
            f"segment {path} cannot be used: {error}; restore the store from a backup"
        ) from error
    return batches


def _check_fields(file: ArrowFile, dimension: int, version: str) -> None:
    """Other columns than ours are allowed: a later version may add some."""
    present = {field.name: field.type for field in file.fields}
    for field in _fields(dimension, version):
        if present.get(field.name) != field.type:
            raise MemoryStoreError(
                f"column {field.name!r} has type {present.get(field.name)}, not {field.type}"
            )


def _rows(batch: Batch, name: str, version: int) -> Rows:
    ids = batch.numbers("id")
    return Rows(
        ids=ids,
        windows=batch.numbers("window"),
        timestamps=batch.numbers("timestamp"),
        expires=batch.numbers("expires"),
        texts=batch.binary("text"),
        metadata=batch.binary("metadata"),
        checksums=batch.numbers("checksum"),
        codes=batch.numbers("vector"),
        scales=batch.numbers("scale"),
        signs=batch.numbers("signs"),
        name=name,
        version=version,
        **_traits(batch, len(ids), version),
    )


def _traits(batch: Batch, count: int, version: int) -> dict[str, npt.NDArray[Any]]:
    if version > 1:
        return {name: batch.numbers(column) for name, column in _TRAIT_COLUMNS.items()}
    same = dict(zip(TRAITS, _BEFORE.numbers, strict=True))
    columns = {name: np.broadcast_to(dtype(same[name]), count) for name, dtype in TRAITS.items()}
    return {**columns, "categories": batch.numbers("category")}
