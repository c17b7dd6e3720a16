"""Forgets for good: no byte is left in any file, and a receipt says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.privacy import MemoryBytes, make_receipt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from arrowmind.memory.storage.paths import StorePaths
    from arrowmind.memory.storage.snapshot import Snapshot
    from arrowmind.privacy import Privacy, Receipt

__all__ = ["bytes_of", "testify"]


def bytes_of(snapshot: Snapshot, ids: Sequence[int]) -> list[MemoryBytes]:
    """What files hold of memories: their texts, and their vectors in every space."""
    return [found for id_ in ids if (found := _bytes_of(snapshot, id_)) is not None]


def _bytes_of(snapshot: Snapshot, id_: int) -> MemoryBytes | None:
    place = snapshot.find(id_)
    if place is None:
        return None
    vectors = []
    for space in snapshot.spaces:
        for block, first in space.places(id_):
            rows = block.rows
            chosen = range(first, first + rows.window_count(first))
            vectors += [rows.held_bytes(row) for row in chosen if rows.scales[row] > 0]
    return MemoryBytes(id_, place[0].rows.content(place[1]).text, vectors)


def testify(
    paths: StorePaths, store: str, forgotten: Sequence[MemoryBytes], privacy: Privacy, after: Snapshot
) -> Receipt:
    """A receipt that no byte of forgotten memories is in any file of a store.

    Raises:
        MemoryStoreError: some are; another process still holds an old file.
    """

    def kept() -> Iterator[MemoryBytes]:
        for block in after.blocks:
            for row in block.rows.first_rows.tolist():
                if block.is_live(row):
                    yield from bytes_of(after, [int(block.rows.ids[row])])

    head = privacy.log.head() if privacy.log is not None else None
    return make_receipt(
        paths.root, forgotten, store=store, key=privacy.key, head=head, kept=kept, cipher=paths.cipher
    )
