"""Cold memories as one immutable file: codes that are searched, and everything else in compressed blocks.

An Arrow file with one row per block of 1,024 memories: ids (int64, delta-coded inside ``facts``), the
one-bit codes of all vectors raw and mapped, ``texts`` and ``facts`` as blocks. The INT8 vectors are left
out: an encoder is deterministic, so a memory that comes back is encoded again to the very same vector, and
the fingerprint of the encoder says which one that is. docs/formats/cold-blocks.md
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind import _native
from arrowmind.columnar import ArrowFile, ArrowWriter, Field, crc32c, publish
from arrowmind.consolidate.tiering.blocks import BLOCK_ROWS, pack_block, unpack_block
from arrowmind.errors import InvalidArgumentError, MemoryStoreError, OptimizationError
from arrowmind.memory.vectors import query_bits, row_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float32]
    ByteArray = npt.NDArray[np.uint8]

__all__ = ["ColdFile", "ColdRow", "write_cold"]

_FORMAT = "arrowmind.cold-memories"
_VERSION = "1"
_FIELDS = [
    Field("rows", "int32"),
    Field("first_id", "int64"),
    Field("last_id", "int64"),
    Field("facts", "binary"),
    Field("texts", "binary"),
    Field("codes", "binary"),
    Field("codes_checksum", "uint32"),
]
_NUMBERS = ("id", "timestamp", "expires", "category", "namespace", "access_count", "last_access")


@dataclass(frozen=True)
class ColdRow:
    """A memory that is kept cold; moments in microseconds.

    Attributes:
        id: of the memory.
        text: UTF-8.
        metadata: JSON in UTF-8, empty for none.
        timestamp: when it happened.
        expires: when it is forgotten by itself, 0 for never.
        category: number of its category.
        namespace: number of its namespace.
        access_count: how often it was recalled.
        last_access: when last.
    """

    id: int
    text: bytes
    metadata: bytes = b""
    timestamp: int = 0
    expires: int = 0
    category: int = 0
    namespace: int = 0
    access_count: int = 0
    last_access: int = 0


def write_cold(path: Path, rows: Sequence[ColdRow], codes: ByteArray, dimension: int, encoder: str) -> None:
    """Publishes a file of cold memories.

    Args:
        path: of the file.
        rows: with ascending ids.
        codes: uint8 [n, (dimension + 7) / 8], one-bit codes of their vectors.
        dimension: of the vectors.
        encoder: fingerprint of what made them.

    Raises:
        InvalidArgumentError: the codes do not fit the rows, or ids do not ascend.
        StorageError: there is no room, or the folder cannot be written.
    """
    ids = [row.id for row in rows]
    if not rows or codes.shape != (len(rows), row_bytes(dimension)) or ids != sorted(set(ids)):
        raise InvalidArgumentError(
            f"{len(rows)} rows with codes of shape {codes.shape}: give rows with ascending ids, and codes "
            f"[{len(rows)}, {row_bytes(dimension)}]"
        )
    starts = range(0, len(rows), BLOCK_ROWS)
    parts = [rows[start : start + BLOCK_ROWS] for start in starts]
    raw = [np.ascontiguousarray(codes[start : start + BLOCK_ROWS]).tobytes() for start in starts]
    metadata = {
        "arrowmind.format": _FORMAT,
        "arrowmind.version": _VERSION,
        "arrowmind.dimension": str(dimension),
        "arrowmind.encoder": encoder,
    }
    with publish(path) as file, ArrowWriter(file, _FIELDS, metadata) as writer:
        writer.write_batch(
            {
                "rows": np.array([len(part) for part in parts], dtype=np.int32),
                "first_id": np.array([part[0].id for part in parts], dtype=np.int64),
                "last_id": np.array([part[-1].id for part in parts], dtype=np.int64),
                "facts": [pack_block(_facts(part)) for part in parts],
                "texts": [pack_block([row.text for row in part]) for part in parts],
                "codes": raw,
                "codes_checksum": np.array([crc32c(data) for data in raw], dtype=np.uint32),
            }
        )


def _facts(rows: Sequence[ColdRow]) -> list[bytes]:
    """Columns of differences, zigzag varints of which most are small, then the metadata."""
    columns = []
    for name in _NUMBERS:
        values = np.array([getattr(row, name) for row in rows], dtype=np.int64)
        columns.append(np.diff(values, prepend=np.int64(0)).astype("<i8"))
    # Byte planes: the high bytes of small differences are all alike.
    planes = [np.frombuffer(column.tobytes(), np.uint8).reshape(-1, 8).T.tobytes() for column in columns]
    return [*planes, *(row.metadata for row in rows)]


class ColdFile:
    """Cold memories that are searched by their codes and read block by block."""

    def __init__(self, path: Path) -> None:
        """Maps the file.

        Raises:
            MemoryStoreError: it is damaged or something else.
        """
        self._path = path
        try:
            file = ArrowFile.open(path)
            facts = file.metadata
            if facts.get("arrowmind.format") != _FORMAT or facts.get("arrowmind.version") != _VERSION:
                raise MemoryStoreError("is no file of cold memories of version 1")
            self.dimension = int(facts["arrowmind.dimension"])
            self.encoder = facts["arrowmind.encoder"]
            self._read(file)
        except (OptimizationError, ValueError, KeyError) as error:
            raise MemoryStoreError(f"{path}: cannot be used: {error}; restore it from a backup") from error

    def _read(self, file: ArrowFile) -> None:
        batch = file.batch(0)
        counts = np.array(batch.numbers("rows"), dtype=np.int64)
        self._ends = np.cumsum(counts)
        self._first_ids, self._last_ids = batch.numbers("first_id"), batch.numbers("last_id")
        self._facts, self._texts, self._codes = (batch.binary(name) for name in ("facts", "texts", "codes"))
        self._checksums = batch.numbers("codes_checksum")
        width = row_bytes(self.dimension)
        self._tables: list[ByteArray] = []
        for block, count in enumerate(counts.tolist()):
            data = np.frombuffer(self._codes[block], dtype=np.uint8)
            if count < 1 or data.size != count * width:
                raise MemoryStoreError(f"block {block} has {data.size} bytes of codes for {count} memories")
            self._tables.append(data.reshape(count, width))
        self._ids: dict[int, npt.NDArray[np.int64]] = {}

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._path.stat().st_size

    def search(self, query: FloatArray, count: int) -> list[tuple[int, float]]:
        """The memories whose codes are nearest to a query: ids and estimated cosines, nearest first.

        Args:
            query: float32 [dimension] of length 1.
            count: how many.
        """
        bits = query_bits(np.ascontiguousarray(query, dtype=np.float32))
        found: list[tuple[int, int, int]] = []
        limit = None
        for block, table in enumerate(self._tables):
            rows, distances = _native.scan_top_bits(table, bits, count, max_distance=limit)
            if len(rows):
                near = zip(distances.tolist(), rows.tolist(), strict=True)
                found = sorted([*found, *((distance, block, row) for distance, row in near)])[:count]
            if len(found) == count:
                limit = found[-1][0]
        # The share of differing signs tells the angle.
        width = 8 * row_bytes(self.dimension)
        return [
            (int(self._ids_of(block)[row]), float(np.cos(np.pi * distance / width)))
            for distance, block, row in found
        ]

    def get(self, ids: Sequence[int]) -> dict[int, ColdRow]:
        """Those of the memories that are here.

        Raises:
            MemoryStoreError: a block is damaged.
        """
        wanted = np.unique(np.asarray(ids, dtype=np.int64))
        found: dict[int, ColdRow] = {}
        for block in np.unique(np.searchsorted(self._last_ids, wanted)).tolist():
            if block < len(self._tables):
                inside = set(wanted.tolist())
                found.update({row.id: row for row in self._rows_of(block) if row.id in inside})
        return found

    def rows(self) -> Iterator[ColdRow]:
        """All memories, by id."""
        for block in range(len(self._tables)):
            yield from self._rows_of(block)

    def codes(self) -> ByteArray:
        """One-bit codes of all memories, uint8 [n, (dimension + 7) / 8]."""
        return np.concatenate(self._tables)

    def verify(self) -> list[str]:
        """Reads everything; one sentence per problem."""
        problems = []
        for block, table in enumerate(self._tables):
            if crc32c(table.tobytes()) != int(self._checksums[block]):
                problems.append(f"{self._path}: block {block}: codes are damaged")
            try:
                self._rows_of(block)
            except MemoryStoreError as error:
                problems.append(str(error))
        return problems

    def _ids_of(self, block: int) -> npt.NDArray[np.int64]:
        if block not in self._ids:
            self._ids[block] = self._columns(block)[0]["id"]
        return self._ids[block]

    def _columns(self, block: int) -> tuple[dict[str, npt.NDArray[np.int64]], list[bytes]]:
        count = len(self._tables[block])
        parts = unpack_block(bytes(self._facts[block]), f"{self._path}: block {block}")
        planes, metadata = parts[: len(_NUMBERS)], parts[len(_NUMBERS) :]
        if len(metadata) != count or any(len(plane) != 8 * count for plane in planes):
            raise MemoryStoreError(f"{self._path}: block {block} does not hold {count} memories")
        columns = {
            name: np.cumsum(np.frombuffer(_joined(plane), dtype="<i8").astype(np.int64))
            for name, plane in zip(_NUMBERS, planes, strict=True)
        }
        return columns, metadata

    def _rows_of(self, block: int) -> list[ColdRow]:
        columns, metadata = self._columns(block)
        texts = unpack_block(bytes(self._texts[block]), f"{self._path}: block {block}")
        if len(texts) != len(metadata):
            raise MemoryStoreError(f"{self._path}: block {block} has {len(texts)} texts, not {len(metadata)}")
        values: list[dict[str, Any]] = [
            dict(zip(columns, numbers, strict=True))
            for numbers in zip(*(column.tolist() for column in columns.values()), strict=True)
        ]
        return [
            ColdRow(text=text, metadata=extra, **numbers)
            for text, extra, numbers in zip(texts, metadata, values, strict=True)
        ]


def _joined(plane: bytes) -> bytes:
    data: bytes = np.frombuffer(plane, np.uint8).reshape(8, -1).T.tobytes()
    return data
