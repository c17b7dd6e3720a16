"""Rows of cold memories: searched by their codes; the best get their vectors back and are ranked by those."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind import _native
from arrowmind.columnar.files import PLAIN
from arrowmind.memory.storage.cold_file import ColdFile
from arrowmind.memory.storage.rows import TRAITS, Rows
from arrowmind.memory.storage.segment import open_segment
from arrowmind.memory.storage.vectors import (
    estimated_cosines,
    estimated_vectors,
    query_bits,
    row_bytes,
    sign_codes,
)

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from arrowmind.columnar.files import Files
    from arrowmind.memory.settings import RecallSettings
    from arrowmind.memory.storage.cold_blocks import ColdTexts, ColdVectors
    from arrowmind.memory.storage.reviving import Reviver
    from arrowmind.memory.storage.tables import SegmentRow

    FloatArray = npt.NDArray[np.float32]
    IntArray = npt.NDArray[np.int64]
    Chosen = npt.NDArray[np.integer[Any]]

__all__ = ["ColdRows", "open_rows"]

_CHUNK = 1024
# Signs that may differ between a vector and what is encoded anew: an encoder at another precision flips few.
_MOST_FLIPPED = 0.15
_TRAIT_COLUMNS = dict(zip(TRAITS, ("category", "namespace", "origin", "trust", "presence"), strict=True))


@dataclass(frozen=True)
class _Column:
    """Texts or metadata by row; rows of later windows have none."""

    texts: ColdTexts
    windows: npt.NDArray[np.int32]
    numbers: IntArray
    which: int

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, row: int, /) -> bytes:
        if self.windows[row]:
            return b""
        return self.texts.pair(int(self.numbers[row]))[self.which]


@dataclass(frozen=True)
class ColdRows(Rows):
    """Rows without INT8 vectors in memory: ``codes`` is empty, ``scales`` are 1, of vectors of zeros 0.

    Attributes:
        dimension: of the vectors that there were.
        reviver: makes again those that are not kept; None leaves it at estimates.
        kept: vectors that lie in the file.
        kept_numbers: int64 [n], which of these is that of each row; -1 where it is made again.
        tried: fingerprint of the encoder that does not make the kept ones again; empty if none was there.
    """

    dimension: int = 0
    reviver: Reviver | None = field(default=None, compare=False)
    kept: ColdVectors | None = field(default=None, compare=False)
    kept_numbers: IntArray = field(default_factory=lambda: np.empty(0, np.int64), compare=False)
    tried: str = ""

    @property
    def is_cold(self) -> bool:
        """It is."""
        return True

    @property
    def has_vector(self) -> npt.NDArray[np.bool_]:
        """Of which rows the vectors lie in the file, bool [n]."""
        mask: npt.NDArray[np.bool_] = self.kept_numbers >= 0
        return mask

    @property
    def _signs(self) -> npt.NDArray[np.uint8]:
        return self.signs if self.signs is not None else np.empty((0, row_bytes(self.dimension)), np.uint8)

    @cached_property
    def _numbers(self) -> IntArray:
        """Which of the memories each row belongs to, counted from 0."""
        numbers: IntArray = np.cumsum(self.windows == 0) - 1
        return numbers

    def _is_sound(self, row: int, checksum: int) -> bool:
        """Blocks have checksums of their own."""
        del row, checksum
        return True

    def cosines(self, query: FloatArray, chosen: Chosen, finalists: int = 0) -> FloatArray:
        """Estimates; of the best as many as ``finalists`` by their vectors, as far as these can be had."""
        found = estimated_cosines(self._signs[chosen], query)
        found[self.scales[chosen] == 0] = 0
        if finalists and len(found) and (self._can_encode or self.kept):
            best = np.argsort(-found, kind="stable")[:finalists]
            rows = np.asarray(chosen)[best]
            codes, scales = self.revived(rows)
            exact = _native.scan_dot(codes, scales, query)
            found[best] = np.where(scales > 0, exact, found[best])
        return found

    def best(
        self, query: FloatArray, count: int, excluded: npt.NDArray[np.uint8] | None, search: RecallSettings
    ) -> tuple[npt.NDArray[np.uint32], FloatArray]:
        """The rows with the highest cosines: one-bit codes choose, estimates rank, the best are revived."""
        wanted = search.oversample * count
        bits, threads = query_bits(query), search.threads
        near, _ = _native.scan_top_bits(self._signs, bits, wanted, excluded=excluded, threads=threads)
        near = np.sort(near)
        cosines = self.cosines(query, near, search.cold_finalists)
        order = np.argsort(-cosines, kind="stable")[:count]
        return near[order], cosines[order]

    def vectors(self, chosen: Chosen) -> FloatArray:
        """Those in the file as they were, others of length 1 and as near as the codes tell."""
        found = estimated_vectors(self._signs[chosen], self.dimension)
        here = self.has_vector[chosen]
        codes, scales = self._kept_vectors(np.asarray(chosen)[here].astype(np.int64))
        found[here] = codes.astype(np.float32) * scales[:, None]
        return found

    def stored_vectors(self, chosen: Chosen) -> tuple[npt.NDArray[np.int8], FloatArray]:
        """Those that were, made again where they are not in the file."""
        parts = [self.revived(chosen[i : i + _CHUNK]) for i in range(0, max(len(chosen), 1), _CHUNK)]
        return np.concatenate([codes for codes, _ in parts]), np.concatenate([scales for _, scales in parts])

    def held_bytes(self, row: int) -> bytes:
        """The vector if it is in the file, else the code."""
        if self.has_vector[row]:
            return self._kept_vectors(np.array([row]))[0].tobytes()
        return bytes(self._signs[row])

    def do_codes_follow(self) -> bool:
        """Whether one-bit codes are those of the vectors in the file."""
        rows = np.flatnonzero(self.has_vector)
        parts = [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]
        return all(
            np.array_equal(sign_codes(self._kept_vectors(part)[0]), self._signs[part]) for part in parts
        )

    @property
    def _can_encode(self) -> bool:
        return self.reviver is not None and self.reviver.is_able

    def _kept_vectors(self, chosen: IntArray) -> tuple[npt.NDArray[np.int8], FloatArray]:
        """Codes and scales of rows whose vectors are in the file."""
        numbers = self.kept_numbers[chosen]
        if self.kept is None or not len(numbers):
            return np.empty((0, self.dimension), np.int8), np.empty(0, np.float32)
        return self.kept.codes(numbers.tolist()), self.kept.scales[numbers]

    def revived(self, chosen: Chosen) -> tuple[npt.NDArray[np.int8], FloatArray]:
        """Vectors read or made again: codes int8 [n, dimension], scales float32 [n].

        A scale of 0 stands for one that cannot be had: it is not in the file, and there is no encoder or the
        text now gives another vector. So it does for a vector of zeros, whose row has a scale of 0, too.
        """
        rows = np.asarray(chosen).astype(np.int64)
        codes, scales = np.zeros((len(rows), self.dimension), np.int8), np.zeros(len(rows), np.float32)
        here = self.has_vector[rows]
        codes[here], scales[here] = self._kept_vectors(rows[here])
        if self.reviver is not None and self.reviver.is_able and not here.all():
            codes[~here], scales[~here] = self._encoded(self.reviver, rows[~here])
        return codes, scales

    def _encoded(self, reviver: Reviver, rows: IntArray) -> tuple[npt.NDArray[np.int8], FloatArray]:
        """Vectors made of texts; with a scale of 0 where a text now gives another one."""
        codes, scales = np.zeros((len(rows), self.dimension), np.int8), np.zeros(len(rows), np.float32)
        firsts = self.first_rows[np.unique(self._numbers[rows])]
        row_of = dict(zip(self.ids[firsts].tolist(), firsts.tolist(), strict=True))
        made = reviver.kept_vectors(list(row_of), lambda id_: self.text(row_of[id_]))
        vectors = dict(zip(row_of, made, strict=True))
        for place, (id_, row) in enumerate(zip(self.ids[rows].tolist(), rows.tolist(), strict=True)):
            new, lengths = vectors[id_]
            if new.shape == (self.window_count(row_of[id_]), self.dimension):
                codes[place], scales[place] = new[row - row_of[id_]], lengths[row - row_of[id_]]
        flipped = np.unpackbits(sign_codes(codes) ^ self._signs[rows], axis=1).sum(axis=1)
        scales[flipped > _MOST_FLIPPED * self.dimension] = 0.0
        return codes, scales


def open_rows(
    path: Path,
    expected: SegmentRow,
    dimension: int,
    reviver: Reviver | None = None,
    files: Files = PLAIN,
) -> list[Rows]:
    """Maps a segment, cold or not.

    Args:
        path: of the file.
        expected: what the catalogue says of it.
        dimension: of the vectors.
        reviver: makes vectors of cold memories again.
        files: how it is read.

    Raises:
        FileNotFoundError: the file is gone, as after a compaction by another process.
        MemoryStoreError: it is damaged or not what the catalogue says.
    """
    if not expected.is_cold:
        return open_segment(path, expected, dimension, files)
    file = ColdFile(path, expected, dimension, files)
    counts = file.numbers["windows"]
    total = len(file.signs)
    ends = np.cumsum(counts)
    windows = (np.arange(total) - np.repeat(ends - counts, counts)).astype(np.int32)
    numbers = np.repeat(np.arange(len(counts)), counts)
    texts, metadata = (_Column(file.texts, windows, numbers, which) for which in (0, 1))
    kept = np.repeat(file.numbers["kept"] == 1, counts)
    scales = np.ones(total, dtype=np.float32)
    scales[kept] = file.vectors.scales > 0
    traits: dict[str, Any] = {
        name: np.repeat(file.numbers[column].astype(TRAITS[name]), counts)
        for name, column in _TRAIT_COLUMNS.items()
    }
    rows = ColdRows(
        ids=np.repeat(file.numbers["id"], counts),
        windows=windows,
        timestamps=np.repeat(file.numbers["timestamp"], counts),
        expires=np.repeat(file.numbers["expires"], counts),
        texts=texts,
        metadata=metadata,
        checksums=np.zeros(total, dtype=np.uint32),
        codes=np.empty((0, dimension), dtype=np.int8),
        scales=scales,
        signs=file.signs,
        name=path.name,
        dimension=dimension,
        reviver=reviver,
        kept=file.vectors if len(file.vectors) else None,
        kept_numbers=np.where(kept, np.cumsum(kept) - 1, -1),
        tried=file.tried,
        **traits,
    )
    return [rows]
