"""Memories as columns, one row per vector: of a segment, waiting, or to be written."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from arrowmind.columnar import crc32c
from arrowmind.errors import MemoryStoreError
from arrowmind.memory.times import NEVER
from arrowmind.memory.vectors import row_bytes, sign_codes, unpack_vectors

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from arrowmind.memory.tables import PendingRow

__all__ = ["NO_CATEGORY", "Bytes", "Content", "Rows", "concatenate", "record_checksum", "rows_of_pending"]

NO_CATEGORY = 0
"""Stands for "no category" in the columns of a store."""


class Bytes(Protocol):
    """Values of a column of bytes: a list, or a column of a mapped file."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int, /) -> bytes | npt.NDArray[np.uint8]: ...


@dataclass(frozen=True)
class Content:
    """What one memory holds beside its vectors."""

    id: int
    text: str
    category: int
    metadata: dict[str, Any]
    timestamp: int
    expires: int


@dataclass(frozen=True)
class Rows:
    """Vectors and what they belong to. Ids ascend; the vectors of one memory follow each other.

    The first row of a memory (its window is 0) carries text, metadata and checksum, the others none.

    Attributes:
        ids: int64 [n].
        windows: int32 [n], number of the window in its memory.
        categories: int32 [n], numbers of the table ``category`` of the catalogue.
        timestamps: int64 [n], microseconds.
        expires: int64 [n], microseconds, `NEVER` for none.
        texts: UTF-8 [n].
        metadata: JSON in UTF-8 [n].
        checksums: uint32 [n], see `record_checksum`.
        codes: int8 [n, dimension].
        scales: float32 [n].
        signs: uint8 [n, bytes], one-bit codes; None where there are too few rows to need them.
        name: where the rows come from, for errors.
    """

    ids: npt.NDArray[np.int64]
    windows: npt.NDArray[np.int32]
    categories: npt.NDArray[np.int32]
    timestamps: npt.NDArray[np.int64]
    expires: npt.NDArray[np.int64]
    texts: Bytes
    metadata: Bytes
    checksums: npt.NDArray[np.uint32]
    codes: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]
    signs: npt.NDArray[np.uint8] | None
    name: str

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def first_rows(self) -> npt.NDArray[np.int64]:
        """Row of each memory where it begins."""
        return np.flatnonzero(self.windows == 0)

    @cached_property
    def first_expiry(self) -> int:
        """The earliest moment at which one of the memories expires, `NEVER` if none does."""
        set_ = self.expires[self.expires != NEVER]
        return int(set_.min()) if set_.size else NEVER

    def find(self, id_: int) -> int | None:
        """The first row of a memory, if it is here."""
        row = int(np.searchsorted(self.ids, id_))
        return row if row < len(self.ids) and self.ids[row] == id_ else None

    def window_count(self, row: int) -> int:
        """Vectors of the memory that begins at ``row``."""
        return int(np.searchsorted(self.ids, self.ids[row], side="right")) - row

    def text(self, row: int) -> str:
        """The text of the memory that begins at ``row``, unchecked: for the text index."""
        return bytes(self.texts[row]).decode(errors="replace")

    def content(self, row: int) -> Content:
        """The memory that begins at ``row``.

        Raises:
            MemoryStoreError: its bytes are not those that were written.
        """
        text, metadata = bytes(self.texts[row]), bytes(self.metadata[row])
        id_, category = int(self.ids[row]), int(self.categories[row])
        timestamp, expires = int(self.timestamps[row]), int(self.expires[row])
        if record_checksum(id_, text, metadata, timestamp, expires) != int(self.checksums[row]):
            raise MemoryStoreError(
                f"{self.name}: memory {id_} is damaged (checksum mismatch); restore the file from a backup"
            )
        return Content(id_, text.decode(), category, json.loads(metadata or b"{}"), timestamp, expires)


def record_checksum(id_: int, text: bytes, metadata: bytes, timestamp: int, expires: int) -> int:
    """CRC-32C of id, timestamp, expires, length of the text (int64 each), text and metadata."""
    return crc32c(metadata, crc32c(text, crc32c(struct.pack("<4q", id_, timestamp, expires, len(text)))))


def rows_of_pending(pending: Sequence[PendingRow], dimension: int, name: str) -> Rows:
    """Rows of memories that wait in the catalogue."""
    counts = np.array([row.windows for row in pending], dtype=np.int64)
    unpacked = [unpack_vectors(row.vectors, row.windows, dimension) for row in pending]
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(pending) else 0
    firsts = ends - counts
    empty: list[bytes] = [b""] * total
    rows = Rows(
        ids=np.repeat(np.array([row.id for row in pending], dtype=np.int64), counts),
        windows=(np.arange(total) - np.repeat(firsts, counts)).astype(np.int32),
        categories=np.repeat(np.array([row.category for row in pending], dtype=np.int32), counts),
        timestamps=np.repeat(np.array([row.timestamp for row in pending], dtype=np.int64), counts),
        expires=np.repeat(np.array([row.expires for row in pending], dtype=np.int64), counts),
        texts=empty,
        metadata=list(empty),
        checksums=np.zeros(total, dtype=np.uint32),
        codes=np.concatenate([np.empty((0, dimension), np.int8), *(codes for codes, _ in unpacked)]),
        scales=np.concatenate([np.empty(0, np.float32), *(scales for _, scales in unpacked)]),
        signs=None,
        name=name,
    )
    for first, row in zip(firsts.tolist(), pending, strict=True):
        _set(rows, first, row)
    return rows


def _set(rows: Rows, first: int, row: PendingRow) -> None:
    checksum = record_checksum(row.id, row.text, row.metadata, row.timestamp, row.expires)
    rows.checksums[first] = checksum
    for column, value in ((rows.texts, row.text), (rows.metadata, row.metadata)):
        if isinstance(column, list):
            column[first] = value


def concatenate(parts: Sequence[tuple[Rows, npt.NDArray[np.bool_] | None]], *, signs: bool) -> Rows:
    """Rows of several places as one, in the order of their ids.

    Args:
        parts: rows, each with which of them to take; None takes all.
        signs: whether the result has one-bit codes; they are made where they are missing.
    """
    chosen = [
        (rows, np.flatnonzero(keep) if keep is not None else np.arange(len(rows))) for rows, keep in parts
    ]
    ids = np.concatenate([rows.ids[index] for rows, index in chosen])
    order = np.argsort(ids, kind="stable")

    def column(name: str) -> npt.NDArray[Any]:
        return np.concatenate([getattr(rows, name)[index] for rows, index in chosen])[order]

    def values(name: str) -> list[bytes]:
        flat = [bytes(getattr(rows, name)[i]) for rows, index in chosen for i in index.tolist()]
        return [flat[i] for i in order.tolist()]

    arrays = ("windows", "categories", "timestamps", "expires", "checksums", "codes", "scales")
    joined = Rows(
        ids=ids[order],
        texts=values("texts"),
        metadata=values("metadata"),
        signs=None,
        name=chosen[0][0].name if chosen else "",
        **{name: column(name) for name in arrays},
    )
    return replace(joined, signs=_signs(chosen, joined.codes, order)) if signs else joined


def _signs(
    chosen: list[tuple[Rows, npt.NDArray[np.int64]]],
    codes: npt.NDArray[np.int8],
    order: npt.NDArray[np.int64],
) -> npt.NDArray[np.uint8]:
    present = [rows.signs[index] for rows, index in chosen if rows.signs is not None]
    if len(present) < len(chosen):
        return sign_codes(codes)
    width = row_bytes(codes.shape[1])
    return np.concatenate([np.empty((0, width), np.uint8), *present])[order]
