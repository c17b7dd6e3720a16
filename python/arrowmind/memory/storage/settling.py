"""Puts memories where their tiers say: cold ones into cold files, and back. All functions need the lock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.errors import MemoryStoreError
from arrowmind.memory.resting import may_rest
from arrowmind.memory.storage.cold_content import Selection, gathered
from arrowmind.memory.storage.cold_file import MAX_COLD_BYTES, write_cold
from arrowmind.memory.storage.cold_rows import ColdRows
from arrowmind.memory.storage.compaction import Source, batches, blocks_of, gone_of, segments_of, swap
from arrowmind.memory.storage.flushing import split_rows
from arrowmind.memory.storage.rows import rows_of_pending
from arrowmind.memory.storage.segment import file_checksum
from arrowmind.memory.storage.spaces import HOME
from arrowmind.memory.storage.tables import PendingRow
from arrowmind.memory.storage.traits import HAS_TEXT
from arrowmind.memory.storage.vectors import pack_vectors
from arrowmind.observe import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from arrowmind.memory.settings import StoreSettings
    from arrowmind.memory.storage.blocks import Block, Space
    from arrowmind.memory.storage.catalogue import Catalogue
    from arrowmind.memory.storage.reviving import Reviver
    from arrowmind.memory.storage.rows import Rows
    from arrowmind.memory.storage.segment import SegmentWriter
    from arrowmind.memory.storage.tables import SegmentRow

    IntArray = npt.NDArray[np.int64]
    Mask = npt.NDArray[np.bool_]

__all__ = ["Settler"]

_log = get_logger(__name__)
_BATCH = 256
# What makes a vector again makes it up to rounding; other texts or encoders are far off.
_SAME = 0.99


@dataclass(frozen=True)
class Settler:
    """Moves memories of one space between segments and cold files.

    A vector goes into a cold file with its memory, unless an encoder is there and makes it again.

    Attributes:
        catalogue: of the store.
        writer: of segments of that space.
        reviver: makes vectors of texts again; that of another space makes none.
        settings: of the store.
    """

    catalogue: Catalogue
    writer: SegmentWriter
    reviver: Reviver
    settings: StoreSettings

    def freeze(self, space: Space, segment: SegmentRow, cold: IntArray) -> int:
        """Moves what is to be cold out of a segment into a new cold file; returns how many memories.

        Raises:
            MemoryStoreError: the segment is damaged, or no file can be written.
        """
        sources: list[Source] = []
        frozen: list[Selection] = []
        removed: list[int] = []
        for block in blocks_of(space, [segment]):
            dead = _dead(block)
            chosen = np.isin(block.rows.ids, cold) & ~dead & ~_too_large(block.rows)
            sources.append(Source(block.rows, ~dead & ~chosen))
            frozen.append(Selection(block.rows, chosen, chosen))
            removed.extend(np.unique(block.rows.ids[dead]).tolist())
        if not any(part.chosen.any() for part in frozen):
            return 0
        self._check(segment)
        selected = [self._selection(part.rows, part.chosen, part.kept) for part in frozen]
        content = gathered(selected, self._encoder)
        if content is None:
            return 0
        ids = content.numbers["id"]
        new: list[tuple[SegmentRow, IntArray | None]] = [(write_cold(self.writer, content), ids)]
        if any(source.keep is not None and source.keep.any() for source in sources):
            rest = self.writer.write(batches(sources, self.settings.batch_rows))
            new.append((rest, np.concatenate([source.rows.ids[source.keep] for source in sources])))
        swap(self.catalogue, self.writer, [segment], new, removed)
        return len(ids)

    def _check(self, segment: SegmentRow) -> None:
        """Damaged bytes must not be written anew as if they were sound."""
        if file_checksum(self.writer.folder / segment.name) != segment.checksum:
            raise MemoryStoreError(
                f"segment {segment.name} is damaged (checksum mismatch); restore the store from a backup"
            )

    @property
    def _encoder(self) -> str:
        """Fingerprint of the encoder that can make vectors of this space again; empty if there is none."""
        return self.reviver.fingerprint if self.writer.space.id == HOME else ""

    def _selection(self, rows: Rows, chosen: Mask, kept: Mask) -> Selection:
        """Chosen rows; those of ``kept`` whose vectors are made again are not kept any more."""
        known = isinstance(rows, ColdRows) and rows.tried == self._encoder
        if not self._encoder or known:
            return Selection(rows, chosen, kept)
        first = rows.first_rows
        candidates = first[(chosen & kept & ((rows.presences & HAS_TEXT) > 0))[first]]
        again = np.fromiter(self._made_again(rows, candidates), np.int64)
        return Selection(rows, chosen, kept & ~np.isin(rows.ids, again))

    def _made_again(self, rows: Rows, chosen: IntArray) -> Iterator[int]:
        """Those memories of some first rows of which the encoder makes the vectors."""
        for start in range(0, len(chosen), _BATCH):
            part = chosen[start : start + _BATCH].tolist()
            texts = [rows.content(row).text for row in part]
            made = zip(part, self.reviver.vectors(texts), strict=True)
            good = [row for row, (codes, scales) in made if _is_same(rows, row, codes, scales)]
            yield from rows.ids[good].tolist()
            if not good:
                _log.info("vectors_not_made_again", segment=rows.name, memories=len(chosen) - start)
                return

    def rewrite_cold(self, space: Space, segments: Sequence[SegmentRow], cold: IntArray | None) -> list[int]:
        """Puts one cold file in the place of several, without what is forgotten.

        Args:
            space: where they lie.
            segments: cold files.
            cold: what stays cold; the rest becomes a segment as far as its vectors can be had. None leaves
                all.

        Returns:
            Memories whose bytes are gone with the old files.
        """
        stays: list[Selection] = []
        thawed: list[PendingRow] = []
        removed: list[int] = []
        tried = {self._encoder} if self._encoder else set()
        for block in blocks_of(space, segments):
            rows, dead = block.rows, _dead(block)
            if not isinstance(rows, ColdRows):
                continue
            removed.extend(np.unique(rows.ids[dead]).tolist())
            back = _thawed(rows, dead, cold)
            thawed += back
            gone = dead | np.isin(rows.ids, np.array([row.id for row in back], dtype=np.int64))
            stays.append(self._selection(rows, ~gone, rows.has_vector & ~gone))
            tried |= set() if self._encoder else {rows.tried}
        for segment in segments:
            self._check(segment)
        new: list[tuple[SegmentRow, IntArray | None]] = []
        content = gathered(stays, tried.pop() if len(tried) == 1 else "")
        if content is not None:
            new.append((write_cold(self.writer, content), content.numbers["id"]))
        if thawed:
            thawed.sort(key=lambda row: row.id)
            warm = rows_of_pending(thawed, self.writer.space.dimension, "what became warm")
            new.append((self.writer.write(split_rows(warm, self.settings.batch_rows)), warm.ids))
        swap(self.catalogue, self.writer, segments, new, removed)
        return removed

    def cold_groups(self, space: Space, cold: IntArray) -> list[list[SegmentRow]]:
        """Cold files to be written anew: small ones together, and those with what is not cold any more."""
        files = [segment for segment in segments_of(space) if segment.is_cold]
        small = [segment for segment in files if segment.vectors < self.settings.batch_rows]
        groups = [small] if len(small) > 1 else []
        grouped = {segment.id for group in groups for segment in group}
        rest = [segment for segment in files if segment.id not in grouped]
        return [*groups, *([segment] for segment in rest if self._is_stale(space, segment, cold))]

    def _is_stale(self, space: Space, segment: SegmentRow, cold: IntArray) -> bool:
        """Whether something in it is forgotten, can become warm, or can do without its vector."""
        if gone_of(space, segment):
            return True
        for block in blocks_of(space, [segment]):
            rows = block.rows
            if not isinstance(rows, ColdRows):
                continue
            warm = ~np.isin(rows.ids, cold)
            if (warm if self._encoder else warm & rows.has_vector).any():
                return True
            if self._encoder and rows.tried != self._encoder and rows.has_vector.any():
                return True
        return False


def _dead(block: Block) -> Mask:
    return np.zeros(len(block.rows), np.bool_) if block.dead is None else block.dead


def _too_large(rows: Rows) -> Mask:
    """What no block can take."""
    large = [row for row in rows.first_rows.tolist() if _text_bytes(rows, row) > MAX_COLD_BYTES]
    mask: Mask = np.isin(rows.ids, rows.ids[large])
    return mask


def _text_bytes(rows: Rows, row: int) -> int:
    return len(rows.texts[row]) + len(rows.metadata[row])


def _is_same(rows: Rows, row: int, codes: npt.NDArray[np.int8], scales: npt.NDArray[np.float32]) -> bool:
    """Whether these are the vectors that the memory at a row has, up to rounding."""
    may_rest()
    held, lengths = rows.stored_vectors(np.arange(row, row + rows.window_count(row)))
    if codes.shape != held.shape:
        return False
    products = np.einsum("ij,ij->i", codes.astype(np.float32), held)
    return bool(np.all(products * scales * lengths >= _SAME))


def _thawed(rows: ColdRows, dead: Mask, cold: IntArray | None) -> list[PendingRow]:
    """What is not to be cold any more and has its vectors, or can have them again."""
    if cold is None:
        return []
    back = ~dead & ~np.isin(rows.ids, cold)
    found = []
    for row in rows.first_rows[back[rows.first_rows]].tolist():
        codes, scales = rows.revived(np.arange(row, row + rows.window_count(row)))
        if rows.has_vector[row] or np.all(scales > 0):
            found.append(_pending(rows, row, pack_vectors(codes, scales)))
    return found


def _pending(rows: Rows, row: int, vectors: bytes) -> PendingRow:
    return PendingRow(
        int(rows.ids[row]),
        bytes(rows.texts[row]),
        rows.traits(row),
        bytes(rows.metadata[row]),
        int(rows.timestamps[row]),
        int(rows.expires[row]),
        rows.window_count(row),
        vectors,
    )
