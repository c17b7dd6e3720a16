"""Puts the bytes of a store where the tiers of its memories say. All functions need the lock of the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory.records import Settlement
from arrowmind.memory.storage.compaction import segments_of, wasteful_segments
from arrowmind.memory.storage.lifecycle_tables import cold_ids
from arrowmind.memory.storage.settling import Settler
from arrowmind.observe import record_fallback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from arrowmind.memory.session import SessionHolder
    from arrowmind.memory.settings import StoreSettings
    from arrowmind.memory.storage.blocks import Space
    from arrowmind.memory.storage.catalogue import Catalogue
    from arrowmind.memory.storage.segment import SegmentWriter
    from arrowmind.memory.storage.snapshot import Snapshot
    from arrowmind.memory.storage.spaces import SpaceRow

    IntArray = npt.NDArray[np.int64]

__all__ = ["Settled", "Tiering"]


@dataclass(frozen=True)
class Settled:
    """What was done.

    Attributes:
        report: for the caller.
        removed: memories whose bytes are gone with cold files.
        rewritten: cold files that were.
    """

    report: Settlement
    removed: list[int]
    rewritten: int


@dataclass(frozen=True)
class Tiering:
    """Moves memories between segments and cold files, in all spaces.

    Attributes:
        catalogue: of the store.
        sessions: of this process.
        writers: of segments of a space.
        settings: of the store.
    """

    catalogue: Catalogue
    sessions: SessionHolder
    writers: Callable[[], Callable[[SpaceRow], SegmentWriter]]
    settings: StoreSettings

    def has_cold_waiting(self) -> bool:
        """Whether what is to be cold waits in the catalogue: a segment has to be made of it first."""
        return bool(np.isin(self._snapshot().home.pending.rows.ids, self._cold()).any())

    def settle(self) -> Settled:
        """Puts memories where their tiers say, and cold files together."""
        cold = self._cold()
        frozen = thawed = rewritten = 0
        removed: list[int] = []
        for number in range(len(self._snapshot().spaces)):
            settler = self._settler(self._space(number).row)
            if len(cold):
                moved = sum(self._freeze(number, settler, cold))
                frozen += moved if number == 0 else 0
            before, gone = _cold_memories(self._space(number)), []
            groups = settler.cold_groups(self._space(number), cold)
            for group in groups:
                gone += settler.rewrite_cold(self._space(number), group, cold)
            rewritten += sum(map(len, groups))
            if number == 0:
                removed += gone
                thawed = before - len(gone) - _cold_memories(self._space(number))
        return Settled(Settlement(frozen, thawed, self._waiting(cold)), removed, rewritten)

    def reclaim(self) -> list[int]:
        """Rewrites cold files of which much is forgotten; returns the memories that are gone with them."""
        removed: list[int] = []
        for number in range(len(self._snapshot().spaces)):
            space = self._space(number)
            for segment in wasteful_segments(space, self.settings, cold=True):
                gone = self._settler(space.row).rewrite_cold(self._space(number), [segment], None)
                removed += gone if number == 0 else []
        return removed

    def _freeze(self, number: int, settler: Settler, cold: IntArray) -> Iterator[int]:
        for segment in [s for s in segments_of(self._space(number)) if not s.is_cold]:
            yield settler.freeze(self._space(number), segment, cold)

    def _waiting(self, cold: IntArray) -> int:
        """Memories that are to be warm and whose vectors cannot be had here."""
        count = 0
        for block in self._snapshot().home.blocks:
            if block.rows.is_cold:
                first = block.rows.first_rows
                stays = ~np.isin(block.rows.ids[first], cold)
                count += int((stays if block.dead is None else stays & ~block.dead[first]).sum())
        if count:
            record_fallback(
                "settle",
                "vectors that only their encoder makes again: open the store with its engine and settle "
                "again; until then these memories are found by their codes",
                memories=count,
            )
        return count

    def _settler(self, space: SpaceRow) -> Settler:
        return Settler(self.catalogue, self.writers()(space), self.sessions.current.reviver, self.settings)

    def _cold(self) -> IntArray:
        with self.catalogue.reading() as db:
            return np.array(cold_ids(db), dtype=np.int64)

    def _space(self, number: int) -> Space:
        return self._snapshot().spaces[number]

    def _snapshot(self) -> Snapshot:
        return self.sessions.current.snapshot()


def _cold_memories(space: Space) -> int:
    return sum(segment.records for segment in segments_of(space) if segment.is_cold)
