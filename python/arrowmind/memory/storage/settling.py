"""Puts memories where their tiers say: cold ones into cold files, and back. All functions need the lock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.memory.storage.cold_file import MAX_COLD_BYTES, NUMBERS, ColdContent, write_cold
from arrowmind.memory.storage.cold_rows import ColdRows
from arrowmind.memory.storage.compaction import Source, batches, blocks_of, gone_of, segments_of, swap
from arrowmind.memory.storage.flushing import split_rows
from arrowmind.memory.storage.rows import TRAITS, rows_of_pending
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
_COLUMNS = {
    **{"id": "ids", "timestamp": "timestamps", "expires": "expires"},
    **dict(zip(("category", "namespace", "origin", "trust", "presence"), TRAITS, strict=True)),
}


@dataclass(frozen=True)
class Settler:
    """Moves memories of the space of texts between segments and cold files.

    Attributes:
        catalogue: of the store.
        writer: of segments of that space.
        reviver: makes vectors again.
        settings: of the store.
    """

    catalogue: Catalogue
    writer: SegmentWriter
    reviver: Reviver
    settings: StoreSettings

    def freeze(self, space: Space, segment: SegmentRow, cold: IntArray) -> int:
        """Moves what is to be cold out of a segment into a new cold file; returns how many memories.

        What the encoder does not make again stays: its vector would be lost.
        """
        sources: list[Source] = []
        frozen: list[tuple[Rows, Mask]] = []
        removed: list[int] = []
        for block in blocks_of(space, [segment]):
            mask = self._frozen(block, cold)
            dead = _dead(block)
            sources.append(Source(block.rows, ~dead & ~mask))
            frozen.append((block.rows, mask))
            removed.extend(np.unique(block.rows.ids[dead]).tolist())
        content = _gathered(frozen)
        if content is None:
            return 0
        ids = content.numbers["id"]
        new: list[tuple[SegmentRow, IntArray | None]] = [(write_cold(self.writer, content), ids)]
        if any(source.keep is not None and source.keep.any() for source in sources):
            rest = self.writer.write(batches(sources, self.settings.batch_rows))
            new.append((rest, np.concatenate([source.rows.ids[source.keep] for source in sources])))
        swap(self.catalogue, self.writer, [segment], new, removed)
        return len(ids)

    def _frozen(self, block: Block, cold: IntArray) -> Mask:
        """Rows of a block that may become cold."""
        rows = block.rows
        mask = np.isin(rows.ids, cold) & ~_dead(block) & ((rows.presences & HAS_TEXT) > 0)
        chosen = rows.first_rows[mask[rows.first_rows]]
        kept: list[int] = []
        for start in range(0, len(chosen), _BATCH):
            part = chosen[start : start + _BATCH].tolist()
            good = [row for row, same in zip(part, self._made_again(rows, part), strict=True) if same]
            kept += [int(rows.ids[row]) for row in good]
            if not good:
                _log.warning("vectors_not_made_again", segment=rows.name, memories=len(chosen) - start)
                break
        found: Mask = mask & np.isin(rows.ids, np.array(kept, dtype=np.int64))
        return found

    def _made_again(self, rows: Rows, chosen: Sequence[int]) -> Iterator[bool]:
        """Whether the encoder makes the vectors that each memory has."""
        # Whoever reads a damaged text here must not write it anew as if it were sound.
        texts = [rows.content(row).text for row in chosen]
        for row, (codes, scales) in zip(chosen, self.reviver.vectors(texts), strict=True):
            end = row + rows.window_count(row)
            size = len(bytes(rows.texts[row])) + len(bytes(rows.metadata[row]))
            same = codes.shape == rows.codes[row:end].shape and size <= MAX_COLD_BYTES
            if same:
                products = np.einsum("ij,ij->i", codes.astype(np.float32), rows.codes[row:end])
                same = bool(np.all(products * scales * rows.scales[row:end] >= _SAME))
            yield same

    def rewrite_cold(self, space: Space, segments: Sequence[SegmentRow], cold: IntArray | None) -> list[int]:
        """Puts one cold file in the place of several, without what is forgotten.

        Args:
            space: that of texts.
            segments: cold files.
            cold: what stays cold; the rest becomes a segment as far as its vectors can be made again. None
                leaves all.

        Returns:
            Memories whose bytes are gone with the old files.
        """
        kept: list[tuple[Rows, Mask]] = []
        thawed: list[PendingRow] = []
        removed: list[int] = []
        for block in blocks_of(space, segments):
            dead = _dead(block)
            removed.extend(np.unique(block.rows.ids[dead]).tolist())
            back = self._thawed(block, dead, cold)
            thawed += back
            gone = dead | np.isin(block.rows.ids, np.array([row.id for row in back], dtype=np.int64))
            kept.append((block.rows, ~gone))
        new: list[tuple[SegmentRow, IntArray | None]] = []
        content = _gathered(kept)
        if content is not None:
            new.append((write_cold(self.writer, content), content.numbers["id"]))
        if thawed:
            thawed.sort(key=lambda row: row.id)
            rows = rows_of_pending(thawed, self.writer.space.dimension, "what became warm")
            new.append((self.writer.write(split_rows(rows, self.settings.batch_rows)), rows.ids))
        swap(self.catalogue, self.writer, segments, new, removed)
        return removed

    def _thawed(self, block: Block, dead: Mask, cold: IntArray | None) -> list[PendingRow]:
        rows = block.rows
        if cold is None or not isinstance(rows, ColdRows):
            return []
        back = ~dead & ~np.isin(rows.ids, cold)
        found = []
        for row in rows.first_rows[back[rows.first_rows]].tolist():
            codes, scales = rows.revived(np.arange(row, row + rows.window_count(row)))
            if np.all(scales > 0):
                found.append(_pending(rows, row, pack_vectors(codes, scales)))
        return found

    def cold_groups(self, space: Space, cold: IntArray | None) -> list[list[SegmentRow]]:
        """Cold files to be written anew: small ones together, and those with what is not cold any more."""
        files = [segment for segment in segments_of(space) if segment.is_cold]
        small = [segment for segment in files if segment.vectors < self.settings.batch_rows]
        groups = [small] if len(small) > 1 else []
        grouped = {segment.id for group in groups for segment in group}
        rest = [segment for segment in files if segment.id not in grouped]
        return [*groups, *([segment] for segment in rest if self._is_stale(space, segment, cold))]

    def _is_stale(self, space: Space, segment: SegmentRow, cold: IntArray | None) -> bool:
        if gone_of(space, segment):
            return True
        if cold is None or not self.reviver.is_able:
            return False
        return not all(np.isin(block.rows.ids, cold).all() for block in blocks_of(space, [segment]))


def _dead(block: Block) -> Mask:
    return np.zeros(len(block.rows), np.bool_) if block.dead is None else block.dead


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


def _gathered(parts: Sequence[tuple[Rows, Mask]]) -> ColdContent | None:
    """Some rows of several places as cold memories, by id; None if there are none."""
    firsts = [rows.first_rows[mask[rows.first_rows]] for rows, mask in parts]
    ids = np.concatenate([rows.ids[first] for (rows, _), first in zip(parts, firsts, strict=True)])
    if not len(ids):
        return None
    order = np.argsort(ids, kind="stable")

    def column(name: str) -> IntArray:
        values = [getattr(rows, name)[first] for (rows, _), first in zip(parts, firsts, strict=True)]
        found: IntArray = np.concatenate(values).astype(np.int64)[order]
        return found

    def values(name: str) -> list[bytes]:
        pairs = zip(parts, firsts, strict=True)
        flat = [bytes(getattr(rows, name)[row]) for (rows, _), first in pairs for row in first.tolist()]
        return [flat[place] for place in order.tolist()]

    numbers = {name: column(_COLUMNS[name]) for name in NUMBERS if name in _COLUMNS}
    every: Any = np.concatenate([rows.ids[mask] for rows, mask in parts])
    signs = np.concatenate([rows.signs[mask] for rows, mask in parts if rows.signs is not None])
    by_id = np.argsort(every, kind="stable")
    _, counts = np.unique(every, return_counts=True)
    numbers["windows"] = counts.astype(np.int64)
    return ColdContent(numbers, values("texts"), values("metadata"), signs[by_id])
