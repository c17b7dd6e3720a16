"""Memories as columns, one row per vector: of a segment, waiting, or to be written."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from arrowmind import _native
from arrowmind.columnar import BinaryColumn, crc32c
from arrowmind.errors import MemoryStoreError
from arrowmind.memory.storage.traits import Traits
from arrowmind.memory.storage.vectors import row_bytes, sign_codes, unpack_vectors
from arrowmind.memory.times import NEVER

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from arrowmind.memory.settings import RecallSettings
    from arrowmind.memory.storage.tables import PendingRow

    FloatArray = npt.NDArray[np.float32]
    Chosen = npt.NDArray[np.integer[Any]]

__all__ = [
    "TRAITS",
    "Bytes",
    "Content",
    "Rows",
    "appended",
    "concatenate",
    "record_checksum",
    "rows_of_pending",
]

TRAITS = {
    "categories": np.int32,
    "namespaces": np.int32,
    "origins": np.uint8,
    "trusts": np.uint8,
    "presences": np.uint8,
}
"""Columns of `Traits`, in their order."""


class Bytes(Protocol):
    """Values of a column of bytes: a list, or a column of a mapped file."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int, /) -> bytes | npt.NDArray[np.uint8]: ...


@dataclass(frozen=True)
class Content:
    """What one memory holds beside its vectors."""

    id: int
    text: str
    traits: Traits
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
        namespaces: int32 [n], numbers of the table ``namespace``.
        origins: uint8 [n], see `Traits`; so are trusts and presences.
        trusts: uint8 [n].
        presences: uint8 [n].
        timestamps: int64 [n], microseconds.
        expires: int64 [n], microseconds, `NEVER` for none.
        texts: UTF-8 [n].
        metadata: JSON in UTF-8 [n].
        checksums: uint32 [n], see `record_checksum`.
        codes: int8 [n, dimension].
        scales: float32 [n].
        signs: uint8 [n, bytes], one-bit codes; None where there are too few rows to need them.
        name: where the rows come from, for errors.
        version: of the format; in version 1 checksums do not cover traits.
    """

    ids: npt.NDArray[np.int64]
    windows: npt.NDArray[np.int32]
    categories: npt.NDArray[np.int32]
    namespaces: npt.NDArray[np.int32]
    origins: npt.NDArray[np.uint8]
    trusts: npt.NDArray[np.uint8]
    presences: npt.NDArray[np.uint8]
    timestamps: npt.NDArray[np.int64]
    expires: npt.NDArray[np.int64]
    texts: Bytes
    metadata: Bytes
    checksums: npt.NDArray[np.uint32]
    codes: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]
    signs: npt.NDArray[np.uint8] | None
    name: str
    version: int = 2

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

    @cached_property
    def presence_of_all(self) -> int:
        """Bits of what every one of the memories holds."""
        return int(np.bitwise_and.reduce(self.presences)) if len(self) else 0xFF

    @cached_property
    def sole_namespace(self) -> int | None:
        """The namespace of all of the memories; None if there are several."""
        first = int(self.namespaces[0]) if len(self) else None
        return first if first is not None and bool((self.namespaces == first).all()) else None

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

    def texts_at(self, rows: list[int]) -> list[str]:
        """Texts of the memories that begin at some rows, unchecked."""
        if isinstance(self.texts, BinaryColumn):
            return self.texts.decoded(rows)
        return [self.text(row) for row in rows]

    def content(self, row: int) -> Content:
        """The memory that begins at ``row``.

        Raises:
            MemoryStoreError: its bytes are not those that were written.
        """
        text, metadata = bytes(self.texts[row]), bytes(self.metadata[row])
        id_, traits = int(self.ids[row]), self.traits(row)
        timestamp, expires = int(self.timestamps[row]), int(self.expires[row])
        checksum = record_checksum(id_, text, metadata, timestamp, expires)
        if self.version > 1:
            checksum = _with_traits(checksum, traits)
        if not self._is_sound(row, checksum):
            raise MemoryStoreError(
                f"{self.name}: memory {id_} is damaged (checksum mismatch); restore the file from a backup"
            )
        return Content(id_, text.decode(), traits, json.loads(metadata or b"{}"), timestamp, expires)

    def _is_sound(self, row: int, checksum: int) -> bool:
        return checksum == int(self.checksums[row])

    @property
    def is_cold(self) -> bool:
        """Whether there are one-bit codes alone."""
        return False

    def cosines(self, query: FloatArray, chosen: Chosen, finalists: int = 0) -> FloatArray:
        """Cosines of some rows with a query, float32 [n].

        Args:
            query: float32 [dimension], of length 1.
            chosen: numbers of rows.
            finalists: of cold rows, for how many of the best the vectors are made again.
        """
        del finalists
        return _native.scan_dot(self.codes, self.scales, query, np.asarray(chosen, dtype=np.uint32))

    def best(
        self, query: FloatArray, count: int, excluded: npt.NDArray[np.uint8] | None, search: RecallSettings
    ) -> tuple[npt.NDArray[np.uint32], FloatArray]:
        """The rows with the highest cosines, highest first, and these.

        Args:
            query: float32 [dimension], of length 1.
            count: how many.
            excluded: bitmap of rows to leave out.
            search: how.
        """
        return _native.scan_top_dot(
            self.codes, self.scales, query, count, excluded=excluded, threads=search.threads
        )

    def vectors(self, chosen: Chosen) -> FloatArray:
        """Vectors of some rows, float32 [n, dimension] of length 1, or of zeros where there is none."""
        return self.codes[chosen].astype(np.float32) * self.scales[chosen, None]

    def stored_vectors(self, chosen: Chosen) -> tuple[npt.NDArray[np.int8], FloatArray]:
        """Codes int8 [n, dimension] and scales float32 [n] of some rows; cold ones may lack them, scale 0."""
        return self.codes[chosen], self.scales[chosen]

    def held_bytes(self, row: int) -> bytes:
        """What files hold of the vector of a row."""
        return bytes(self.codes[row])

    def traits(self, row: int) -> Traits:
        """Traits of the memory of a row, unchecked."""
        return Traits(*(int(getattr(self, name)[row]) for name in TRAITS))

    def present(self) -> Rows:
        """The same rows in the present version of the format."""
        if self.version > 1:
            return self
        checksums = np.array(self.checksums)
        for row in self.first_rows.tolist():
            checksums[row] = _with_traits(int(checksums[row]), self.traits(row))
        return replace(self, checksums=checksums, version=2)


def record_checksum(id_: int, text: bytes, metadata: bytes, timestamp: int, expires: int) -> int:
    """CRC-32C of id, timestamp, expires, length of the text (int64 each), text and metadata."""
    return crc32c(metadata, crc32c(text, crc32c(struct.pack("<4q", id_, timestamp, expires, len(text)))))


def _with_traits(checksum: int, traits: Traits) -> int:
    """Such a CRC, continued over the traits (int64 each)."""
    return crc32c(struct.pack("<5q", *traits.numbers), checksum)


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
        timestamps=np.repeat(np.array([row.timestamp for row in pending], dtype=np.int64), counts),
        expires=np.repeat(np.array([row.expires for row in pending], dtype=np.int64), counts),
        texts=empty,
        metadata=list(empty),
        checksums=np.zeros(total, dtype=np.uint32),
        codes=np.concatenate([np.empty((0, dimension), np.int8), *(codes for codes, _ in unpacked)]),
        scales=np.concatenate([np.empty(0, np.float32), *(scales for _, scales in unpacked)]),
        signs=None,
        name=name,
        **_repeated([row.traits for row in pending], counts),
    )
    for first, row in zip(firsts.tolist(), pending, strict=True):
        _set(rows, first, row)
    return rows


def _repeated(traits: Sequence[Traits], counts: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Columns of traits, with one row per vector."""
    table = np.array([t.numbers for t in traits], dtype=np.int64).reshape(-1, len(TRAITS))
    return {
        name: np.repeat(table[:, column].astype(dtype), counts)
        for column, (name, dtype) in enumerate(TRAITS.items())
    }


def _set(rows: Rows, first: int, row: PendingRow) -> None:
    checksum = record_checksum(row.id, row.text, row.metadata, row.timestamp, row.expires)
    rows.checksums[first] = _with_traits(checksum, row.traits)
    for column, value in ((rows.texts, row.text), (rows.metadata, row.metadata)):
        if isinstance(column, list):
            column[first] = value


def appended(first: Rows, second: Rows) -> Rows:
    """Rows and others whose ids are all higher, without one-bit codes."""
    both = (first.present(), second.present())
    names = ("ids", "windows", *TRAITS, "timestamps", "expires", "checksums", "codes", "scales")
    columns: dict[str, Any] = {n: np.concatenate([getattr(rows, n) for rows in both]) for n in names}
    return Rows(
        texts=_listed(both[0].texts) + _listed(both[1].texts),
        metadata=_listed(both[0].metadata) + _listed(both[1].metadata),
        signs=None,
        name=second.name,
        **columns,
    )


def _listed(values: Bytes) -> list[bytes]:
    return values if isinstance(values, list) else [bytes(values[i]) for i in range(len(values))]


def concatenate(parts: Sequence[tuple[Rows, npt.NDArray[np.bool_] | None]], *, signs: bool) -> Rows:
    """Rows of several places as one, in the order of their ids.

    Args:
        parts: rows, each with which of them to take; None takes all.
        signs: whether the result has one-bit codes; they are made where they are missing.
    """
    chosen = [
        (rows.present(), np.flatnonzero(keep) if keep is not None else np.arange(len(rows)))
        for rows, keep in parts
    ]
    ids = np.concatenate([rows.ids[index] for rows, index in chosen])
    order = np.argsort(ids, kind="stable")

    def column(name: str) -> Any:
        return np.concatenate([getattr(rows, name)[index] for rows, index in chosen])[order]

    def values(name: str) -> list[bytes]:
        flat = [bytes(getattr(rows, name)[i]) for rows, index in chosen for i in index.tolist()]
        return [flat[i] for i in order.tolist()]

    arrays = ("windows", *TRAITS, "timestamps", "expires", "checksums", "codes", "scales")
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
